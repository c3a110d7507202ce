"""Whatever a provider does not say, somebody stops waiting for it: the gateway's limits over both clients."""

import asyncio

import pytest
from support.answers import error_of
from support.misbehaving import Raw, listening

import aigw

PATH = "/v1/chat/completions"
ASK = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def forever(piece):
    async def drip(_reader, writer):
        while not writer.transport.is_closing():
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)

    return drip


@pytest.fixture
async def raw():
    async with listening(Raw()) as subject:
        yield subject


@pytest.fixture(params=["aiohttp", "pool"])
async def ask(request, raw, aiohttp_client):
    """Ask a gateway once, whose provider is the raw server."""

    async def run(stream=False, **limits):
        made = aigw.Gateway()
        timeouts = aigw.Timeouts(**limits)
        provider = aigw.Provider(raw.url, name="up", timeouts=timeouts, transport=request.param)
        made.models.register("m", provider)
        client = await aiohttp_client(made.make_app())
        return client.post(PATH, json={**ASK, "stream": stream})

    return run


SLOW_HEADS = {
    "silence": ["hold"],
    "a head that drips": [forever(b"X")],
    "a header that drips": [b"HTTP/1.1 200 OK\r\nX: ", forever(b"y")],
    "headers that drip": [b"HTTP/1.1 200 OK\r\n", forever(b"X: y\r\n")],
    "interim answers": [forever(b"HTTP/1.1 103 Early Hints\r\n\r\n")],
}
SLOW_BODIES = {
    "a length that does not come": [HEAD + b"Content-Length: 100\r\n\r\n{", "hold"],
    "no end": [HEAD + b"\r\n{", "hold"],
    "no next chunk": [CHUNKED + b"1\r\n{\r\n", "hold"],
    "an extension that drips": [CHUNKED + b"1\r\n{\r\n1;", forever(b"x")],
    "a trailer that drips": [CHUNKED + b"1\r\n{\r\n0\r\n", forever(b"X: y\r\n")],
}


@pytest.mark.parametrize("name", SLOW_HEADS)
async def test_a_head_that_does_not_come_is_given_up(raw, ask, eventually, name):
    raw.play(SLOW_HEADS[name] if name != "a head that drips" else [b"HTTP/1.1 200 ", *SLOW_HEADS[name]])
    async with asyncio.timeout(5), await ask(first_byte_s=0.05) as response:
        await error_of(response, 504, "upstream_timeout")
    await eventually(lambda: all(writer.transport.is_closing() for writer in raw.writers))


@pytest.mark.parametrize("name", SLOW_BODIES)
async def test_a_body_that_stops_coming_is_given_up(raw, ask, eventually, name):
    raw.play(SLOW_BODIES[name])
    async with asyncio.timeout(5), await ask(read_s=0.05) as response:
        await error_of(response, 504, "upstream_timeout")
    await eventually(lambda: all(writer.transport.is_closing() for writer in raw.writers))


@pytest.mark.parametrize("rest", [["hold"], ["close"]], ids=["and says no more", "and ends"])
async def test_a_chunk_that_ends_where_the_body_stops_being_http_is_not_waited_for(raw, ask, rest):
    raw.play([CHUNKED + b"1;a=b\r\n{\r", 0.005, b"\nContent-Length: 3\r\n\0\r\n0;a=b\r\n\r\n", *rest])
    async with asyncio.timeout(2), await ask() as response:
        error = await error_of(response, 502)
    assert error["code"] in {"upstream_protocol_error", "upstream_truncated"}


async def test_a_body_that_never_ends_is_given_up(raw, ask, eventually):
    raw.play([CHUNKED, forever(b"1\r\n \r\n")])
    async with asyncio.timeout(5), await ask(total_s=0.1) as response:
        await error_of(response, 504, "upstream_timeout")
    await eventually(lambda: all(writer.transport.is_closing() for writer in raw.writers))


@pytest.mark.parametrize("steps", [["hold"], [CHUNKED + b"1\r\n{\r\n", "hold"]], ids=["head", "body"])
async def test_a_client_that_leaves_takes_the_connection_with_it(raw, ask, eventually, steps):
    raw.play(steps)
    pending = await ask(stream=True)
    task = asyncio.ensure_future(pending)
    await eventually(lambda: raw.heads)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await eventually(lambda: raw.dropped)
