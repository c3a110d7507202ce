"""The short way in: what it shares with the router's way, and the private parts of aiohttp it relies on."""

import asyncio
import json

import pytest
from aiohttp import web

import aigw
from aigw.front import shorten, ways_of
from aigw.pipeline import admit

ASK = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}


class Seen:
    """Keeps what a plugin can see of a request that came the short way."""

    name = "seen"

    def __init__(self):
        self.bodies, self.routes, self.at_once = [], [], []

    async def admit(self, exchange):
        request = exchange.request
        self.at_once.append(admit.at_once(request))
        self.routes.append((request.match_info.route.resource.canonical, request.app))
        self.bodies.append(await request.read())


@pytest.fixture
async def front():
    gateway = aigw.Gateway()
    gateway.models.register("m", aigw.DemoProvider())
    seen = Seen()
    gateway.hooks.register(seen)
    runner = web.AppRunner(gateway.make_app(), access_log=None)
    await runner.setup()
    shorten(runner, gateway)
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield seen, runner, f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_a_plugin_sees_body_route_and_application_as_on_the_long_way(front, http):
    seen, runner, url = front
    async with http.post(url + "/v1/chat/completions", json=ASK) as short:
        assert short.status == 200
        first = await short.json()
    async with http.post(url + "/v1/chat/completions?x=1", json=ASK) as long:
        assert long.status == 200
        assert (await long.json()).keys() == first.keys()
    assert seen.routes == [("/v1/chat/completions", runner.app)] * 2
    assert [json.loads(body) for body in seen.bodies] == [ASK, ASK]
    assert short.headers.keys() == long.headers.keys()


async def test_a_small_body_is_looked_at_where_aiohttp_keeps_it(front, http):
    seen, _, url = front
    async with http.post(url + "/v1/chat/completions", json=ASK) as response:
        assert response.status == 200
    assert [json.loads(body) for body in seen.at_once] == [ASK]  # None, should aiohttp keep it elsewhere


async def test_a_body_that_comes_in_pieces_is_read_whole(front):
    seen, _, url = front
    body = json.dumps({**ASK, "pad": "x" * 300_000}).encode()
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:1000])
    await writer.drain()
    await asyncio.sleep(0.01)
    writer.write(body[1000:])
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    writer.close()
    assert seen.bodies == [body]


async def test_the_head_of_a_stream_leaves_with_its_first_frames(front):
    _, _, url = front
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    body = json.dumps({**ASK, "stream": True}).encode()
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    first = await reader.read(2**16)
    writer.close()
    assert first.startswith(b"HTTP/1.1 200")
    assert b"data: " in first.partition(b"\r\n\r\n")[2]


async def test_several_requests_pass_over_one_connection(front, http):
    _, _, url = front
    for _ in range(3):
        async with http.post(url + "/v1/chat/completions", json=ASK) as response:
            assert response.status == 200
            await response.read()


async def test_with_a_middleware_of_a_plugins_there_is_no_short_way():
    gateway = aigw.Gateway()
    app = gateway.make_app()

    @web.middleware
    async def other(request, handler):
        return await handler(request)

    app.middlewares.append(other)
    runner = web.AppRunner(app)
    await runner.setup()
    before = runner.server.request_handler
    shorten(runner, gateway)
    assert runner.server.request_handler == before
    await runner.cleanup()


def test_every_short_way_is_an_endpoint_that_reaches_a_model():
    gateway = aigw.Gateway()
    ways = ways_of(gateway, gateway.make_app())
    assert "/v1/chat/completions" in ways
    assert all(way.endpoint.api is not None and "{" not in path for path, way in ways.items())
