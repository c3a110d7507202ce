"""The loop over attempts: retries, waits, deadlines, diversions, and what targets learn from it."""

import asyncio
import time

import pytest
from support.answers import error_of
from support.scripted import COMPLETION, CUT, HANG, HELLO, ScriptedUpstream, chunk, sse

import aigw
from aigw.config import Config, HealthConfig, RetryConfig, RoutingConfig
from aigw.routing.breaker import Circuit
from aigw.upstream.target import Group, Policy

PATH = "/v1/chat/completions"
ASK = {"model": "m", "messages": []}
NO = {"error": {"message": "no", "code": "x"}}
QUICK = RetryConfig(retries=2, backoff_s=0.02, patience_s=1.0)


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
def make(upstream, second):
    """Make a gateway whose model "m" leads to the first provider, and if that fails to the second."""

    def run(*, policy=None, timeouts=None, first_token_s=None, lone=False, **routing):
        gateway = aigw.Gateway(Config(routing=RoutingConfig(**{"retry": QUICK, **routing})))
        one = aigw.Provider(upstream.url, name="one", timeouts=timeouts)
        two = aigw.Provider(second.url, name="two")
        groups = [Group((aigw.Target(one, "a", first_token_s=first_token_s),))]
        gateway.models.add_provider(two)
        if not lone:
            groups.append(Group((aigw.Target(two, "b"),)))
        gateway.models.register("m", groups=groups, policy=policy or Policy())
        return gateway

    return run


async def ask(http, url, headers=None, **fields):
    async with http.post(url + PATH, json={**ASK, **fields}, headers=headers) as response:
        return response, await response.read()


async def test_a_retry_is_made_before_the_next_group_is_asked(make, upstream, serve, http):
    upstream.answer(NO, 503)
    upstream.answer()
    response, _ = await ask(http, await serve(make()))
    assert response.status == 200
    assert response.headers["x-aigw-attempts"] == "2"
    assert response.headers["x-aigw-provider"] == "one"
    assert response.headers["x-aigw-fallback"] == "one:x"


async def test_a_retry_waits_as_long_as_the_provider_says(make, upstream, serve, http):
    upstream.answer(NO, 429, {"retry-after-ms": "300"})
    upstream.answer()
    url = await serve(make())
    began = time.monotonic()
    response, _ = await ask(http, url)
    assert response.headers["x-aigw-provider"] == "one"
    assert time.monotonic() - began >= 0.3


async def test_a_wait_that_is_not_worth_it_is_not_waited_for(make, upstream, second, serve, http):
    upstream.answer(NO, 429, {"retry-after": "30"})
    second.answer()
    gateway = make()
    url = await serve(gateway)
    for attempts in ("2", "1", "1"):  # from the second request on the first provider is left alone
        response, _ = await ask(http, url)
        assert (response.headers["x-aigw-provider"], response.headers["x-aigw-attempts"]) == ("two", attempts)
    assert len(upstream.seen) == 1


async def test_an_outage_opens_the_circuit(make, upstream, second, serve, http):
    upstream.raw(CUT)
    second.answer()
    gateway = make()
    url = await serve(gateway)
    for _ in range(10):
        response, _ = await ask(http, url)
        assert response.headers["x-aigw-provider"] == "two"
    assert len(upstream.seen) == 5
    assert gateway.router.board.states["one/a"].breaker.circuit is Circuit.OPEN
    assert gateway.router.board.states["one/a"].in_flight == 0


async def test_a_lone_target_is_asked_though_its_circuit_is_open(make, upstream, serve, http):
    upstream.answer(NO, 500)
    gateway = make(lone=True)
    url = await serve(gateway)
    for _ in range(6):
        await ask(http, url)
    upstream.scripts.clear()
    upstream.answer()
    assert gateway.router.board.states["one/a"].breaker.circuit is Circuit.OPEN
    response, _ = await ask(http, url)
    assert response.status == 200
    assert gateway.router.board.states["one/a"].breaker.circuit is Circuit.CLOSED


async def test_a_stream_that_breaks_amid_counts_against_its_target(make, upstream, serve, http, eventually):
    upstream.stream(sse(chunk("Hel"), done=False), 0.1, CUT)
    gateway = make()
    await ask(http, await serve(gateway), stream=True)
    await eventually(lambda: gateway.router.board.states["one/a"].breaker.consecutive == 1)


