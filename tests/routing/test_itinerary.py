"""What is asked next when something failed; and a minute of outage, without waiting for it."""

import heapq
import itertools

import pytest
from attrs import define
from support.seats import Asked, Clock, make_group, make_router

import aigw
from aigw.config import HealthConfig, RetryConfig
from aigw.routing.itinerary import Itinerary

RETRY = RetryConfig(retries=1, backoff_s=1.0, patience_s=2.0, budget_burst=2.0, budget_floor_per_s=0.0)


def half():
    return 0.5


def walk(trip, clock, fail, limit=20):
    """Let every step fail, as `fail(seat)` says; return (target, wait) of each."""
    steps = []
    while len(steps) < limit and (step := trip.next(clock.now)) is not None:
        clock.now += step.wait_s
        steps.append((step.seat.target.model, step.wait_s))
        trip.failed(step.seat, **fail(step.seat))
    return steps


def transient(seat):
    return {"is_transient": True}


@pytest.fixture
def clock():
    return Clock()


def seats_in(router, *groups):
    return [seat for group in groups for seat in make_group(router, **dict.fromkeys(group, 1)).seats]


def test_each_of_a_group_then_a_retry_then_the_next_group(clock):
    trip = Itinerary(seats_in(make_router(clock, retry=RETRY), "ab", "c"), RETRY, half)
    assert walk(trip, clock, transient) == [("a", 0.0), ("b", 0.0), ("a", 0.5), ("c", 0.0), ("c", 0.5)]


def test_backoff_grows_with_each_retry(clock):
    retry = RetryConfig(retries=3, backoff_s=0.4, patience_s=9.0)
    trip = Itinerary(seats_in(make_router(clock, retry=retry), "a"), retry, half)
    assert walk(trip, clock, transient) == [("a", 0.0), ("a", 0.2), ("a", 0.4), ("a", 0.8)]


def test_what_will_fail_again_is_not_retried(clock):
    trip = Itinerary(seats_in(make_router(clock, retry=RETRY), "a", "b"), RETRY, half)
    assert walk(trip, clock, lambda seat: {"is_transient": seat.target.model == "b"}) == [
        ("a", 0.0),
        ("b", 0.0),
        ("b", 0.5),
    ]


@pytest.mark.parametrize(
    ("parked_s", "steps"),
    [(1.5, [("a", 0.0), ("a", 1.5), ("b", 0.0), ("b", 0.5)]), (2.5, [("a", 0.0), ("b", 0.0), ("b", 0.5)])],
)
def test_a_retry_waits_as_long_as_the_provider_says_if_that_is_worth_it(clock, parked_s, steps):
    router = make_router(clock, retry=RETRY)
    seats = seats_in(router, "a", "b")

    def fail(seat):
        if seat is seats[0] and not seat.state.parked_until:
            seat.state.park(clock.now, parked_s, "rate_limited")
        return {"is_transient": True}

    assert walk(Itinerary(seats, RETRY, half), clock, fail) == steps


def test_the_provider_that_is_back_soonest_is_retried(clock):
    seats = seats_in(make_router(clock, retry=RETRY), "ab")

    def fail(seat):
        seat.state.park(clock.now, 1.5 if seat is seats[0] else 0.8, "rate_limited")
        return {"is_transient": True}

    assert walk(Itinerary(seats, RETRY, half), clock, fail)[2] == ("b", pytest.approx(0.8))


def test_no_step_begins_after_the_deadline(clock):
    seats = seats_in(make_router(clock, retry=RETRY), "a", "b")
    trip = Itinerary(seats, RETRY, half, deadline_at=clock.now + 0.4)
    assert walk(trip, clock, transient) == [("a", 0.0), ("b", 0.0)]
    clock.now += 1.0
    assert Itinerary(seats, RETRY, half, deadline_at=clock.now).next(clock.now) is None


def test_another_key_is_tried_at_once_and_costs_no_retry(clock):
    trip = Itinerary(seats_in(make_router(clock, retry=RETRY), "a"), RETRY, half)
    spare = iter([True, True, False, False])
    steps = walk(trip, clock, lambda seat: {"is_transient": True, "has_another_key": next(spare)})
    assert steps == [("a", 0.0), ("a", 0.0), ("a", 0.0), ("a", 0.5)]


def test_retries_end_with_the_budget(clock):
    seats = seats_in(make_router(clock, retry=RETRY), "a")
    walks = [walk(Itinerary(seats, RETRY, half), clock, transient) for _ in range(10)]
    assert [len(steps) for steps in walks].count(2) == 2 + 1  # the burst, and what ten requests have earned
    assert len(walks[0]) == 2


