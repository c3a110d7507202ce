"""Long streams cost in proportion to their length, and bytes of ill will end in one error."""

import asyncio
import json
import re
import time
import tracemalloc

import pytest
from support.recordings import ANSWERS
from support.sdks import SDKS

from aigw.dialects.anthropic import ANTHROPIC
from aigw.dialects.endpoints import Api, generation
from aigw.relay.translate import TranslateRelay

APIS = tuple(SDKS)
BLOCK = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
URLS = {
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
    "gemini": "/v1beta/models/m:streamGenerateContent?alt=sse",
}
BODIES = {
    "chat": {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True},
    "responses": {"model": "m", "input": "hi", "stream": True},
    "messages": {
        "model": "m",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
    },
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
}


def frame(kind, **fields):
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), json.dumps({"type": kind, **fields}).encode())


def long_call(chunks, size=100):
    """Return a tool call of Anthropic's whose arguments come in many chunks, as one list of frames."""
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "c", "content": []}
    message |= {"stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1}}
    yield frame("message_start", message=message)
    yield frame("content_block_start", index=0, content_block=BLOCK)
    for number in range(chunks):
        text = '{"a":"' if not number else '"}' if number == chunks - 1 else "x" * size
        delta = {"type": "input_json_delta", "partial_json": text}
        yield frame("content_block_delta", index=0, delta=delta)
    yield frame("content_block_stop", index=0)
    yield frame("message_delta", delta={"stop_reason": "tool_use"}, usage={"output_tokens": 9})
    yield frame("message_stop")


def relay_to(client):
    codec = generation(Api(client), stream=True).codec
    return TranslateRelay(ANTHROPIC.stream_decoder(), codec.stream_encoder(None), defaults=("id", 1))


def carry(client, frames):
    relay = relay_to(client)
    started = time.process_time()
    size = sum(len(relay.feed(each)) for each in frames)
    relay.close()
    assert relay.ended
    assert relay.error is None
    return time.process_time() - started, size


@pytest.mark.parametrize("client", APIS)
def test_a_long_tool_call_takes_time_in_proportion_to_its_length(client):
    short, long = list(long_call(2_500)), list(long_call(10_000))
    carry(client, short)
    quick = min(carry(client, short)[0] for _ in range(3))
    slow = min(carry(client, long)[0] for _ in range(2))
    assert slow < 12 * quick  # four times as much; a quadratic one would take sixteen times as long
    assert slow < 3


@pytest.mark.parametrize("client", APIS)
def test_a_long_tool_call_takes_memory_in_proportion_to_what_it_says(client):
    tracemalloc.start()
    try:
        relay = relay_to(client)
        for each in long_call(10_000):
            relay.feed(each)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Some formats tell the arguments once more at the end: a few copies of one MB, no more.
    assert peak < 16 * 2**20


@pytest.mark.parametrize("client", APIS)
async def test_a_long_tool_call_arrives_whole(house, upstream, serve, http, client):
    upstream.stream(*long_call(10_000))
    url = await serve(house("messages")) + URLS[client]
    async with http.post(url, json=BODIES[client]) as response:
        body = await response.read()
    assert body.count(b"x" * 100) >= 9_998 or client == "gemini"
    assert body.count(b"x") >= 999_800


HOSTILE = {
    "no JSON": b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":\n\n',
    "no object": b"event: content_block_delta\ndata: [1, 2]\n\n",
    "no text": b"\xff\xfe\x00\x01\n\ndata: \xc3\x28\n\n",
    "numbers for texts": frame("content_block_delta", index="x", delta={"type": "text_delta", "text": 7}),
    "deep": b"data: " + b"[" * 100_000 + b"\n\n",
    "a frame without end": b"data: " + b"x" * 2**20,
    "another start": frame("message_start", message=7),
    "a huge index": frame("content_block_delta", index=10**30, delta={"type": "text_delta", "text": "x"}),
}
ENDS = {
    "chat": rb'^data: \{"error":|^data: \[DONE\]$',
    "responses": rb"^event: response\.(?:completed|incomplete|failed)$",
    "messages": rb"^event: (?:message_stop|error)$",
    "gemini": rb'^data: \{"error":|^data: .*"finishReason"',
}


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("client", ["chat", "responses", "gemini"])
async def test_hostile_bytes_end_a_stream_with_one_error(house, upstream, serve, http, client, hostile):
    whole = ANSWERS["text"]["messages"].bytes("messages", stream=True)
    at = whole.index(b"event: content_block_stop")
    bad = HOSTILE[hostile]
    upstream.stream(whole[:at], 0.02, *([bad] * (40 if b"x" * 2**20 in bad else 1)))
    url = await serve(house("messages")) + URLS[client]
    async with asyncio.timeout(20), http.post(url, json=BODIES[client]) as response:
        assert response.status == 200
        body = await response.read()
    ends = re.findall(ENDS[client], body, re.MULTILINE)
    assert len(ends) == 1
    assert b"error" in body
    assert b"Traceback" not in body
