"""How long a retry waits, and how many of them a provider may get."""

import random

from hypothesis import given
from hypothesis import strategies as st

from aigw.config import RetryConfig
from aigw.routing.backoff import backoff_s
from aigw.routing.budget import RetryBudget

SHARES = st.floats(0, 1, exclude_max=True)


@given(st.integers(0, 200), st.floats(0, 5), st.floats(0, 60), SHARES)
def test_a_wait_is_between_nothing_and_the_grown_bound(retry, base_s, max_s, toss):
    settings = RetryConfig(backoff_s=base_s, max_backoff_s=max_s)
    assert 0 <= backoff_s(retry, settings, lambda: toss) <= min(max_s, base_s * 2.0 ** min(retry, 60))


def test_waits_are_spread_over_their_whole_range():
    settings, chance = RetryConfig(backoff_s=1.0, max_backoff_s=8.0), random.Random(3).random
    for retry, bound_s in enumerate((1.0, 2.0, 4.0, 8.0, 8.0)):
        waits = [backoff_s(retry, settings, chance) for _ in range(2000)]
        assert min(waits) < 0.02 * bound_s
        assert max(waits) > 0.98 * bound_s
        assert abs(sum(waits) / len(waits) - bound_s / 2) < 0.05 * bound_s


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 3)), max_size=300))
def test_no_more_is_spent_than_was_earned(steps):
    settings = RetryConfig(budget_ratio=0.2, budget_floor_per_s=0.5, budget_burst=4.0)
    budget, now, earned, spent = RetryBudget(settings), 100.0, 0, 0
    budget.has_some(now)
    for is_request, passed_s in steps:
        now += passed_s
        if is_request:
            budget.earn()
            earned += 1
        else:
            spent += budget.spend(now)
        assert spent <= 4.0 + 0.2 * earned + 0.5 * (now - 100.0) + 1e-6


def test_a_budget_of_nothing_allows_nothing():
    budget = RetryBudget(RetryConfig(budget_ratio=0.0, budget_floor_per_s=0.0, budget_burst=0.0))
    budget.earn()
    assert not budget.spend(1e6)
