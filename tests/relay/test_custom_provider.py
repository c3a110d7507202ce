"""A provider that is not HTTP at all: twenty lines, and every law still holds."""

import asyncio
import json

import aiohttp
import pytest
from support.scripted import COMPLETION, chunk, sse

import aigw


class Parrot(aigw.BaseProvider):
    """Says what it is told to, in the manner of the last message."""

    def __init__(self):
        super().__init__("parrot", apis=["chat"])
        self.closed = 0

    async def call(self, call):
        manner = call.json()["messages"][-1]["content"]
        if manner == "raise":
            raise ZeroDivisionError("sk-secret")
        if manner == "hang":
            await asyncio.Event().wait()
        if not call.stream:
            return aigw.Answer.json(COMPLETION)
        return aigw.Answer.stream(self.talk(manner))

    async def talk(self, manner):
        try:
            yield sse(chunk("Hel"), done=False)
            if manner == "break":
                raise ZeroDivisionError("sk-secret")
            if manner == "pause":
                await asyncio.Event().wait()
            yield b""
            yield sse(chunk("lo"), chunk(finish="stop"))
        finally:
            self.closed += 1


@pytest.fixture
async def say(gateway, serve, complete):
    parrot = Parrot()
    gateway.models.add_provider(parrot)
    url = await serve(gateway) + "/v1/chat/completions"
    async with aiohttp.ClientSession() as session:

        async def ask(manner, *, stream=True):
            body = {"model": "parrot/x", "messages": [{"role": "user", "content": manner}], "stream": stream}
            async with session.post(url, json=body) as response:
                return response.status, await response.read()

        ask.parrot = parrot
        yield ask


async def test_it_answers_whole(say, complete):
    status, body = await say("hi", stream=False)
    assert (status, json.loads(body)) == (200, COMPLETION)
    assert complete[0].usage.output_tokens == 2


async def test_it_streams(say, complete):
    status, body = await say("hi")
    assert (status, body) == (200, sse(chunk("Hel"), chunk("lo"), chunk(finish="stop")))
    assert say.parrot.closed == 1
    assert [record.ending for record in complete] == ["complete"]


@pytest.mark.parametrize("stream", [True, False])
async def test_one_that_raises_is_a_bad_gateway_and_its_words_stay_inside(say, complete, stream):
    status, body = await say("raise", stream=stream)
    assert status == 502
    assert b"sk-secret" not in body
    assert b"parrot" in body
    assert [record.ending for record in complete] == ["refused"]


async def test_one_that_breaks_in_mid_stream_ends_with_an_error_event(say, complete, caplog):
    status, body = await say("break")
    assert status == 200
    assert b"sk-secret" not in body
    assert (
        json.loads(body.split(b"\n\n")[-2].removeprefix(b"data: "))["error"]["code"] == "upstream_truncated"
    )
    assert complete[0].ending == "failed"
    assert "ZeroDivisionError" in caplog.text
    assert say.parrot.closed == 1


@pytest.mark.parametrize("manner", ["hang", "pause"])
async def test_it_is_closed_when_the_client_hangs_up(say, gateway, complete, eventually, manner):
    asked = asyncio.create_task(say(manner))
    await eventually(lambda: gateway.in_flight)
    await asyncio.sleep(0.05)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    await eventually(lambda: complete and not gateway.in_flight, 1.0)
    assert [record.ending for record in complete] == ["hung_up"]
    assert say.parrot.closed == (manner == "pause")


async def test_what_it_does_not_speak_is_a_404(gateway, serve):
    gateway.models.add_provider(Parrot())
    async with aiohttp.ClientSession() as session:
        body = {"model": "parrot/x", "input": "hi"}
        async with session.post(await serve(gateway) + "/v1/embeddings", json=body) as response:
            assert response.status == 404
            assert "parrot" in (await response.json())["error"]["message"]


async def test_a_plain_iterator_can_be_an_answer_too():
    class Letters:
        def __init__(self):
            self.left = [b"a", b"", b"b"]

        def __aiter__(self):
            return self

        async def __anext__(self):
            if not self.left:
                raise StopAsyncIteration
            return self.left.pop(0)

    answer = aigw.Answer.stream(Letters(), "text/plain")
    assert await answer.read() == b"ab"
    assert await answer.chunk() == b""
    await answer.close()


async def test_reading_stops_behind_the_limit():
    async def talk():
        while True:
            yield b"x" * 10

    answer = aigw.Answer.stream(talk())
    assert len(await answer.read(limit=25)) == 30
    await answer.close()
    assert await answer.chunk() == b""


@pytest.mark.parametrize("failure", [ConnectionResetError, ZeroDivisionError, OSError])
@pytest.mark.parametrize("after", [0, 1])
async def test_an_answer_that_raises_is_never_taken_for_a_client_that_left(
    say, gateway, complete, monkeypatch, failure, after
):
    class Own(aigw.Answer):
        status = 200
        headers = {"Content-Type": "text/event-stream"}  # noqa: RUF012
        reads = 0

        async def chunk(self):
            self.reads += 1
            if self.reads > after:
                raise failure
            return sse(chunk("Hel"), done=False)

    async def call(call):
        return Own()

    monkeypatch.setattr(say.parrot, "call", call)
    status, body = await say("hi")
    assert status == (200 if after else 502)
    assert b'"upstream_truncated"' in body
    assert [record.ending for record in complete] == ["failed" if after else "refused"]
