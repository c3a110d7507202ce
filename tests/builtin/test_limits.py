"""Limits hold for gateways together: by what they tell one another, in memory and in a file."""

import asyncio

import pytest
from support.scripted import HANG
from support.seats import Clock, Silent, make_router

import aigw
from aigw.assemble import assemble, to_config
from aigw.builtin.limits import DEAD_S, REPEAT_S, LimitSharing, name_of
from aigw.routing.limiter import Used
from aigw.stores.base import StoreError
from aigw.stores.limits import HOLDS_S, LimitNote, MemoryLimitStore
from aigw.stores.sqlite import SqliteStore
from aigw.stores.sqlite_limits import SqliteLimitStore
from aigw.upstream.target import Limits

LIMITS = Limits(max_in_flight=4, requests_per_minute=100)
NAME = "of-a/a 4/100/-"


@pytest.fixture(params=["memory", "sqlite"])
async def wall_and_store(request, tmp_path):
    wall = Clock()
    if request.param == "memory":
        yield wall, MemoryLimitStore(wall)
        return
    kept = SqliteStore(tmp_path / "state.db", clock=wall)
    await kept.open()
    yield wall, SqliteLimitStore(kept)
    await kept.close()


def note(source, told_at, limits="a/x 1/-/-", **used):
    return LimitNote(**{"in_flight": 1, "requests": 2, "tokens": 3} | used, limits=limits, told_at=told_at,
                     source=source)  # fmt: skip


# What every store does.


async def test_the_latest_note_of_each_other_gateway_is_heard(wall_and_store):
    wall, store = wall_and_store
    await store.open()
    await store.tell([note("one", wall.now), note("one", wall.now, "b/x -/1/-")])
    await store.tell([note("one", wall.now + 0.5, in_flight=7), note("two", wall.now)])
    heard = await store.hear("two")
    assert sorted(heard, key=lambda each: each.limits) == [
        note("one", wall.now + 0.5, in_flight=7),
        note("one", wall.now, "b/x -/1/-"),
    ]
    assert await store.hear("one") == [note("two", wall.now)]
    await store.close()


async def test_a_note_is_forgotten_after_its_minute(wall_and_store):
    wall, store = wall_and_store
    await store.tell([note("one", wall.now)])
    wall.now += HOLDS_S
    assert await store.hear("two") == []
    await store.tell([note("three", wall.now)])
    wall.now -= HOLDS_S
    assert [each.source for each in await store.hear("two")] == ["three"]


# What gateways make of it.


class Pair:
    """Two gateways with one limited target each, the same, and what they have heard."""

    def __init__(self, wall, store):
        self.wall, self.clock = wall, Clock()
        routers = [make_router(self.clock) for _ in range(2)]
        target = aigw.Target(Silent("of-a"), "a", limits=LIMITS)
        self.limiters = [router.board.limiter(target) for router in routers]
        self.sharings = [LimitSharing(router.board, store, self.clock, wall) for router in routers]

    def take(self, which, count=100):
        """Begin calls at one of them, at most so many; return how many it let in."""
        limiter, before = self.limiters[which], self.limiters[which].in_flight
        while limiter.full(self.clock.now) is None and limiter.in_flight < before + count:
            limiter.begin(self.clock.now)
        return limiter.in_flight - before

    async def exchange(self, *which):
        for each in which or (0, 1):
            await self.sharings[each].once()

    def passes(self, seconds):
        self.wall.now += seconds
        self.clock.now += seconds


@pytest.fixture
async def pair(wall_and_store):
    made = Pair(*wall_and_store)
    await made.exchange()
    await made.exchange()
    return made


async def test_two_gateways_together_let_in_no_more_than_the_limit(pair):
    assert pair.limiters[0].limits == LIMITS
    taken = pair.take(0) + pair.take(1)
    await pair.exchange()
    await pair.exchange()
    assert taken + pair.take(0) + pair.take(1) == 4


async def test_one_that_is_busy_gets_in_steps_what_the_other_does_not_use(pair):
    taken = []
    for _ in range(3):
        taken.append(pair.take(0))
        await pair.exchange()
    assert taken == [2, 1, 1]
    assert pair.take(1) == 0


