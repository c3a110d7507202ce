"""Events that other formats bring, written as a stream that the SDK reads."""

import json
from pathlib import Path

import pytest
from anthropic.lib.streaming._messages import accumulate_event
from support import anthropic_wire

from aigw.dialects.anthropic import ANTHROPIC
from aigw.dialects.base import join_frames
from aigw.errors import ErrorKind, UpstreamError
from aigw.model import (
    AnnotationAdded,
    Choice,
    ChoiceFinished,
    Finished,
    FinishReason,
    Foreign,
    ForeignItem,
    FunctionCall,
    ItemClosed,
    ItemOpened,
    Message,
    PartAdded,
    Reasoning,
    ReasoningDelta,
    RefusalDelta,
    Request,
    Response,
    Started,
    TextDelta,
    TextPart,
    Usage,
    UsageReported,
    fold,
    unfold,
)
from aigw.model.seal import seal
from aigw.wire.sse import split_frames

WIRE = Path(__file__).parents[2] / "wire" / "anthropic"


def sse(name):
    return (WIRE / f"{name}.sse").read_bytes()


def decode(data):
    decoder = ANTHROPIC.stream_decoder()
    return decoder.feed(data) + decoder.close()


def encode(events, request=None):
    encoder = ANTHROPIC.stream_encoder(request)
    return join_frames(encoder, events) + encoder.close()


def frames(data):
    return [json.loads(frame.data) for frame in split_frames(data)]


def blocks(data):
    """Return what the SDK gathers from a stream."""
    snapshot, buffers = None, {}
    for tree in frames(data):
        snapshot = accumulate_event(event=tree, current_snapshot=snapshot, json_bufs=buffers)
    return snapshot.model_dump(exclude_none=True, warnings=False)["content"]


def test_counts_that_come_after_the_finish_stand_in_the_tail():
    events = [
        Started("r", "m"),
        ItemOpened(0, Message("assistant")),
        TextDelta(0, "hi"),
        ItemClosed(0),
        ChoiceFinished(FinishReason.STOP, "stop"),
        UsageReported(Usage(100, 7, cached_tokens=60, cache_write_tokens=10, reasoning_tokens=3)),
        Finished(FinishReason.STOP, "stop"),
    ]
    data = encode(events)
    anthropic_wire.check_stream(data, failed=False)
    assert frames(data)[0]["message"]["usage"]["input_tokens"] == 0
    assert frames(data)[-2] == {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {
            "input_tokens": 30,
            "cache_creation_input_tokens": 10,
            "cache_read_input_tokens": 60,
            "output_tokens": 7,
            "output_tokens_details": {"thinking_tokens": 3},
        },
    }


def test_counts_told_first_stand_in_message_start():
    data = encode(decode(sse("counts_of_a_cache_told_at_the_start")))
    usage = frames(data)[0]["message"]["usage"]
    assert (usage["input_tokens"], usage["cache_read_input_tokens"]) == (10, 1000)
    assert usage["service_tier"] == "priority"


def test_message_start_goes_out_with_the_first_content():
    encoder = ANTHROPIC.stream_encoder(Request("alias"))
    assert encoder.encode(Started("r")) == b""
    first = encoder.encode(ItemOpened(0, Message("assistant")))
    assert frames(first)[0]["message"]["model"] == "alias"


def test_a_stream_without_any_event_still_has_its_frames():
    anthropic_wire.check_stream(ANTHROPIC.stream_encoder(None).close(), failed=False)


def test_other_choices_have_no_place():
    first = Choice((Message("assistant", (TextPart("one"),)),), FinishReason.STOP)
    second = Choice((FunctionCall("c", "f", "{}"),), FinishReason.TOOL_CALLS, index=1)
    data = encode(unfold(Response("r", "m", 1, (first, second))))
    assert blocks(data) == [{"type": "text", "text": "one"}]
    assert frames(data)[-2]["delta"]["stop_reason"] == "end_turn"


