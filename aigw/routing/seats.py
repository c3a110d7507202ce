"""What a choice is made of: seats, the choices that explain themselves, and what a strategy is.

Owns the shapes alone. A seat is a target as one kind of request meets it: the endpoint it is spoken to at,
its health, its limits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from attrs import define, frozen

from aigw.dialects.endpoints import Endpoint
from aigw.routing.backoff import Chance
from aigw.routing.health import TargetState
from aigw.routing.limiter import Limiter
from aigw.upstream.profile import Profile
from aigw.upstream.target import Group, Target

if TYPE_CHECKING:
    from aigw.pipeline.exchange import Exchange


@define(eq=False)
class Seat:
    """One target that can answer a request.

    group: the one it stands in; None for a target that a plugin has made for this request.
    profile: what is known of its model as far as requests of this kind go, once somebody has asked.
    """

    target: Target
    endpoint: Endpoint
    state: TargetState
    limiter: Limiter | None = None
    group: Group | None = None
    profile: Profile | None = None

    @property
    def is_plain(self) -> bool:
        """Whether nothing is the matter with it, so that nobody has to look closer."""
        return self.limiter is None and self.state.plain

    def weight(self, now: float) -> float:
        """Return the target's weight, or less of it while it is coming back."""
        return self.target.weight if self.state.plain else self.target.weight * self.state.share(now)

    def unfit(self, now: float) -> str:
        """Say why it cannot be asked now; empty where it can."""
        state = self.state
        if not (state.plain or state.admits(now)):
            return state.trouble(now) or "its probe is under way"
        full = None if self.limiter is None else self.limiter.full(now)
        return f"at its {full}" if full else ""


@frozen
class Choice:
    """One step of a choice, for those who ask. target: what it is about, by name; empty for all of it."""

    target: str
    reason: str


Trace = list[Choice]
"""What has been decided, in order. Nobody gathers it unless somebody asks."""


class Strategy(Protocol):
    """Chooses among the targets of one group. One instance lives as long as its group, and may count.

    Law: returns the same seats in some order, the first to be asked first. Seats that cannot be asked now
    have been left out already; there are at least two.
    """

    def order(self, exchange: Exchange, seats: Sequence[Seat], now: float) -> Sequence[Seat]:
        """Return the seats in the order in which they are to be asked. now: the clock's seconds."""


StrategyFactory = Callable[[Group, Chance], Strategy]
"""(the group with its settings, a source of chance) -> a strategy. Raises ValueError on wrong settings."""
