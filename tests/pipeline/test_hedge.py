"""The second attempt beside a silent first: who wins, what is told, and that nothing stays open."""

import asyncio

import pytest
from support.answers import error_of
from support.scripted import COMPLETION, HANG, HELLO, ScriptedUpstream, chunk, sse

import aigw
from aigw.config import Config, HedgeConfig, RetryConfig, RoutingConfig
from aigw.upstream.target import Group, Policy

PATH = "/v1/chat/completions"
ASK = {"model": "m", "messages": []}
NO = {"error": {"message": "no", "code": "x"}}
SOON = HedgeConfig(after_s=0.1)


class Keep:
    name = "keep"

    def __init__(self):
        self.records = []
        self.settled = 0

    async def admit(self, exchange):
        return self

    def settle(self, record):
        self.settled += 1

    def on_complete(self, record):
        self.records.append(record)


@pytest.fixture
async def second(aiohttp_server):
    """Another provider over real HTTP."""
    from aiohttp import web

    scripted = ScriptedUpstream()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", scripted.handle)
    scripted.url = str((await aiohttp_server(app)).make_url("/")).rstrip("/")
    return scripted


@pytest.fixture
def keep():
    return Keep()


@pytest.fixture
def make(upstream, second, keep):
    """Make a gateway whose model "m" leads to the first provider, then to the second."""

    def run(hedge=SOON, timeouts=None, retry=None, **routing):
        retry = retry or RetryConfig(retries=0)
        gateway = aigw.Gateway(Config(routing=RoutingConfig(retry=retry, **routing)))
        one = aigw.Target(aigw.Provider(upstream.url, name="one", timeouts=timeouts), "a")
        two = aigw.Target(aigw.Provider(second.url, name="two"), "b")
        groups = [Group((one, two), "priority")]
        gateway.models.register("m", groups=groups, policy=Policy(hedge=hedge))
        gateway.hooks.register(keep)
        return gateway

    return run


async def ask(http, url, **fields):
    async with http.post(url + PATH, json={**ASK, **fields}) as response:
        return response, await response.read()


async def is_tidy(gateway, keep, eventually, *upstreams):
    """Wait until all has ended, once."""
    await eventually(lambda: keep.records and not gateway.in_flight)
    await eventually(lambda: not any(each.open for each in upstreams))
    assert (len(keep.records), keep.settled) == (1, 1)
    assert [state.in_flight for state in gateway.router.board.states.values()] == [0, 0]
    return keep.records[0]


@pytest.mark.parametrize("stream", [False, True])
async def test_the_second_answers_where_the_first_is_silent(
    make, upstream, second, serve, http, keep, eventually, stream
):
    upstream.raw(HANG)
    second.stream(HELLO) if stream else second.answer()
    gateway = make()
    response, body = await ask(http, await serve(gateway), stream=stream)
    assert body == HELLO if stream else b"Hello" in body
    assert response.headers["x-aigw-provider"] == "two"
    assert response.headers["x-aigw-attempts"] == "2"
    assert response.headers["x-aigw-fallback"] == "one:hedge_lost"
    record = await is_tidy(gateway, keep, eventually, upstream, second)
    assert [(each.provider, each.error) for each in record.attempts] == [("one", "hedge_lost"), ("two", None)]
    assert (record.provider, record.ending) == ("two", "complete")
    assert gateway.router.board.states["one/a"].plain


@pytest.mark.parametrize("stream", [False, True])
async def test_the_first_may_still_win(make, upstream, second, serve, http, keep, eventually, stream):
    if stream:
        upstream.stream(0.4, HELLO)
    else:
        upstream.raw(b"{", 0.4, b'"choices": []}')
    second.raw(HANG)
    gateway = make()
    response, body = await ask(http, await serve(gateway), stream=stream)
    assert response.headers["x-aigw-provider"] == "one"
    assert response.headers["x-aigw-attempts"] == "2"
    assert body == (HELLO if stream else b'{"choices": []}')
    record = await is_tidy(gateway, keep, eventually, upstream, second)
    assert [each.provider for each in record.attempts] == ["two", "one"]
    assert len(second.seen) == 1


