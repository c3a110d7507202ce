"""What a response has put out so far, read off its events, wherever they stop."""

import json

import pytest
from support.openresponses_wire import check_event
from support.recordings import ANSWERS
from support.stateful import APIS, CODECS

from aigw.dialects.openresponses import OPENRESPONSES
from aigw.errors import ServerError
from aigw.responses.endings import end_of, failed, told_again
from aigw.responses.partial import partial_output
from aigw.wire.sse import split_frames

CASES = [(api, answer) for answer in ANSWERS for api in APIS]


def events_of(api, answer):
    decoder, encoder = CODECS[api].stream_decoder(), OPENRESPONSES.stream_encoder(None)
    events = [*decoder.feed(ANSWERS[answer][api].bytes(api, stream=True)), *decoder.close()]
    frames = b"".join([*(encoder.encode(event) for event in events), encoder.close()])
    return [json.loads(frame.data) for frame in split_frames(frames) if frame.event]


def output(events):
    return partial_output(json.dumps(event).encode() for event in events)


@pytest.mark.parametrize(("api", "answer"), CASES)
def test_all_events_give_the_whole_output(api, answer):
    *events, last = events_of(api, answer)
    assert output(events) == last["response"]["output"]


@pytest.mark.parametrize(("api", "answer"), CASES)
def test_some_events_give_what_was_told_so_far(api, answer):
    *events, last = events_of(api, answer)
    whole = last["response"]["output"]
    for count in range(len(events)):
        said = output(events[:count])
        assert len(said) <= len(whole)
        for item, full in zip(said, whole, strict=False):
            assert (item["type"], item["id"]) == (full["type"], full["id"])
            assert item["status"] in {full["status"], "incomplete"}
            for field in ("content", "summary"):
                parts = zip(item.get(field) or [], full.get(field) or [], strict=False)
                assert all(
                    full_part.get("text", "").startswith(part.get("text", "")) for part, full_part in parts
                )
            assert full.get("arguments", "").startswith(item.get("arguments", ""))
        told = sum(
            len(event["delta"]) for event in events[:count] if event["type"].endswith("arguments.delta")
        )
        assert told == sum(len(item.get("arguments", "")) for item in said)


@pytest.mark.parametrize(
    "event",
    [
        {"type": "response.output_text.delta", "output_index": 7, "content_index": 0, "delta": "x"},
        {"type": "response.output_item.added", "output_index": "0", "item": {}},
        {"type": "response.output_item.added", "output_index": 0, "item": "x"},
        {"type": "response.content_part.added", "output_index": 0, "content_index": 0},
        {"type": "response.born_yesterday"},
    ],
)
def test_events_that_make_no_sense_put_out_nothing(event):
    assert output([event]) == []


def test_a_failed_response_is_told_with_its_error():
    *_, last = events_of("chat", "text")
    response = failed({**last["response"], "id": "resp_1"}, ServerError("no more", code="server_error"), [])
    error, end = end_of(response)
    check_event({**error, "sequence_number": 0})
    check_event({**end, "sequence_number": 1})
    assert (error["message"], end["type"]) == ("no more", "response.failed")
    events = [*told_again(response)]
    assert [event["type"] for event in events] == [
        "response.created",
        "response.in_progress",
        "error",
        "response.failed",
    ]
    assert events[0]["response"]["status"] == "in_progress"


def test_items_that_nobody_knows_are_told_whole():
    *_, last = events_of("chat", "text")
    strange = [{"type": "message", "role": 7, "id": "msg_1"}]
    events = [*told_again({**last["response"], "output": strange})]
    assert [event["item"] for event in events if "item" in event] == strange * 2
