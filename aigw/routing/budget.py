"""The retry budget of one provider: how many calls beyond the first it may get for its requests.

Owns the token bucket that keeps an outage from being multiplied. The time is an argument.
"""

from __future__ import annotations

from attrs import define, field

from aigw.config.routing import RetryConfig


@define(eq=False)
class RetryBudget:
    """Each request earns a part of a retry; each retry costs a whole one.

    Law: over any time, spent <= budget_burst + earned + budget_floor_per_s * seconds.
    """

    settings: RetryConfig
    _tokens: float = field(init=False)
    _filled_at: float | None = field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        self._tokens = self.settings.budget_burst

    def earn(self) -> None:
        """Count a request that the provider gets for the first time."""
        settings = self.settings
        if self._tokens < settings.budget_burst:  # a full one, as nearly always, stays so
            self._tokens = min(settings.budget_burst, self._tokens + settings.budget_ratio)

    def spend(self, now: float) -> bool:
        """Take a retry out, if there is one."""
        if not self.has_some(now):
            return False
        self._tokens -= 1.0
        return True

    def has_some(self, now: float) -> bool:
        settings = self.settings
        since = now if self._filled_at is None else self._filled_at
        grown = self._tokens + max(0.0, now - since) * settings.budget_floor_per_s
        self._tokens = min(settings.budget_burst, grown)
        self._filled_at = now
        return self._tokens >= 1.0
