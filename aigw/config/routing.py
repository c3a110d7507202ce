"""Settings of how a request finds its target: retries, deadlines, hedging and health.

Owns what an operator may say of them, and its bounds. Knows no model and no provider.
"""

from __future__ import annotations

from typing import Literal

from attrs import field, frozen

from aigw.config import checks
from aigw.config.checks import Check, Wanted

KeyStrategy = Literal["weighted", "least_used"]

share: Check[float] = Check("a number from 0 to 1", lambda value: 0 <= value <= 1)
percentage: Check[float] = Check("a number from 0 to 100", lambda value: 0 <= value <= 100)
_quantile: Check[float] = Check("a number above 0 and below 1", lambda value: 0 < value < 1)


@frozen
class RetryConfig:
    """What happens when every target of a group has failed, and before the next group is asked.

    retries: how often one of them is asked again.
    backoff_s: the wait before the first retry is drawn from 0 to this, before the next one from 0 to twice
        this, and so on up to max_backoff_s (exponential backoff with full jitter).
    patience_s: the longest wait that a retry is worth, also where the provider names one (Retry-After).
    budget_ratio: retries (and hedges) of one provider may be this share of the requests it gets ...
    budget_floor_per_s: ... and so many a second on top. budget_burst: how many may come at once.
    """

    retries: int = field(default=1, validator=checks.count)
    backoff_s: float = field(default=0.25, validator=checks.not_negative)
    max_backoff_s: float = field(default=4.0, validator=checks.not_negative)
    patience_s: float = field(default=2.0, validator=checks.not_negative)
    budget_ratio: float = field(default=0.2, validator=share)
    budget_floor_per_s: float = field(default=1.0, validator=checks.not_negative)
    budget_burst: float = field(default=10.0, validator=checks.not_negative)


@frozen
class HealthConfig:
    """When a target is left alone, and how it comes back.

    consecutive_failures: so many in a row open its circuit. error_rate: so does this share of failures
        among at least min_requests within window_s.
    open_s: how long it is open at first; twice as long with each probe that fails, up to max_open_s.
    probes: requests that may try it at a time when that has passed.
    max_ejected: the largest share of a group's targets that is left out; others stay as a last resort.
    slow_start_s: a target that is back gets its full weight after this.
    share: tell the other gateways that keep their state in the same file what is found out of targets, and
        what is used of their limits; workers of one gateway always do. share_s: how often health is told.
    """

    consecutive_failures: int = field(default=5, validator=checks.at_least_one)
    error_rate: float = field(default=0.5, validator=share)
    min_requests: int = field(default=20, validator=checks.at_least_one)
    window_s: float = field(default=30.0, validator=checks.positive)
    open_s: float = field(default=5.0, validator=checks.positive)
    max_open_s: float = field(default=60.0, validator=checks.positive)
    probes: int = field(default=1, validator=checks.at_least_one)
    max_ejected: float = field(default=0.5, validator=share)
    slow_start_s: float = field(default=30.0, validator=checks.not_negative)
    share: bool = False
    share_s: float = field(default=1.0, validator=checks.positive)

    def __attrs_post_init__(self) -> None:
        if self.max_open_s < self.open_s:
            raise Wanted("max_open_s to be at least open_s")


@frozen
class HedgeConfig:
    """Ask the next target, too, when the first says nothing for unusually long; the first to answer wins.

    after_s: how long that is; None takes it from what was observed of the target: its `quantile`, once
        there are min_samples observations.
    """

    after_s: float | None = field(default=None, validator=checks.positive)
    quantile: float = field(default=0.95, validator=_quantile)
    min_samples: int = field(default=20, validator=checks.at_least_one)


@frozen
class HealthCheckConfig:
    """Ask a provider now and then whether it is there, also while nobody needs it.

    path: below its base_url, as "/models"; any answer below 500 will do.
    """

    path: str = field(default="/models", validator=checks.url_path)
    interval_s: float = field(default=30.0, validator=checks.positive)
    timeout_s: float = field(default=5.0, validator=checks.positive)
