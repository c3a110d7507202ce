"""Which target of a group comes first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.seats import Asked, make_group, make_router, names

from aigw.routing.sticky import rendezvous
from aigw.upstream.target import Price


def firsts(group, count=10_000, asked=None):
    """Return how often each target came first, as a share."""
    router_order = group.strategy.order
    seen = [names(router_order(asked or Asked(), group.seats, 1000.0))[0] for _ in range(count)]
    return {name: seen.count(name) / count for name in dict.fromkeys(seen)}


@given(st.lists(st.floats(0.1, 10), min_size=2, max_size=5), st.integers(0, 100))
def test_every_order_holds_every_target_once(weights, seed):
    router = make_router(seed=seed)
    for strategy in router.strategies:
        group = make_group(router, strategy, **{f"m{n}": weight for n, weight in enumerate(weights)})
        ordered = group.strategy.order(Asked(), group.seats, 1000.0)
        assert sorted(names(ordered)) == sorted(names(group.seats))


@pytest.mark.parametrize("strategy", ["weighted", "round_robin"])
def test_each_target_comes_first_as_often_as_its_weight_says(strategy):
    group = make_group(make_router(), strategy, a=1, b=3, c=6)
    assert firsts(group) == pytest.approx({"a": 0.1, "b": 0.3, "c": 0.6}, abs=0.02)


def test_two_targets_are_tossed_for_by_weight():
    assert firsts(make_group(make_router(), a=1, b=3)) == pytest.approx({"a": 0.25, "b": 0.75}, abs=0.02)


@pytest.mark.parametrize(
    "strategy", ["weighted", "round_robin", "sticky", "lowest_latency", "least_in_flight"]
)
def test_weight_zero_comes_last(strategy):
    group = make_group(make_router(), strategy, x=0, a=1, b=1e-6)
    asked = Asked({"prompt_cache_key": "k"})
    for _ in range(200):
        assert names(group.strategy.order(asked, group.seats, 1000.0))[2] == "x"


def test_round_robin_spreads_its_turns():
    group = make_group(make_router(), "round_robin", a=2, b=1)
    turns = [names(group.strategy.order(Asked(), group.seats, 0.0))[0] for _ in range(6)]
    assert turns == ["a", "b", "a", "a", "b", "a"]


def test_random_knows_no_weights():
    assert firsts(make_group(make_router(), "random", a=1, b=9)) == pytest.approx(
        {"a": 0.5, "b": 0.5}, abs=0.02
    )


def test_the_least_in_flight_comes_first_in_proportion_to_weight():
    group = make_group(make_router(), "least_in_flight", a=1, b=1, c=4)
    for seat, running in zip(group.seats, (1, 0, 3), strict=True):
        seat.state.in_flight = running
    assert firsts(group, 100) == pytest.approx({"b": 0.5, "c": 0.5}, abs=0.2)


def test_the_fastest_comes_first_and_an_unknown_one_is_tried():
    group = make_group(make_router(), "lowest_latency", slow=1, fast=1, new=1)
    slow, fast, new = group.seats
    slow.state.wholes.observe(1000.0, 2.0)
    fast.state.wholes.observe(1000.0, 0.5)
    order = group.strategy.order
    assert names(order(Asked(), group.seats, 1000.0)) == ["new", "fast", "slow"]
    new.state.wholes.observe(1000.0, 1.0)
    assert names(order(Asked(), group.seats, 1000.0)) == ["fast", "new", "slow"]
    fast.state.in_flight = 2
    assert names(order(Asked(), group.seats, 1000.0)) == ["new", "fast", "slow"]


def test_streams_and_whole_answers_are_measured_apart():
    group = make_group(make_router(), "lowest_latency", a=1, b=1)
    for seat, whole_s, stream_s in zip(group.seats, (1.0, 2.0), (0.2, 0.1), strict=True):
        seat.state.wholes.observe(1000.0, whole_s)
        seat.state.streams.observe(1000.0, stream_s)
    order = group.strategy.order
    assert names(order(Asked(), group.seats, 1000.0)) == ["a", "b"]
    assert names(order(Asked(stream=True), group.seats, 1000.0)) == ["b", "a"]


def test_one_that_was_slow_long_ago_is_tried_again():
    group = make_group(make_router(), "lowest_latency", slow=1, fast=1)
    group.seats[0].state.wholes.observe(1000.0, 5.0)
    group.seats[1].state.wholes.observe(1300.0, 0.5)
    assert names(group.strategy.order(Asked(), group.seats, 1300.0)) == ["slow", "fast"]


def test_the_cheapest_comes_first_and_what_has_no_price_last():
    group = make_group(
        make_router(), "lowest_cost", unknown={}, dear={"price": Price(3, 15)}, cheap={"price": Price(1, 4)}
    )
    assert names(group.strategy.order(Asked(), group.seats, 0.0)) == ["cheap", "dear", "unknown"]


def test_priority_keeps_the_order():
    group = make_group(make_router(), "priority", a=1, b=5, c=1)
    assert firsts(group, 50) == {"a": 1.0}


def test_the_canary_gets_its_share():
    group = make_group(make_router(), "canary", {"percent": 10.0}, a=1, b=1, canary=1)
    assert firsts(group) == pytest.approx({"canary": 0.1, "a": 0.45, "b": 0.45}, abs=0.02)


KEYS = [f"session-{number}" for number in range(3000)]


@given(st.lists(st.floats(0.2, 5), min_size=2, max_size=6), st.data())
def test_the_loss_of_one_target_moves_only_its_own_sessions(weights, data):
    group = make_group(make_router(), "sticky", **{f"m{n}": weight for n, weight in enumerate(weights)})
    lost = data.draw(st.sampled_from(group.seats))
    left = [seat for seat in group.seats if seat is not lost]
    for key in KEYS[:20]:
        before = rendezvous(key, group.seats)
        assert rendezvous(key, left) == [seat for seat in before if seat is not lost]


def test_sessions_are_shared_by_weight():
    group = make_group(make_router(), "sticky", a=1, b=2, c=5)
    seen = [rendezvous(key, group.seats)[0].target.model for key in KEYS]
    shares = {name: seen.count(name) / len(seen) for name in "abc"}
    assert shares == pytest.approx({"a": 0.125, "b": 0.25, "c": 0.625}, abs=0.03)


FIRST = {"role": "user", "content": "Hello"}
SESSIONS = {
    "header:X-Session": (Asked(headers={"X-Session": "1"}), Asked(headers={"X-Session": "2"})),
    "user": (Asked({"user": "ann"}), Asked({"user": "bob"})),
    "tenant": (Asked(tenant="a"), Asked(tenant="b")),
    "prompt_cache_key": (Asked({"prompt_cache_key": "x"}), Asked({"prompt_cache_key": "y"})),
    "conversation": (Asked({"conversation": {"id": "c1"}}), Asked({"conversation": "c2"})),
}


@pytest.mark.parametrize("way", SESSIONS)
def test_a_session_stays_where_it_is(way):
    group = make_group(make_router(), "sticky", {"sticky_by": (way,)}, a=1, b=1, c=1, d=1, e=1, f=1, g=1, h=1)
    one, other = SESSIONS[way]
    found = [
        {names(group.strategy.order(asked, group.seats, 0.0))[0] for _ in range(20)} for asked in (one, other)
    ]
    assert [len(places) for places in found] == [1, 1]


def test_a_conversation_is_known_by_its_beginning_where_it_has_no_id():
    group = make_group(make_router(), "sticky", a=1, b=1, c=1, d=1, e=1, f=1, g=1, h=1)
    history = [{"role": "system", "content": "Be kind."}, FIRST]
    longer = [*history, {"role": "assistant", "content": "Hi"}, {"role": "user", "content": "Go on"}]
    first, second = (
        names(group.strategy.order(Asked({"messages": turns}), group.seats, 0.0))
        for turns in (history, longer)
    )
    assert first == second
    others = {
        names(group.strategy.order(Asked({"messages": [{**FIRST, "content": str(n)}]}), group.seats, 0.0))[0]
        for n in range(50)
    }
    assert len(others) > 3


def test_what_has_no_session_goes_by_weight():
    group = make_group(make_router(), "sticky", {"sticky_by": ("user",)}, a=1, b=3)
    assert firsts(group) == pytest.approx({"a": 0.25, "b": 0.75}, abs=0.02)


@pytest.mark.parametrize("way", ["header:", "cookie", ""])
def test_a_way_to_know_sessions_that_there_is_not_is_told(way):
    with pytest.raises(ValueError, match="wanted one of header:NAME, user, tenant"):
        make_group(make_router(), "sticky", {"sticky_by": (way,)}, a=1)


def test_a_canary_alone_is_told():
    with pytest.raises(ValueError, match="two targets"):
        make_group(make_router(), "canary", a=1)
