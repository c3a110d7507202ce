"""How a WebSocket connection lives and ends, alone and mounted in an application that knows nothing of it."""

import asyncio
import time

import aiohttp
import openai
import pytest
from support.plugins import use
from support.scripted import HANG, HELLO, chunk, sse
from support.talk import Talk, check_envelope

import aigw
from aigw.config import Config, ServerConfig
from aigw.config.state import ResponsesConfig
from aigw.model import TextDelta
from aigw.pipeline.exchange import EXCHANGE
from aigw.relay.ending import Ending

BEGUN = sse(chunk("Hel"), done=False)
REST = sse(chunk("lo"), chunk(finish="stop"))


@pytest.fixture
def config():
    return Config()


@pytest.fixture
def gateway(upstream, config):
    """A gateway in front of a provider that speaks chat completions alone."""
    made = aigw.Gateway(config)
    provider = aigw.Provider(upstream.url, "sk-upstream", name="up", apis=("chat",))
    made.models.register("m", provider, rewrite="up-model")
    return made


@pytest.fixture
async def url(serve, gateway):
    return await serve(gateway) + "/v1/responses"


@pytest.fixture
async def talk(complete, url, http):
    return Talk(await http.ws_connect(url))


def tasks():
    return [task for task in asyncio.all_tasks() if task.get_name().startswith("aigw websocket")]


async def began(talk):
    """Read up to the first words."""
    while (await talk.next())["type"] != "response.output_text.delta":
        pass


async def test_every_turn_is_a_request_of_its_own(upstream, talk, complete):
    upstream.stream(HELLO)
    await talk.response()
    await talk.refused(model="nope")
    await talk.refused(background=True)
    opened, *turns = complete
    assert (opened.api, opened.status, opened.ending) == ("websocket", 101, Ending.COMPLETE)
    assert [(turn.api, turn.status, turn.stream) for turn in turns] == [
        ("responses", 200, True),
        ("responses", 404, True),
        ("responses", 400, False),
    ]
    assert len({record.id for record in complete}) == 4
    assert turns[0].provider == "up"
    assert turns[0].bytes_in > 0 < turns[0].bytes_out


class Observer:
    """A plugin that notes which of its hooks ran, and edits what it may."""

    name = "observer"

    def __init__(self):
        self.called = []

    async def admit(self, exchange):
        self.called.append("admit")
        return self

    def settle(self, record):
        self.called.append(f"settle {record.status}")

    async def rewrite_request(self, exchange, payload):
        self.called.append(f"rewrite_request {payload.fields['input']}")
        payload.edit()["temperature"] = 0.5

    async def before_call(self, exchange, attempt, call):
        self.called.append("before_call")

    async def after_call(self, exchange, attempt, answer):
        self.called.append("after_call")

    def watch_stream(self, exchange):
        return lambda frames: self.called.append("watched") if b"response.completed" in frames else None

    def transform_stream(self, exchange):
        return self.upper

    def upper(self, event):
        if isinstance(event, TextDelta):
            event.text = event.text.upper()
        return [event]

    async def on_error(self, exchange, error):
        self.called.append(f"on_error {error.code}")
        return error


async def test_every_hook_runs_as_on_http(upstream, gateway, serve, http):
    upstream.stream(HELLO)
    observer = Observer()
    gateway.hooks.register(observer)
    talk = Talk(await http.ws_connect(await serve(gateway) + "/v1/responses"))
    response = await talk.response()
    assert response["output"][0]["content"][0]["text"] == "HELLO"
    assert upstream.seen[0].json["temperature"] == 0.5
    await talk.refused(model="nope")
    assert observer.called == [
        *("admit", "rewrite_request hi", "before_call", "after_call", "watched", "settle 200"),
        *("admit", "rewrite_request hi", "on_error model_not_found", "settle 404"),
    ]


async def test_on_error_changes_what_the_envelope_says(upstream, gateway, complete, serve, http):
    async def on_error(exchange, error):
        error.message = "told otherwise"
        return error

    use(gateway, on_error=on_error)
    talk = Talk(await http.ws_connect(await serve(gateway) + "/v1/responses"))
    assert (await talk.refused(stream=False))["error"]["message"] == "told otherwise"


