"""The circuit breaker and what it counts with: its laws, on a clock that stands still."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigw.config import HealthConfig
from aigw.routing.breaker import Breaker, Circuit
from aigw.routing.tally import Tally

SETTINGS = HealthConfig(
    consecutive_failures=3, error_rate=0.5, min_requests=10, window_s=30.0, open_s=4.0, max_open_s=20.0
)


def opened(now=100.0):
    breaker = Breaker(SETTINGS)
    for _ in range(3):
        breaker.fail(now, breaker.generation, "boom")
    return breaker


def test_failures_in_a_row_open_it():
    breaker = Breaker(SETTINGS)
    assert [breaker.fail(100.0, 0, "boom") for _ in range(3)] == [False, False, True]
    assert (breaker.circuit, breaker.reason, breaker.open_until) == (Circuit.OPEN, "boom", 104.0)


def test_a_success_between_failures_keeps_it_closed():
    breaker = Breaker(SETTINGS)
    for _ in range(3):
        breaker.fail(100.0, 0, "boom")
        breaker.fail(100.0, 0, "boom") if breaker.consecutive < 2 else None
        breaker.succeed(100.0, 0)
    assert breaker.circuit is Circuit.CLOSED


def test_a_share_of_failures_opens_it_once_there_are_enough_requests():
    breaker = Breaker(SETTINGS)
    for _ in range(5):
        breaker.succeed(100.0, 0)
    outcomes = []
    for _ in range(5):
        breaker.consecutive = 0
        outcomes.append(breaker.fail(101.0, 0, "boom"))
    assert outcomes == [False, False, False, False, True]


def test_failures_that_are_older_than_the_window_do_not_count():
    breaker = Breaker(SETTINGS)
    for now in (100.0, 140.0, 180.0, 220.0):
        for _ in range(2):
            assert not breaker.fail(now, 0, "boom")
        breaker.succeed(now, 0)
        breaker.succeed(now, 0)
        breaker.succeed(now, 0)
    assert breaker.error_rate(220.0) == pytest.approx(0.4)


def test_an_open_one_admits_nothing_until_its_time_is_over():
    breaker = opened()
    assert [breaker.admits(now) for now in (100.0, 103.9, 104.0)] == [False, False, True]


def test_a_half_open_one_admits_one_probe_at_a_time():
    breaker = opened()
    assert breaker.begin(104.0)
    assert not breaker.admits(104.0)
    breaker.release(breaker.generation, probe=True)
    assert breaker.admits(104.0)


def test_a_probe_that_succeeds_closes_it():
    breaker = opened()
    breaker.begin(104.0)
    breaker.succeed(105.0, breaker.generation)
    assert (breaker.circuit, breaker.recovered_at, breaker.consecutive) == (Circuit.CLOSED, 105.0, 0)


def test_each_probe_that_fails_opens_it_for_twice_as_long_up_to_a_limit():
    breaker, waits = opened(), []
    for _ in range(4):
        now = breaker.open_until
        waits.append(now)
        breaker.begin(now)
        breaker.fail(now, breaker.generation, "boom")
    assert [later - now for now, later in zip(waits, [*waits[1:], breaker.open_until], strict=True)] == [
        8.0, 16.0, 20.0, 20.0,
    ]  # fmt: skip


def test_what_began_before_it_opened_says_nothing_of_it_now():
    breaker = opened()
    breaker.succeed(100.5, 0)
    assert breaker.circuit is Circuit.OPEN
    breaker.begin(104.0)
    assert not breaker.fail(104.5, 0, "late")
    assert breaker.circuit is Circuit.HALF_OPEN


STEPS = st.lists(
    st.tuples(st.sampled_from(["begin", "good", "bad", "nothing"]), st.floats(0, 10)), max_size=200
)


@given(STEPS)
def test_whatever_happens_it_keeps_its_laws(steps):
    breaker, now, running = Breaker(SETTINGS), 1000.0, []
    for step, passed_s in steps:
        now += passed_s
        if step == "begin":
            if breaker.circuit is Circuit.OPEN and now < breaker.open_until:
                assert not breaker.admits(now)
            if breaker.admits(now):
                running.append((breaker.begin(now), breaker.generation))
        elif running:
            probe, generation = running.pop(0)
            breaker.release(generation, probe=probe)
            before = breaker.circuit
            if step == "good":
                breaker.succeed(now, generation)
            elif step == "bad":
                opened = breaker.fail(now, generation, "boom")
                assert opened == (before is not Circuit.OPEN and breaker.circuit is Circuit.OPEN)
                assert not opened or now < breaker.open_until <= now + SETTINGS.max_open_s
        probes = sum(1 for probe, generation in running if probe and generation == breaker.generation)
        assert probes <= SETTINGS.probes
        assert breaker.probing == (probes if breaker.circuit is Circuit.HALF_OPEN else breaker.probing)


@given(st.lists(st.tuples(st.floats(0, 20), st.integers(0, 5)), max_size=60))
def test_a_tally_is_the_sum_of_its_window_exact_to_one_bucket(added):
    tally, now, events = Tally(10.0, 10), 500.0, []
    for passed_s, amount in added:
        now += passed_s
        tally.add(now, amount)
        events.append((now, amount))
        at_least = sum(amount for at, amount in events if at > now - 9.0)
        at_most = sum(amount for at, amount in events if at >= now - 11.0)
        assert at_least <= tally.sum(now) <= at_most


def test_a_tally_says_when_its_oldest_part_is_forgotten():
    tally = Tally(60.0, 60)
    assert tally.room_in_s(100.0) == 0.0
    tally.add(100.0)
    tally.add(130.0)
    assert tally.room_in_s(140.0) == 20.0
    assert tally.sum(160.0) == 1
