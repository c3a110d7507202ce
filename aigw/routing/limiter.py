"""What an operator lets one target be asked at most: calls at a time, requests and tokens per minute.

Owns the counting. Tokens are known when an answer has ended, so a target is full once the last minute's
answers have used them up. The time is an argument.
"""

from __future__ import annotations

from attrs import define, field

from aigw.routing.tally import Tally
from aigw.upstream.target import Limits

MINUTE_S = 60.0
IN_FLIGHT_WAIT_S = 1.0
"""When to ask again where all calls that may run at a time are running: nobody knows when one ends."""


@define(eq=False)
class Limiter:
    """Counts what one target gets under its limits."""

    limits: Limits
    in_flight: int = 0
    _requests: Tally = field(factory=lambda: Tally(MINUTE_S, 60))
    _tokens: Tally = field(factory=lambda: Tally(MINUTE_S, 60))

    def full(self, now: float) -> str | None:
        """Return which limit is reached, by its name in configuration; None while there is room."""
        limits = self.limits
        if limits.max_in_flight is not None and self.in_flight >= limits.max_in_flight:
            return "max_in_flight"
        if limits.requests_per_minute is not None and self._requests.sum(now) >= limits.requests_per_minute:
            return "requests_per_minute"
        if limits.tokens_per_minute is not None and self._tokens.sum(now) >= limits.tokens_per_minute:
            return "tokens_per_minute"
        return None

    def begin(self, now: float) -> None:
        self.in_flight += 1
        self._requests.add(now)

    def end(self, now: float, tokens: int) -> None:
        self.in_flight -= 1
        if tokens:
            self._tokens.add(now, tokens)

    def room_in_s(self, now: float) -> float:
        """Return in how many seconds there may be room again."""
        match self.full(now):
            case "requests_per_minute":
                return self._requests.room_in_s(now)
            case "tokens_per_minute":
                return self._tokens.room_in_s(now)
            case "max_in_flight":
                return IN_FLIGHT_WAIT_S
            case _:
                return 0.0