async def test_a_client_that_leaves_cancels_the_call_though_the_provider_is_silent(
    upstream, talk, complete, eventually
):
    upstream.stream(BEGUN, HANG)
    await talk.ask()
    await began(talk)
    await talk.socket.close()
    await eventually(lambda: upstream.dropped == 1, timeout_s=1.0)
    await eventually(lambda: len(complete) == 2)
    assert complete[1].ending is Ending.HUNG_UP
    await eventually(lambda: not tasks())


async def test_a_client_that_vanishes_before_the_first_word_cancels_the_call(
    upstream, talk, complete, eventually
):
    upstream.stream(HANG)
    await talk.ask()
    await eventually(lambda: upstream.open == 1)
    talk.socket._response.connection.transport.abort()
    await eventually(lambda: upstream.dropped == 1, timeout_s=1.0)
    await eventually(lambda: len(complete) == 2 and not tasks())
    assert (complete[1].ending, complete[1].status) == (Ending.HUNG_UP, 499)


async def test_messages_that_wait_are_not_answered_when_the_client_has_left(upstream, talk, eventually):
    upstream.stream(BEGUN, HANG)
    await talk.ask()
    await talk.ask()
    await began(talk)
    await talk.socket.close()
    await eventually(lambda: not tasks())
    assert len(upstream.seen) == 1


async def test_pings_are_answered_while_a_turn_runs(upstream, talk):
    upstream.stream(BEGUN, 0.2, REST)
    await talk.ask()
    await began(talk)
    socket = talk.socket
    await socket.ping(b"there?")
    await talk.answer()
    assert not socket.closed


async def test_a_silent_connection_is_pinged(gateway, serve, http, upstream):
    gateway.config = Config(server=ServerConfig(ping_interval_s=0.05))
    upstream.stream(HELLO)
    socket = await http.ws_connect(await serve(gateway) + "/v1/responses", autoping=False)
    message = await socket.receive(timeout=2)
    assert message.type is aiohttp.WSMsgType.PING
    # Nothing answers it, and nothing happens: some clients do not while they run a tool.
    for _ in range(3):
        assert (await socket.receive(timeout=2)).type is aiohttp.WSMsgType.PING
    await socket.send_json({"type": "response.create", "model": "m", "input": "hi"})
    while (message := await socket.receive(timeout=2)).type is aiohttp.WSMsgType.PING:
        pass
    assert message.json()["type"] == "response.created"
    await socket.close()