async def test_what_one_has_ended_the_other_may_begin(pair):
    for _ in range(3):
        pair.take(0)
        await pair.exchange()
    for _ in range(4):
        pair.limiters[0].end(pair.clock.now, 0)
    await pair.exchange()
    assert pair.take(1) == 2


async def test_calls_under_way_at_a_gateway_that_died_are_forgotten_and_its_requests_a_minute_later(pair):
    pair.take(0)
    await pair.exchange()
    for _ in range(int(DEAD_S) + 1):
        pair.passes(1.0)
        await pair.exchange(1)
    assert pair.limiters[1].others == Used(requests=2)
    assert pair.take(1) == 4
    pair.passes(HOLDS_S)
    await pair.exchange(1)
    assert pair.limiters[1].others == Used()


async def test_one_that_is_idle_is_alive(pair):
    pair.take(0, 1)
    for _ in range(int(DEAD_S / REPEAT_S) + 2):
        pair.passes(REPEAT_S)
        await pair.exchange()
    assert pair.limiters[1].others == Used(in_flight=1, requests=1)


async def test_nothing_is_told_where_nothing_is_new(pair):
    await pair.exchange()
    told = []
    pair.sharings[0].store.tell = told.append
    await pair.exchange(0)
    assert told == []


class Down(MemoryLimitStore):
    """Stops to answer when it is told to."""

    is_down = False

    async def hear(self, source):
        if self.is_down:
            raise StoreError("the disk is gone")
        return await super().hear(source)


async def test_while_the_store_is_down_what_was_heard_last_counts_until_it_is_too_old(
    monkeypatch, caplog, eventually
):
    monkeypatch.setattr("aigw.builtin.limits.EXCHANGE_S", 0.001)
    wall = Clock()
    store = Down(wall)
    pair = Pair(wall, store)
    await pair.exchange()
    pair.take(0)
    await pair.exchange()
    store.is_down = True
    task = asyncio.create_task(pair.sharings[1].again_and_again())
    await eventually(lambda: "limits hold for each gateway alone now: the disk is gone" in caplog.text)
    assert pair.limiters[1].others.in_flight > 0
    pair.passes(HOLDS_S)
    await eventually(lambda: pair.limiters[1].others == Used())
    assert pair.take(1) == 4
    store.is_down = False
    store._notes.clear()
    await asyncio.sleep(0.02)
    task.cancel()
    assert caplog.text.count("the disk is gone") == 1


def test_limits_of_one_target_that_differ_are_counted_alone():
    assert name_of("a/x", Limits(4)) != name_of("a/x", Limits(5))
    assert name_of("of-a/a", LIMITS) == NAME


async def test_gateways_that_keep_state_in_one_file_share_limits(upstream, serve, http, eventually, tmp_path):
    tree = {
        "state": {"kind": "sqlite", "path": str(tmp_path / "state.db")},
        "routing": {"health": {"share": True}},
        "providers": {"up": {"base_url": upstream.url, "api_key": "k"}},
        "models": {"m": {"targets": [{"provider": "up", "model": "x", "max_in_flight": 1}]}},
    }
    gateways = [assemble(to_config(tree, {}), {}, installed={}).gateway for _ in range(2)]
    urls = [await serve(gateway) for gateway in gateways]
    (there,) = gateways[1].router.board.limiters.values()
    upstream.raw(HANG)
    body = {"model": "m", "messages": []}
    asking = asyncio.create_task(http.post(urls[0] + "/v1/chat/completions", json=body))
    await eventually(lambda: there.others.in_flight == 1)
    async with http.post(urls[1] + "/v1/chat/completions", json=body) as response:
        assert response.status == 429
        assert response.headers["retry-after"] == "1"
    asking.cancel()
    upstream.scripts.clear()
    upstream.answer()
    await eventually(lambda: there.others.in_flight == 0)
    async with http.post(urls[1] + "/v1/chat/completions", json=body) as response:
        assert response.status == 200
