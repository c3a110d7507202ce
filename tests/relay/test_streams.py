"""Streams through the whole gateway, each a conversation of provider, gateway and client."""

import asyncio
import json

import aiohttp
import openai
import pytest
from aiohttp import web
from attrs import evolve
from support.scripted import CUT, HANG, HELLO, USAGE_CHUNK, chunk, sse

import aigw
from aigw.upstream.provider import Timeouts

ASK = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}
ROLE = sse({**chunk(), "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}, done=False)
HEL = sse(chunk("Hel"), done=False)
ERROR = sse({"error": {"message": "no more", "type": "server_error", "code": "server_error"}}, done=False)


@pytest.fixture
async def http():
    async with aiohttp.ClientSession() as session:
        yield session


async def ask(http, url, path="/v1/chat/completions", **fields):
    """Ask for a stream; return status, headers and all that came."""
    async with http.post(url + path, json={**ASK, **fields}) as response:
        return response.status, response.headers, await response.read()


def frames(body):
    assert body.endswith(b"\n\n") or not body
    return [frame for frame in body.split(b"\n\n") if frame and not frame.startswith(b":")]


def last_error(body):
    return json.loads(frames(body)[-1].partition(b"data: ")[2])["error"]


def set_server(gateway, **settings):
    gateway.config = evolve(gateway.config, server=evolve(gateway.config.server, **settings))


def set_timeouts(gateway, **seconds):
    provider = gateway.models.providers["up"]
    provider.timeouts = evolve(provider.timeouts, **seconds)


def add_second(gateway, upstream):
    """Let the model "two" lead to the scripted provider, and to it again when that fails."""
    second = aigw.Provider(upstream.url, "sk-upstream", name="second")
    first = gateway.models.providers["up"]
    gateway.models.register("two", targets=[aigw.Target(first, "a"), aigw.Target(second, "b", 0.0)])


# Headers and manners.


async def test_a_stream_comes_with_the_headers_of_one(gateway, upstream, serve, http):
    upstream.stream(HELLO, headers={"x-ratelimit-remaining-requests": "9", "x-internal": "secret"})
    status, headers, body = await ask(http, await serve(gateway))
    assert (status, body) == (200, HELLO)
    assert headers["Content-Type"] == "text/event-stream"
    assert headers["Cache-Control"] == "no-cache"
    assert headers["X-Accel-Buffering"] == "no"
    assert headers["x-ratelimit-remaining-requests"] == "9"
    assert headers["x-aigw-provider"] == "up"
    assert "x-internal" not in headers


async def test_pings_come_while_the_model_is_silent_and_never_inside_a_frame(
    gateway, upstream, serve, http, complete
):
    set_server(gateway, ping_interval_s=0.02)
    pieces = [HELLO[at : at + 40] for at in range(0, len(HELLO), 40)]
    upstream.stream(HEL, *(step for piece in pieces for step in (0.05, piece)))
    _, _, body = await ask(http, await serve(gateway))
    assert body.count(b": ping\n\n") >= 3
    assert body.replace(b": ping\n\n", b"") == HEL + HELLO
    assert all(frame.startswith((b"data: ", b": ping")) for frame in body.split(b"\n\n") if frame)


@pytest.mark.parametrize("connection", ["close", "keep-alive"])
async def test_an_old_client_gets_a_stream_that_ends_with_its_connection(
    gateway, upstream, serve, connection
):
    upstream.stream(HELLO)
    url = aiohttp.client.URL(await serve(gateway))
    reader, writer = await asyncio.open_connection(url.host, url.port)
    body = json.dumps(ASK).encode()
    path = url.path.rstrip("/") + "/v1/chat/completions"
    head = f"POST {path} HTTP/1.0\r\nConnection: {connection}\r\nContent-Type: application/json\r\n"
    writer.write(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    answer = await asyncio.wait_for(reader.read(), 2)
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b" 200 " in head.split(b"\r\n")[0]
    assert b"chunked" not in head.lower()
    assert b"connection: close" in head.lower()
    assert body == HELLO


# Token counts.


@pytest.mark.parametrize(
    ("mode", "configured", "client_asks", "asked_upstream", "shown"),
    [
        ("ask", True, False, True, False),
        ("ask", True, True, True, True),
        ("ask", False, False, False, True),
        ("always", True, False, False, True),
        ("never", True, False, False, True),
    ],
)
async def test_token_counts_are_asked_for_and_hidden_again(
    gateway, upstream, serve, http, complete, mode, configured, client_asks, asked_upstream, shown
):
    set_server(gateway, stream_usage=configured)
    gateway.models.providers["up"].stream_usage = mode
    stream = sse(chunk("a", usage=None), chunk(finish="stop", usage=None), USAGE_CHUNK)
    upstream.stream(stream)
    more = {"stream_options": {"include_usage": True}} if client_asks else {}
    _, _, body = await ask(http, await serve(gateway), **more)
    options = upstream.seen[0].json.get("stream_options") or {}
    assert bool(options.get("include_usage")) is asked_upstream
    assert (body == stream) is shown
    assert (b"usage" in body) is shown
    assert complete[0].usage.output_tokens == 2


# Failures before content.


@pytest.mark.parametrize(
    ("steps", "status"),
    [
        ([CUT], 502),
        ([0.0, CUT], 502),
        ([ROLE, CUT], 502),
        ([ROLE], 502),
        ([b": hello\n\n"], 502),
        ([], 502),
        ([b"data: {oops\n\n"], 502),
        ([b"data: [DONE]\n\n"], 502),
        ([ERROR], 502),
        ([sse({"error": {"message": "slow down", "code": 429}}, done=False)], 429),
        ([sse({"error": {"message": "too long", "code": "context_length_exceeded"}}, done=False)], 400),
    ],
    ids=["no head", "head", "role", "role end", "comment", "empty", "garbage", "done", "error", "429", "400"],
)
async def test_what_fails_before_content_has_a_real_status(
    gateway, upstream, serve, http, complete, steps, status
):
    upstream.stream(*steps)
    seen, _, body = await ask(http, await serve(gateway))
    assert seen == status
    assert json.loads(body)["error"]["message"]
    assert [record.ending for record in complete] == ["refused"]
    assert complete[0].attempts[0].error


@pytest.mark.parametrize("steps", [[CUT], [0.0, CUT], [ROLE, CUT], [ROLE], [], [b"data: {oops\n\n"], [ERROR]])
async def test_what_fails_before_content_is_answered_by_the_next_target(
    gateway, upstream, serve, http, complete, steps
):
    add_second(gateway, upstream)
    upstream.stream(*steps)
    upstream.stream(HELLO)
    status, headers, body = await ask(http, await serve(gateway), model="two")
    assert (status, body) == (200, HELLO)
    assert headers["x-aigw-attempts"] == "2"
    assert headers["x-aigw-provider"] == "second"
    assert [record.ending for record in complete] == ["complete"]
    assert [attempt.provider for attempt in complete[0].attempts] == ["up", "second"]


async def test_a_provider_silent_before_the_first_byte_is_a_504(gateway, upstream, serve, http):
    set_timeouts(gateway, connect_s=0.1, first_byte_s=0.1)
    upstream.stream(HANG)
    status, _, body = await ask(http, await serve(gateway))
    assert status == 504
    assert json.loads(body)["error"]["code"] == "upstream_timeout"


async def test_a_provider_silent_behind_its_head_is_a_504(gateway, upstream, serve, http, eventually):
    set_timeouts(gateway, first_byte_s=0.1)
    upstream.stream(ROLE, HANG)
    status, _, _ = await ask(http, await serve(gateway))
    assert status == 504
    await eventually(lambda: upstream.open == 0)


# Failures behind content.


@pytest.mark.parametrize(
    ("steps", "code"),
    [
        ([HEL, 0.02, CUT], "upstream_truncated"),
        ([HEL], "upstream_truncated"),
        ([HEL, 0.02, b"data: {", CUT], "upstream_truncated"),
        ([HEL, 0.05, b'data: "error"\n\n'], "upstream_protocol_error"),
        ([HEL, HANG], "upstream_timeout"),
        ([HEL, 0.05, ERROR, HELLO], "server_error"),
    ],
    ids=["cut", "no done", "cut in a frame", "garbage", "silence", "error"],
)
async def test_what_fails_behind_content_ends_with_an_error_event(
    gateway, upstream, serve, http, complete, eventually, steps, code
):
    set_timeouts(gateway, read_s=0.4)
    upstream.stream(*steps)
    url = await serve(gateway)
    status, _, body = await ask(http, url)
    assert status == 200
    assert body.startswith(HEL)
    assert last_error(body)["code"] == code
    assert b"[DONE]" not in body
    await eventually(lambda: complete)
    record = complete[0]
    assert (record.ending, record.error, record.attempts[0].error) == ("failed", code, code)
    async with http.get(url + "/metrics") as response:
        metrics = await response.text()
    assert 'aigw_endings_total{api="chat",ending="failed",mode="stream"} 1.0' in metrics
    assert f'aigw_attempts_total{{outcome="{code}",provider="up"}} 1.0' in metrics


async def test_the_sdk_raises_what_the_error_event_says(gateway, upstream, serve, sdk):
    upstream.stream(HEL, 0.02, CUT)
    stream = await sdk(await serve(gateway)).chat.completions.create(**ASK)
    text = ""
    with pytest.raises(openai.APIError, match="breaks off"):
        async for piece in stream:
            text += piece.choices[0].delta.content or ""
    assert text == "Hel"


async def test_an_answer_that_takes_too_long_in_all_ends_with_an_error_event(gateway, upstream, serve, http):
    set_timeouts(gateway, total_s=0.3)
    upstream.stream(*[HEL, 0.05] * 100)
    _, _, body = await ask(http, await serve(gateway))
    assert last_error(body)["message"] == 'provider "up" took more than 0.3 s in all'


async def test_an_error_hook_that_fails_still_leaves_one_error_event(
    gateway, upstream, serve, http, complete
):
    class Bad:
        async def on_error(self, exchange, error):
            raise ZeroDivisionError

    gateway.hooks.register(Bad())
    upstream.stream(HEL, 0.02, CUT)
    _, _, body = await ask(http, await serve(gateway))
    assert body.startswith(HEL)
    assert len(frames(body)) == 2
    assert last_error(body)["code"] == "hook_failed"
    assert [record.ending for record in complete] == ["failed"]


async def test_an_error_hook_may_change_what_the_stream_tells(gateway, upstream, serve, http):
    class Polite:
        async def on_error(self, exchange, error):
            return aigw.UpstreamError("we are sorry", code="sorry")

    gateway.hooks.register(Polite())
    upstream.stream(HEL, 0.02, CUT)
    _, _, body = await ask(http, await serve(gateway))
    assert last_error(body)["code"] == "sorry"


async def test_a_binary_stream_that_breaks_breaks_the_clients_connection(
    gateway, upstream, serve, http, complete
):
    upstream.raw(b"\x00" * 1000, 0.05, CUT, content_type="audio/mpeg")
    with pytest.raises(aiohttp.ClientError):
        await ask(http, await serve(gateway), "/v1/audio/speech", input="hi", voice="alloy")
    assert [record.ending for record in complete] == ["failed"]


async def test_a_binary_stream_arrives_whole(gateway, upstream, serve, http, complete):
    upstream.raw(b"\x00\n\n" * 1000, 0.01, b"end", content_type="audio/mpeg")
    _, headers, body = await ask(http, await serve(gateway), "/v1/audio/speech", input="hi", voice="alloy")
    assert body == b"\x00\n\n" * 1000 + b"end"
    assert headers["Content-Type"] == "audio/mpeg"
    assert complete[0].bytes_out == len(body)


# Other endpoints.


@pytest.mark.parametrize(
    ("path", "fields", "stream"),
    [
        (
            "/v1/images/generations",
            {"prompt": "a"},
            ["image_generation.partial_image", "image_generation.completed"],
        ),
        ("/v1/audio/speech", {"input": "a"}, ["speech.audio.delta", "speech.audio.done"]),
    ],
)
async def test_typed_streams_end_on_their_own_event(
    gateway, upstream, serve, http, complete, eventually, path, fields, stream
):
    events = [b"event: %s\n" % name.encode() + sse({"type": name}, done=False) for name in stream]
    upstream.stream(*events)
    upstream.stream(events[0], CUT)
    url = await serve(gateway)
    assert (await ask(http, url, path, **fields))[2] == b"".join(events)
    _, _, body = await ask(http, url, path, **fields)
    told = json.loads(frames(body)[-1].partition(b"data: ")[2])
    assert body.startswith(events[0])
    assert told["type"] == "error"
    assert told["error"]["code"] == "upstream_truncated"
    await eventually(lambda: [record.ending for record in complete] == ["complete", "failed"])


async def test_legacy_completions_stream(gateway, upstream, serve, http, complete):
    stream = sse(
        {"choices": [{"text": "Hi", "index": 0}]}, {"choices": [{"text": "", "finish_reason": "stop"}]}
    )
    upstream.stream(stream)
    _, _, body = await ask(http, await serve(gateway), "/v1/completions", prompt="hi")
    assert body == stream
    assert [record.ending for record in complete] == ["complete"]


# The provider's connection.


async def test_a_finished_stream_leaves_its_connection_for_the_next_and_a_broken_one_does_not(
    gateway, serve, http, aiohttp_server
):
    peers = []

    async def handle(request):
        asked = await request.json()
        peers.append(request.transport.get_extra_info("peername"))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(HELLO if asked["messages"] else HEL)
        await asyncio.sleep(0.02)
        if not asked["messages"]:
            request.transport.abort()
        return response

    app = web.Application()
    app.router.add_post("/{tail:.*}", handle)
    server = await aiohttp_server(app)
    gateway.models.register("n", aigw.Provider(str(server.make_url("/")), name="other"))
    url = await serve(gateway)
    for messages in ([1], [1], [], [1]):
        await ask(http, url, model="n", messages=messages)
    assert peers[0] == peers[1] == peers[2]
    assert peers[3] != peers[2]


# A client that reads slowly.


async def test_a_client_that_does_not_read_holds_the_provider_back_and_loses_nothing(
    gateway, serve, complete, eventually
):
    size, total, sent = 16384, 2000, 0

    class Fast(aigw.BaseProvider):
        async def call(self, call):
            return aigw.Answer.stream(self.talk())

        async def talk(self):
            nonlocal sent
            for _ in range(total):
                sent += 1
                yield sse(chunk("x" * size), done=False)
            yield sse(chunk(finish="stop"))

    fast = Fast("fast")
    fast.timeouts = Timeouts(read_s=0.3)
    gateway.models.register("n", fast)
    url = await serve(gateway) + "/v1/chat/completions"
    body = {**ASK, "model": "n"}
    async with aiohttp.ClientSession(read_bufsize=2**14) as session, session.post(url, json=body) as response:
        held = -1
        while held != sent:  # until every buffer on the way is full
            held = sent
            await asyncio.sleep(0.2)
        assert held < total
        await asyncio.sleep(0.5)  # longer than the provider may be silent
        assert sent == held
        body = await response.read()
    assert body.count(b"x" * size) == total
    assert body.endswith(b"data: [DONE]\n\n")
    await eventually(lambda: complete)
    assert complete[0].ending == "complete"


# Shutdown.


async def test_a_drain_waits_for_an_answer_that_ends_in_time(
    gateway, upstream, serve, http, complete, eventually
):
    upstream.stream(HEL, 0.2, HELLO)
    url = await serve(gateway)
    asked = asyncio.create_task(ask(http, url))
    await eventually(lambda: upstream.open)
    assert await gateway.drain(2.0)
    _, _, body = await asked
    assert body == HEL + HELLO
    assert [record.ending for record in complete] == ["complete"]


async def test_a_drain_that_ends_too_soon_tells_the_client(
    gateway, upstream, serve, http, complete, eventually
):
    upstream.stream(HEL, HANG)
    asked = asyncio.create_task(ask(http, await serve(gateway)))
    await eventually(lambda: gateway.in_flight and upstream.open)
    await asyncio.sleep(0.05)
    assert not await gateway.drain(0.05)
    _, _, body = await asked
    assert body.startswith(HEL)
    assert last_error(body)["code"] == "service_unavailable"
    await eventually(lambda: not upstream.open)
    assert len(complete) == 1


async def test_a_drain_before_the_first_byte_is_a_503(gateway, upstream, serve, http, complete, eventually):
    upstream.stream(HANG)
    asked = asyncio.create_task(ask(http, await serve(gateway)))
    await eventually(lambda: upstream.open)
    assert not await gateway.drain(0.05)
    status, headers, _ = await asked
    assert status == 503
    assert headers["retry-after"] == "1"
    assert len(complete) == 1


# Watchers.


async def test_watchers_see_exactly_what_the_client_gets(gateway, upstream, serve, http):
    seen = {}

    class Watch:
        def watch_stream(self, exchange):
            seen[exchange.id] = []
            return seen[exchange.id].append

    class Bad:
        def watch_stream(self, exchange):
            return lambda frames: 1 / 0

    gateway.hooks.register(Bad())
    gateway.hooks.register(Watch())
    add_second(gateway, upstream)
    upstream.stream(ROLE, CUT)
    upstream.stream(HEL, 0.02, HELLO)
    upstream.stream(HEL, 0.02, CUT)
    upstream.stream(HEL, 0.02, b"data: [DONE]")
    url = await serve(gateway)
    for model in ("two", "m", "m"):
        _, headers, body = await ask(http, url, model=model)
        assert b"".join(seen[headers["x-request-id"]]) == body
    assert len(seen) == 3
