"""Copies to a second target: what they tell, and that the client never notices them."""

import asyncio
import logging

import pytest
from support.scripted import COMPLETION, CUT, HANG, HELLO, USAGE_CHUNK, ScriptedUpstream, sse

import aigw
from aigw.config import ShadowConfig
from aigw.upstream.target import Policy

PATH = "/v1/chat/completions"
ASK = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture
async def second(aiohttp_server):
    """The provider behind the shadow."""
    from aiohttp import web

    scripted = ScriptedUpstream()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", scripted.handle)
    scripted.url = str((await aiohttp_server(app)).make_url("/")).rstrip("/")
    return scripted


@pytest.fixture
def made(upstream, second):
    """A gateway whose model has a shadow, and the comparisons it makes."""

    def run(**options):
        gateway, told = aigw.Gateway(), []
        gateway.models.add_provider(aigw.Provider(second.url, name="two"))
        policy = Policy(shadow=ShadowConfig("two/b", **options))
        gateway.models.register("m", aigw.Provider(upstream.url, name="one"), rewrite="a", policy=policy)
        gateway.shadows.listeners.append(told.append)
        return gateway, told

    return run


async def ask(http, url, **fields):
    async with http.post(url + PATH, json={**ASK, **fields}) as response:
        return response, await response.read()


async def test_both_sides_are_compared(made, upstream, second, serve, http, eventually, caplog):
    gateway, told = made()
    upstream.answer()
    second.answer({**COMPLETION, "usage": {"prompt_tokens": 7, "completion_tokens": 9}})
    with caplog.at_level(logging.INFO, "aigw.shadow"):
        response, _ = await ask(http, await serve(gateway))
        await eventually(lambda: told)
    assert response.headers["x-aigw-attempts"] == "1"
    assert second.seen[0].json == {**ASK, "model": "b"}
    (compared,) = told
    assert (compared.model, compared.served.target, compared.shadow.target) == ("m", "one/a", "two/b")
    assert (compared.served.status, compared.shadow.status, compared.shadow.error) == (200, 200, None)
    assert (compared.served.usage.input_tokens, compared.shadow.usage.output_tokens) == (3, 9)
    assert compared.shadow.size_bytes > 0 < compared.shadow.duration_s
    assert "two/b 200 in" in caplog.text


async def test_streams_are_compared_as_well(made, upstream, second, serve, http, eventually):
    gateway, told = made()
    upstream.stream(HELLO)
    second.stream(HELLO[: HELLO.index(b"data: [DONE]")] + sse(USAGE_CHUNK))
    _, body = await ask(http, await serve(gateway), stream=True)
    assert body == HELLO
    await eventually(lambda: told)
    assert told[0].shadow.usage.output_tokens == 2


@pytest.mark.parametrize("failure", ["500", "cut", "nonsense"])
async def test_a_shadow_that_fails_harms_nobody(made, upstream, second, serve, http, eventually, failure):
    gateway, told = made()
    upstream.answer()
    if failure == "500":
        second.answer({"error": {"message": "no"}}, 500)
    else:
        second.raw(CUT if failure == "cut" else b"<html>")
    _, body = await ask(http, await serve(gateway))
    assert b"Hello" in body
    await eventually(lambda: told)
    assert bool(told[0].shadow.error) == (failure != "nonsense")
    assert gateway.router.board.states["one/a"].plain


async def test_the_client_does_not_wait_and_copies_are_bounded(
    made, upstream, second, serve, http, eventually
):
    gateway, told = made(max_in_flight=2)
    upstream.answer()
    second.raw(HANG)
    url = await serve(gateway)
    for _ in range(5):
        response, _ = await ask(http, url)
        assert response.status == 200
    await eventually(lambda: second.open == 2)
    assert len(second.seen) == 2
    assert told == []


async def test_nothing_is_left_when_the_gateway_closes(made, upstream, second, http, eventually):
    from aiohttp import web

    gateway, _ = made()
    upstream.answer()
    second.raw(HANG)
    runner = web.AppRunner(gateway.make_app())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    await ask(http, f"http://127.0.0.1:{runner.addresses[0][1]}")
    await eventually(lambda: second.open)
    await runner.cleanup()
    assert not [task for task in asyncio.all_tasks() if "Copy.run" in repr(task)]


async def test_no_share_means_no_copy(made, upstream, second, serve, http):
    gateway, _ = made(percent=0.0)
    upstream.answer()
    await ask(http, await serve(gateway))
    assert not second.seen


async def test_a_listener_that_fails_harms_nobody(made, upstream, second, serve, http, eventually):
    gateway, told = made()
    gateway.shadows.listeners.insert(0, lambda compared: 1 / 0)
    upstream.answer()
    second.answer()
    response, _ = await ask(http, await serve(gateway))
    assert response.status == 200
    await eventually(lambda: told)
