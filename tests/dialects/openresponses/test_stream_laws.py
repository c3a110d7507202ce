"""Streams no sane server would write: whatever comes, the laws of events hold, or a ProtocolError tells."""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.openresponses_wire import check_stream

from aigw.dialects.base import join_frames
from aigw.dialects.openresponses import OPENRESPONSES
from aigw.errors import ProtocolError
from aigw.model import Failed, Finished, Fold, ItemClosed, ItemOpened, Started

lawful = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])

texts = st.text("ab", max_size=3)
ids = st.sampled_from(["one", "two"])
items = st.fixed_dictionaries(
    {"type": st.sampled_from(["message", "function_call", "custom_tool_call", "reasoning", "acme:tool"])},
    optional={
        "id": ids,
        "role": st.just("assistant"),
        "call_id": ids,
        "name": texts,
        "arguments": texts,
        "input": texts,
        "encrypted_content": texts,
        "summary": st.lists(
            st.builds(lambda text: {"type": "summary_text", "text": text}, texts), max_size=2
        ),
        "content": st.lists(
            st.builds(lambda text: {"type": "output_text", "text": text}, texts)
            | st.builds(lambda text: {"type": "refusal", "refusal": text}, texts)
            | st.just({"type": "acme:part"}),
            max_size=2,
        ),
        "status": st.sampled_from(["in_progress", "completed", "incomplete"]),
    },
)
kinds = [
    *("output_item.added", "output_item.done", "content_part.added", "content_part.done"),
    *("output_text.delta", "output_text.done", "refusal.delta", "refusal.done"),
    *("reasoning_text.delta", "reasoning_text.done", "reasoning_summary_text.delta"),
    *("function_call_arguments.delta", "function_call_arguments.done", "custom_tool_call_input.delta"),
    *("output_text.annotation.added", "web_search_call.searching", "in_progress"),
]
places = st.fixed_dictionaries(
    {},
    optional={
        "output_index": st.integers(0, 2),
        "item_id": ids,
        "content_index": st.integers(0, 1),
        "summary_index": st.integers(0, 1),
    },
)


@st.composite
def events(draw):
    kind = draw(st.sampled_from(kinds))
    tree = {"type": f"response.{kind}", **draw(places)}
    if "output_item" in kind:
        return tree | {"item": draw(items)}
    if kind == "content_part.done":
        return tree | {"part": draw(items.map(lambda item: (item.get("content") or [{}])[0]))}
    text = draw(texts)
    return tree | {
        "delta": text,
        "text": text,
        "arguments": text,
        "annotation": {"type": "url_citation", "url": text},
    }


@lawful
@given(st.lists(events(), max_size=12), st.lists(items, max_size=3))
def test_strange_events_keep_the_laws_and_are_written_as_the_specification_says(trees, output):
    end = {"type": "response.completed", "response": {"status": "completed", "output": output}}
    decoder = OPENRESPONSES.stream_decoder()
    try:
        told = [e for t in [*trees, end] for e in decoder.feed(b"data: " + json.dumps(t).encode() + b"\n\n")]
        told += decoder.close()
    except ProtocolError:
        return
    assert isinstance(told[0], Started)
    assert [isinstance(event, Failed | Finished) for event in told].count(True) == 1
    folding, opened, count = Fold(), [], 0
    for event in told:
        if isinstance(event, ItemOpened):
            assert not opened
            assert event.index == count
            opened, count = [event.index], count + 1
        elif isinstance(event, ItemClosed):
            assert opened.pop() == event.index
        elif type(event).__name__.endswith("Delta"):
            assert opened == [event.index]
        folding.add(event)
    assert not opened
    encoder = OPENRESPONSES.stream_encoder(None)
    data = join_frames(encoder, told) + encoder.close()
    kinds_told = json.dumps([*trees, output])
    if "acme" not in kinds_told and "web_search" not in kinds_told and "incomplete" not in kinds_told:
        check_stream(data, failed=False)
