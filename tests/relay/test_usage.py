"""Token counts found without a parser agree with those a parser finds."""

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigw.dialects.openai_chat.usage import read_usage
from aigw.dialects.openai_events import read_token_usage
from aigw.relay.usage import find_usage

COUNTS = st.fixed_dictionaries(
    {"prompt_tokens": st.integers(0, 9999), "completion_tokens": st.integers(0, 9999)},
    optional={
        "total_tokens": st.integers(0, 9999),
        "prompt_tokens_details": st.fixed_dictionaries({"cached_tokens": st.integers(0, 99)}),
        "note": st.text(max_size=8),
    },
)
JSON = st.recursive(  # keys of the same name at any depth included
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.text(max_size=8)
    | st.just('"usage":{"prompt_tokens":7}'),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5) | st.just("usage") | st.just('a"usage'), inner, max_size=3)
    ),
    max_leaves=8,
)
PADDING = st.sampled_from(["", "x" * 5000, '"usage": {' * 500, "\\" * 3000])


def _written(tree, style):
    return orjson.dumps(tree) if style == "orjson" else json.dumps(tree, indent=style).encode()


@given(before=JSON, usage=COUNTS, after=JSON, padding=PADDING, style=st.sampled_from(["orjson", None, 2]))
def test_counts_agree_with_a_full_parse(before, usage, after, padding, style):
    body = _written({"data": before, "pad": padding, "usage": usage, "more": after}, style)
    assert find_usage(body, read_usage) == read_usage(json.loads(body))


@given(
    tree=st.dictionaries(st.sampled_from(["usage", "data", "x_groq", "choices"]), JSON | COUNTS, max_size=4)
)
def test_documents_of_any_shape_agree_with_a_full_parse(tree):
    padded = {"pad": "y" * 5000, **tree}
    for body in (orjson.dumps(tree), orjson.dumps(padded)):
        assert find_usage(body, read_usage) == read_usage(json.loads(body))


@pytest.mark.parametrize(
    "body", [b"", b'"usage"', b"[]", b'{"usage":', b'["usage"]', b"x" * 5000 + b'"usage":{', b"\xff" * 5000]
)
def test_what_is_no_document_has_no_counts(body):
    assert find_usage(body, read_usage) is None


def test_a_nested_object_of_the_same_name_is_not_taken_for_the_answers_own():
    tree = {"usage": {"input_tokens": 3, "output_tokens": 2}, "pad": "x" * 5000}
    tree["metadata"] = {"usage": {"input_tokens": 999, "output_tokens": 999}}
    assert find_usage(orjson.dumps(tree), read_token_usage).input_tokens == 3
    del tree["usage"]
    assert find_usage(orjson.dumps(tree), read_token_usage) is None


def test_a_last_field_of_an_embedding_answer_is_found_without_a_full_parse():
    body = b'{"data": [' + b"not JSON at all " * 500 + b'], "usage": {"prompt_tokens": 3}}\n'
    assert find_usage(body, read_usage).input_tokens == 3