async def test_a_client_that_leaves_counts_against_nobody(make, upstream, serve, http, eventually):
    upstream.raw(HANG)
    gateway = make()
    task = asyncio.create_task(ask(http, await serve(gateway)))
    await eventually(lambda: upstream.open)
    task.cancel()
    await eventually(lambda: not gateway.in_flight)
    state = gateway.router.board.states["one/a"]
    assert (state.in_flight, state.breaker.consecutive) == (0, 0)


@pytest.mark.parametrize("where", ["configuration", "header"])
async def test_one_deadline_holds_over_all_attempts(make, upstream, second, serve, http, where):
    upstream.raw(HANG)
    second.raw(HANG)
    timeouts = aigw.Timeouts(connect_s=0.1, first_byte_s=0.1)
    gateway = make(timeouts=timeouts, deadline_s=0.6 if where == "configuration" else None)
    headers = {"x-aigw-timeout": "0.6"} if where == "header" else {}
    url = await serve(gateway)
    began = time.monotonic()
    async with http.post(url + PATH, json=ASK, headers=headers) as response:
        error = await error_of(response, 504, "upstream_timeout")
        assert response.headers["x-aigw-attempts"] == "2"
    assert time.monotonic() - began < 2.0
    assert "2 targets were tried" in error["message"]
    # The second target had no chance to be late, so nothing is held against it.
    states = gateway.router.board.states
    assert (states["one/a"].breaker.consecutive, states["two/b"].breaker.consecutive) == (1, 0)


async def test_a_header_cannot_lift_the_configured_deadline(make, upstream, serve, http):
    upstream.raw(HANG)
    gateway = make(deadline_s=0.3, lone=True)
    async with http.post(await serve(gateway) + PATH, json=ASK, headers={"x-aigw-timeout": "60"}) as response:
        error = await error_of(response, 504, "upstream_timeout")
    assert "0.3 s" in error["message"]


async def test_a_stream_that_has_begun_may_outlive_the_deadline(make, upstream, serve, http):
    upstream.stream(HELLO[:200], 0.9, HELLO[200:])
    response, body = await ask(http, await serve(make(deadline_s=0.4)), stream=True)
    assert body == HELLO
    assert response.headers["x-aigw-attempts"] == "1"


@pytest.mark.parametrize("value", ["soon", "0", "-1", "nan", "1e9", ""])
async def test_a_deadline_that_is_no_number_is_refused(make, serve, http, value):
    async with http.post(await serve(make()) + PATH, json=ASK, headers={"x-aigw-timeout": value}) as response:
        await error_of(response, 400, None, "x-aigw-timeout")


@pytest.mark.parametrize("where", ["target", "provider"])
@pytest.mark.parametrize("silence", ["before its head", "after its head", "after its role"])
async def test_a_stream_that_says_nothing_in_time_moves_on(
    make, upstream, second, serve, http, where, silence
):
    role = sse({**chunk(), "choices": [{"index": 0, "delta": {"role": "assistant"}}]}, done=False)
    steps = {
        "before its head": (HANG,),
        "after its head": (b": hi\n\n", HANG),
        "after its role": (role, HANG),
    }
    upstream.stream(*steps[silence])
    second.stream(HELLO)
    timeouts = aigw.Timeouts(first_token_s=0.5 if where == "provider" else None)
    gateway = make(timeouts=timeouts, first_token_s=0.5 if where == "target" else None)
    response, body = await ask(http, await serve(gateway), stream=True)
    assert body == HELLO
    assert response.headers["x-aigw-fallback"] == "one:upstream_timeout"
    assert len(upstream.seen) == 1


@pytest.mark.parametrize(
    ("code", "policy"),
    [
        ("context_length_exceeded", Policy(on_context_length=("two/long",))),
        ("content_filter", Policy(on_content_filter=("two/long",))),
    ],
)
async def test_some_refusals_have_fallbacks_of_their_own(make, upstream, second, serve, http, code, policy):
    upstream.answer({"error": {"message": "too much", "code": code}}, 400)
    second.answer()
    gateway = make(policy=policy)
    response, body = await ask(http, await serve(gateway))
    assert response.status == 200, body
    assert response.headers["x-aigw-model"] == "long"
    assert response.headers["x-aigw-fallback"] == f"one:{code}"
    assert gateway.router.board.states["one/a"].plain


