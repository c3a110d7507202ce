"""Two attempts at a time: when a target says nothing for unusually long, the next one is asked as well.

Owns the race up to the first content, in which nothing goes to the client. Each contender has a copy of the
exchange, so that neither sees what the other has of it; the winner's becomes the exchange's own. Law: one
answer is sent, the other attempt is cancelled, and both are on record.
"""

from __future__ import annotations

import asyncio
from copy import copy
from math import inf
from time import monotonic

from aiohttp import web
from attrs import define

from aigw.errors import GatewayError, UpstreamError
from aigw.pipeline.attempts import begun_well, conclude, interrupted, judge, used_tokens
from aigw.pipeline.call import begin_call
from aigw.pipeline.choose import Plan
from aigw.pipeline.deliver import prepared
from aigw.pipeline.exchange import Attempt, Exchange
from aigw.pipeline.tried import fallback_header
from aigw.pipeline.watchdog import Watch
from aigw.routing.health import Lease
from aigw.routing.itinerary import Itinerary
from aigw.routing.seats import Seat

LOST = "hedge_lost"
"""The code of an attempt that was given up because the other one was faster."""


def hedge_delay_s(exchange: Exchange, plan: Plan, seat: Seat) -> float | None:
    """Return how long a target may say nothing before the next is asked; None where that is not wanted."""
    hedge = plan.policy.hedge or exchange.gateway.router.config.hedge
    if hedge is None or hedge.after_s is not None:
        return None if hedge is None else hedge.after_s
    latency = seat.state.streams if exchange.stream else seat.state.wholes
    return latency.quantile_s(hedge.quantile, hedge.min_samples)


@define(eq=False)
class Contender:
    """One of the two: its own view of the exchange, its attempt, and the task that waits for its content."""

    exchange: Exchange
    seat: Seat
    made: Attempt
    lease: Lease
    task: asyncio.Task[None]

    async def give_up(self) -> None:
        """Stop waiting, and drop what has come."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        self.exchange.gateway.watchdog.remove(self.exchange.watch)
        if self.made.answer is not None:
            await self.made.answer.close()


def enter(exchange: Exchange, seat: Seat) -> Contender:
    """Begin an attempt beside others."""
    gateway = exchange.gateway
    made = Attempt(seat.target, seat.endpoint, len(exchange.attempts) + 1, monotonic(), seat)
    exchange.attempts.append(made)
    own = copy(exchange)
    own.attempts = [made]
    lease = made.lease = seat.state.begin(gateway.router.clock(), seat.limiter)
    task = asyncio.create_task(_until_content(own, made))
    own.watch = Watch(exchange.request, task, attached=False)
    gateway.watchdog.add(own.watch)
    return Contender(own, seat, made, lease, task)


async def _until_content(own: Exchange, made: Attempt) -> None:
    """Bring an attempt to where its delivery could begin. Raises GatewayError with what it fails with."""
    try:
        await begin_call(own, made)
        own.delivery = await prepared(own, made)
    except asyncio.CancelledError:
        error = interrupted(own, made)
        if error is None:
            raise
        raise error from None


async def hedged(
    exchange: Exchange, seat: Seat, trip: Itinerary, delay_s: float
) -> web.StreamResponse | GatewayError:
    """Make an attempt, and a second one if the first says nothing for `delay_s`.

    Returns the answer that was sent, or the last error where neither had one to give.
    """
    running = [enter(exchange, seat)]
    error: GatewayError | None = None
    try:
        await asyncio.wait({running[0].task}, timeout=delay_s)
        if not running[0].task.done():
            spare = trip.hedge(exchange.gateway.router.clock())
            if spare is not None:
                running.append(enter(exchange, spare))
        while running:
            await asyncio.wait({each.task for each in running}, return_when=asyncio.FIRST_COMPLETED)
            for each in [each for each in running if each.task.done()]:
                failure = each.task.exception()
                if failure is None:
                    running.remove(each)
                    return await _win(exchange, each, running)
                running.remove(each)
                error = await _fail(exchange, each, failure, trip)
    except asyncio.CancelledError:
        made = exchange.attempts[-1]
        error = interrupted(exchange, made)
        if error is None:
            raise
        made.error = made.error or error
        return error
    finally:
        await _give_up(exchange, running)
    assert error is not None  # noqa: S101 - each that ran has failed
    return error


async def _win(exchange: Exchange, winner: Contender, losers: list[Contender]) -> web.StreamResponse:
    """Give up the other attempt, and send the winner's answer."""
    clock = exchange.gateway.router.clock
    made, own, answer = winner.made, winner.exchange, winner.made.answer
    tokens = 0
    try:
        for loser in losers:
            loser.made.error = UpstreamError("another target was faster", code=LOST)
        await _give_up(exchange, losers)
        _adopt(exchange, winner)
        assert own.delivery is not None  # noqa: S101 - it has won with it
        if exchange.stream:
            begun_well(exchange, made, clock())
        response = await own.delivery.send(exchange)
        tokens = used_tokens(exchange)
        judge(exchange, made, winner.lease, clock())
        return response
    finally:
        winner.seat.state.release(clock(), winner.lease, tokens)
        exchange.watch.rest()
        if answer is not None:
            await answer.close()


def _adopt(exchange: Exchange, winner: Contender) -> None:
    """Let the winner's view of the exchange be the exchange's own; its attempt is the one under way."""
    own = winner.exchange
    exchange.gateway.watchdog.remove(own.watch)
    exchange.watch.hard_deadline_at, exchange.watch.answer_by = own.watch.hard_deadline_at, inf
    exchange.usage, exchange.usage_hidden, exchange.dropped = own.usage, own.usage_hidden, own.dropped
    exchange.first_token_s, exchange.delivery = own.first_token_s, own.delivery
    exchange.attempts.remove(winner.made)
    exchange.attempts.append(winner.made)
    headers = getattr(own.delivery, "headers", None)
    if headers is not None and len(exchange.attempts) > 1:
        headers["x-aigw-attempts"] = str(len(exchange.attempts))
        headers["x-aigw-fallback"] = fallback_header(exchange.attempts)


async def _fail(
    exchange: Exchange, contender: Contender, failure: BaseException, trip: Itinerary
) -> GatewayError:
    """Take note of an attempt that failed. Raises what is no failure of an attempt."""
    if not isinstance(failure, GatewayError):
        raise failure
    contender.made.error = failure
    await _give_up(exchange, [contender])
    return conclude(exchange, contender.seat, contender.made, contender.lease, trip)


async def _give_up(exchange: Exchange, contenders: list[Contender]) -> None:
    now = exchange.gateway.router.clock()
    for each in contenders:
        await each.give_up()
        each.seat.state.release(now, each.lease)
        latency = each.seat.state.streams if exchange.stream else each.seat.state.wholes
        if each.made.error is not None and each.made.error.code == LOST:  # it took at least this long
            latency.observe(now, monotonic() - each.made.started_at)
    contenders.clear()