def test_a_target_that_fell_ill_meanwhile_is_passed_over(clock):
    seats = seats_in(make_router(clock, retry=RETRY), "abc")
    trip = Itinerary(seats, RETRY, half)
    trip.failed(trip.next(clock.now).seat, is_transient=False)
    seats[1].state.park(clock.now, 9.0, "rate_limited")
    seats[1].state.budget.has_some(clock.now)
    while seats[1].state.budget.spend(clock.now):
        pass
    assert trip.next(clock.now).seat is seats[2]


def test_other_seats_may_take_the_place_of_all_that_is_left(clock):
    router = make_router(clock, retry=RETRY)
    trip = Itinerary(seats_in(router, "ab"), RETRY, half)
    trip.failed(trip.next(clock.now).seat, is_transient=False)
    trip.divert(seats_in(router, "xy"))
    assert walk(trip, clock, lambda seat: {"is_transient": False}) == [("x", 0.0), ("y", 0.0)]


@define
class Tallied:
    served: int = 0
    lost: int = 0
    calls_while_down: int = 0
    requests_while_down: int = 0
    longest_s: float = 0.0


def simulate(strategy, *, rps=100, down=("a",), seed=1, health=None, **weights):
    """Play three minutes of load, in the second of which some targets fail.

    An answer takes 0.3 s, a failure 0.05 s.
    """
    clock = Clock()
    retry = RetryConfig()
    router = make_router(clock, seed, health=health, retry=retry)
    group = make_group(router, strategy, **(weights or {"a": 1, "b": 1}))
    began, order, told = clock.now, itertools.count(), Tallied()
    events = [(began + number / rps, next(order), None, None) for number in range(180 * rps)]
    heapq.heapify(events)

    def is_down(seat):
        return seat.target.model in down and 60 <= clock.now - began < 120

    def go(trip, asked_at):
        step = trip.next(clock.now)
        if step is None:
            told.lost += 1
        else:
            heapq.heappush(
                events, (clock.now + step.wait_s, next(order), (trip, step.seat, asked_at), "call")
            )

    while events:
        clock.now, _, what, stage = heapq.heappop(events)
        if what is None:
            told.requests_while_down += 60 <= clock.now - began < 120
            seats = router.order(Asked(), [group], clock.now)
            go(Itinerary(seats, retry, router.chance), clock.now)
            continue
        trip, seat, *rest = what
        if stage == "call":
            lease = seat.state.begin(clock.now, seat.limiter)
            failing = is_down(seat)
            told.calls_while_down += failing
            ends_at = clock.now + (0.05 if failing else 0.3)
            heapq.heappush(events, (ends_at, next(order), (trip, seat, rest[0], lease, failing), "end"))
            continue
        asked_at, lease, failing = rest
        seat.state.release(clock.now, lease)
        if failing:
            seat.state.failed(clock.now, lease, aigw.UpstreamError("down"))
            trip.failed(seat, is_transient=True)
            go(trip, asked_at)
        else:
            seat.state.succeeded(clock.now, lease)
            told.served += 1
            told.longest_s = max(told.longest_s, clock.now - asked_at)
    return told


def allowed_calls(told, health, retry):
    """Return how many calls a target that is down for a minute may get from its breaker and its budget.

    What is under way when it opens, one probe each time it half-opens, and the retries that were earned.
    """
    in_flight = 100 * 0.05 + 1
    probes = 60 / health.open_s
    earned = retry.budget_burst + retry.budget_floor_per_s * 60
    return health.consecutive_failures + in_flight + probes + earned


@pytest.mark.parametrize(
    "strategy", ["weighted", "round_robin", "priority", "least_in_flight", "lowest_latency"]
)
@pytest.mark.parametrize("seed", range(2))
def test_a_minute_of_outage_loses_nothing_that_another_could_serve(strategy, seed):
    told = simulate(strategy, seed=seed)
    assert told.requests_while_down == 6000
    assert (told.served, told.lost) == (18_000, 0)
    assert told.calls_while_down <= allowed_calls(told, HealthConfig(), RetryConfig())
    assert told.longest_s < 1.0


def test_without_a_breaker_every_second_request_would_have_gone_there():
    deaf = HealthConfig(consecutive_failures=10**9, error_rate=1.0, min_requests=10**9)
    told = simulate("weighted", health=deaf)
    assert told.lost == 0
    assert told.calls_while_down > 2500


def test_where_two_of_three_are_down_the_third_serves_all():
    told = simulate("weighted", down=("a", "b"), a=1, b=1, c=1)
    assert told.lost == 0
    assert told.calls_while_down <= 2 * allowed_calls(told, HealthConfig(), RetryConfig())


def test_an_outage_of_all_is_not_multiplied():
    told = simulate("weighted", down=("a", "b"))
    extra = told.calls_while_down - told.requests_while_down
    retry = RetryConfig()
    # Two providers: each request is a first call of one; the rest is retries, and comes from both budgets.
    assert extra <= 2 * (retry.budget_burst + 60 * retry.budget_floor_per_s) + 0.2 * told.calls_while_down
    assert told.served + told.lost == 18_000
    assert told.served >= 12_000
