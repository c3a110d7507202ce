"""A provider that speaks responses itself: bytes pass, and the stream is what the specification wants."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.openresponses_wire import check_event, check_whole, events_of
from support.responses_automaton import accept
from support.responses_provider import HELLO, answer, ask, house, serve
from support.scripted import CUT, HANG

from aigw.dialects.base import join_frames
from aigw.dialects.openresponses import OPENRESPONSES
from aigw.errors import ErrorKind, UpstreamError
from aigw.model import unfold
from aigw.relay.passthrough import PassthroughRelay
from aigw.wire.sse import cut_frames, encode_frame

DONE = b"data: [DONE]\n\n"
ASK = {"model": "m", "input": "hi", "stream": True}


def told(response):
    encoder = OPENRESPONSES.stream_encoder(None)
    return join_frames(encoder, unfold(response)) + encoder.close()


WHOLE = told(answer(HELLO))
OPENAIS = WHOLE.removesuffix(DONE)
FRAMES = cut_frames(OPENAIS)
BEGUN = b"".join(FRAMES[:5])


def error_frame(number, **more):
    tree = {"type": "error", "code": "server_error", "message": "no more", "param": None}
    return encode_frame(json.dumps({**tree, "sequence_number": number, **more}).encode(), "error")


def failed_frame(number, message="no more"):
    response = json.loads(FRAMES[0].partition(b"data: ")[2])["response"]
    failed = {**response, "status": "failed", "error": {"code": "server_error", "message": message}}
    tree = {"type": "response.failed", "sequence_number": number, "response": failed}
    return encode_frame(json.dumps(tree).encode(), tree["type"])


def relay():
    return PassthroughRelay(OPENRESPONSES.grammar)


def play(subject, *reads):
    return b"".join([*[subject.feed(read) for read in reads], subject.close()])


def cut_at(data, places):
    ends = sorted({place % (len(data) + 1) for place in places} | {len(data)})
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False) if start < end]


# No deadline: the first one to be checked pays for the schemas.
lawful = settings(max_examples=30, deadline=None)
CUTS = st.lists(st.integers(0, 10**4), max_size=12)


# The end.


@pytest.mark.parametrize("sent", [OPENAIS, WHOLE, WHOLE + DONE, WHOLE + b": bye\n\n"])
@lawful
@given(places=CUTS)
def test_a_stream_ends_with_one_done_whether_its_provider_sends_one_or_not(sent, places):
    subject = relay()
    assert play(subject, *cut_at(sent, places)) == WHOLE
    assert subject.ended
    assert subject.error is None


def test_done_is_not_waited_for():
    subject = relay()
    assert subject.feed(OPENAIS) == WHOLE
    assert subject.feed(DONE) == b""
    assert subject.close() == b""


def test_an_end_without_its_blank_line_is_one():
    subject = relay()
    out = play(subject, OPENAIS[:-1])
    accept(events_of(out))
    assert subject.ended


async def test_done_follows_over_http_while_the_provider_hangs(upstream, aiohttp_server, http):
    upstream.stream(OPENAIS, HANG)
    url = await serve(aiohttp_server, house(upstream, "responses"))
    status, _, body = await ask(http, url, ASK)
    assert status == 200
    accept(events_of(body))
    assert body.count(DONE) == 1


# Failures.


def check_failed(body, message):
    trees = events_of(body)
    for tree in trees:
        check_event(tree)
    accept(trees, failed=True)
    check_whole(trees[-1]["response"])
    assert trees[-1]["response"]["error"]["message"] == message
    return trees


@lawful
@given(places=CUTS)
def test_a_stream_that_breaks_off_tells_its_failure_where_it_stopped(places):
    subject = relay()
    out = b"".join([subject.feed(read) for read in cut_at(BEGUN, places)])
    out += subject.fail(UpstreamError("it broke", kind=ErrorKind.UPSTREAM_TRUNCATED))
    trees = check_failed(out, "it broke")
    assert [tree["sequence_number"] for tree in trees] == list(range(len(FRAMES[:5]) + 2))
    assert trees[-2]["code"] == "upstream_truncated"
    assert trees[-1]["response"]["id"] == "resp_up"
    assert subject.ended


def test_comments_do_not_hide_the_last_number():
    subject = relay()
    out = b"".join([subject.feed(read) for read in (*FRAMES[:5], b": ping\n\n", b": ping\n\n")])
    out += subject.fail(UpstreamError("it broke"))
    check_failed(out.replace(b": ping\n\n", b""), "it broke")


@lawful
@given(places=CUTS)
def test_a_failure_that_its_provider_tells_once_is_told_to_its_end(places):
    subject = relay()
    out = play(subject, *cut_at(BEGUN + error_frame(5), places))
    check_failed(out, "no more")
    assert subject.error.message == "no more"


@lawful
@given(places=CUTS)
def test_a_failure_that_its_provider_tells_to_the_end_is_not_doubled(places):
    out = play(relay(), *cut_at(BEGUN + error_frame(5) + failed_frame(6), places))
    check_failed(out, "no more")
    assert out.count(b"event: response.failed") == 1


def test_the_providers_own_last_event_is_passed_on_where_it_has_come():
    failed = failed_frame(6)
    assert play(relay(), BEGUN + error_frame(5) + failed).endswith(failed + DONE)
    assert play(relay(), BEGUN + failed_frame(5)) == BEGUN + failed_frame(5) + DONE


def test_an_error_in_both_spellings_is_passed_on_as_it_is():
    facts = {"code": "server_error", "message": "no more", "param": None}
    both = error_frame(5, error={"type": "server_error", **facts})
    assert play(relay(), BEGUN + both).startswith(BEGUN + both)
    check_failed(play(relay(), BEGUN + both), "no more")


@pytest.mark.parametrize(
    "nameless",
    [
        b'data: {"error":{"message":"no more"}}\n\n',
        b'event: error\ndata: {"error":{"message":"no more"}}\n\n',
    ],
)
def test_an_error_in_no_spelling_of_this_format_is_told_in_it(nameless):
    check_failed(play(relay(), BEGUN + nameless), "no more")
    subject = relay()
    check_failed(subject.feed(BEGUN) + subject.feed(nameless) + subject.close(), "no more")


def test_garbage_behind_an_error_is_not_waited_for_or_looked_into():
    check_failed(play(relay(), BEGUN + error_frame(5) + b'data: {"error" oops\n\n' + FRAMES[5]), "no more")


def test_a_failure_before_anything_began_still_has_all_its_fields():
    subject = relay()
    out = subject.feed(b": hello\n\n") + subject.fail(UpstreamError("it broke"))
    error, failed = events_of(out.removeprefix(b": hello\n\n"))
    assert (error["type"], failed["type"]) == ("error", "response.failed")
    check_whole(failed["response"])


@pytest.mark.parametrize("end", [(), (CUT,), (0.05, b'data: {"error"\n\n')], ids=["end", "cut", "garbage"])
async def test_a_failure_is_told_in_full_over_http(upstream, aiohttp_server, http, end):
    upstream.stream(BEGUN, *end)
    _, _, body = await ask(http, await serve(aiohttp_server, house(upstream, "responses")), ASK)
    trees = events_of(body)
    accept(trees, failed=True)
    check_whole(trees[-1]["response"])


# Frames that are not written as they should be.


@pytest.mark.parametrize("line_end", [b"\r\n", b"\r"])
@lawful
@given(places=CUTS)
def test_line_ends_are_line_feeds(line_end, places):
    out = play(relay(), *cut_at(OPENAIS.replace(b"\n", line_end), places))
    assert b"\r" not in out
    assert [json.loads(f.partition(b"data: ")[2]) for f in cut_frames(out)[:-1]] == [
        json.loads(f.partition(b"data: ")[2]) for f in FRAMES
    ]
    accept(events_of(out))


def sloppily(frame, *, event, number):
    tree = json.loads(frame.partition(b"data: ")[2])
    if not number:
        del tree["sequence_number"]
    return encode_frame(json.dumps(tree).encode(), tree["type"] if event else None)


@pytest.mark.parametrize(("event", "number"), [(False, True), (True, False), (False, False)])
@lawful
@given(places=CUTS)
def test_names_and_numbers_that_are_missing_are_written(event, number, places):
    sent = b"".join([sloppily(frame, event=event, number=number) for frame in FRAMES])
    out = play(relay(), *cut_at(sent, places))
    accept(events_of(out))


def test_a_failure_goes_on_in_numbers_that_were_written():
    subject = relay()
    sent = [sloppily(frame, event=False, number=False) for frame in FRAMES[:5]]
    out = b"".join([subject.feed(frame) for frame in sent]) + subject.fail(UpstreamError("it broke"))
    check_failed(out, "it broke")


@lawful
@given(places=CUTS)
def test_each_write_ends_where_a_frame_ends(places):
    subject, written = relay(), b""
    for read in cut_at(WHOLE, places):
        written += subject.feed(read)
        assert not written or written.endswith(b"\n\n")


def test_a_read_of_whole_frames_is_forwarded_as_the_same_object():
    subject = relay()
    subject.feed(BEGUN)
    read = bytes(bytearray(FRAMES[5]))
    assert subject.feed(read) is read
