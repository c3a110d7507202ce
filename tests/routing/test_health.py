"""What becomes of a target's health, who is left out for it, and that somebody is always left."""

import logging

import pytest
from support.seats import Bench, error

import aigw
from aigw.errors import ErrorKind
from aigw.routing.breaker import Circuit
from aigw.upstream.target import Limits


def test_where_all_are_well_all_are_asked_in_order():
    assert Bench().order() == ["a", "b", "c"]


def test_one_that_fails_is_left_out_until_its_time_is_over():
    bench = Bench()
    bench.fail("a")
    assert bench.order() == ["b", "c"]
    bench.clock.now += 5.0
    assert bench.order() == ["a", "b", "c"]


def test_a_probe_is_one_request_and_the_others_go_elsewhere():
    bench = Bench()
    bench.fail("a")
    bench.clock.now += 5.0
    bench.seats["a"].state.begin(bench.clock.now)
    assert bench.order() == ["b", "c"]


def test_no_more_than_the_allowed_share_is_thrown_out():
    bench = Bench()
    bench.fail("a", "b")
    assert bench.order() == ["c", "a"]  # one of three may go; the other is the last resort


def test_where_all_are_open_the_least_bad_is_asked_first():
    bench = Bench()
    bench.fail("b")
    bench.clock.now += 1.0
    bench.fail("a", "c")
    assert bench.order() == ["b", "a"]


def test_a_single_target_is_never_thrown_out():
    bench = Bench(a=1)
    bench.fail("a")
    assert bench.order() == ["a"]


def test_a_rate_limit_parks_a_target_for_exactly_its_time():
    bench = Bench()
    bench.fail("a", with_error=error(ErrorKind.UPSTREAM_RATE_LIMITED, 7.5), times=1)
    bench.clock.now += 7.4
    assert bench.order() == ["b", "c"]
    bench.clock.now += 0.1
    assert bench.order() == ["a", "b", "c"]
    assert bench.seats["a"].state.breaker.circuit is Circuit.CLOSED


def test_rate_limits_with_a_time_open_no_circuit():
    bench = Bench()
    bench.fail("a", with_error=error(ErrorKind.UPSTREAM_RATE_LIMITED, 1.0), times=50)
    assert bench.seats["a"].state.breaker.circuit is Circuit.CLOSED


def test_a_refused_credential_opens_at_once_and_is_told_the_operator(caplog):
    bench = Bench()
    with caplog.at_level(logging.ERROR, "aigw.routing"):
        bench.fail("a", with_error=error(ErrorKind.UPSTREAM_CREDENTIAL), times=3)
    assert bench.order() == ["b", "c"]
    (record,) = caplog.records
    assert record.message == (
        "target of-a/a: the gateway's own credential was refused (upstream_credential_refused); "
        "its operator has to set a valid key"
    )


@pytest.mark.parametrize(
    "kind",
    [ErrorKind.INVALID_REQUEST, ErrorKind.CONTEXT_LENGTH, ErrorKind.NOT_FOUND, ErrorKind.AUTHENTICATION],
)
def test_a_fault_of_the_request_says_nothing_of_its_target(kind):
    bench = Bench()
    bench.fail("a", with_error=aigw.ClientError("no", kind=kind), times=50)
    assert bench.order() == ["a", "b", "c"]
    assert bench.seats["a"].state.plain


def test_one_that_is_back_gets_its_weight_little_by_little():
    bench = Bench("weighted", a=1, b=1)
    bench.fail("a")
    bench.clock.now += 5.0
    bench.succeed("a")
    shares = []
    for passed_s in (0.0, 15.0, 15.0):
        bench.clock.now += passed_s
        firsts = [bench.order()[0] for _ in range(4000)]
        shares.append(firsts.count("a") / len(firsts))
    assert shares == pytest.approx([0.1 / 1.1, 0.55 / 1.55, 0.5], abs=0.03)
    assert bench.seats["a"].state.plain


def test_a_full_target_is_passed_over():
    bench = Bench(a={"limits": Limits(max_in_flight=2)}, b=1)
    seat = bench.seats["a"]
    leases = [seat.state.begin(bench.clock.now, seat.limiter) for _ in range(2)]
    assert bench.order() == ["b"]
    seat.state.release(bench.clock.now, leases[0])
    assert bench.order() == ["a", "b"]


def test_limits_per_minute_hold_for_a_minute():
    bench = Bench(a={"limits": Limits(requests_per_minute=2)}, b={"limits": Limits(tokens_per_minute=100)})
    for name, tokens in (("a", 0), ("a", 0), ("b", 100)):
        seat = bench.seats[name]
        seat.state.release(bench.clock.now, seat.state.begin(bench.clock.now, seat.limiter), tokens)
    assert bench.order() == []
    assert [seat.limiter.full(bench.clock.now) for seat in bench.group.seats] == [
        "requests_per_minute",
        "tokens_per_minute",
    ]
    bench.clock.now += 60.0
    assert bench.order() == ["a", "b"]


def test_every_step_can_say_its_reason():
    bench = Bench(a=1, b={"limits": Limits(max_in_flight=1)}, c=1)
    bench.fail("a")
    bench.seats["b"].state.begin(bench.clock.now, bench.seats["b"].limiter)
    trace = []
    bench.order(trace)
    assert [(choice.target, choice.reason) for choice in trace] == [
        ("of-a/a", "left out: circuit open for 5.0 s after upstream_error"),
        ("of-b/b", "left out: at its max_in_flight"),
        ("of-c/c", "group 1, priority: number 1"),
    ]


def test_others_are_told_when_one_goes_and_when_it_is_back():
    bench = Bench()
    bench.fail("a")
    bench.clock.now += 5.0
    bench.succeed("a")
    assert [(news.target, news.for_s, news.reason) for news in bench.news] == [
        ("of-a/a", 5.0, "upstream_error"),
        ("of-a/a", 0.0, ""),
    ]


def test_states_of_names_that_clients_make_up_do_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr("aigw.routing.health.MAX_STATES", 10)
    bench = Bench()
    bench.fail("a")
    provider = aigw.DemoProvider()
    for number in range(50):
        bench.router.board.state(aigw.Target(provider, f"made-up-{number}"))
    assert len(bench.router.board.states) <= 10
    assert bench.order() == ["b", "c"]
    assert bench.router.board.state(bench.seats["a"].target) is bench.seats["a"].state
