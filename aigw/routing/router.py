"""The order in which a request's targets are asked: groups, their strategies, and who is left out.

Owns the seats of each group and the limits of leaving targets out. Knows no model by name, and calls nobody.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from attrs import define, field

from aigw.config.models import RoutingConfig
from aigw.dialects.endpoints import Endpoint
from aigw.routing.backoff import Chance
from aigw.routing.health import HealthBoard
from aigw.routing.seats import Choice, Seat, Strategy, StrategyFactory, Trace
from aigw.upstream.target import Group, Target

if TYPE_CHECKING:
    from aigw.pipeline.exchange import Exchange

Speak = Callable[[Target], Endpoint | None]
"""Returns the endpoint at which a target answers the request at hand; None where it cannot."""


@define(eq=False)
class SeatGroup:
    """The seats of one group, for one kind of request. is_limited: some have limits of their own."""

    group: Group
    seats: tuple[Seat, ...]
    strategy: Strategy
    is_limited: bool


@define(eq=False)
class Router:
    """Orders targets. strategies: factories by name. chance, clock: as `random.random`, `time.monotonic`."""

    config: RoutingConfig
    strategies: Mapping[str, StrategyFactory]
    chance: Chance = random.random
    clock: Callable[[], float] = time.monotonic
    board: HealthBoard = field(init=False)
    _made: WeakKeyDictionary[Group, Strategy] = field(init=False, factory=WeakKeyDictionary)

    def __attrs_post_init__(self) -> None:
        self.board = HealthBoard(self.config.health, self.config.retry)

    def strategy(self, group: Group) -> Strategy:
        """Return the strategy of a group, one for its whole life.

        Raises ValueError where nobody provides it, or it refuses the group's settings.
        """
        made = self._made.get(group)
        if made is None:
            factory = self.strategies.get(group.strategy)
            if factory is None:
                known = ", ".join(sorted(self.strategies))
                raise ValueError(f'strategy: got "{group.strategy}", wanted one of {known}')
            made = self._made[group] = factory(group, self.chance)
        return made

    def seat(self, target: Target, endpoint: Endpoint, group: Group | None = None) -> Seat:
        return Seat(target, endpoint, self.board.state(target), self.board.limiter(target), group)

    def seated(self, groups: Sequence[Group], speak: Speak) -> tuple[SeatGroup, ...]:
        """Return the groups with those of their targets that can answer; groups without any are left out."""
        made = []
        for group in groups:
            spoken = [(target, speak(target)) for target in group.targets]
            seats = tuple(self.seat(target, at, group) for target, at in spoken if at is not None)
            if seats:
                limited = any(seat.limiter is not None for seat in seats)
                made.append(SeatGroup(group, seats, self.strategy(group), limited))
        return tuple(made)

    def order(
        self, exchange: Exchange, groups: Sequence[SeatGroup], now: float, trace: Trace | None = None
    ) -> Sequence[Seat]:
        """Return the seats in the order in which to ask them; the unwell ones come last, or not at all."""
        if len(groups) == 1 and trace is None:
            (group,) = groups
            if not group.is_limited:
                for seat in group.seats:
                    if not seat.state.plain:
                        break
                else:  # as nearly always: nothing is the matter
                    seats = group.seats
                    return seats if len(seats) == 1 else group.strategy.order(exchange, seats, now)
        ordered: list[Seat] = []
        last: list[Seat] = []
        for number, group in enumerate(groups, 1):
            fit, unfit = self._split(group, now, trace)
            chosen = group.strategy.order(exchange, fit, now) if len(fit) > 1 else fit
            if trace is not None:
                trace += [
                    Choice(seat.target.name, f"group {number}, {group.group.strategy}: number {place}")
                    for place, seat in enumerate(chosen, 1)
                ]
            ordered += chosen
            last += self._last_resort(group, len(fit), unfit, now)
        return ordered + last

    def _split(self, group: SeatGroup, now: float, trace: Trace | None) -> tuple[list[Seat], list[Seat]]:
        """Return the seats that can be asked, and those that could if they were well."""
        fit, unfit = [], []
        for seat in group.seats:
            why = seat.unfit(now)
            if not why:
                fit.append(seat)
                continue
            if trace is not None:
                trace.append(Choice(seat.target.name, f"left out: {why}"))
            if seat.limiter is None or seat.limiter.full(now) is None:
                unfit.append(seat)
        return fit, unfit

    def _last_resort(self, group: SeatGroup, fit: int, unfit: list[Seat], now: float) -> list[Seat]:
        """Return those that may not be left out as well, the soonest back first."""
        count = len(group.seats)
        kept = count - int(self.config.health.max_ejected * count)
        return sorted(unfit, key=lambda seat: seat.state.returns_at(now))[: max(0, kept - fit)]
