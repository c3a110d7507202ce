"""Copies of requests to a second target, away from the client's path, and how the two compare.

Owns the copies' tasks, their bounds, and the comparison: `Comparison` goes to the log and to whoever listens.
Law: whatever becomes of a copy, the client's request neither waits for it nor fails by it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from copy import copy
from time import monotonic

from attrs import define, field, frozen

from aigw.config.models import ShadowConfig
from aigw.errors import GatewayError, UpstreamError
from aigw.hooks.table import run
from aigw.model import Failed, Fold, Usage
from aigw.pipeline.call import ask, build
from aigw.pipeline.choose import seats_of
from aigw.pipeline.exchange import Attempt, Exchange, Record
from aigw.pipeline.whole import decoder_of
from aigw.relay.usage import find_usage
from aigw.routing.health import Lease
from aigw.routing.seats import Seat
from aigw.upstream.provider import Answer, Call

logger = logging.getLogger("aigw.shadow")

MAX_BYTES = 8 * 1024 * 1024
"""A copy's answer is read up to here."""
MAX_SECONDS = 600.0


@frozen
class Outcome:
    """What came of one side. target: "provider/model". error: its code. Times in seconds since the call."""

    target: str
    status: int | None
    error: str | None
    first_byte_s: float | None
    duration_s: float
    size_bytes: int
    usage: Usage | None


@frozen
class Comparison:
    """One request as the client's target answered it, and as its shadow did."""

    id: str
    model: str
    tenant: str
    served: Outcome
    shadow: Outcome


@define(eq=False)
class Shadows:
    """The copies of one gateway that are under way. listeners: get each comparison; must not wait."""

    listeners: list[Callable[[Comparison], None]] = field(factory=list)
    _tasks: set[asyncio.Task[None]] = field(factory=set)

    def cast(self, exchange: Exchange, config: ShadowConfig) -> None:
        """Copy a request, if it is to be copied and there is room. Never raises, never waits."""
        router = exchange.gateway.router
        if len(self._tasks) >= config.max_in_flight or router.chance() * 100 >= config.percent:
            return
        try:
            seat = next(iter(seats_of(exchange, (config.target,))), None)
            if seat is None or seat.unfit(router.clock()):
                return
            attempt = Attempt(seat.target, seat.endpoint, 1, monotonic(), seat)
            outgoing = build(copy(exchange), attempt)  # what is noted of this target is no news of the other
        except GatewayError as error:  # this provider's format cannot hold the request
            logger.info("%s: no copy for %s: %s", exchange.id, config.target, error)
            return
        except Exception:
            logger.exception("%s: no copy for %s", exchange.id, config.target)
            return
        made = Copy(self, exchange, seat, attempt)
        exchange.reservations.append(made)
        task = asyncio.create_task(made.run(outgoing))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Give up what is under way."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def tell(self, comparison: Comparison) -> None:
        """Give a comparison to the log and to those who listen."""
        sides = (_line(comparison.served), _line(comparison.shadow))
        logger.info("%s %s: served %s; shadow %s", comparison.id, comparison.model, *sides)
        for listener in self.listeners:
            try:
                listener(comparison)
            except Exception:
                logger.exception("a listener to comparisons failed")


@define(eq=False)
class Copy:
    """One request's copy. It is settled as a reservation is: that is how it hears what the client got."""

    shadows: Shadows
    exchange: Exchange
    seat: Seat
    attempt: Attempt
    served: Outcome | None = None
    outcome: Outcome | None = None

    def settle(self, record: Record) -> None:
        """Take what the client's request came to."""
        last = record.attempts[-1] if record.attempts else None
        target = f"{record.provider}/{record.upstream_model}"
        self.served = Outcome(
            target,
            record.status,
            record.error,
            None if last is None else last.first_byte_s,
            record.duration_s,
            record.bytes_out,
            record.usage,
        )
        self._compare()

    async def run(self, outgoing: Call) -> None:
        """Make the call, read the answer and forget it."""
        clock = self.exchange.gateway.router.clock
        lease = self.seat.state.begin(clock(), self.seat.limiter)
        size = 0
        usage: Usage | None = None
        error: GatewayError | None = None
        try:
            await run(self.exchange.gateway.hooks.before_call, self.exchange, self.attempt, outgoing)
            async with asyncio.timeout(MAX_SECONDS):
                size, usage = await self._answer(outgoing)
        except TimeoutError:
            error = UpstreamError("the copy took too long")
        except GatewayError as failure:
            error = failure
        finally:
            self.seat.state.release(clock(), lease, 0 if usage is None else usage.total)
        self._judge(lease, error)
        self.outcome = Outcome(
            self.seat.target.name,
            self.attempt.status,
            error.code if error else None,
            self.attempt.first_byte_s,
            monotonic() - self.attempt.started_at,
            size,
            usage,
        )
        self._compare()

    async def _answer(self, outgoing: Call) -> tuple[int, Usage | None]:
        """Return size and token counts of the answer."""
        answer = await ask(self.seat.target.provider, outgoing)
        try:
            self.attempt.status = answer.status
            self.attempt.first_byte_s = monotonic() - self.attempt.started_at
            body = await answer.read(MAX_BYTES)
            if answer.status >= 300:
                raise self.attempt.endpoint.errors.decode_error(answer.status, body)
            return len(body), self._usage(answer, body)
        finally:
            await answer.close()

    def _usage(self, answer: Answer, body: bytes) -> Usage | None:
        endpoint = self.attempt.endpoint
        if "event-stream" not in answer.headers.get("Content-Type", ""):
            return find_usage(body, endpoint.read_usage)
        if endpoint.codec is None:
            return None
        decoder, fold = decoder_of(self.attempt), Fold()
        for event in (*decoder.feed(body), *decoder.close()):
            if isinstance(event, Failed):
                raise event.error
            fold.add(event)
        return fold.response().usage

    def _judge(self, lease: Lease, error: GatewayError | None) -> None:
        now = self.exchange.gateway.router.clock()
        if error is None:
            self.seat.state.succeeded(now, lease)
        else:
            self.seat.state.failed(now, lease, error)

    def _compare(self) -> None:
        if self.served is not None and self.outcome is not None:
            exchange = self.exchange
            self.shadows.tell(
                Comparison(exchange.id, exchange.model, exchange.identity.tenant, self.served, self.outcome)
            )


def _line(outcome: Outcome) -> str:
    usage = outcome.usage
    tokens = f"{usage.input_tokens}+{usage.output_tokens}" if usage else "-"
    return (
        f"{outcome.target} {outcome.error or outcome.status} in {outcome.duration_s:.3f}s, "
        f"{outcome.size_bytes} bytes, {tokens} tokens"
    )
