"""Streams of our own making, each a quirk met in the wild: `name.sse` and `name.json` mean the same."""

import json
import time
from pathlib import Path

import pytest

from aigw.dialects.base import join_frames
from aigw.dialects.gemini import GEMINI
from aigw.dialects.openai_chat import OPENAI_CHAT, ChatStreamDecoder
from aigw.dialects.openresponses import OPENRESPONSES
from aigw.errors import ErrorKind, ProtocolError, UpstreamError
from aigw.model import (
    ArgumentsDelta,
    ChoiceFinished,
    Failed,
    Finished,
    FinishReason,
    Foreign,
    FunctionCall,
    ItemClosed,
    ItemOpened,
    Message,
    Reasoning,
    ReasoningDelta,
    Request,
    Started,
    TextDelta,
    Usage,
    UsageReported,
    fold,
    unfold,
)
from aigw.model.seal import seal
from aigw.wire.sse import split_frames

WIRE = Path(__file__).parents[2] / "wire" / "openai_chat"
PAIRS = sorted(path.stem for path in WIRE.glob("*.sse"))


def sse(name):
    return (WIRE / f"{name}.sse").read_bytes()


def decode(data, **options):
    decoder = ChatStreamDecoder(**options)
    return decoder.feed(data) + decoder.close()


def encode(events, request=None):
    encoder = OPENAI_CHAT.stream_encoder(request)
    return join_frames(encoder, events) + encoder.close()


def chunks(data):
    return [json.loads(frame.data) for frame in split_frames(data) if frame.data != b"[DONE]"]


@pytest.mark.parametrize("name", PAIRS)
def test_a_stream_folds_to_its_whole(name):
    whole = OPENAI_CHAT.decode_response(json.loads((WIRE / f"{name}.json").read_text()))
    folded = OPENAI_CHAT.encode_response(fold(decode(sse(name))), None)
    assert folded == OPENAI_CHAT.encode_response(whole, None)


@pytest.mark.parametrize("name", [name for name in PAIRS if name != "tool_call_without_id"])
def test_a_whole_survives_decoding_and_encoding_exactly(name):
    tree = json.loads((WIRE / f"{name}.json").read_text())
    assert OPENAI_CHAT.encode_response(OPENAI_CHAT.decode_response(tree), None) == tree


@pytest.mark.parametrize("name", PAIRS)
def test_a_rewritten_stream_folds_to_the_same(name):
    events = decode(sse(name))
    again = decode(encode(events))
    first, second = (OPENAI_CHAT.encode_response(fold(e), None) for e in (events, again))
    assert second == first


@pytest.mark.parametrize("name", PAIRS)
def test_a_whole_written_as_a_stream_folds_to_the_same(name):
    response = OPENAI_CHAT.decode_response(json.loads((WIRE / f"{name}.json").read_text()))
    again = fold(decode(encode(unfold(response))))
    assert OPENAI_CHAT.encode_response(again, None) == OPENAI_CHAT.encode_response(response, None)


@pytest.mark.parametrize("name", PAIRS)
def test_tool_arguments_and_all_else_survive_any_cut(name):
    data = sse(name)
    whole = decode(data)
    for cut in range(0, len(data), 7):
        decoder = OPENAI_CHAT.stream_decoder()
        assert decoder.feed(data[:cut]) + decoder.feed(data[cut:]) + decoder.close() == whole


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("no_done", ErrorKind.UPSTREAM_TRUNCATED),
        ("cut_in_a_frame", ErrorKind.UPSTREAM_TRUNCATED),
        ("nothing", ErrorKind.UPSTREAM_TRUNCATED),
        ("done_alone", ErrorKind.UPSTREAM_TRUNCATED),
        ("comments_alone", ErrorKind.UPSTREAM_TRUNCATED),
        ("error_object", ErrorKind.UPSTREAM_ERROR),
        ("error_with_code_then_done", ErrorKind.UPSTREAM_OVERLOADED),
        ("error_event", ErrorKind.UPSTREAM_RATE_LIMITED),
    ],
)
def test_a_broken_stream_ends_in_one_named_failure(name, kind):
    events = decode(sse(f"broken/{name}"))
    assert isinstance(events[-1], Failed)
    assert events[-1].error.kind is kind
    assert not any(isinstance(event, Finished) for event in events)


@pytest.mark.parametrize("name", ["not_json", "no_object", "choices_no_list"])
def test_what_is_not_the_format_is_a_protocol_error(name):
    with pytest.raises(ProtocolError):
        decode(sse(f"broken/{name}"))


def test_an_end_without_done_is_fine_where_that_is_known_and_a_reason_was_given():
    events = decode(sse("broken/no_done"), done_required=False)
    assert isinstance(events[-1], Finished)
    assert isinstance(decode(sse("text")[:400], done_required=False)[-1], Failed)


def test_counts_told_before_a_failure_are_not_lost():
    data = sse("text").replace(b"data: [DONE]\n\n", b'data: {"error":{"message":"late"}}\n\n')
    assert [type(event) for event in decode(data)[-2:]] == [UsageReported, Failed]


def test_nothing_comes_after_the_end():
    decoder = OPENAI_CHAT.stream_decoder()
    decoder.feed(sse("text"))
    assert decoder.feed(sse("text")) == []
    assert decoder.close() == []