def test_a_call_finished_as_a_plain_stop_is_still_a_tool_use():
    choice = Choice((FunctionCall("c", "f", "{}"),), FinishReason.STOP)
    assert frames(encode(unfold(Response("r", "m", 1, (choice,)))))[-2]["delta"]["stop_reason"] == "tool_use"


def test_a_refusal_in_words_is_told_by_the_reason():
    events = [
        Started("r"),
        ItemOpened(0, Message("assistant")),
        RefusalDelta(0, "I "),
        RefusalDelta(0, "won't"),
    ]
    data = encode([*events, ItemClosed(0), ChoiceFinished(FinishReason.STOP), Finished()])
    assert blocks(data) == [{"type": "text", "text": "I won't"}]
    assert frames(data)[-2]["delta"]["stop_reason"] == "refusal"


def reasoning_stream(*events, item=None, closed=None):
    opened = ItemOpened(0, item or Reasoning())
    return encode([Started("r"), opened, *events, ItemClosed(0, closed), ChoiceFinished(FinishReason.STOP)])


def test_a_signature_in_pieces_is_told_in_one_delta():
    pieces = [
        ReasoningDelta(0, "Hm."),
        *(ReasoningDelta(0, text, "signature") for text in ("c2", "ln", "==")),
    ]
    data = reasoning_stream(*pieces)
    assert blocks(data) == [{"type": "thinking", "thinking": "Hm.", "signature": "c2ln=="}]
    assert sum(b"signature_delta" in frame.data for frame in split_frames(data)) == 1


def test_thinking_without_a_signature_is_shown_with_an_empty_one():
    assert blocks(reasoning_stream(ReasoningDelta(0, "Hm."))) == [
        {"type": "thinking", "thinking": "Hm.", "signature": ""}
    ]


def test_a_summary_in_parts_is_one_thinking_block_and_keeps_its_encrypted_content():
    sealed = seal("openresponses", "gAAAA")
    deltas = [ReasoningDelta(0, "One.", "summary"), ReasoningDelta(0, "Two.", "summary", 1)]
    data = reasoning_stream(*deltas, ReasoningDelta(0, sealed, "encrypted"), item=Reasoning(id="rs_1"))
    (block,) = blocks(data)
    assert block["thinking"] == "One.\n\nTwo."
    (item,) = fold(decode(data)).items
    assert item == Reasoning(summary=("One.\n\nTwo.",), encrypted_content=sealed, id="rs_1")


def test_encrypted_content_without_a_text_is_kept_as_redacted():
    sealed = seal("openresponses", "gAAAA")
    data = reasoning_stream(ReasoningDelta(0, sealed, "encrypted"), item=Reasoning(id="rs_1"))
    assert [block["type"] for block in blocks(data)] == ["redacted_thinking"]
    assert fold(decode(data)).items == (Reasoning(encrypted_content=sealed, id="rs_1"),)


def test_a_reasoning_item_told_whole_at_its_end_is_shown():
    whole_item = Reasoning(content=("Hm.",), signature=seal("anthropic", "c2ln"))
    assert blocks(reasoning_stream(closed=whole_item)) == [
        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
    ]


def test_reasoning_that_says_nothing_leaves_no_block():
    assert blocks(reasoning_stream()) == []


def test_the_signature_of_a_call_stands_in_its_id():
    call = FunctionCall("c1", "f", '{"a":1}', signature=seal("gemini", "CtYB"))
    data = encode(unfold(Response("r", "m", 1, (Choice((call,), FinishReason.TOOL_CALLS),))))
    anthropic_wire.check_stream(data, failed=False)
    assert [block["type"] for block in blocks(data)] == ["tool_use"]
    assert fold(decode(data)).items == (call,)


def test_free_text_for_a_tool_reaches_the_client_as_an_object():
    call = FunctionCall("c1", "f", 'print("ž")', freeform=True)
    data = encode(unfold(Response("r", "m", 1, (Choice((call,), FinishReason.TOOL_CALLS),))))
    assert blocks(data)[0]["input"] == {"aigw_freeform": 'print("ž")'}


