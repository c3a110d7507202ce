"""Fourth link: where the request goes, and where it goes next when that fails.

Owns the loop over attempts, which ends at the commit point: once a byte has gone to the client there is
no other target. What comes next is decided in `aigw.routing`, and what came of it is told there. Knows no
HTTP and no wire format.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from math import inf

from aiohttp import web
from aiohttp.typedefs import Handler

from aigw.errors import ClientError, ErrorKind, GatewayError
from aigw.pipeline.attempts import RETRYABLE, attempt, overdue, stopped
from aigw.pipeline.choose import Plan, choose, seats_of
from aigw.pipeline.exchange import Exchange, bound_for_model
from aigw.pipeline.hedge import hedge_delay_s, hedged
from aigw.pipeline.speak import CannotHoldError
from aigw.pipeline.tried import most_useful
from aigw.routing.itinerary import Itinerary

MAX_TIMEOUT_S = 86_400.0


@web.middleware
async def route(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Try one target after the other until one answers."""
    exchange = bound_for_model(request)
    if exchange is None:
        return await handler(request)
    plan, seats = await choose(exchange, exchange.trace)
    router = exchange.gateway.router
    clock = router.clock
    patience_s = patience(exchange)
    if patience_s is not None and not exchange.begun:
        exchange.watch.answer_by = exchange.started_at + patience_s
    if plan.policy.shadow is not None:
        exchange.gateway.shadows.cast(exchange, plan.policy.shadow)
    retry = plan.policy.retry or router.config.retry
    left_s = exchange.watch.answer_by - asyncio.get_running_loop().time()
    deadline_at = inf if left_s == inf else clock() + left_s
    trip = Itinerary(seats, retry, router.chance, deadline_at, exchange.trace)
    before = len(exchange.attempts)
    while (step := trip.next(clock())) is not None:
        if step.wait_s:
            await pause(exchange, step.wait_s)
        delay_s = None if len(exchange.attempts) > before else hedge_delay_s(exchange, plan, step.seat)
        if delay_s is None:
            answer = await attempt(exchange, step.seat, trip, handler)
        else:
            answer = await hedged(exchange, step.seat, trip, delay_s)
        if not isinstance(answer, GatewayError):
            return answer
        go_on(exchange, plan, trip, answer)
    if len(exchange.attempts) == before:
        raise overdue(patience_s or 0.0)
    raise most_useful(exchange.attempts[before:])


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
    header = exchange.request.headers.get("x-aigw-timeout")
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
