"""What an operator lets one target be asked at most: calls at a time, requests and tokens per minute.

Owns the counting. Tokens are known when an answer has ended, so a target is full once the last minute's
answers have used them up. What other gateways use of the same limits is told from time to time (`hear`);
until the next time each takes no more than its part of the room that it saw. The time is an argument.
"""

from __future__ import annotations

from math import ceil

from attrs import define, field, frozen

from aigw.routing.tally import Tally
from aigw.upstream.target import Limits

MINUTE_S = 60.0
SOON_S = 1.0
"""When to ask again where all calls that may run at a time are running, since nobody knows when one ends, and
where there is room that others might take."""


@frozen
class Used:
    """How much of some limits is used: calls under way, requests and tokens of the last minute."""

    in_flight: int = 0
    requests: int = 0
    tokens: int = 0


@define(eq=False)
class Limiter:
    """Counts what one target gets under its limits.

    others: what other gateways have used of them. most: how far the own counts may go beside those.
    """

    limits: Limits
    in_flight: int = 0
    others: Used = field(factory=Used)
    most: Limits = field(init=False)
    _requests: Tally = field(factory=lambda: Tally(MINUTE_S, 60))
    _tokens: Tally = field(factory=lambda: Tally(MINUTE_S, 60))

    def __attrs_post_init__(self) -> None:
        self.most = self.limits

    def full(self, now: float) -> str | None:
        """Return which limit is reached, by its name in configuration; None while there is room."""
        most = self.most
        if most.max_in_flight is not None and self.in_flight >= most.max_in_flight:
            return "max_in_flight"
        if most.requests_per_minute is not None and self._requests.sum(now) >= most.requests_per_minute:
            return "requests_per_minute"
        if most.tokens_per_minute is not None and self._tokens.sum(now) >= most.tokens_per_minute:
            return "tokens_per_minute"
        return None

    def begin(self, now: float) -> None:
        self.in_flight += 1
        self._requests.add(now)

    def end(self, now: float, tokens: int) -> None:
        self.in_flight -= 1
        if tokens:
            self._tokens.add(now, tokens)

    def used(self, now: float) -> Used:
        """Return what the others are to be told."""
        return Used(self.in_flight, self._requests.sum(now), self._tokens.sum(now))

    def hear(self, now: float, others: Used, sharers: int) -> None:
        """Take note of what others have used. sharers: gateways that use the same limits, this one included.

        Each takes its part of what is left, rounded up: they cannot ask one another before each request.
        Tokens are counted when they have been used, so there is nothing to deal out.
        """
        own, limits = self.used(now), self.limits
        self.others = others
        self.most = Limits(
            _part(limits.max_in_flight, own.in_flight, others.in_flight, sharers),
            _part(limits.requests_per_minute, own.requests, others.requests, sharers),
            _part(limits.tokens_per_minute, own.tokens, others.tokens, 1),
        )

    def room_in_s(self, now: float) -> float:
        """Return in how many seconds there may be room again."""
        match self.full(now):
            case "requests_per_minute":
                return _wait_s(self._requests, now, self.others.requests, self.limits.requests_per_minute)
            case "tokens_per_minute":
                return _wait_s(self._tokens, now, self.others.tokens, self.limits.tokens_per_minute)
            case "max_in_flight":
                return SOON_S
            case _:
                return 0.0


def _part(limit: int | None, own: int, others: int, sharers: int) -> int | None:
    """Return how far the own count may go."""
    if limit is None:
        return None
    room = limit - own - others
    return own + (ceil(room / sharers) if room > 0 else room)


def _wait_s(tally: Tally, now: float, others: int, limit: int | None) -> float:
    if limit is None or tally.sum(now) + others < limit:  # there is room, but it may be others' part
        return SOON_S
    return tally.room_in_s(now) or SOON_S
