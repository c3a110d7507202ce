"""The strategies that come with the gateway, but for `sticky`: how a target is chosen within a group.

Owns one class for each and the table of their names. Chance is given to them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from attrs import define

from aigw.routing.backoff import Chance
from aigw.routing.seats import Seat, StrategyFactory
from aigw.routing.sticky import sticky
from aigw.upstream.target import Group

if TYPE_CHECKING:
    from aigw.pipeline.exchange import Exchange

INPUT_SHARE = 0.75
"""What part of a request's tokens is taken to be input where prices are compared."""


@define(eq=False)
class Weighted:
    """By lot, each as often as its weight says; weight 0 comes last."""

    chance: Chance

    def order(self, exchange: Exchange, seats: Sequence[Seat], now: float) -> Sequence[Seat]:  # noqa: ARG002
        if len(seats) == 2:  # the usual case, and a toss will do
            first, second = seats
            if first.state.plain and second.state.plain:
                weight, other = first.target.weight, second.target.weight
                is_first = self.chance() * (weight + other) < weight or not other
                return seats if is_first else (second, first)
        return by_weight(seats, [seat.weight(now) for seat in seats], self.chance)


def by_weight(seats: Sequence[Seat], weights: list[float], chance: Chance) -> list[Seat]:
    """Draw without replacement, in proportion to the weights; those of weight 0 follow in their order."""
    left, drawn = list(seats), []
    total = sum(weights)
    while len(left) > 1:
        place = 0
        if total > 0:
            mark = chance() * total
            for place, weight in enumerate(weights):  # noqa: B007 - the place is what the loop is for
                mark -= weight
                if mark < 0:
                    break
            while not weights[place] and any(weights):  # rounding has carried the mark past the last weight
                place -= 1
        drawn.append(left.pop(place))
        total -= weights.pop(place)
    return drawn + left


@define(eq=False)
class RoundRobin:
    """In turn, each as often as its weight says, spread evenly (smooth weighted round robin, as nginx)."""

    chance: Chance
    credits: dict[str, float]

    def order(self, exchange: Exchange, seats: Sequence[Seat], now: float) -> Sequence[Seat]:  # noqa: ARG002
        total = 0.0
        for seat in seats:
            weight = seat.weight(now)
            total += weight
            self.credits[seat.target.name] = self.credits.get(seat.target.name, 0.0) + weight
        ranked = sorted(seats, key=lambda seat: (seat.target.weight <= 0, -self.credits[seat.target.name]))
        self.credits[ranked[0].target.name] -= total
        return ranked


@define(eq=False)
class Random:
    """By lot, whatever the weights."""

    chance: Chance

    def order(self, exchange: Exchange, seats: Sequence[Seat], now: float) -> Sequence[Seat]:  # noqa: ARG002
        return by_weight(seats, [1.0] * len(seats), self.chance)


@define(eq=False)
class LeastInFlight:
    """The one with the fewest answers under way, in proportion to its weight."""

    chance: Chance

    def order(self, exchange: Exchange, seats: Sequence[Seat], now: float) -> Sequence[Seat]:  # noqa: ARG002
        lots = {seat: self.chance() for seat in seats}
        return sorted(seats, key=lambda seat: (_load(seat.state.in_flight, seat.weight(now)), lots[seat]))


def _load(in_flight: float, weight: float) -> float:
    """Return how much is on a target that one request more would be added to; without end for weight 0."""
    return (in_flight + 1) / weight if weight > 0 else float("inf")


@define(eq=False)
class LowestLatency:
    """The one that lately began its answers soonest, times what it has under way (peak EWMA, as Finagle).

    One of which nothing is known is tried, and what was measured long ago is believed less and less.
    """

    chance: Chance

    def order(self, exchange: Exchange, seats: Sequence[Seat], now: float) -> Sequence[Seat]:
        lots = {seat: self.chance() for seat in seats}

        def cost(seat: Seat) -> tuple[bool, float, int, float]:
            latency = seat.state.streams if exchange.stream else seat.state.wholes
            under_way = seat.state.in_flight
            expected_s = latency.expected_s(now) * (under_way + 1)
            return (seat.target.weight <= 0, expected_s, under_way, lots[seat])

        return sorted(seats, key=cost)


@define(eq=False)
class LowestCost:
    """The cheapest one; among those of one price by lot. What has no price comes last."""

    chance: Chance

    def order(self, exchange: Exchange, seats: Sequence[Seat], now: float) -> Sequence[Seat]:  # noqa: ARG002
        lots = by_weight(seats, [seat.weight(now) for seat in seats], self.chance)
        return sorted(lots, key=lambda seat: (seat.target.weight <= 0, _price(seat)))


def _price(seat: Seat) -> float:
    price = seat.target.price
    if price is None:
        return float("inf")
    return INPUT_SHARE * price.input_usd_per_mtok + (1 - INPUT_SHARE) * price.output_usd_per_mtok


class Priority:
    """Always in the order in which they are written: the next one gets what the first has no room for."""

    def order(self, exchange: Exchange, seats: Sequence[Seat], now: float) -> Sequence[Seat]:  # noqa: ARG002
        return seats


@define(eq=False)
class Canary:
    """A share of the requests goes to the last target first, the others to the rest by weight."""

    group: Group
    chance: Chance

    def order(self, exchange: Exchange, seats: Sequence[Seat], now: float) -> Sequence[Seat]:  # noqa: ARG002
        canary = self.group.targets[-1].name
        old = [seat for seat in seats if seat.target.name != canary]
        new = [seat for seat in seats if seat.target.name == canary]
        old = by_weight(old, [seat.weight(now) for seat in old], self.chance)
        return [*new, *old] if self.chance() * 100 < self.group.percent else [*old, *new]


def _canary(group: Group, chance: Chance) -> Canary:
    if len(group.targets) < 2:
        raise ValueError('strategy "canary" needs two targets or more; the last one is the canary')
    return Canary(group, chance)


STRATEGIES: Mapping[str, StrategyFactory] = {
    "weighted": lambda _, chance: Weighted(chance),
    "round_robin": lambda _, chance: RoundRobin(chance, {}),
    "random": lambda _, chance: Random(chance),
    "least_in_flight": lambda _, chance: LeastInFlight(chance),
    "lowest_latency": lambda _, chance: LowestLatency(chance),
    "lowest_cost": lambda _, chance: LowestCost(chance),
    "priority": lambda _, __: Priority(),
    "sticky": lambda group, chance: sticky(group, Weighted(chance)),
    "canary": _canary,
}
"""Strategies by the name that `strategy = "..."` uses in configuration."""
