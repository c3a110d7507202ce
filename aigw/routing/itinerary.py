"""The way of one request from attempt to attempt: which target now, after which wait, and when to give up.

Owns the order of attempts: every target of a group once, then retries within the group, then the next group,
all within one deadline and the providers' retry budgets. Pure: it is told the time and what failed, and calls
and sleeps for nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from attrs import define

from aigw.config.routing import RetryConfig
from aigw.routing.backoff import Chance, backoff_s
from aigw.routing.seats import Choice, Seat, Trace


@define
class Step:
    """Ask this seat, after this wait."""

    seat: Seat
    wait_s: float = 0.0


@define
class _Failed:
    seat: Seat
    is_transient: bool


class Itinerary:
    """Says where to go next. Ask `next`, and say of each step that failed with `failed`.

    Laws: no seat is asked again before every other one of its group was asked once; a retry takes from its
    provider's budget, and one that is longer than it is worth, or ends after the deadline, is not made.
    """

    __slots__ = ("_again", "_at", "_failed", "_providers", "_retries", "chance", "deadline_at", "retry",
                 "seats", "trace")  # fmt: skip

    def __init__(
        self,
        seats: Sequence[Seat],
        retry: RetryConfig,
        chance: Chance,
        deadline_at: float = inf,
        trace: Trace | None = None,
    ) -> None:
        self.seats = seats
        self.retry = retry
        self.chance = chance
        self.deadline_at = deadline_at
        self.trace = trace
        self._at = 0
        self._failed: list[_Failed] = []
        self._retries = 0
        self._again: Seat | None = None
        self._providers: list[str] = []

    def next(self, now: float) -> Step | None:
        """Return what to do now; None when there is nothing left that is worth it."""
        if now >= self.deadline_at:
            return None
        if self._again is not None:
            seat, self._again = self._again, None
            return Step(seat)
        seats = self.seats
        while self._at < len(seats):
            seat = seats[self._at]
            if self._failed and seat.group is not self._failed[-1].seat.group:
                retry = self._retry(now)
                if retry is not None:
                    return retry
                self._failed.clear()
                self._retries = 0
            self._at += 1
            if self._may_ask(seat, now):
                self._enter(seat)
                return Step(seat)
        return self._retry(now)

    def begun(self, first: Seat) -> None:
        """Take note that the first seat has been asked, and its provider's budget has earned by it."""
        self._at = 1
        self._providers.append(first.target.provider.name)

    def hedge(self, now: float) -> Seat | None:
        """Return the seat that may be asked beside the present one: the next, if it is well and can pay.

        It takes from its provider's budget, and its turn is used.
        """
        if self._at >= len(self.seats):
            return None
        seat = self.seats[self._at]
        if seat.unfit(now) or not seat.state.budget.spend(now):
            return None
        self._at += 1
        self._note(seat, "asked as well, since the one before says nothing")
        return seat

    def failed(self, seat: Seat, *, is_transient: bool, has_another_key: bool = False) -> None:
        """Take note that a step failed.

        is_transient: a moment later it may succeed. has_another_key: its provider has another credential
        to try, so that it is asked again at once.
        """
        if has_another_key:
            self._again = seat
        else:
            self._failed = [known for known in self._failed if known.seat is not seat]
            self._failed.append(_Failed(seat, is_transient))

    def divert(self, seats: Sequence[Seat]) -> None:
        """Go on with other seats, in place of all that is left."""
        self.seats = seats
        self._at = 0
        self._failed.clear()
        self._retries = 0
        self._again = None

    def _may_ask(self, seat: Seat, now: float) -> bool:
        """Tell whether a seat's turn is used. One that is not well is asked when nobody else was.

        Otherwise it costs a retry: what an outage is spared is not to come back in through the last resort.
        """
        why = seat.unfit(now)
        if not why:
            return True
        is_full = seat.limiter is not None and seat.limiter.full(now) is not None
        if not is_full and (not self._providers or seat.state.budget.spend(now)):
            self._note(seat, f"asked all the same, as a last resort: {why}")
            return True
        self._note(seat, f"passed over: {why}")
        return False

    def _enter(self, seat: Seat) -> None:
        provider = seat.target.provider.name
        if provider not in self._providers:
            self._providers.append(provider)
            seat.state.budget.earn()

    def _retry(self, now: float) -> Step | None:
        """Return the retry that can be made soonest among those that failed in this group."""
        if self._retries >= self.retry.retries or not self._failed:
            return None
        wait_s = backoff_s(self._retries, self.retry, self.chance)
        ready = [
            (max(wait_s, failed.seat.state.parked_until - now), number)
            for number, failed in enumerate(self._failed)
            if failed.is_transient
        ]
        for wait_s, number in sorted(ready):
            seat = self._failed[number].seat
            why = self._not_worth(seat, now, wait_s)
            if not why:
                self._retries += 1
                self._note(seat, f"retried after {wait_s:.2f} s")
                return Step(seat, wait_s)
            self._note(seat, f"not retried: {why}")
        return None

    def _not_worth(self, seat: Seat, now: float, wait_s: float) -> str:
        """Say why a retry is not made; empty where it is, and then it is paid for."""
        if wait_s > self.retry.patience_s:
            return f"{wait_s:.2f} s are longer than a retry is worth"
        if now + wait_s >= self.deadline_at:
            return "the deadline is nearer"
        if seat.state.returns_at(now) - now > wait_s:
            return seat.state.trouble(now)
        full = None if seat.limiter is None else seat.limiter.full(now)
        if full is not None:
            return f"at its {full}"
        return "" if seat.state.budget.spend(now) else "its provider's retry budget is spent"

    def _note(self, seat: Seat, reason: str) -> None:
        if self.trace is not None:
            self.trace.append(Choice(seat.target.name, reason))
