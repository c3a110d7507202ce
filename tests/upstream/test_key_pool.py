"""Several keys for one provider: which one is used, and what becomes of one that fails."""

import random

import pytest
from support.scripted import COMPLETION
from support.seats import Clock

import aigw
from aigw.assemble import assemble, to_config
from aigw.errors import ErrorKind
from aigw.upstream.key_pool import Key, KeyPool

PATH = "/v1/chat/completions"
ASK = {"model": "up/x", "messages": []}
NO = {"error": {"message": "no", "code": "x"}}


def pool(*keys, strategy="weighted", clock=None):
    return KeyPool(keys, strategy, clock=clock or Clock(), chance=random.Random(5).random)


def picked(keys, count):
    return [keys.pick().name for _ in range(count)]


def limited(retry_after_s=None):
    return aigw.UpstreamError("no", kind=ErrorKind.UPSTREAM_RATE_LIMITED, retry_after_s=retry_after_s)


@pytest.mark.parametrize("strategy", ["weighted", "least_used"])
def test_each_key_gets_its_share(strategy):
    names = picked(pool(Key("x"), Key("y", weight=3.0), strategy=strategy), 4000)
    assert names.count("#2") / len(names) == pytest.approx(0.75, abs=0.03)


def test_a_limited_key_is_left_alone_for_exactly_its_time():
    clock = Clock()
    keys = pool(Key("x"), Key("y"), clock=clock)
    assert keys.park("#1", limited(7.0))
    assert set(picked(keys, 50)) == {"#2"}
    clock.now += 7.0
    assert set(picked(keys, 50)) == {"#1", "#2"}


def test_the_last_key_to_go_says_when_the_first_is_back():
    clock = Clock()
    keys = pool(Key("x"), Key("y"), clock=clock)
    keys.park("#1", limited(5.0))
    clock.now += 1.0
    error = limited(60.0)
    assert not keys.park("#2", error)
    assert error.retry_after_s == 4.0
    assert keys.pick().name == "#1"


def test_a_failure_that_is_not_the_keys_parks_nothing():
    keys = pool(Key("x"), Key("y"))
    assert not keys.park("#1", aigw.UpstreamError("down"))
    assert set(picked(keys, 50)) == {"#1", "#2"}


def test_one_that_comes_back_does_not_make_up_for_what_it_missed():
    clock = Clock()
    keys = pool(Key("x"), Key("y"), strategy="least_used", clock=clock)
    keys.pick()
    keys.park("#1", limited(5.0))
    picked(keys, 100)
    keys.park("#2", limited(1.0))
    clock.now += 9.0
    assert picked(keys, 10).count("#1") <= 10
    keys.park("#1", limited(1.0))
    clock.now += 9.0
    assert sorted(picked(keys, 10)).count("#1") in {4, 5, 6, 10}


def test_no_repr_shows_a_secret():
    keys = pool(Key("sk-secret"), Key("sk-secret-2", "spare"))
    provider = aigw.Provider("http://localhost:1", name="up", keys=keys)
    assert "secret" not in repr((keys, keys.keys, provider))
    assert repr(keys) == "KeyPool(#1, spare)"


@pytest.mark.parametrize("keys", [[], [Key("a", "x"), Key("b", "x")], [Key("a", "#2"), Key("b")]])
def test_keys_of_no_use_are_refused(keys):
    with pytest.raises(ValueError, match="key"):
        KeyPool(keys)


@pytest.fixture
def gateway(upstream, complete_later):
    config = to_config(
        {
            "providers": {
                "up": {"base_url": upstream.url, "api_keys": ["sk-one", {"key": "sk-two", "name": "spare"}]}
            }
        },
        {},
    )
    made = assemble(config, {}, installed={}).gateway
    made.hooks.register(complete_later)
    (provider,) = made.models.providers.values()
    provider.keys._chance = lambda: 0.0  # the first that is ready
    return made


@pytest.fixture
def complete_later():
    class Keep:
        name = "keep"

        def __init__(self):
            self.records = []

        def on_complete(self, record):
            self.records.append(record)

    return Keep()


@pytest.mark.parametrize("status", [401, 429])
async def test_a_key_that_is_refused_makes_way_for_the_next(
    gateway, upstream, serve, http, complete_later, status
):
    upstream.answer(NO, status)
    upstream.answer()
    url = await serve(gateway)
    for attempts in ("2", "1"):
        async with http.post(url + PATH, json=ASK) as response:
            assert await response.json() == COMPLETION
            assert response.headers["x-aigw-attempts"] == attempts
    assert [seen.headers["Authorization"] for seen in upstream.seen] == [
        "Bearer sk-one",
        "Bearer sk-two",
        "Bearer sk-two",
    ]
    first, second = complete_later.records
    assert [one.status for one in first.attempts] == [status, 200]
    assert [one.status for one in second.attempts] == [200]
    assert gateway.router.board.states["up/x"].plain


async def test_where_every_key_is_limited_the_client_hears_when_to_come_back(gateway, upstream, serve, http):
    upstream.answer(NO, 429, {"retry-after": "30"})
    async with http.post(await serve(gateway) + PATH, json=ASK) as response:
        assert response.status == 429
        assert 28 <= int(response.headers["retry-after"]) <= 30
    assert len(upstream.seen) == 2
    assert not gateway.router.board.states["up/x"].plain


def test_one_key_and_several_cannot_both_be_given():
    both = {"providers": {"up": {"base_url": "http://h", "api_key": "a", "api_keys": ["b"]}}}
    with pytest.raises(aigw.ConfigError, match="api_key or api_keys"):
        to_config(both, {})
