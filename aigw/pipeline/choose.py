"""Which targets a request may go to, in which order, and why.

Owns how names become plans (the model asked for, rules, fallbacks of the configuration and of the request),
and what `choose_targets` hooks make of it. Each step can say its reason to a trace. Calls no provider.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import define
from multidict import istr

from aigw.config.models import RuleConfig
from aigw.dialects.endpoints import Endpoint
from aigw.errors import ClientError, ErrorKind, ServerError
from aigw.hooks.table import first_result
from aigw.pipeline.admit import is_allowed
from aigw.pipeline.exchange import Exchange
from aigw.pipeline.speak import spoken
from aigw.routing.conditions import first_rule
from aigw.routing.router import SeatGroup
from aigw.routing.seats import Choice, Seat, Trace
from aigw.upstream.registry import Route, Target
from aigw.upstream.target import Policy

MAX_FALLBACKS = 16
FALLBACKS = istr("x-aigw-fallbacks")


@define(eq=False)
class Plan:
    """What a model's name means for one kind of request.

    is_simple: nothing is to decide but the order. is_hedged: a second target may be asked beside the first.
    """

    groups: tuple[SeatGroup, ...]
    policy: Policy
    rules: tuple[RuleConfig, ...]
    is_simple: bool
    is_hedged: bool


def chosen(
    exchange: Exchange, trace: Trace | None = None
) -> tuple[Plan, tuple[SeatGroup, ...], Sequence[Seat]]:
    """Return the plan that serves a request, its groups, and the seats in the order in which to ask them.

    Raises ClientError: 404 where the model leads nowhere, 403 for a fallback that the caller may not use.
    """
    known = exchange.gateway.models.resolve(exchange.model)
    if known is None:
        raise _unknown_model(exchange, exchange.model, "model")
    exchange.entry = known.entry
    exchange.prefer = known.prefer
    plan = plan_of(exchange, known)
    groups = plan.groups
    asked = wished_fallbacks(exchange)
    if asked or not plan.is_simple:
        plan, groups = _extended(exchange, plan, asked, trace)
    if not groups:
        raise _unable(exchange, known)
    router = exchange.gateway.router
    seats = exchange.seats = router.order(exchange, groups, router.clock(), trace)
    return plan, groups, seats


def plan_of(exchange: Exchange, route: Route) -> Plan:
    """Return what a route means for this kind of request; worked out once for each."""
    key = (exchange.endpoint, exchange.stream)
    plan: Plan | None = route.plans.get(key)
    if plan is None:
        config = exchange.gateway.config.routing
        rules = (*route.policy.rules, *config.rules)
        plan = Plan(
            exchange.gateway.router.seated(
                route.groups, lambda target: spoken_to(exchange, target, route.prefer)
            ),
            route.policy,
            rules,
            not rules and not route.policy.fallbacks,
            (route.policy.hedge or config.hedge) is not None,
        )
        route.plans[key] = plan
    return plan


def spoken_to(exchange: Exchange, target: Target, prefer: str | None) -> Endpoint | None:
    """Return the endpoint at which this target is asked; None where its provider cannot answer."""
    # Only where there is no codec does the answer depend on the model; so few are kept in mind.
    model = target.model if exchange.endpoint.codec is None else ""
    return spoken(exchange.endpoint, exchange.stream, target.provider.apis, prefer, model)


def seats_of(exchange: Exchange, models: Iterable[str], trace: Trace | None = None) -> Sequence[Seat]:
    """Return the seats of other models in the order in which to ask them, one model after the other."""
    router = exchange.gateway.router
    return router.order(exchange, _groups_of(exchange, models), router.clock(), trace)


def wished_fallbacks(exchange: Exchange) -> list[str]:
    """Return the models that the request itself names for the case that all else fails.

    In the header `x-aigw-fallbacks`, or in the body as a list `fallbacks`, which is ours and goes no further.
    Raises ClientError: 400 on anything but names, 403 on what the caller may not use, 404 on no model.
    """
    header = exchange.request.headers.get(FALLBACKS)
    payload = exchange.payload
    names = [] if header is None else [name.strip() for name in header.split(",") if name.strip()]
    if (not exchange.endpoint.has_model_in_path or b'"fallbacks"' in payload.raw) and (
        "fallbacks" in payload.told
    ):
        names += _from_body(exchange)
    if len(names) > MAX_FALLBACKS:
        raise ClientError(f"at most {MAX_FALLBACKS} fallbacks, got {len(names)}", param="fallbacks")
    for name in names:
        _check(exchange, name)
    return names


def _from_body(exchange: Exchange) -> list[str]:
    names = exchange.payload.edit().pop("fallbacks")
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise ClientError('"fallbacks" must be a list of model names', param="fallbacks")
    return names


def _check(exchange: Exchange, name: str) -> None:
    if not is_allowed(name, exchange.identity.models):
        raise ClientError(
            f'fallback "{name[:80]}": not allowed for this key',
            kind=ErrorKind.MODEL_NOT_ALLOWED,
            param="fallbacks",
        )
    if exchange.gateway.models.resolve(name) is None:
        raise _unknown_model(exchange, name, "fallbacks")


def _extended(
    exchange: Exchange, plan: Plan, asked: list[str], trace: Trace | None
) -> tuple[Plan, tuple[SeatGroup, ...]]:
    """Follow the rule that holds, if one does, and add the fallbacks behind the groups."""
    rule = first_rule(exchange, plan.rules, trace) if plan.rules else None
    if rule is not None:
        route = exchange.gateway.models.resolve(rule.use)
        used = None if route is None else plan_of(exchange, route)
        if used is not None and used.groups:
            plan = used
        elif trace is not None:
            trace.append(Choice("", f'"{rule.use}" cannot answer this: the rule is left aside'))
    names = [*asked, *plan.policy.fallbacks]
    if trace is not None and names:
        trace.append(Choice("", f"fallbacks: {', '.join(names)}"))
    known = {id(group) for group in plan.groups}
    more = [group for group in _groups_of(exchange, names) if id(group) not in known]
    return plan, (*plan.groups, *more)


def _groups_of(exchange: Exchange, models: Iterable[str]) -> list[SeatGroup]:
    found: list[SeatGroup] = []
    for name in models:
        route = exchange.gateway.models.resolve(name)
        if route is not None:
            found += [group for group in plan_of(exchange, route).groups if group not in found]
    return found


async def as_plugins_want(exchange: Exchange, seats: Sequence[Seat], trace: Trace | None) -> Sequence[Seat]:
    """Return the seats that `choose_targets` hooks leave, in the order in which they want them."""
    by_target = {seat.target: seat for seat in seats}
    targets: Sequence[Target] = [seat.target for seat in seats]
    for hook in exchange.gateway.hooks.choose_targets:
        wanted: Sequence[Target] | None = await first_result((hook,), exchange, targets)
        if wanted is None:
            continue
        group = seats[0].group if seats else None
        for target in wanted:
            if target in by_target:
                group = by_target[target].group
                continue
            at = spoken_to(exchange, target, exchange.prefer)
            if at is not None:  # one of the plugin's own stands in the group of the one before it
                by_target[target] = exchange.gateway.router.seat(target, at, group)
        targets = [target for target in wanted if target in by_target]
        if trace is not None:
            names = ", ".join(target.name for target in targets) or "nothing"
            trace.append(Choice("", f'plugin "{hook.plugin}" leaves {names}'))
    return [by_target[target] for target in targets]


def _unable(exchange: Exchange, known: Route) -> ClientError:
    providers = ", ".join(sorted({target.provider.name for target in known.targets}))
    return ClientError(
        f'model "{exchange.model}": its provider ({providers}) does not speak the '
        f"{exchange.endpoint.api} API"
        + ("" if exchange.endpoint.codec else f", and nothing else that answers {exchange.endpoint.path}"),
        kind=ErrorKind.MODEL_NOT_FOUND,
        param="model",
    )


def nothing_left(exchange: Exchange, groups: Sequence[SeatGroup]) -> ClientError | ServerError:
    """Say why there is nobody to ask: all are full, or left out, or a plugin wants none."""
    router = exchange.gateway.router
    now = router.clock()
    seats = [seat for group in groups for seat in group.seats]
    room_in_s = [seat.limiter.room_in_s(now) for seat in seats if seat.limiter and seat.limiter.full(now)]
    if room_in_s:
        return ClientError(
            f'model "{exchange.model}": all its targets are at their limits',
            kind=ErrorKind.RATE_LIMITED,
            retry_after_s=min(room_in_s),
        )
    if all(seat.unfit(now) for seat in seats):
        return ServerError(
            f'model "{exchange.model}": all its targets are left alone after failures',
            kind=ErrorKind.UNAVAILABLE,
            retry_after_s=max(0.0, min(seat.state.returns_at(now) for seat in seats) - now),
        )
    return ClientError(
        f'model "{exchange.model}": no target is left for this request',
        kind=ErrorKind.MODEL_NOT_FOUND,
        param="model",
    )


def _unknown_model(exchange: Exchange, model: str, param: str) -> ClientError:
    patterns = exchange.identity.models
    near = exchange.gateway.models.nearest(model, lambda name: is_allowed(name, patterns))
    hint = f'; did you mean "{near}"?' if near else "; GET /v1/models lists what there is"
    return ClientError(
        f'model "{model[:80]}": no such model{hint}', kind=ErrorKind.MODEL_NOT_FOUND, param=param
    )
