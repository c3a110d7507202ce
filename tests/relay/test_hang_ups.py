"""The client goes away: the provider's call is given up at once, and the end is told exactly once."""

import asyncio
import contextlib
import json

import pytest
from support.scripted import HANG, HELLO, chunk, sse
from yarl import URL

import aigw

HEL = sse(chunk("Hel"), done=False)
SOON_S = 1.0


class Caller:
    """A client that can be rude: it writes what it likes and hangs up when it likes."""

    def __init__(self, url, path="/v1/chat/completions"):
        self.url = URL(url)
        self.path = self.url.path.rstrip("/") + path

    async def dial(self):
        self.reader, self.writer = await asyncio.open_connection(self.url.host, self.url.port)

    def say(self, length=None, **fields):
        body = json.dumps({"model": "m", "messages": [], **fields}).encode()
        head = f"POST {self.path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        self.writer.write(f"{head}Content-Length: {length or len(body)}\r\n\r\n".encode() + body)

    async def hear(self, what):
        async with asyncio.timeout(2):
            await self.reader.readuntil(what)

    async def hang_up(self, how="close"):
        if how == "abort":
            self.writer.transport.abort()
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


@pytest.fixture
async def call(serve):
    callers = []

    async def dial(gateway, **options):
        caller = Caller(await serve(gateway), **options)
        callers.append(caller)
        await caller.dial()
        return caller

    yield dial
    for caller in callers:
        await caller.hang_up()


async def _given_up(upstream, gateway, complete, eventually):
    await eventually(lambda: not upstream.open and not gateway.in_flight and complete, SOON_S)
    await asyncio.sleep(0.05)
    assert [record.ending for record in complete] == ["hung_up"]


@pytest.mark.parametrize("how", ["close", "abort"])
@pytest.mark.parametrize("stream", [True, False])
async def test_hanging_up_before_the_first_byte(gateway, upstream, call, complete, eventually, how, stream):
    upstream.stream(HANG)
    caller = await call(gateway)
    caller.say(stream=stream)
    await eventually(lambda: upstream.open)
    await caller.hang_up(how)
    await _given_up(upstream, gateway, complete, eventually)
    assert complete[0].status == 499
    assert upstream.dropped == 1


async def test_hanging_up_while_the_provider_has_said_nothing_but_its_head(
    gateway, upstream, call, complete, eventually
):
    upstream.stream(b": hello\n\n", HANG)
    caller = await call(gateway)
    caller.say(stream=True)
    await eventually(lambda: upstream.open)
    await asyncio.sleep(0.05)
    await caller.hang_up()
    await _given_up(upstream, gateway, complete, eventually)


@pytest.mark.parametrize("how", ["close", "abort"])
async def test_hanging_up_while_the_provider_is_silent_in_its_stream(
    gateway, upstream, call, complete, eventually, how
):
    upstream.stream(HEL, HANG)
    caller = await call(gateway)
    caller.say(stream=True)
    await caller.hear(b"Hel")
    await caller.hang_up(how)
    await _given_up(upstream, gateway, complete, eventually)
    assert complete[0].status == 200


async def test_hanging_up_between_chunks(gateway, upstream, call, complete, eventually):
    upstream.stream(*[HEL, 0.01] * 500)
    caller = await call(gateway)
    caller.say(stream=True)
    await caller.hear(b"Hel")
    await caller.hang_up()
    await _given_up(upstream, gateway, complete, eventually)


async def test_hanging_up_during_a_whole_answer(gateway, upstream, call, complete, eventually):
    upstream.raw(b'{"id":', HANG)
    caller = await call(gateway)
    caller.say()
    await eventually(lambda: upstream.open)
    await asyncio.sleep(0.05)
    await caller.hang_up()
    await _given_up(upstream, gateway, complete, eventually)


async def test_hanging_up_during_the_upload(gateway, upstream, call, complete, eventually):
    upstream.answer()
    caller = await call(gateway)
    caller.say(length=10_000)
    await eventually(lambda: gateway.in_flight)
    await caller.hang_up()
    await eventually(lambda: not gateway.in_flight, SOON_S)
    assert [record.ending for record in complete] == ["hung_up"]
    assert not upstream.seen


async def test_hanging_up_while_the_gateway_waits_for_the_client_to_read(gateway, call, complete, eventually):
    closed = []

    class Fast(aigw.BaseProvider):
        async def call(self, call):
            return aigw.Answer.stream(self.talk())

        async def talk(self):
            try:
                while True:
                    yield sse(chunk("x" * 65536), done=False)
            finally:
                closed.append(True)

    gateway.models.register("n", Fast("fast"))
    caller = await call(gateway)
    caller.say(model="n", stream=True)
    await eventually(lambda: gateway.in_flight)
    await asyncio.sleep(0.2)
    await caller.hang_up("abort")
    await eventually(lambda: closed and complete, SOON_S)
    assert [record.ending for record in complete] == ["hung_up"]


async def test_a_client_that_leaves_behind_the_last_event_has_had_a_whole_answer(
    gateway, upstream, call, complete, eventually
):
    upstream.stream(HELLO, 0.5)
    caller = await call(gateway)
    caller.say(stream=True)
    await caller.hear(b"[DONE]")
    await caller.hang_up()
    await eventually(lambda: complete and not gateway.in_flight, SOON_S)
    assert [record.ending for record in complete] == ["complete"]


async def test_no_other_target_is_tried_for_a_client_that_is_gone(
    gateway, upstream, call, complete, eventually
):
    first = gateway.models.providers["up"]
    second = aigw.Provider(upstream.url, name="second")
    gateway.models.register("two", targets=[aigw.Target(first, "a"), aigw.Target(second, "b", 0.0)])
    upstream.stream(HANG)
    caller = await call(gateway)
    caller.say(model="two", stream=True)
    await eventually(lambda: upstream.open)
    await caller.hang_up()
    await _given_up(upstream, gateway, complete, eventually)
    assert len(upstream.seen) == 1
