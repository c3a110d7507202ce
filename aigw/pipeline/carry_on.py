"""Behind the commit point: when a provider dies amid a text, the next target goes on in the same stream.

Owns who is asked next, for how long, and what is put on record of it. How the streams are joined is
`aigw.relay.continuation`'s. A stream that nobody can go on with ends with the error it broke off with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from copy import copy
from functools import partial
from math import inf
from time import monotonic

from attrs import evolve

from aigw.dialects.base import StreamDecoder
from aigw.errors import ErrorKind, GatewayError, ServerError
from aigw.model import Event, unfold
from aigw.pipeline.attempts import RETRYABLE, conclude, interrupted
from aigw.pipeline.call import begin_call
from aigw.pipeline.choose import spoken_to
from aigw.pipeline.continued import continued, takes_prefill
from aigw.pipeline.exchange import Attempt, Exchange
from aigw.pipeline.restrain import restraint_on
from aigw.pipeline.tried import fallback_header
from aigw.pipeline.whole import decoder_of, parse, read_whole
from aigw.relay import pump
from aigw.relay.allowed import restrained
from aigw.relay.continuation import ContinuedRelay, Splice
from aigw.relay.legs import Leg
from aigw.relay.outlet import EVENTS
from aigw.routing.health import Lease
from aigw.routing.itinerary import Itinerary
from aigw.routing.seats import Seat
from aigw.routing.shape import shape_of
from aigw.upstream.provider import Answer, pull

ReadFailure = Callable[[Exchange, Attempt, Answer], Awaitable[GatewayError]]
"""Reads an error answer and names it."""


def splice_of(exchange: Exchange, decoder: StreamDecoder) -> Splice:
    """Return a decoder of the first stream that others may go on with."""
    return Splice(decoder, _leg(exchange), RETRYABLE)


def carrier(
    exchange: Exchange, relay: ContinuedRelay, read_failure: ReadFailure
) -> Callable[[Exchange, Answer], Answer]:
    """Return what makes of a stream's answer one that others go on with."""
    # It may be the view that one of two racing attempts has of the exchange, without a deadline of its own.
    left_s = exchange.watch.answer_by - exchange.started_at
    patience_s = exchange.gateway.router.config.deadline_s or inf if left_s == inf else left_s
    return partial(ContinuingAnswer, relay=relay, patience_s=patience_s, read_failure=read_failure)


