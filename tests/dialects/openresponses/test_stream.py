"""Streams of our own making, each a quirk met in the wild: `name.sse` and `name.json` mean the same."""

import json
import time
from pathlib import Path

import pytest
from support.openresponses_wire import check_stream, events_of

from aigw.dialects.base import join_frames
from aigw.dialects.openresponses import OPENRESPONSES
from aigw.errors import ErrorKind, ProtocolError, UpstreamError
from aigw.model import (
    Annotation,
    AnnotationAdded,
    ArgumentsDelta,
    AudioDelta,
    Choice,
    ChoiceFinished,
    ExtrasAdded,
    Failed,
    Finished,
    FinishReason,
    Foreign,
    ForeignItem,
    ForeignPart,
    FunctionCall,
    ImagePart,
    ItemClosed,
    ItemOpened,
    Media,
    Message,
    PartAdded,
    Reasoning,
    ReasoningDelta,
    RefusalPart,
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
from aigw.wire.sse import cut_frames, split_frames

WIRE = Path(__file__).parents[2] / "wire" / "openresponses"
PAIRS = sorted(path.stem for path in WIRE.glob("*.sse"))
# What the description of the format does not know: kinds of citation, hosted tools, events of others.
BEYOND = {"web_search_and_citations", "unknown_fields"}
BEGUN = [Started("r", "m", 1)]
STOP = [ChoiceFinished(FinishReason.STOP, "completed"), Finished(FinishReason.STOP, "completed")]


def sse(name):
    return (WIRE / f"{name}.sse").read_bytes()


def whole(name):
    return OPENRESPONSES.decode_response(json.loads((WIRE / f"{name}.json").read_text(encoding="utf-8")))


def decode(data, size=None):
    decoder = OPENRESPONSES.stream_decoder()
    size = size or len(data)
    events = [e for at in range(0, len(data), size) for e in decoder.feed(data[at : at + size])]
    return events + decoder.close()


def encode(events, request=None):
    encoder = OPENRESPONSES.stream_encoder(request)
    return join_frames(encoder, events) + encoder.close()


def kinds(data):
    return [tree["type"].removeprefix("response.") for tree in events_of(data)]


@pytest.mark.parametrize("name", PAIRS)
def test_a_stream_folds_to_its_whole(name):
    folded = OPENRESPONSES.encode_response(fold(decode(sse(name))), None)
    assert folded == OPENRESPONSES.encode_response(whole(name), None)


@pytest.mark.parametrize("name", PAIRS)
def test_a_stream_may_be_cut_at_every_byte(name):
    assert decode(sse(name), 1) == decode(sse(name))


@pytest.mark.parametrize("name", PAIRS)
def test_a_stream_read_frame_by_frame_gives_the_same_events(name):
    for data in (sse(name), encode(decode(sse(name)))):
        decoder = OPENRESPONSES.stream_decoder()
        events = [event for frame in cut_frames(data) for event in decoder.feed(frame)]
        assert events + decoder.close() == decode(data)


@pytest.mark.parametrize("name", PAIRS)
def test_a_stream_written_anew_is_what_the_specification_says_and_means_the_same(name):
    data = encode(decode(sse(name)))
    again = OPENRESPONSES.encode_response(fold(decode(data)), None)
    assert again == OPENRESPONSES.encode_response(whole(name), None)
    if name not in BEYOND:
        check_stream(data, failed=False)


@pytest.mark.parametrize("name", PAIRS)
def test_at_most_one_item_is_open_at_a_time(name):
    opened = []
    for event in decode(sse(name)):
        if isinstance(event, ItemOpened):
            assert not opened
            opened.append(event.index)
        elif isinstance(event, ItemClosed):
            assert opened.pop() == event.index
    assert not opened


def test_what_follows_an_unfinished_call_waits_for_its_turn():
    events = decode(sse("interleaved_tool_calls"))
    told = [(event.index, event.text) for event in events if isinstance(event, ArgumentsDelta)]
    assert told == [(0, '{"city":'), (0, '"Prague"}'), (1, "{}")]


def test_an_answer_does_not_wait_for_thinking_that_ends_late():
    events = decode(sse("thinking_that_ends_after_the_answer"))
    assert [type(event).__name__ for event in events[4:8]] == [
        "ItemClosed",
        "ItemOpened",
        "TextDelta",
        "ItemClosed",
    ]


def test_text_that_comes_back_to_a_closed_item_opens_it_again():
    start, *rest = split_frames(sse("no_event_names_no_numbers"))[:3]
    first = {"type": "response.output_text.delta", "output_index": 0, "delta": "one "}
    other = {"type": "response.output_text.delta", "output_index": 1, "delta": "two "}
    end = {"type": "response.completed", "response": {"output": []}}
    frames = [start.data, *(frame.data for frame in rest)]
    frames += [json.dumps(tree).encode() for tree in (first, other, first, end)]
    response = fold(decode(b"".join(b"data: " + frame + b"\n\n" for frame in frames)))
    assert [item.text for item in response.items] == ["one ", "two ", "one "]


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("failed", ErrorKind.UPSTREAM_RATE_LIMITED, "slow down"),
        ("error_then_failed", ErrorKind.UPSTREAM_ERROR, "it broke"),
        ("error_of_the_specification", ErrorKind.UPSTREAM_ERROR, "it broke"),
        ("no_terminal_event", ErrorKind.UPSTREAM_TRUNCATED, "the provider closed the stream before its end"),
        ("cut_in_a_frame", ErrorKind.UPSTREAM_TRUNCATED, "the provider closed the stream before its end"),
        (
            "cut_before_the_blank_line",
            ErrorKind.UPSTREAM_TRUNCATED,
            "the provider closed the stream before its end",
        ),
        ("done_alone", ErrorKind.UPSTREAM_TRUNCATED, "the provider closed the stream before its end"),
    ],
)
def test_a_broken_stream_fails_once_and_says_why(name, kind, message):
    events = decode(sse(f"broken/{name}"))
    assert [isinstance(event, Failed | Finished) for event in events].count(True) == 1
    assert isinstance(events[-1], Failed)
    assert (events[-1].error.kind, events[-1].error.message) == (kind, message)


