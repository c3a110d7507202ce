"""What a request looks like, in every client format."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigw.routing.shape import TOKENS_PER_FILE, Shape, shape_of

LONG = "x" * 4000
PNG = "iVBORw0KGgo" * 1000
FORMATS = {
    "chat": (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": LONG}]}]},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
    ),
    "responses": (
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": LONG}]}]},
        {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"},
    ),
    "anthropic": (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": LONG}]}]},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
    ),
    "gemini": (
        {"contents": [{"role": "user", "parts": [{"text": LONG}]}]},
        {"inlineData": {"mimeType": "image/png", "data": PNG}},
    ),
}


def parts_of(tree):
    turn = next(iter(tree.values()))[0]
    return turn.get("content") or turn["parts"]


@pytest.mark.parametrize("name", FORMATS)
def test_text_is_counted_and_a_picture_is_worth_a_thousand_tokens(name):
    tree, image = FORMATS[name]
    plain = shape_of(tree)
    assert 1000 <= plain.context_tokens <= 1010
    assert (plain.has_images, plain.has_tools) == (False, False)
    parts_of(tree).append(image)
    try:
        drawn = shape_of({**tree, "tools": [{"name": "f"}]})
    finally:
        parts_of(tree).remove(image)
    assert drawn.has_images
    assert drawn.has_tools
    assert TOKENS_PER_FILE <= drawn.context_tokens - plain.context_tokens <= TOKENS_PER_FILE + 10


@pytest.mark.parametrize(
    "part", [{"type": "file", "file": {"file_data": PNG}}, {"fileData": {"mimeType": "a/b"}}]
)
def test_a_file_is_no_image(part):
    shape = shape_of({"messages": [{"content": [part]}]})
    assert (shape.has_images, shape.context_tokens) == (False, TOKENS_PER_FILE)


NAMES = st.sampled_from(["type", "content", "inlineData"])
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["type", "content", "inlineData"]), inner)
    ),
)


@given(st.dictionaries(st.sampled_from(["messages", "input", "tools", "type"]), TREES))
def test_any_tree_has_a_shape(tree):
    assert isinstance(shape_of(tree), Shape)


def test_depth_is_no_danger():
    tree = leaf = {}
    for _ in range(50_000):
        leaf["messages"] = leaf = {}
    assert shape_of(tree) == Shape(0, has_images=False, has_tools=False)
