"""The pass-through relay as a unit: bytes in, bytes out, and what it has noticed on the way."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.scripted import HELLO, USAGE, USAGE_CHUNK, chunk, sse

from aigw.dialects.anthropic import ANTHROPIC
from aigw.dialects.openai_chat import OPENAI_CHAT
from aigw.dialects.openai_events import IMAGES, RESPONSES, SPEECH, TRANSCRIPTIONS
from aigw.errors import ErrorKind, ProtocolError, UpstreamError
from aigw.relay.passthrough import BinaryRelay, PassthroughRelay
from aigw.wire.sse import MAX_FRAME_BYTES

DONE = b"data: [DONE]\n\n"
ERROR = sse({"error": {"message": "no more", "type": "server_error"}}, done=False)
COMMENTS = b": hello\n\n" + sse(chunk("Hel"), done=False) + b": keep-alive\n\n" + sse(chunk("lo"))
NULLS = sse(chunk("a", usage=None), chunk(finish="stop", usage=None), USAGE_CHUNK)


def relay(**options):
    return PassthroughRelay(OPENAI_CHAT.grammar, **options)


def play(subject, *reads):
    """Feed reads until the relay has ended, then close it; return what it wrote for each."""
    return [*[subject.feed(read) for read in reads], subject.close()]


def cut_at(data, places):
    ends = sorted({place % (len(data) + 1) for place in places} | {len(data)})
    starts = [0, *ends]
    return [data[start:end] for start, end in zip(starts, ends, strict=False) if start < end]


def frames_of(data):
    return [frame + b"\n\n" for frame in data.replace(b"\r\n", b"\n").split(b"\n\n") if frame.strip()]


CUTS = st.lists(st.integers(0, 4000), max_size=12)


@pytest.mark.parametrize(
    "stream",
    [
        HELLO,
        HELLO.replace(b"\n", b"\r\n"),
        COMMENTS,
        COMMENTS.replace(b"\n", b"\r\n"),
        NULLS,
        sse(chunk("zwölf Boxkämpfer \U0001f600")),
        b"id: 1\nevent: message\n" + HELLO,
        b"\xef\xbb\xbf" + HELLO,
    ],
    ids=["lf", "crlf", "comments", "crlf comments", "usage", "utf-8", "more fields", "bom"],
)
@given(places=CUTS)
def test_the_bytes_that_go_in_come_out_however_they_are_cut(stream, places):
    subject = relay()
    out = play(subject, *cut_at(stream, places))
    assert b"".join(out) == stream
    assert subject.ended
    assert subject.has_content
    assert subject.error is None


@given(places=CUTS)
def test_each_write_ends_where_a_frame_ends(places):
    written = b""
    subject = relay()
    for read in cut_at(HELLO, places):
        written += subject.feed(read)
        assert not written or written.endswith(b"\n\n")


def test_a_read_of_whole_frames_is_forwarded_as_the_same_object():
    subject = relay()
    subject.feed(sse(chunk("a"), done=False))
    read = sse(chunk("b"), chunk("c"), done=False)
    assert subject.feed(read) is read


@pytest.mark.parametrize(
    "news",
    [
        sse(chunk(finish="stop"), USAGE_CHUNK),
        sse(chunk(finish="stop", usage=USAGE)),
        sse(chunk(finish="stop", x_groq={"id": "req_1", "usage": USAGE})),
        json.dumps(USAGE_CHUNK, separators=(",", ":")).encode().join([b"data: ", b"\n\n"]) + DONE,
    ],
    ids=["a chunk of its own", "on the finish chunk", "x_groq", "compact"],
)
@given(places=CUTS)
def test_token_counts_are_noticed_wherever_they_stand(news, places):
    subject = relay()
    play(subject, *cut_at(sse(chunk("a"), done=False) + news, places))
    assert (subject.usage.input_tokens, subject.usage.output_tokens) == (3, 2)


@given(places=CUTS)
def test_hidden_token_counts_leave_all_other_bytes_alone(places):
    subject = relay(hide_usage=True)
    out = b"".join(play(subject, *cut_at(NULLS, places)))
    assert out == NULLS.replace(b', "usage": null', b"").replace(sse(USAGE_CHUNK, done=False), b"")
    assert subject.usage.output_tokens == 2


def test_token_counts_that_are_not_hidden_stay():
    assert b"".join(play(relay(), NULLS)) == NULLS


def test_text_that_looks_like_a_usage_field_is_not_touched():
    stream = sse(chunk('{"a":1,"usage":null} [DONE] "error"'), chunk(', "usage": null'))
    assert b"".join(play(relay(hide_usage=True), *cut_at(stream, [50, 120]))) == stream


@given(places=CUTS)
def test_what_comes_behind_the_terminal_event_is_dropped(places):
    subject = relay()
    out = b"".join(play(subject, *cut_at(HELLO + sse(chunk("more")) + b"garbage", places)))
    assert out == HELLO


def test_an_error_before_content_is_the_relays_error():
    subject = relay()
    subject.feed(
        sse({**chunk(), "choices": [{"index": 0, "delta": {"role": "assistant"}}]}, done=False) + ERROR
    )
    assert subject.ended
    assert not subject.has_content
    assert subject.error.message == "no more"


@given(places=CUTS)
def test_an_error_after_content_is_passed_on_and_nothing_behind_it(places):
    told = sse(chunk("a"), done=False) + ERROR
    subject = relay()
    assert b"".join(play(subject, *cut_at(told + sse(chunk("b")), places))) == told
    assert subject.error.kind is ErrorKind.UPSTREAM_ERROR


@pytest.mark.parametrize(
    ("stream", "options"),
    [
        (sse(chunk("a"), done=False), {}),
        (sse(chunk("a"), done=False), {"done_optional": True}),
        (sse(chunk("a"), chunk(finish="stop"), done=False), {}),
        (sse(chunk("a"), chunk(finish="stop"), done=False) + b"data: {", {"done_optional": True}),
        (sse(chunk("a"), done=False) + b"data: [DON", {}),
        (b"", {}),
    ],
)
def test_an_end_without_the_terminal_event_is_a_failure(stream, options):
    subject = relay(**options)
    subject.feed(stream)
    with pytest.raises(UpstreamError) as caught:
        subject.close()
    assert caught.value.kind is ErrorKind.UPSTREAM_TRUNCATED


def test_where_done_is_optional_it_is_added():
    stream = sse(chunk("a"), chunk(finish="stop"), done=False)
    subject = relay(done_optional=True)
    assert b"".join(play(subject, stream)) == stream + DONE
    assert subject.ended


@pytest.mark.parametrize("end", [b"data: [DONE]", b"data: [DONE]\n", b"data: [DONE]\r\n"])
def test_a_done_without_its_blank_line_counts(end):
    subject = relay()
    out = b"".join(play(subject, sse(chunk("a"), done=False) + end))
    assert frames_of(out)[-1].strip() == b"data: [DONE]"
    assert out.endswith(b"\n\n")
    assert subject.ended


@pytest.mark.parametrize(
    "garbage", [b"data: {oops\n\n", b"data: 7\n\n", b"data: <html>\n\n", b"data: \xff\n\n"]
)
def test_garbage_before_content_is_a_protocol_error(garbage):
    with pytest.raises(ProtocolError):
        relay().feed(garbage)


@pytest.mark.parametrize("garbage", [b"data: {oops\n\n", b"data: <html>\r\n\r\n", b'data: {"a": 1\n\n'])
def test_a_frame_behind_content_that_does_not_end_as_an_object_is_looked_into(garbage):
    subject = relay()
    subject.feed(sse(chunk("a"), done=False))
    with pytest.raises(ProtocolError):
        subject.feed(garbage)


@pytest.mark.parametrize(
    "innocent", [b": ping\n\n", b'data: {"choices": []}\nid: 7\n\n', b"\n\n", b"event: x\n\n"]
)
def test_what_is_looked_into_and_well_passes_as_it_is(innocent):
    subject = relay()
    subject.feed(sse(chunk("a"), done=False))
    assert subject.feed(innocent) == innocent
    assert not subject.ended


def test_garbage_that_ends_as_an_object_passes_if_nothing_in_it_is_suspect():
    subject = relay()
    subject.feed(sse(chunk("a"), done=False))
    assert subject.feed(b"data: {oops}\n\n") == b"data: {oops}\n\n"
    assert not subject.ended


def test_suspect_garbage_behind_content_is_a_protocol_error():
    subject = relay()
    subject.feed(sse(chunk("a"), done=False))
    with pytest.raises(ProtocolError):
        subject.feed(b'data: {"error"\n\n')
    told = subject.fail(UpstreamError("broken"))
    assert json.loads(told.removeprefix(b"data: "))["error"]["message"] == "broken"
    assert subject.feed(HELLO) == b""
    assert subject.close() == b""


def test_a_frame_of_forty_megabytes_is_refused():
    subject = relay()
    piece = b"x" * 2**20
    subject.feed(b"data: ")
    with pytest.raises(ProtocolError):
        for _ in range(40):
            subject.feed(piece)
    assert len(subject._aligner.tail) <= MAX_FRAME_BYTES


@given(data=st.binary(max_size=300), places=CUTS)
def test_arbitrary_bytes_pass_or_are_refused_by_name(data, places):
    subject = relay()
    with contextlib.suppress(UpstreamError):
        play(subject, *cut_at(data, places))


@pytest.mark.parametrize(
    ("grammar", "end"),
    [
        (
            RESPONSES,
            {"type": "response.completed", "response": {"usage": {"input_tokens": 3, "output_tokens": 2}}},
        ),
        (
            RESPONSES,
            {"type": "response.incomplete", "response": {"usage": {"input_tokens": 3, "output_tokens": 2}}},
        ),
        (IMAGES, {"type": "image_generation.completed", "usage": {"input_tokens": 3, "output_tokens": 2}}),
        (IMAGES, {"type": "image_edit.completed", "usage": {"input_tokens": 3, "output_tokens": 2}}),
        (SPEECH, {"type": "speech.audio.done", "usage": {"input_tokens": 3, "output_tokens": 2}}),
        (TRANSCRIPTIONS, {"type": "transcript.text.done", "usage": {"input_tokens": 3, "output_tokens": 2}}),
    ],
)
@pytest.mark.parametrize("named", [True, False])
def test_each_typed_stream_ends_on_its_own_event(grammar, end, named):
    head = f"event: {end['type']}\n".encode() if named else b""
    stream = sse({"type": "some.delta", "delta": "a"}, done=False) + head + sse(end, done=False)
    subject = PassthroughRelay(grammar)
    assert b"".join(play(subject, stream, b"data: [DONE]\n\n")) == stream
    assert subject.usage.output_tokens == 2


def test_binary_bytes_pass_untouched_and_a_failure_cannot_be_told_in_them():
    subject = BinaryRelay()
    assert subject.may_be_empty
    assert subject.feed(b"\x00\n\n\xff") == b"\x00\n\n\xff"
    assert subject.has_content
    assert subject.fail(UpstreamError("broken")) == b""
    assert subject.ended
    assert BinaryRelay().close() == b""


def test_counts_told_in_two_places_are_put_together():
    relay = PassthroughRelay(ANTHROPIC.grammar)
    start = {"type": "message_start", "message": {"usage": {"input_tokens": 7, "output_tokens": 1}}}
    block = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}}
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}}
    for tree in (start, block, end, {"type": "message_stop"}):
        relay.feed(b"event: %s\n" % tree["type"].encode() + sse(tree, done=False))
    assert relay.ended
    assert (relay.usage.input_tokens, relay.usage.output_tokens) == (7, 5)