async def test_a_reader_that_is_slow_holds_up_the_provider(upstream, gateway, complete, serve):
    size = 64 * 2**20
    piece = sse(chunk("x" * 65536), done=False)
    upstream.stream(*[piece] * (size // 65536), REST)
    base = await serve(gateway)
    host, port = base.removeprefix("http://").partition("/")[0].split(":")
    path = base.removeprefix(f"http://{host}:{port}") + "/v1/responses"
    reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
    writer.write(
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    body = b'{"type":"response.create","model":"m","input":"hi"}'
    writer.write(b"\x81" + bytes([0x80 | len(body)]) + bytes(4) + body)
    exchange = None
    sent = -1
    while exchange is None or exchange.bytes_sent > sent:
        sent = exchange.bytes_sent if exchange else -1
        await asyncio.sleep(0.2)
        exchange = exchange or next(iter(running(gateway)), None)
    assert 0 < sent < size // 4
    assert upstream.open == 1
    writer.close()


def running(gateway):
    """The exchanges that run."""
    return [watch.request[EXCHANGE] for watch in gateway.watchdog._watches if EXCHANGE in watch.request]


class TestLimited:
    """A connection that may live for a moment."""

    @pytest.fixture
    def config(self):
        return Config(responses=ResponsesConfig(websocket_max_s=0.3))

    async def test_a_connection_ends_when_its_time_is_up(self, talk, upstream, eventually):
        upstream.stream(HELLO)
        await talk.response()
        envelope = check_envelope(await talk.next())
        assert (envelope["status"], envelope["error"]["code"]) == (400, "websocket_connection_limit_reached")
        assert await talk.closed() == aiohttp.WSCloseCode.OK
        await eventually(lambda: not tasks())

    async def test_a_running_turn_ends_first_and_no_other_is_begun(self, talk, upstream):
        upstream.stream(BEGUN, 0.5, REST)
        await talk.ask()
        await talk.ask()
        assert (await talk.answer())[-1]["type"] == "response.completed"
        assert (await talk.next())["error"]["code"] == "websocket_connection_limit_reached"
        await talk.closed()
        assert len(upstream.seen) == 1


async def test_draining_closes_an_idle_connection(gateway, talk, eventually):
    draining = asyncio.create_task(gateway.drain(5))
    assert await talk.closed() == aiohttp.WSCloseCode.GOING_AWAY
    assert await draining
    await eventually(lambda: not tasks())


async def test_draining_lets_a_running_turn_end_and_begins_no_other(gateway, upstream, talk):
    upstream.stream(BEGUN, 0.2, REST)
    await talk.ask()
    await talk.ask()
    await began(talk)
    draining = asyncio.create_task(gateway.drain(5))
    assert (await talk.answer())[-1]["type"] == "response.completed"
    envelope = check_envelope(await talk.next())
    assert (envelope["status"], envelope["error"]["code"]) == (503, "service_unavailable")
    assert await talk.closed() == aiohttp.WSCloseCode.GOING_AWAY
    assert await draining
    assert len(upstream.seen) == 1


async def test_a_turn_that_outlasts_the_patience_of_draining_is_told_so(gateway, upstream, talk, complete):
    upstream.stream(BEGUN, HANG)
    await talk.ask()
    await began(talk)
    assert not await gateway.drain(0.1)
    events = await talk.answer()
    assert [event["type"] for event in events[-2:]] == ["error", "response.failed"]
    assert (events[-2]["status"], events[-2]["error"]["code"]) == (503, "service_unavailable")
    assert await talk.closed() == aiohttp.WSCloseCode.GOING_AWAY


async def test_no_connection_is_opened_while_draining(gateway, url, http):
    await gateway.drain(0)
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await http.ws_connect(url)
    assert caught.value.status == 503


async def test_a_server_that_stops_closes_its_connections(gateway, upstream, http):
    upstream.stream(BEGUN, HANG)
    gateway.config = Config(server=ServerConfig(drain_timeout_s=0.1))
    runner = aiohttp.web.AppRunner(gateway.make_app(), shutdown_timeout=2.0)
    await runner.setup()
    await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1/responses"
    idle, busy = [Talk(await http.ws_connect(url)) for _ in range(2)]
    await busy.ask()
    await began(busy)
    started = time.monotonic()
    stopping = asyncio.create_task(runner.cleanup())
    assert await idle.closed() == aiohttp.WSCloseCode.GOING_AWAY
    assert (await busy.answer())[-1]["type"] == "response.failed"
    assert await busy.closed() == aiohttp.WSCloseCode.GOING_AWAY
    await stopping
    assert time.monotonic() - started < 5
    assert not tasks()


async def test_a_server_that_stops_does_not_wait_for_a_client_that_never_closes(gateway, http, upstream):
    upstream.stream(HELLO)
    runner = aiohttp.web.AppRunner(gateway.make_app(), shutdown_timeout=0.2)
    await runner.setup()
    await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1/responses"
    socket = await http.ws_connect(url, autoclose=False)
    async with asyncio.timeout(3):
        await runner.cleanup()
    assert not tasks()
    await socket.close()


async def test_the_sdk_talks_over_a_connection(upstream, gateway, serve, sdk):
    upstream.stream(HELLO)
    upstream.answer({"error": {"message": "no", "code": "bad_thing"}}, status=400)
    client = sdk(await serve(gateway))
    async with client.responses.connect() as connection:
        await connection.response.create(model="m", input="hi", store=False)
        text = ""
        async for event in connection:
            if event.type == "response.output_text.delta":
                text += event.delta
            if event.type == "response.completed":
                first = event.response
                break
        assert text == "Hello" == first.output_text
        await connection.response.create(model="m", input="go on", previous_response_id=first.id, store=False)
        event = await connection.recv()
        assert (event.type, event.status, event.error.code) == ("error", 400, "bad_thing")
        assert event.error.headers["x-aigw-provider"] == "up"
    assert isinstance(client, openai.AsyncOpenAI)