def test_a_call_told_whole_at_its_end_has_its_arguments():
    call = FunctionCall("c1", "f", '{"a":1}')
    data = encode([Started(), ItemOpened(0, FunctionCall("c1", "f")), ItemClosed(0, call), Finished()])
    assert blocks(data)[0]["input"] == {"a": 1}


def test_an_item_left_open_is_closed():
    events = [Started(), ItemOpened(0, Message("assistant")), TextDelta(0, "a")]
    anthropic_wire.check_stream(encode([*events, Finished()]), failed=False)
    anthropic_wire.check_stream(encode([*events, ItemOpened(1, FunctionCall("c", "f"))]), failed=False)


def test_a_transcript_is_text_and_empty_deltas_are_nothing():
    from aigw.model import AudioDelta

    deltas = [TextDelta(0, ""), AudioDelta(0, "AAEC", "spo"), AudioDelta(0, "", "ken"), TextDelta(0, "")]
    data = encode([Started(), ItemOpened(0, Message("assistant")), *deltas, ItemClosed(0), Finished()])
    anthropic_wire.check_stream(data, failed=False)
    assert blocks(data) == [{"type": "text", "text": "spoken"}]


def test_a_message_told_whole_at_its_end_is_shown():
    closed = ItemClosed(0, Message("assistant", (TextPart("a"), TextPart("b"))))
    data = encode([Started(), ItemOpened(0, Message("assistant")), closed, Finished()])
    anthropic_wire.check_stream(data, failed=False)
    assert [block["text"] for block in blocks(data)] == ["a", "b"]


def test_a_part_that_came_whole_is_a_block_of_its_own():
    from aigw.model import Annotation

    part = TextPart("cited", (Annotation("url_citation", url="https://e.org", title="E"),), extras={"x:y": 1})
    events = [Started(), ItemOpened(0, Message("assistant")), TextDelta(0, "a"), PartAdded(0, part, 1)]
    data = encode([*events, ItemClosed(0), Finished()])
    anthropic_wire.check_stream(data, failed=False)
    assert [block["text"] for block in blocks(data)] == ["a", "cited"]
    assert blocks(data)[1]["citations"][0]["url"] == "https://e.org"


def test_an_annotation_of_another_format_becomes_a_citation_where_it_has_a_url():
    from aigw.model import Annotation

    events = [Started(), ItemOpened(0, Message("assistant")), TextDelta(0, "a")]
    found = AnnotationAdded(0, Annotation("url_citation", 0, 1, "https://e.org", "E"))
    unknown = AnnotationAdded(0, Annotation("file_citation", file_id="file-1"))
    data = encode([*events, found, unknown, ItemClosed(0), Finished()])
    anthropic_wire.check_stream(data, failed=False)
    assert [c["url"] for c in blocks(data)[0]["citations"]] == ["https://e.org"]


def test_a_foreign_item_of_another_format_is_left_out():
    foreign = ForeignItem("openresponses", {"type": "web_search_call"})
    progress = Foreign("openresponses", "response.web_search_call.searching", {}, index=0)
    data = encode([Started(), ItemOpened(0, foreign), progress, ItemClosed(0), Finished()])
    assert blocks(data) == []


def test_progress_of_a_hosted_tool_streams_on():
    events = decode(sse("web_search"))
    assert [event.tree["partial_json"] for event in events if isinstance(event, Foreign)] == [
        "",
        '{"query": ',
        '"Prague"}',
    ]


@pytest.mark.parametrize("told", [0, 1, 3])
def test_a_failure_is_one_error_event(told):
    encoder = ANTHROPIC.stream_encoder(None)
    events = [Started("r"), ItemOpened(0, Message("assistant")), TextDelta(0, "hi")]
    data = join_frames(encoder, events[:told])
    data += encoder.fail(UpstreamError("it broke", kind=ErrorKind.UPSTREAM_OVERLOADED))
    anthropic_wire.check_stream(data, failed=True)
    assert frames(data)[-1]["error"]["type"] == "overloaded_error"
    assert encoder.close() == b""
