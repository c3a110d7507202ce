"""The circuit breaker of one target: closed, open, half-open.

Owns when a target is left alone because it fails, and when it may be tried again. Pure: the time is an
argument, nothing is logged. Knows not what a failure is: that is told it.
"""

from __future__ import annotations

from enum import StrEnum

from attrs import define, field

from aigw.config.routing import HealthConfig
from aigw.routing.tally import Tally


class Circuit(StrEnum):
    """States of a breaker."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@define(eq=False)
class Breaker:
    """Counts failures and opens.

    open_until: when an open circuit may be probed. reason: what opened it. openings: how often it opened
    since it was last closed. recovered_at: when it was last closed again.
    generation: rises with each opening and closing; what began in an earlier one says nothing of this one.

    Laws: a closed circuit admits everything; an open one nothing before `open_until`; a half-open one
    `probes` at a time. A probe that succeeds closes it, one that fails opens it for twice as long.
    """

    settings: HealthConfig
    circuit: Circuit = Circuit.CLOSED
    open_until: float = 0.0
    reason: str = ""
    openings: int = 0
    recovered_at: float | None = None
    generation: int = 0
    consecutive: int = 0
    probing: int = 0
    _good: Tally = field(init=False)
    _bad: Tally = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._good = Tally(self.settings.window_s)
        self._bad = Tally(self.settings.window_s)

    def admits(self, now: float) -> bool:
        """Tell whether a request may be sent now."""
        if self.circuit is Circuit.CLOSED:
            return True
        if self.circuit is Circuit.OPEN:
            return now >= self.open_until
        return self.probing < self.settings.probes

    def begin(self, now: float) -> bool:
        """Take note of a request that is sent now; tell whether it is a probe."""
        if self.circuit is Circuit.CLOSED:
            return False
        if self.circuit is Circuit.OPEN and now >= self.open_until:
            self.circuit = Circuit.HALF_OPEN
            self.probing = 0
        if self.circuit is Circuit.OPEN:  # a last resort
            return False
        self.probing += 1
        return True

    def release(self, generation: int, *, probe: bool) -> None:
        """Take note that a request is over, whatever came of it."""
        if probe and generation == self.generation and self.probing:
            self.probing -= 1

    def succeed(self, now: float, generation: int) -> bool:
        """Count a success; what was open is closed by it. Tell whether it was."""
        if generation != self.generation:
            return False
        self.consecutive = 0
        self._good.add(now)
        if self.circuit is Circuit.CLOSED:
            return False
        self._close(now)
        return True

    def fail(self, now: float, generation: int, reason: str) -> bool:
        """Count a failure; tell whether the circuit opened by it."""
        if generation != self.generation:
            return False
        self.consecutive += 1
        self._bad.add(now)
        if self.circuit is Circuit.OPEN:
            return False
        if self.circuit is Circuit.CLOSED and not self._is_too_much(now):
            return False
        self.open(now, reason)
        return True

    def open(self, now: float, reason: str, for_s: float | None = None) -> None:
        """Open the circuit for `for_s`; by default for longer with each time in a row."""
        settings = self.settings
        grown_s = settings.open_s * 2 ** min(self.openings, 30)
        self.open_until = now + (min(grown_s, settings.max_open_s) if for_s is None else for_s)
        self.circuit = Circuit.OPEN
        self.reason = reason
        self.openings += 1
        self.generation += 1
        self.probing = 0

    def error_rate(self, now: float) -> float:
        """Return the share of failures within the window; 0 where there was nothing."""
        bad = self._bad.sum(now)
        return bad / (bad + self._good.sum(now)) if bad else 0.0

    def _is_too_much(self, now: float) -> bool:
        settings = self.settings
        if self.consecutive >= settings.consecutive_failures:
            return True
        bad = self._bad.sum(now)
        count = bad + self._good.sum(now)
        return count >= settings.min_requests and bad >= settings.error_rate * count

    def _close(self, now: float) -> None:
        self.circuit = Circuit.CLOSED
        self.recovered_at = now
        self.reason = ""
        self.openings = 0
        self.consecutive = 0
        self.generation += 1
        self._good.clear()
        self._bad.clear()