async def test_a_refusal_without_fallbacks_of_its_own_is_told(make, upstream, second, serve, http):
    upstream.answer({"error": {"message": "too much", "code": "context_length_exceeded"}}, 400)
    second.answer()
    async with http.post(await serve(make()) + PATH, json=ASK) as response:
        assert response.status == 400
        assert (await response.json())["error"]["code"] == "context_length_exceeded"
    assert not second.seen


async def test_the_refusal_is_told_where_its_fallbacks_refuse_too(make, upstream, second, serve, http):
    for each in (upstream, second):
        each.answer({"error": {"message": "too much", "code": "context_length_exceeded"}}, 400)
    policy = Policy(on_context_length=("two/long", "one/a"))
    async with http.post(await serve(make(policy=policy)) + PATH, json=ASK) as response:
        assert (await response.json())["error"]["code"] == "context_length_exceeded"
    assert (len(upstream.seen), len(second.seen)) == (1, 1)


async def test_a_target_learns_how_soon_it_begins(make, upstream, serve, http, eventually):
    upstream.stream(0.05, HELLO)
    upstream.answer()
    gateway = make()
    url = await serve(gateway)
    await ask(http, url, stream=True)
    state = gateway.router.board.states["one/a"]
    await eventually(lambda: state.streams.average_s is not None)
    assert state.streams.average_s >= 0.05
    assert state.wholes.average_s is None
    await ask(http, url)
    await eventually(lambda: state.wholes.average_s is not None)


async def test_a_gateway_that_stops_does_not_wait_for_a_retry(make, upstream, serve, http, eventually):
    upstream.answer(NO, 429, {"retry-after": "30"})
    gateway = make(lone=True, retry=RetryConfig(retries=1, patience_s=60.0))
    url = await serve(gateway)
    task = asyncio.create_task(ask(http, url))
    await eventually(lambda: upstream.seen and not upstream.open)
    await asyncio.sleep(0.05)
    gateway.hurry()
    await gateway.drain(0.1)
    response, _ = await task
    assert response.status == 503
    assert len(upstream.seen) == 1


async def test_whole_answers_come_as_they_are(make, upstream, serve, http):
    upstream.answer()
    async with http.post(await serve(make()) + PATH, json=ASK) as response:
        assert await response.json() == COMPLETION
        assert "x-aigw-fallback" not in response.headers


async def test_a_target_on_trial_is_back_as_soon_as_its_stream_speaks(make, upstream, serve, http):
    health = HealthConfig(consecutive_failures=1, open_s=0.05, slow_start_s=0.0)
    gateway = make(lone=True, health=health, retry=RetryConfig(retries=0))
    url = await serve(gateway)
    upstream.answer(NO, 503)
    await ask(http, url)
    state = gateway.router.board.state(gateway.models.resolve("m").targets[0])
    assert state.breaker.circuit is Circuit.OPEN
    await asyncio.sleep(0.06)
    upstream.scripts.clear()
    upstream.stream(sse(chunk("Hel"), done=False), HANG)
    async with http.post(url + PATH, json={**ASK, "stream": True}) as response:
        assert response.status == 200
        await response.content.readany()
        assert state.breaker.circuit is Circuit.CLOSED
        assert state.in_flight == 1
        upstream.scripts.clear()
        upstream.answer()
        other, _ = await ask(http, url)
        assert other.status == 200


async def test_a_stream_that_breaks_later_counts_against_its_target(make, upstream, serve, http, eventually):
    health = HealthConfig(consecutive_failures=2, min_requests=1000)
    gateway = make(lone=True, health=health, retry=RetryConfig(retries=0))
    url = await serve(gateway)
    upstream.stream(sse(chunk("Hel"), done=False), CUT)
    await ask(http, url, stream=True)
    state = gateway.router.board.state(gateway.models.resolve("m").targets[0])
    await eventually(lambda: state.breaker.consecutive == 1)
