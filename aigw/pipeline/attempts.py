"""One attempt at one target, and what is learnt from it.

Owns the life of an attempt: its lease on the target's state, how a failure or a cancellation of it is named,
and who is told of that. Which target it is, and what comes next, is decided elsewhere.
"""

from __future__ import annotations

import asyncio
from time import monotonic

from aiohttp import web
from aiohttp.typedefs import Handler

from aigw.errors import ErrorKind, GatewayError, ServerError, UpstreamError
from aigw.pipeline.exchange import Attempt, Exchange
from aigw.pipeline.watchdog import Verdict
from aigw.routing.health import Lease
from aigw.routing.itinerary import Itinerary
from aigw.routing.seats import Seat

RETRYABLE = frozenset(
    {
        ErrorKind.UPSTREAM_ERROR,
        ErrorKind.UPSTREAM_CREDENTIAL,
        ErrorKind.UPSTREAM_RATE_LIMITED,
        ErrorKind.UPSTREAM_OVERLOADED,
        ErrorKind.UPSTREAM_UNREACHABLE,
        ErrorKind.UPSTREAM_TIMEOUT,
        ErrorKind.UPSTREAM_PROTOCOL,
        ErrorKind.UPSTREAM_TRUNCATED,
        ErrorKind.MISCONFIGURED,
        ErrorKind.CONFLICT,
    }
)
"""Failures that say nothing about the request, so another target may well answer it."""

TRANSIENT = RETRYABLE - {
    ErrorKind.UPSTREAM_CREDENTIAL,
    ErrorKind.UPSTREAM_TIMEOUT,  # it has taken its patience already
    ErrorKind.MISCONFIGURED,
}
"""Failures that may be gone a moment later, so the same target may be asked again."""


class OverdueError(UpstreamError):
    """The request's own deadline has passed; its target is not to blame."""

    default_kind = ErrorKind.UPSTREAM_TIMEOUT


async def attempt(exchange: Exchange, seat: Seat, handler: Handler) -> web.StreamResponse | GatewayError:
    """Make one attempt; return the answer that was sent, or what it failed with: `conclude` is to be told."""
    state = seat.state
    clock = exchange.gateway.router.clock
    made = Attempt(seat.target, seat.endpoint, len(exchange.attempts) + 1, monotonic(), seat)
    exchange.attempts.append(made)
    lease = made.lease = state.begin(clock(), seat.limiter)
    tokens = 0
    try:
        response = await handler(exchange.request)
        tokens = used_tokens(exchange)
        judge(exchange, made, lease, clock())
    except asyncio.CancelledError:
        made.error = interrupted(exchange, made)
        if made.error is None:
            raise
    except GatewayError as failure:
        made.error = failure
    else:
        return response
    finally:
        state.release(clock(), lease, tokens)
    return made.error


def conclude(exchange: Exchange, seat: Seat, made: Attempt, lease: Lease, trip: Itinerary) -> GatewayError:
    """Tell target and itinerary what an attempt failed with; return it, or raise it past the commit point."""
    error = made.error
    assert error is not None  # noqa: S101 - it has failed
    clock = exchange.gateway.router.clock
    state = seat.state
    has_another_key = seat.target.provider.spare_key(made.key, error)
    if not (has_another_key or isinstance(error, OverdueError)):
        state.failed(clock(), lease, error)
    is_redirect = made.status is not None and 300 <= made.status < 400
    trip.failed(
        seat,
        is_transient=error.kind in TRANSIENT and not is_redirect,
        has_another_key=has_another_key,
    )
    if exchange.committed:
        raise error
    return error


def judge(exchange: Exchange, made: Attempt, lease: Lease, now: float) -> None:
    """Tell a target's state what came of an answer that was sent; it may have broken on the way."""
    state = lease.state
    if made.error is not None:
        state.failed(now, lease, made.error)
        return
    if made.counted:
        return
    state.succeeded(now, lease)
    if not exchange.stream and made.first_byte_s is not None:
        state.wholes.observe(now, made.first_byte_s)


def begun_well(exchange: Exchange, made: Attempt, now: float) -> None:
    """Count a stream as a good answer once it has said something: its end may be far.

    A target on trial is back by it, and how soon it spoke is known. Should it break later, that counts, too.
    """
    lease = made.lease
    if lease is None or made.counted:
        return
    made.counted = True
    lease.state.succeeded(now, lease)
    lease.renew()
    if exchange.first_token_s is not None:
        lease.state.streams.observe(now, exchange.started_at + exchange.first_token_s - made.started_at)


def interrupted(exchange: Exchange, made: Attempt) -> GatewayError | None:
    """Say what a cancellation means for an attempt; None where it must go on."""
    watch = exchange.watch
    verdict = watch.recover()
    if verdict is None:
        return None
    if verdict is Verdict.STOPPED:
        return stopped()
    if monotonic() > watch.answer_by:
        return overdue(watch.answer_by - exchange.started_at)
    name = made.target.provider.name
    return UpstreamError(
        f'provider "{name}" did not answer in time', kind=ErrorKind.UPSTREAM_TIMEOUT, provider=name
    )


def used_tokens(exchange: Exchange) -> int:
    """Return the tokens that an exchange has cost so far."""
    usage = exchange.usage
    return 0 if usage is None else usage.total


def overdue(patience_s: float) -> OverdueError:
    """Return the error for a request whose own deadline has passed."""
    return OverdueError(f"there was no answer within the {patience_s:g} s that this request may take")


def stopped() -> ServerError:
    """Return the error for an answer that the shutdown cut off."""
    return ServerError("the gateway is shutting down", kind=ErrorKind.UNAVAILABLE, retry_after_s=1)