def test_the_events_of_a_plain_text():
    assert decode(sse("text"))[:4] == [
        Started("chatcmpl-1", "m", 1700000000),
        ItemOpened(0, Message("assistant")),
        TextDelta(0, "Příliš "),
        TextDelta(0, "žluťoučký"),
    ]
    usage = Usage(9, 4, cached_tokens=3, reasoning_tokens=1, total_tokens=13)
    assert decode(sse("text"))[4:] == [
        ItemClosed(0),
        ChoiceFinished(FinishReason.STOP, "stop"),
        UsageReported(usage),
        Finished(FinishReason.STOP, "stop"),
    ]


def test_interleaved_calls_come_one_after_the_other():
    events = decode(sse("interleaved_tool_calls"))
    opened = [event.item for event in events if isinstance(event, ItemOpened)]
    assert opened == [FunctionCall("call_0", "f"), FunctionCall("call_1", "g")]
    told = [(event.index, event.text) for event in events if isinstance(event, ArgumentsDelta)]
    assert told == [(0, '{"a":'), (0, "1}"), (1, '{"b":'), (1, "2}")]


def test_a_call_without_an_id_gets_the_same_one_in_a_stream_and_in_a_whole():
    call = fold(decode(sse("tool_call_without_id"))).choices[0].calls[0]
    assert call.call_id.startswith("call_")
    assert len(call.call_id) <= 40


def test_a_new_id_on_each_chunk_does_not_start_a_new_answer():
    data = sse("text").replace(b'"chatcmpl-1"', b'"chatcmpl-2"', 1)
    events = decode(data)
    assert [event.id for event in events if isinstance(event, Started)] == ["chatcmpl-2"]


def test_the_encoder_writes_what_openai_writes():
    request = Request("m", stream=True, include_usage=True)
    data = encode(decode(sse("text")), request)
    trees = chunks(data)
    assert trees[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert trees[-2]["choices"][0]["finish_reason"] == "stop"
    assert trees[-1]["choices"] == []
    assert trees[-1]["usage"]["total_tokens"] == 13
    assert all(tree["usage"] is None for tree in trees[:-1])
    assert data.endswith(b"data: [DONE]\n\n")


def test_counts_are_not_written_for_a_caller_who_did_not_ask():
    data = encode(decode(sse("text")), Request("m", stream=True))
    assert b"usage" not in data


def test_unknown_fields_of_chunks_survive():
    trees = chunks(encode(decode(sse("unknown_fields"))))
    assert all(tree["system_fingerprint"] == "fp_1" and tree["provider"] == "P" for tree in trees)
    assert trees[0]["choices"][0]["delta"]["channel"] == "final"
    assert [tree["metrics"] for tree in trees if "metrics" in tree] == [{"ms": 3}]
    natives = [c["native_finish_reason"] for t in trees for c in t["choices"] if "native_finish_reason" in c]
    assert natives == ["end_turn"]


def test_opaque_fields_of_another_format_go_out_as_details_and_come_back():
    signature, redacted = seal("anthropic", "c2ln"), seal("anthropic", "ZW5j")
    events = [
        Started("r", "m", 1),
        ItemOpened(0, Reasoning()),
        ReasoningDelta(0, "Hm"),
        ReasoningDelta(0, signature, "signature"),
        ItemClosed(0),
        ItemOpened(1, Reasoning()),
        ReasoningDelta(1, redacted, "redacted"),
        ItemClosed(1),
        ChoiceFinished(FinishReason.STOP),
        Finished(FinishReason.STOP),
    ]
    (again,) = fold(decode(encode(events))).items
    assert (again.content, again.signature, again.redacted) == (("Hm",), signature, redacted)


def test_events_of_other_formats_are_passed_over():
    encoder = OPENAI_CHAT.stream_encoder(None)
    assert encoder.encode(Foreign("gemini", "grounding", {})) == b""


def test_a_failure_is_one_frame_and_no_done():
    encoder = OPENAI_CHAT.stream_encoder(None)
    data = encoder.fail(UpstreamError("it broke", kind=ErrorKind.UPSTREAM_TRUNCATED))
    (tree,) = chunks(data)
    assert tree["error"]["message"] == "it broke"
    assert tree["error"]["code"] == "upstream_truncated"
    assert b"[DONE]" not in data
    assert encoder.close() == b""


def test_decoding_is_linear_in_the_number_of_chunks():
    def seconds(count):
        head = b'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c","function":'
        first = head + b'{"name":"f","arguments":"{"}}]}}]}\n\n'
        more = first.replace(b'"name":"f",', b"")
        text = b'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'
        decoder = OPENAI_CHAT.stream_decoder()
        started = time.process_time()
        decoder.feed(first)
        for _ in range(count):
            decoder.feed(more)
            decoder.feed(text)
        return time.process_time() - started

    small = min(seconds(1000) for _ in range(3))
    assert min(seconds(8000) for _ in range(3)) < 20 * small


def test_probabilities_that_are_no_objects_are_left_out():
    prob = {"token": "hi", "logprob": -1.0, "bytes": None, "top_logprobs": []}
    told = {"content": [7, prob, None], "refusal": "x"}
    choice = {"index": 0, "logprobs": told, "finish_reason": "stop"}
    said = {"role": "assistant", "content": "hi"}
    whole = OPENAI_CHAT.decode_response({"choices": [{**choice, "message": said}]})
    frame = json.dumps({"choices": [{**choice, "delta": said}]}).encode()
    streamed = fold(decode(b"data: " + frame + b"\n\ndata: [DONE]\n\n"))
    for response in (whole, streamed):
        assert response.choices[0].items[0].parts[0].logprobs == (prob,)
        for other in (OPENRESPONSES, GEMINI):
            assert other.encode_response(response, None)
