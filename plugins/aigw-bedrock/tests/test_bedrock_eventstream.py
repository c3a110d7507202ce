import json

import anthropic.types
import pytest
from aigw_bedrock.eventstream import MAX_MESSAGE_BYTES, MEDIA_TYPE, EventStreamAnswer
from botocore.eventstream import EventStreamBuffer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from aigw.errors import ErrorKind, UpstreamError
from aigw.upstream.provider import Answer
from aigw.wire.sse import split_frames

EVENT = TypeAdapter(anthropic.types.RawMessageStreamEvent)


class Pieces(Answer):
    """An answer in given pieces; knows whether it was closed."""

    status = 200

    def __init__(self, *pieces):
        self.headers = {"Content-Type": MEDIA_TYPE, "Content-Length": "1", "x-amzn-requestid": "r"}
        self.pieces = [piece for piece in pieces if piece]
        self.closed = 0

    async def chunk(self):
        return self.pieces.pop(0) if self.pieces else b""

    async def close(self):
        self.closed += 1


def cut(data, places):
    places = sorted({place % (len(data) + 1) for place in places})
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


async def read_all(*pieces):
    answer = EventStreamAnswer(Pieces(*pieces), "aws")
    parts = []
    while part := await answer.chunk():
        parts.append(part)
    return b"".join(parts)


@pytest.fixture
def stream(wire):
    return b"".join(wire.chunk(tree) for tree in wire.frames_of("Grüße ", ("weather", {"city": "Köln"})))


def test_the_encoder_of_these_tests_writes_what_botocore_reads(wire):
    buffer = EventStreamBuffer()
    buffer.add_data(wire.message(b"payload", message_type="event", event_type="chunk"))
    (event,) = list(buffer)
    assert (event.headers, event.payload) == ({":message-type": "event", ":event-type": "chunk"}, b"payload")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(places=st.lists(st.integers(0, 10_000), max_size=30))
async def test_events_survive_any_cut(wire, stream, places):
    data = await read_all(*cut(stream, places))
    trees = list(wire.frames_of("Grüße ", ("weather", {"city": "Köln"})))
    frames = split_frames(data)
    assert [json.loads(frame.data) for frame in frames] == trees
    assert [frame.event for frame in frames] == [tree["type"] for tree in trees]
    for frame in frames:
        EVENT.validate_json(frame.data)


async def test_events_survive_being_sent_byte_by_byte(stream):
    assert await read_all(*[bytes([byte]) for byte in stream]) == await read_all(stream)


async def test_events_go_out_as_soon_as_they_are_whole(wire):
    first, second = (wire.chunk(tree) for tree in list(wire.frames_of("a"))[:2])
    answer = EventStreamAnswer(Pieces(first + second[:9], second[9:]), "aws")
    assert (await answer.chunk()).startswith(b"event: message_start\n")
    assert (await answer.chunk()).startswith(b"event: content_block_start\n")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=80)
@given(at=st.integers(0, 10_000), bit=st.integers(0, 7), places=st.lists(st.integers(0, 10_000), max_size=5))
async def test_one_wrong_bit_is_never_taken_for_content(stream, at, bit, places):
    at %= len(stream)
    damaged = stream[:at] + bytes([stream[at] ^ (1 << bit)]) + stream[at + 1 :]
    answer = EventStreamAnswer(Pieces(*cut(damaged, places)), "aws")
    seen = b""
    with pytest.raises(UpstreamError) as caught:
        while part := await answer.chunk():
            seen += part
    assert caught.value.kind is ErrorKind.UPSTREAM_PROTOCOL
    assert (await read_all(stream)).startswith(seen)
    with pytest.raises(UpstreamError):
        await answer.chunk()


async def test_a_stream_that_stops_inside_a_message_is_truncated(stream):
    with pytest.raises(UpstreamError) as caught:
        await read_all(stream[:-1])
    assert caught.value.kind is ErrorKind.UPSTREAM_TRUNCATED


@pytest.mark.parametrize("size", [0, 15, MAX_MESSAGE_BYTES + 1, 2**32 - 1])
async def test_a_length_that_cannot_be_is_refused_at_once(size):
    import struct
    from zlib import crc32

    prelude = struct.pack("!II", size, 0)
    answer = EventStreamAnswer(Pieces(prelude + struct.pack("!I", crc32(prelude))), "aws")
    with pytest.raises(UpstreamError, match="bytes, wanted") as caught:
        await answer.chunk()
    assert caught.value.kind is ErrorKind.UPSTREAM_PROTOCOL


async def test_headers_longer_than_their_message_are_damage():
    import struct
    from zlib import crc32

    prelude = struct.pack("!II", 16, 9000)
    prelude += struct.pack("!I", crc32(prelude))
    with pytest.raises(UpstreamError, match="damaged"):
        await read_all(prelude + struct.pack("!I", crc32(prelude)))


@pytest.mark.parametrize("payload", [b"{", b"[]", b'{"bytes": "%%"}', b'{"bytes": 7}', b'{"bytes": "e30"}'])
async def test_a_chunk_that_holds_no_event_is_damage(wire, payload):
    with pytest.raises(UpstreamError, match="not valid"):
        await read_all(wire.message(payload, message_type="event", event_type="chunk"))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("throttlingException", "rate_limit_error"),
        ("modelStreamErrorException", "api_error"),
        ("internalServerException", "api_error"),
        ("validationException", "invalid_request_error"),
        ("serviceUnavailableException", "overloaded_error"),
        ("modelTimeoutException", "timeout_error"),
        ("somethingNewException", "api_error"),
    ],
)
async def test_an_exception_becomes_an_error_event_and_the_end(wire, stream, name, kind):
    data = await read_all(wire.exception(name, "no more") + stream)
    (frame,) = split_frames(data)
    assert frame.event == "error"
    assert json.loads(frame.data) == {"type": "error", "error": {"type": kind, "message": "no more"}}


async def test_an_error_message_has_its_words_in_headers(wire):
    data = await read_all(wire.message(message_type="error", error_code="500", error_message="broken"))
    assert json.loads(split_frames(data)[0].data)["error"] == {"type": "api_error", "message": "broken"}


async def test_messages_that_are_no_chunks_are_passed_over(wire, stream):
    other = wire.message(b"{}", message_type="event", event_type="initial-response")
    assert await read_all(other + stream) == await read_all(stream)


async def test_closing_closes_what_is_inside(stream):
    inner = Pieces(stream)
    answer = EventStreamAnswer(inner, "aws")
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert "Content-Length" not in answer.headers
    await answer.close()
    await answer.close()
    assert inner.closed == 2
