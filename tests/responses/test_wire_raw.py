"""What stands on the wire itself: every write holds whole frames, and one `[DONE]` is the last of them.

A raw client reads the chunks of HTTP as they were written; aiohttp makes one of each write.
"""

import asyncio
import json
from urllib.parse import urlsplit

import pytest
from support.openresponses_wire import check_event
from support.responses_automaton import accept
from support.responses_provider import APIS, DIALECTS, SIDES, answer, front, serve

from aigw.dialects.base import join_frames
from aigw.model import FunctionCall, Message, Reasoning, TextPart, unfold

SAID = answer(
    Reasoning(content=("I think of it.",)),
    Message("assistant", (TextPart("Grüße aus Zürich."),)),
    FunctionCall("call_1", "go", '{"to":"Zürich"}'),
)
TOOL = {"type": "function", "name": "go", "parameters": {"type": "object", "properties": {}}}


def drip(upstream, api, *, pieces=40):
    """Let the provider's answer come in many reads, cut where nothing ends."""
    encoder = DIALECTS[api].stream_encoder(None)
    data = join_frames(encoder, unfold(SAID)) + encoder.close()
    size = len(data) // pieces + 1
    steps = []
    for start in range(0, len(data), size):
        steps += [data[start : start + size], 0.001]
    upstream.stream(*steps)


async def exchange(url, method, path, body=None):
    """Send a request over a socket of its own; return the head and the chunks of the answer."""
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    data = b"" if body is None else json.dumps(body).encode()
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(data)}\r\nConnection: close\r\n\r\n"
    )
    writer.write(head.encode() + data)
    try:
        async with asyncio.timeout(10):
            told = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            chunks = []
            while size := int(await reader.readline(), 16):
                chunks.append((await reader.readexactly(size + 2))[:-2])
            assert await reader.read() == b"\r\n"  # and the end of the connection: nothing is sent behind
    finally:
        writer.close()
        await writer.wait_closed()
    return told, chunks


def frames_of(head, chunks):
    """Hold the head and every chunk to the rules of the wire; return the frames."""
    assert head.startswith("http/1.1 200")
    assert "\r\ncontent-type: text/event-stream" in head
    assert "content-length" not in head
    for chunk in chunks:
        assert chunk.endswith(b"\n\n"), chunk
        assert b"\r" not in chunk
    return [frame for chunk in chunks for frame in chunk[:-2].split(b"\n\n") if not frame.startswith(b":")]


def events_of(frames, *, begin=0, failed=False):
    """Hold frames to the specification: their two lines, their names, their numbers, their end."""
    *told, done = frames
    assert done == b"data: [DONE]"
    trees = []
    for number, frame in enumerate(told, begin):
        event, data = frame.split(b"\n")
        tree = json.loads(data.removeprefix(b"data: "))
        assert event == b"event: " + tree["type"].encode()
        assert tree["sequence_number"] == number
        check_event(tree)
        trees.append(tree)
    if not begin:
        rest = [tree for tree in trees if tree["type"] != "response.queued"]
        accept([{**tree, "sequence_number": place} for place, tree in enumerate(rest)], failed=failed)
    return trees


@pytest.mark.parametrize("api", SIDES)
async def test_every_write_holds_whole_frames_however_the_provider_cuts(upstream, aiohttp_server, api):
    if api != "demo":
        drip(upstream, api)
    url = await serve(aiohttp_server, front(upstream, api))
    body = {"model": "m", "input": "Grüße", "stream": True, "tools": [TOOL]}
    head, chunks = await exchange(url, "POST", "/v1/responses", body)
    assert len(chunks) > 3  # it did come piece by piece
    events_of(frames_of(head, chunks))


@pytest.mark.parametrize("after", [None, 0, 4])
@pytest.mark.parametrize("background", [True, False], ids=["background", "foreground"])
@pytest.mark.parametrize("api", APIS)
async def test_a_resumed_stream_is_one_too(upstream, aiohttp_server, api, background, after):
    drip(upstream, api)
    url = await serve(aiohttp_server, front(upstream, api))
    body = {"model": "m", "input": "hi", "stream": True, "background": background}
    first = events_of(frames_of(*await exchange(url, "POST", "/v1/responses", body)))
    name = first[-1]["response"]["id"]
    query = "?stream=true" + ("" if after is None else f"&starting_after={after}")
    again = frames_of(*await exchange(url, "GET", f"/v1/responses/{name}{query}"))
    second = events_of(again, begin=0 if after is None else after + 1)
    assert second[-1]["response"] == first[-1]["response"]
    if background:
        assert second == first[0 if after is None else after + 1 :]


@pytest.mark.parametrize("background", [True, False], ids=["background", "foreground"])
@pytest.mark.parametrize("api", APIS)
async def test_a_stream_that_breaks_ends_with_its_error_its_failure_and_done(
    upstream, aiohttp_server, api, background
):
    encoder = DIALECTS[api].stream_encoder(None)
    half = join_frames(encoder, list(unfold(SAID))[:4])
    upstream.stream(half[: len(half) // 2], 0.001, half[len(half) // 2 :])
    url = await serve(aiohttp_server, front(upstream, api))
    body = {"model": "m", "input": "hi", "stream": True, "background": background}
    head, chunks = await exchange(url, "POST", "/v1/responses", body)
    trees = events_of(frames_of(head, chunks), failed=True)
    assert [tree["type"] for tree in trees[-2:]] == ["error", "response.failed"]
    assert trees[-1]["response"]["error"]["message"]