def test_counts_of_a_failed_answer_are_told():
    assert UsageReported(Usage(10, 5, 4, reasoning_tokens=2, total_tokens=15)) in decode(sse("broken/failed"))


@pytest.mark.parametrize("name", ["output_no_object", "arguments_of_no_call", "arguments_after_the_call"])
def test_what_has_no_place_is_a_protocol_error(name):
    with pytest.raises(ProtocolError):
        decode(sse(f"broken/{name}"))


# What is written.


def test_a_text_is_told_event_for_event_as_the_specification_says():
    response = Response(
        "resp_1", "m", 7, (Choice((Message("assistant", (TextPart("hi"),)),), FinishReason.STOP),)
    )
    data = encode(unfold(response))
    assert kinds(data) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert data.endswith(b"\n\ndata: [DONE]\n\n")


def test_each_frame_is_whole_and_written_at_once():
    encoder = OPENRESPONSES.stream_encoder(None)
    for event in decode(sse("web_search_and_citations")):
        piece = encoder.encode(event)
        assert not piece or (piece.startswith(b"event: ") and piece.endswith(b"\n\n"))


def test_only_the_item_an_answer_broke_off_in_is_incomplete():
    items = (Message("assistant", (TextPart("one"),)), Message("assistant", (TextPart("two"),)))
    data = encode(unfold(Response("r", "m", 1, (Choice(items, FinishReason.LENGTH),))))
    last = events_of(data)[-1]
    assert last["type"] == "response.incomplete"
    assert last["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert [item["status"] for item in last["response"]["output"]] == ["completed", "incomplete"]
    check_stream(data, failed=False)


def test_of_several_choices_the_first_is_told():
    choices = tuple(
        Choice((Message("assistant", (TextPart(text),)),), FinishReason.STOP, index=index)
        for index, text in enumerate(["one", "two"])
    )
    data = encode(unfold(Response("r", "m", 1, choices)))
    assert fold(decode(data)).text == "one"
    check_stream(data, failed=False)


def test_a_failure_is_an_error_event_then_a_failed_response_with_what_had_come():
    encoder = OPENRESPONSES.stream_encoder(None)
    events = [*BEGUN, ItemOpened(0, Message("assistant")), TextDelta(0, "Half")]
    data = join_frames(encoder, events)
    data += encoder.fail(UpstreamError("slow down", kind=ErrorKind.UPSTREAM_RATE_LIMITED, code="too_fast"))
    error, failed = events_of(data)[-2:]
    assert (error["code"], error["error"]["code"]) == ("too_fast", "too_fast")
    assert failed["response"]["error"] == {"code": "rate_limit_exceeded", "message": "slow down"}
    assert failed["response"]["output"][0]["content"][0]["text"] == "Half"
    assert failed["response"]["output"][0]["status"] == "incomplete"
    assert encoder.close() == b""


def test_a_failure_before_anything_came_is_a_whole_stream():
    data = encode([Failed(UpstreamError("it broke"))])
    check_stream(data, failed=True)


def test_where_bytes_only_pass_through_a_failure_is_one_error_event():
    data = OPENRESPONSES.grammar.encode_error(UpstreamError("it broke"))
    (error,) = split_frames(data)
    assert error.event == "error"
    assert OPENRESPONSES.grammar.examine(error.event, error.data).error.message == "it broke"


def test_a_finish_reason_that_means_failure_is_a_failed_response():
    data = encode([*BEGUN, ChoiceFinished(FinishReason.ERROR), Finished(FinishReason.ERROR)])
    assert events_of(data)[-1]["response"]["error"]["code"] == "server_error"


def test_a_stream_that_was_closed_without_an_end_still_ends():
    data = encode([*BEGUN, ItemOpened(0, Message("assistant")), TextDelta(0, "x"), ItemClosed(0)])
    check_stream(data, failed=False)


def test_parts_that_come_whole_have_their_place_among_the_others():
    image = ImagePart(Media(data="aaaa", media_type="image/png"))
    events = [
        *BEGUN,
        ItemOpened(0, Message("assistant")),
        TextDelta(0, "See: "),
        PartAdded(0, image, 1),
        PartAdded(0, TextPart("That.", signature="s"), 2),
        AnnotationAdded(0, Annotation("url_citation", url="u"), 0),
        PartAdded(0, RefusalPart("No more."), 3),
        AudioDelta(0, "YWI=", "a", 4, id="audio_1"),
        AudioDelta(0, "Yw==", "b", 4, expires_at=9),
        ItemClosed(0),
        *STOP,
    ]
    (item,) = fold(decode(encode(events))).items
    text, picture, more, refusal, sound = item.parts
    assert text.text == "See: "
    assert text.annotations[0].url == "u"
    assert picture == image
    assert more.text == "That."
    assert refusal.text == "No more."
    assert (sound.media.data, sound.transcript, sound.id, sound.expires_at) == ("YWJj", "ab", "audio_1", 9)


def test_items_and_events_of_other_formats_are_passed_over():
    events = [
        *BEGUN,
        ItemOpened(0, ForeignItem("anthropic", {"type": "server_tool_use"})),
        Foreign("anthropic", "ping", {}),
        ItemClosed(0),
        ItemOpened(1, Message("assistant")),
        TextDelta(1, "hi"),
        ItemClosed(1),
        *STOP,
    ]
    data = encode(events)
    check_stream(data, failed=False)
    assert len(events_of(data)[-1]["response"]["output"]) == 1


def test_a_hosted_tools_events_are_written_back_with_numbers_of_their_place():
    trees = events_of(encode(decode(sse("web_search_and_citations"))))
    found = [tree for tree in trees if "web_search_call" in tree["type"]]
    assert [tree["output_index"] for tree in found] == [0, 0, 0]
    assert found[0]["item_id"] == "ws_1"


def test_fields_that_came_apart_from_an_item_are_in_it_when_it_is_done():
    events = [
        *BEGUN,
        ItemOpened(0, FunctionCall("c", "f")),
        ExtrasAdded({"openresponses:namespace": "n"}, 0, 0),
        ItemClosed(0, FunctionCall("c", "f", status="completed")),
        *STOP,
    ]
    assert events_of(encode(events))[-1]["response"]["output"][0]["namespace"] == "n"


def test_ids_are_the_same_whether_an_answer_is_told_whole_or_streamed():
    items = (
        Reasoning(content=("hm",)),
        Message("assistant", (TextPart("hi"),)),
        FunctionCall("c", "f", "{}"),
        FunctionCall("d", "g", "x", freeform=True),
    )
    response = Response("r", "m", 1, (Choice(items, FinishReason.TOOL_CALLS),))
    tree = OPENRESPONSES.encode_response(response, None)
    streamed = events_of(encode(unfold(response)))[-1]["response"]
    assert streamed == tree
    assert [item["id"].partition("_")[0] for item in tree["output"]] == ["rs", "msg", "fc", "ctc"]


def test_the_request_is_repeated_in_every_snapshot():
    request = Request("asked", instructions="Be brief.", max_output_tokens=5)
    trees = [tree["response"] for tree in events_of(encode(STOP, request)) if "response" in tree]
    assert {(tree["model"], tree["instructions"], tree["max_output_tokens"]) for tree in trees} == {
        ("asked", "Be brief.", 5)
    }


def test_translation_is_linear_in_the_number_of_chunks():
    def seconds(count):
        events = [*BEGUN, ItemOpened(0, Message("assistant")), *[TextDelta(0, " and")] * count]
        events += [
            ItemClosed(0),
            ItemOpened(1, Reasoning()),
            *[ReasoningDelta(1, "hm")] * count,
            ItemClosed(1),
            *STOP,
        ]
        started = time.process_time()
        encoder, decoder = OPENRESPONSES.stream_encoder(None), OPENRESPONSES.stream_decoder()
        for event in events:
            decoder.feed(encoder.encode(event))
        return time.process_time() - started

    small = min(seconds(1000) for _ in range(3))
    assert min(seconds(8000) for _ in range(3)) < 20 * small


@pytest.mark.parametrize("odd", [[], {}, 7, None], ids=repr)
def test_a_part_whose_type_is_no_word_stays_as_it_came(odd):
    part = {"type": odd, "x": 1}
    tree = {"type": "response.content_part.done", "output_index": 0, "content_index": 0, "part": part}
    events = OPENRESPONSES.stream_decoder().feed(b"data: " + json.dumps(tree).encode() + b"\n\n")
    assert events[-1] == PartAdded(0, ForeignPart("openresponses", part))