async def test_a_first_that_answers_in_time_has_no_second(make, upstream, second, serve, http):
    upstream.answer()
    response, _ = await ask(http, await serve(make(HedgeConfig(after_s=5.0))))
    assert response.headers["x-aigw-attempts"] == "1"
    assert "x-aigw-fallback" not in response.headers
    assert not second.seen


async def test_a_role_is_no_content(make, upstream, second, serve, http):
    role = sse({**chunk(), "choices": [{"index": 0, "delta": {"role": "assistant"}}]}, done=False)
    upstream.stream(role, HANG)
    second.stream(HELLO)
    _, body = await ask(http, await serve(make()), stream=True)
    assert body == HELLO


async def test_a_first_that_fails_before_is_followed_as_ever(make, upstream, second, serve, http):
    upstream.answer(NO, 500)
    second.answer()
    response, _ = await ask(http, await serve(make(HedgeConfig(after_s=5.0))))
    assert response.headers["x-aigw-provider"] == "two"
    assert response.headers["x-aigw-fallback"] == "one:x"


async def test_where_the_second_fails_the_first_is_waited_for(make, upstream, second, serve, http):
    upstream.stream(0.4, HELLO)
    second.answer(NO, 500)
    response, body = await ask(http, await serve(make()), stream=True)
    assert body == HELLO
    assert response.headers["x-aigw-fallback"] == "two:x"


async def test_where_both_fail_the_error_says_so(make, upstream, second, serve, http, keep, eventually):
    upstream.raw(HANG)
    second.answer(NO, 429, {"retry-after": "9"})
    gateway = make(timeouts=aigw.Timeouts(connect_s=0.2, first_byte_s=0.2))
    async with http.post(await serve(gateway) + PATH, json=ASK) as response:
        error = await error_of(response, 429)
        assert response.headers["x-aigw-provider"] == "two"
    assert "one/a upstream_timeout, two/b HTTP 429" in error["message"]
    record = await is_tidy(gateway, keep, eventually, upstream, second)
    assert record.ending == "refused"


async def test_a_client_that_leaves_cancels_both(make, upstream, second, serve, http, keep, eventually):
    upstream.raw(HANG)
    second.raw(HANG)
    gateway = make()
    task = asyncio.create_task(ask(http, await serve(gateway)))
    await eventually(lambda: upstream.open and second.open)
    task.cancel()
    record = await is_tidy(gateway, keep, eventually, upstream, second)
    assert record.ending == "hung_up"


async def test_the_deadline_holds_for_both(make, upstream, second, serve, http, keep, eventually):
    upstream.raw(HANG)
    second.raw(HANG)
    gateway = make(deadline_s=0.4)
    async with http.post(await serve(gateway) + PATH, json=ASK) as response:
        await error_of(response, 504, "upstream_timeout")
    await is_tidy(gateway, keep, eventually, upstream, second)


async def test_hedges_are_paid_for(make, upstream, second, serve, http):
    upstream.stream(0.3, HELLO)
    second.stream(HELLO)
    nothing = RetryConfig(retries=0, budget_burst=0.0, budget_ratio=0.0, budget_floor_per_s=0.0)
    response, _ = await ask(http, await serve(make(retry=nothing)), stream=True)
    assert response.headers["x-aigw-provider"] == "one"
    assert not second.seen


async def test_the_delay_comes_from_what_was_observed(make, upstream, second, serve, http):
    gateway = make(HedgeConfig(quantile=0.5, min_samples=3))
    upstream.answer()
    url = await serve(gateway)
    await ask(http, url)  # too little is known yet: no second attempt, however long it takes
    state = gateway.router.board.states["one/a"]
    for _ in range(3):
        state.wholes.observe(gateway.router.clock(), 0.05)
    upstream.scripts.clear()
    upstream.raw(HANG)
    second.answer()
    async with http.post(url + PATH, json=ASK) as response:
        assert await response.json() == COMPLETION
        assert response.headers["x-aigw-provider"] == "two"
    assert state.wholes.samples[-1] >= 0.05
