"""Where a target stands among those of its group, and which were no targets at all.

Owns what is told of a group beside the router's own words: shares, limits, and who does not speak the format.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from attrs import asdict, frozen

from aigw.dialects.base import Tree
from aigw.pipeline.choose import plan_of
from aigw.pipeline.exchange import Exchange
from aigw.routing.conditions import first_rule
from aigw.routing.router import SeatGroup
from aigw.upstream.target import NO_POLICY, Group, Policy, Target


@frozen
class Place:
    """Where a target stands.

    group: its number, from 1. chance: how often it is asked first of its group; None where that is measured.
    limits: those that are set, by name.
    """

    group: int
    strategy: str
    weight: float
    chance: float | None
    limits: Mapping[str, int]


def _by_weight(group: Group, targets: Sequence[Target], target: Target) -> float:  # noqa: ARG001
    total = sum(each.weight for each in targets)
    return target.weight / total if total else 1 / len(targets)


def _equal(group: Group, targets: Sequence[Target], target: Target) -> float:  # noqa: ARG001
    return 1 / len(targets)


def _canary(group: Group, targets: Sequence[Target], target: Target) -> float:
    share = group.percent / 100
    if target is group.targets[-1]:
        return share
    old = [each for each in targets if each is not group.targets[-1]]
    return (1 - share) * _by_weight(group, old, target)


def _in_order(group: Group, targets: Sequence[Target], target: Target) -> float:  # noqa: ARG001
    return float(target is targets[0])


_CHANCES: Final[Mapping[str, Callable[[Group, Sequence[Target], Target], float]]] = MappingProxyType(
    {
        "weighted": _by_weight,
        "round_robin": _by_weight,
        "random": _equal,
        "canary": _canary,
        "priority": _in_order,
    }
)


def places_of(groups: Sequence[SeatGroup]) -> dict[Target, Place]:
    """Return the place of each target; of one that stands in several groups, the first."""
    places: dict[Target, Place] = {}
    for number, group in enumerate(groups, 1):
        targets = [seat.target for seat in group.seats]
        chance = _CHANCES.get(group.group.strategy)
        for target in targets:
            share = 1.0 if len(targets) == 1 else chance and chance(group.group, targets, target)
            rounded = None if share is None else round(share, 4)
            limits = {} if target.limits is None else asdict(target.limits)
            set_limits = {name: limit for name, limit in limits.items() if limit is not None}
            place = Place(number, group.group.strategy, target.weight, rounded, set_limits)
            places.setdefault(target, place)
    return places


def left_out(exchange: Exchange, groups: Sequence[SeatGroup]) -> list[Tree]:
    """Return the targets that cannot answer such a request, whatever their health."""
    known = exchange.gateway.models.resolve(exchange.model)
    asked = [group.group for group in groups]
    asked += [group for group in (known.groups if known else ()) if group not in asked]
    seated = {seat.target for group in groups for seat in group.seats}
    api = exchange.endpoint.api
    return [
        {"target": target.name, "reason": f"its provider speaks neither {api} nor a format it turns into"}
        for group in asked
        for target in group.targets
        if target not in seated and target not in exchange.targets and _is_asked(exchange, target, asked)
    ]


def _is_asked(exchange: Exchange, target: Target, asked: Sequence[Group]) -> bool:
    """Tell whether it is this kind of request that a target cannot answer, and no rule went around it."""
    known = exchange.gateway.models.resolve(exchange.model)
    if known is None:
        return False
    able = {seat.target for group in plan_of(exchange, known).groups for seat in group.seats}
    return target not in able and any(target in group.targets for group in asked)


def policy_of(exchange: Exchange) -> Policy:
    """Return the policy of the model that serves a request: that of the rule that holds, or its own."""
    models = exchange.gateway.models
    known = models.resolve(exchange.model)
    if known is None:
        return NO_POLICY
    rule = first_rule(exchange, plan_of(exchange, known).rules, None)
    served = known if rule is None else models.resolve(rule.use)
    return known.policy if served is None or not plan_of(exchange, served).groups else served.policy
