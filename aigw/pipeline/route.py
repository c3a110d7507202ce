"""Fourth link: where the request goes, and where it goes next when that fails.

Owns the loop over attempts, which ends at the commit point: once a byte has gone to the client there is
no other target. What comes next is decided in `aigw.routing`, and what came of it is told there. Knows no
HTTP and no wire format.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from math import inf
from time import monotonic

from aiohttp import web
from aiohttp.typedefs import Handler
from multidict import istr

from aigw.errors import ClientError, ErrorKind, GatewayError, ServerError
from aigw.pipeline.attempts import RETRYABLE, attempt, conclude, overdue, stopped
from aigw.pipeline.choose import Plan, as_plugins_want, chosen, nothing_left, seats_of
from aigw.pipeline.exchange import Exchange, bound_for_model
from aigw.pipeline.hedge import hedge_delay_s, hedged
from aigw.pipeline.speak import CannotHoldError
from aigw.pipeline.tried import most_useful
from aigw.routing.itinerary import Itinerary
from aigw.routing.seats import Seat

MAX_TIMEOUT_S = 86_400.0
TIMEOUT = istr("x-aigw-timeout")


@web.middleware
async def route(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Try one target after the other until one answers."""
    exchange = bound_for_model(request)
    if exchange is None:
        return await handler(request)
    plan, groups, seats = chosen(exchange, exchange.trace)
    if exchange.gateway.hooks.choose_targets:
        seats = exchange.seats = await as_plugins_want(exchange, seats, exchange.trace)
    if not seats:
        raise nothing_left(exchange, groups)
    patience_s = patience(exchange)
    if patience_s is not None and not exchange.begun:
        exchange.watch.answer_by = exchange.started_at + patience_s
    if plan.policy.shadow is not None:
        exchange.gateway.shadows.cast(exchange, plan.policy.shadow)
    before, first = len(exchange.attempts), seats[0]
    if plan.is_hedged or exchange.watch.answer_by != inf or not first.is_plain:
        return await travel(exchange, plan, itinerary(exchange, plan, seats), handler, before)
    # As nearly always nothing is the matter with the first target, so no way has to be planned behind it.
    first.state.budget.earn()
    answer = await attempt(exchange, first, handler)
    if not isinstance(answer, GatewayError):
        return answer
    trip = itinerary(exchange, plan, seats)
    trip.begun(first)
    note(exchange, plan, trip)
    return await travel(exchange, plan, trip, handler, before)


async def travel(
    exchange: Exchange, plan: Plan, trip: Itinerary, handler: Handler, before: int
) -> web.StreamResponse:
    """Follow an itinerary until a target answers. before: how many attempts there were before this round."""
    clock = exchange.gateway.router.clock
    while (step := trip.next(clock())) is not None:
        if step.wait_s:
            await pause(exchange, step.wait_s)
        delay_s = None if len(exchange.attempts) > before else hedge_delay_s(exchange, plan, step.seat)
        if delay_s is not None:
            answer = await hedged(exchange, step.seat, trip, delay_s)
            if isinstance(answer, GatewayError):
                go_on(exchange, plan, trip, answer)
                continue
            return answer
        answer = await attempt(exchange, step.seat, handler)
        if not isinstance(answer, GatewayError):
            return answer
        note(exchange, plan, trip)
    if len(exchange.attempts) == before:
        raise nobody_asked(exchange)
    raise most_useful(exchange.attempts[before:])


def itinerary(exchange: Exchange, plan: Plan, seats: Sequence[Seat]) -> Itinerary:
    """Return the way over these targets, within the request's own deadline."""
    router = exchange.gateway.router
    answer_by = exchange.watch.answer_by
    deadline_at = inf if answer_by == inf else router.clock() + answer_by - monotonic()
    retry = plan.policy.retry or router.config.retry
    return Itinerary(seats, retry, router.chance, deadline_at, exchange.trace)


def nobody_asked(exchange: Exchange) -> GatewayError:
    """Say why no attempt was made though there were targets: the time was over, or they were not well."""
    if exchange.watch.answer_by != inf:
        return overdue(exchange.watch.answer_by - exchange.started_at)
    text = f'model "{exchange.model}": none of its targets can be asked now'
    return ServerError(text, kind=ErrorKind.UNAVAILABLE, retry_after_s=1)


def note(exchange: Exchange, plan: Plan, trip: Itinerary) -> None:
    """Tell target and itinerary of the attempt that failed last. Raises its error where none can follow."""
    made = exchange.attempts[-1]
    assert made.seat is not None  # noqa: S101 - `attempt` has set both
    assert made.lease is not None  # noqa: S101
    go_on(exchange, plan, trip, conclude(exchange, made.seat, made, made.lease, trip))


def go_on(exchange: Exchange, plan: Plan, trip: Itinerary, error: GatewayError) -> None:
    """Let the request go on after a failure. Raises the error where no other target could do better."""
    policy = plan.policy
    others: Sequence[str] = ()
    if error.kind is ErrorKind.CONTEXT_LENGTH:
        others = policy.on_context_length
    elif error.kind is ErrorKind.CONTENT_FILTER:
        others = policy.on_content_filter
    if others:
        tried = {each.target.name for each in exchange.attempts}
        seats = [each for each in seats_of(exchange, others) if each.target.name not in tried]
        if not seats:
            raise error
        trip.divert(seats)
        return
    if not (error.kind in RETRYABLE or isinstance(error, CannotHoldError)):
        raise error


async def pause(exchange: Exchange, wait_s: float) -> None:
    """Wait before a retry. Raises ServerError when the gateway stops meanwhile."""
    try:
        await asyncio.sleep(wait_s)
    except asyncio.CancelledError:
        if exchange.watch.recover() is None:
            raise
        raise stopped() from None


def patience(exchange: Exchange) -> float | None:
    """Return how long the request may look for an answer, in seconds; None is without limit.

    Raises ClientError (400) on a header `x-aigw-timeout` that is no number of seconds.
    """
    limit = exchange.gateway.router.config.deadline_s
    header = exchange.request.headers.get(TIMEOUT)
    if header is None:
        return limit
    try:
        wanted = float(header)
    except ValueError:
        wanted = 0.0
    if not 0 < wanted <= MAX_TIMEOUT_S:
        raise ClientError(
            f'header "x-aigw-timeout" must be a number of seconds above 0, got {header[:80]!r}',
            param="x-aigw-timeout",
        )
    return wanted if limit is None else min(wanted, limit)
