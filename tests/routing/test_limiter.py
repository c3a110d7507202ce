"""Limits of one target: counted here, and beside what other gateways use of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigw.routing.limiter import SOON_S, Limiter, Used
from aigw.upstream.target import Limits

NOW = 1000.0


def begun(limits, count, now=NOW):
    limiter = Limiter(limits)
    for _ in range(count):
        limiter.begin(now)
    return limiter


def take(limiter, now=NOW):
    """Begin as many calls as there is room for."""
    count = 0
    while limiter.full(now) is None:
        limiter.begin(now)
        count += 1
    return count


@pytest.mark.parametrize("field", ["max_in_flight", "requests_per_minute"])
def test_a_limiter_that_is_alone_gives_all_there_is(field):
    limiter = Limiter(Limits(**{field: 3}))
    limiter.hear(NOW, Used(), sharers=1)
    assert take(limiter) == 3
    assert limiter.full(NOW) == field


@pytest.mark.parametrize("field", ["max_in_flight", "requests_per_minute"])
def test_what_others_use_is_not_left_and_of_the_rest_each_takes_its_part(field):
    limiter = Limiter(Limits(**{field: 10}))
    limiter.hear(NOW, Used(in_flight=4, requests=4), sharers=2)
    assert take(limiter) == 3
    limiter.hear(NOW, Used(in_flight=4, requests=4), sharers=2)
    assert take(limiter) == 2
    limiter.hear(NOW, Used(in_flight=7, requests=7), sharers=2)
    assert take(limiter) == 0


def test_tokens_of_others_count():
    limiter = begun(Limits(tokens_per_minute=100), 1)
    limiter.end(NOW, 40)
    limiter.hear(NOW, Used(tokens=59), sharers=3)
    assert limiter.full(NOW) is None
    limiter.hear(NOW, Used(tokens=60), sharers=3)
    assert limiter.full(NOW) == "tokens_per_minute"


def test_a_call_that_ends_makes_room_here_before_anybody_is_told():
    limiter = Limiter(Limits(max_in_flight=4))
    limiter.hear(NOW, Used(), sharers=2)
    assert take(limiter) == 2
    limiter.end(NOW, 0)
    assert take(limiter) == 1


def test_above_the_limit_calls_that_end_are_not_replaced():
    limiter = begun(Limits(max_in_flight=4), 3)
    limiter.hear(NOW, Used(in_flight=2), sharers=2)
    limiter.end(NOW, 0)
    assert limiter.full(NOW) == "max_in_flight"
    limiter.end(NOW, 0)
    assert take(limiter) == 1


def test_whoever_waits_for_another_s_part_waits_a_moment_and_for_the_limit_itself_until_it_is_over():
    limiter = Limiter(Limits(requests_per_minute=10))
    limiter.hear(NOW, Used(), sharers=2)
    take(limiter)
    assert limiter.room_in_s(NOW + 1) == SOON_S
    limiter.hear(NOW, Used(requests=5), sharers=2)
    assert limiter.room_in_s(NOW + 1) == 59.0
    assert begun(Limits(requests_per_minute=2), 2).room_in_s(NOW + 1) == 59.0


@given(st.integers(1, 40), st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), max_size=40))
def test_limits_are_passed_by_less_than_as_much_again(limit, steps):
    """Whatever the order in which five gateways hear of one another and take what they may."""
    limiters = [Limiter(Limits(max_in_flight=limit)) for _ in range(5)]
    told = [0] * 5
    for each in limiters:
        each.hear(NOW, Used(), 5)
    for which, wanted in steps:
        me = limiters[which]
        told[which] = me.in_flight
        me.hear(NOW, Used(in_flight=sum(told) - told[which]), 5)
        for _ in range(wanted):
            if me.full(NOW) is None:
                me.begin(NOW)
    assert sum(each.in_flight for each in limiters) <= limit + 4 * -(-limit // 5) + 1