class ContinuingAnswer(Answer):
    """The bytes of one provider after the other, each going on where the one before broke off.

    patience_s: how long the next one may be looked for.
    """

    def __init__(
        self,
        exchange: Exchange,
        answer: Answer,
        *,
        relay: ContinuedRelay,
        patience_s: float,
        read_failure: ReadFailure,
    ) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self._exchange = exchange
        self._answer = answer
        self._relay = relay
        self._splice = relay.splice
        self._splice.armed = True
        self._patience_s = patience_s
        self._until = self._content_by = inf  # when any other, and the present one, must have said something
        self._read_failure = read_failure
        self._attempt = exchange.attempts[-1]
        self._seat: Seat | None = None  # of a target that goes on; the first one's is its own attempt's
        self._lease: Lease | None = None
        self._trip: Itinerary | None = None

    async def chunk(self) -> bytes:
        while True:
            if self._splice.broken is not None:
                await self._go_on(self._splice.broken)
            chunk = await self._read()
            if chunk or self._splice.broken is None:
                return chunk

    async def close(self) -> None:
        """Drop what has not been read, and say of the last target how it has done."""
        self._over(self._relay.error, self._splice.leg.counted().total)
        await self._answer.close()

    async def _read(self) -> bytes:
        """Wait for more of the present stream; b"" where it has ended, or is broken."""
        splice = self._splice
        if self._seat is not None:
            now = monotonic()
            read_s = self._attempt.target.provider.timeouts.read_s
            self._exchange.watch.deadline_at = now + read_s if splice.leg.chars else self._content_by
        try:
            chunk = await pull(self._answer)
        except asyncio.CancelledError:
            if self._exchange.watch.recover() is None:
                raise
            read_s = self._attempt.target.provider.timeouts.read_s
            splice.break_off(pump.interrupted(self._exchange, read_s))
        except GatewayError as error:
            splice.break_off(error)
        else:
            if not chunk:
                splice.drain()
            return chunk
        return b""

    async def _go_on(self, broken: GatewayError) -> None:
        """Let the next target go on. Raises what the stream broke off with where none can."""
        exchange, leg = self._exchange, self._splice.leg
        broken.provider = broken.provider or self._attempt.target.provider.name
        self._over(broken, leg.counted().total)
        await self._answer.close()
        clock = exchange.gateway.router.clock
        trip = self._trip = self._trip or self._itinerary()
        if leg.chars:  # who has said something has earned the next one all of the patience
            trip.deadline_at = clock() + self._patience_s
            self._until = monotonic() + self._patience_s
        tried = len(exchange.attempts)
        while (step := trip.next(clock())) is not None:
            error = await self._ask(step.seat)
            if error is None:
                return
            if isinstance(error, ServerError) and error.kind is not ErrorKind.MISCONFIGURED:
                raise error  # a hook that fails closed, or the gateway stops
        self._relay.usage = self._splice.usage
        if more := fallback_header(exchange.attempts[tried:]):
            broken.message += f" (others could not go on: {more})"
        raise broken

    def _itinerary(self) -> Itinerary:
        """Return the way through the targets that this request has not been to, each of them once."""
        exchange = self._exchange
        router = exchange.gateway.router
        been = {attempt.target.name for attempt in exchange.attempts}
        seats = [
            router.seat(target, at)
            for target in exchange.targets
            if target.name not in been
            and (at := spoken_to(exchange, target, exchange.prefer)) is not None
            and at.codec is not None
        ]
        return Itinerary(seats, evolve(router.config.retry, retries=0), router.chance)

    async def _ask(self, seat: Seat) -> GatewayError | None:
        """Ask one target to go on; return what it fails with, if it does."""
        exchange = self._exchange
        now = monotonic()
        made = Attempt(seat.target, seat.endpoint, len(exchange.attempts) + 1, now, seat)
        exchange.attempts.append(made)
        self._attempt, self._seat = made, seat
        self._lease = seat.state.begin(exchange.gateway.router.clock(), seat.limiter)
        exchange.watch.answer_by = self._until
        try:
            await self._begin(made)
        except asyncio.CancelledError:
            error = interrupted(exchange, made)
            if error is None:
                raise
        except GatewayError as failure:
            error = failure
        else:
            return None
        finally:
            exchange.watch.answer_by = inf
            until = monotonic() + seat.target.provider.timeouts.first_byte_s
            self._content_by = min(until, made.first_token_by, self._until)
        self._over(error)
        await self._answer.close()
        return error

    async def _begin(self, made: Attempt) -> None:
        """Call a target, and join its stream to what has been said."""
        exchange, splice = self._exchange, self._splice
        request = exchange.payload.decoded()
        assert request is not None  # noqa: S101 - only what has a canonical form is gone on with
        prefill = takes_prefill(exchange, made, request)
        own = copy(exchange)  # what is learnt of this call's request is no news of the client's
        own.payload = copy(exchange.payload)
        own.payload.replace(continued(request, splice.said, prefill=prefill))
        answer = self._answer = await begin_call(own, made)
        if answer.status >= 300:
            raise await self._read_failure(own, made, answer)
        decoder: StreamDecoder = decoder_of(made)
        if not answer.headers.get("Content-Type", "").lower().startswith(EVENTS):
            decoder = await _told_whole(own, made, answer)
        splice.go_on(restrained(decoder, restraint_on(own, made)), _leg(own))

    def _over(self, error: GatewayError | None, tokens: int = 0) -> None:
        """Take note of how the present target has done; of the first one its own attempt tells."""
        made, seat, lease, trip = self._attempt, self._seat, self._lease, self._trip
        self._lease = None
        made.error = made.error or error
        if seat is None or lease is None or trip is None:
            return
        now = self._exchange.gateway.router.clock()
        if made.error is not None:
            with suppress(GatewayError):  # it is raised past the commit point; here there is a way on
                conclude(self._exchange, seat, made, lease, trip)
        elif self._splice.leg.ended:
            seat.state.succeeded(now, lease)
        seat.state.release(now, lease, tokens)


class _Told:
    """The events of an answer that came whole: a decoder that has nothing to decode."""

    def __init__(self, events: list[Event]) -> None:
        self._events = events

    def feed(self, chunk: bytes) -> list[Event]:  # noqa: ARG002
        return self.close()

    def close(self) -> list[Event]:
        events, self._events = self._events, []
        return events


async def _told_whole(exchange: Exchange, attempt: Attempt, answer: Answer) -> StreamDecoder:
    """Read an answer of a provider that does not stream. Raises UpstreamError where it is no good one."""
    whole = await read_whole(exchange, attempt, answer)
    codec = attempt.endpoint.codec
    assert codec is not None  # noqa: S101 - only such targets are asked
    return _Told(list(unfold(codec.decode_response(whole.tree or parse(attempt, whole.body)))))


def _leg(exchange: Exchange) -> Leg:
    payload = exchange.payload
    return Leg(lambda: shape_of(payload.fields).context_tokens)
