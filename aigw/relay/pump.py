"""The hot loop: read, feed, write, until there is exactly one ending.

Owns the pace (one write for each read, and no read while the client does not take what was written) and
the ending: complete, failed and told, or given up because the client left. Knows no format.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from math import inf
from time import monotonic
from typing import TYPE_CHECKING

from attrs import define

from aigw.errors import ErrorKind, GatewayError, ServerError, UpstreamError
from aigw.hooks.table import retold
from aigw.relay.ending import Ending
from aigw.relay.http_answer import EventStream
from aigw.relay.outlet import Sink
from aigw.relay.stream import Relay
from aigw.relay.watchers import Watchers
from aigw.upstream.provider import Answer, pull

if TYPE_CHECKING:
    from aigw.pipeline.exchange import Exchange

logger = logging.getLogger("aigw.relay")

Write = Callable[[bytes], Awaitable[None]]

LINGER_S = 0.25
"""How long to wait for a provider's end of body behind its terminal event, to keep its connection.

The client has its whole answer by then, but its next request on the same connection waits as long.
"""


async def pump(  # noqa: PLR0913 - the two sides, what is between them, and how far it has come
    exchange: Exchange,
    answer: Answer,
    relay: Relay,
    sink: Sink,
    *,
    first: bytes,
    read_s: float,
    watchers: Watchers | None = None,
) -> None:
    """Carry a stream from `answer` to `sink`.

    Law: whatever happens, the client gets exactly one terminal event, or is gone. A provider's end of
    file without its terminal mark is a failure. Raises ConnectionError when the client is gone.
    """

    async def write(frames: bytes) -> None:
        if watchers is not None:
            watchers.see(frames)
        exchange.bytes_sent += len(frames)
        await sink.write(frames)

    try:
        await _Passage(exchange, answer, relay, sink, read_s, watchers, first).run()
    except asyncio.CancelledError:
        if exchange.watch.recover() is None:
            raise
        await _tell(exchange, relay, sink, write, interrupted(exchange, read_s))
    except GatewayError as error:
        await _tell(exchange, relay, sink, write, error)
    except ConnectionError:
        raise
    except Exception:
        logger.exception("request %s: the stream broke on a mistake of ours", exchange.id)
        failure = ServerError("the gateway failed amid this answer")
        await _tell(exchange, relay, sink, write, failure)
    else:
        exchange.usage = relay.usage or exchange.usage
        if relay.error is not None:  # the provider has told it in its own words, and they are on their way
            exchange.error = _noted(exchange, relay.error)
            await retold(exchange.gateway.hooks.on_error, exchange, relay.error)
        await sink.write_eof()
        exchange.ending = Ending.FAILED if relay.error or exchange.error else Ending.COMPLETE
        await _linger(exchange, answer)


@define(eq=False)
class _Passage:
    """The way of the pieces from a provider to a client, up to the end of the stream.

    out: what is to be written next. is_open: the provider has more to say.
    """

    exchange: Exchange
    answer: Answer
    relay: Relay
    sink: Sink
    read_s: float
    watchers: Watchers | None
    out: bytes
    is_open: bool = True

    async def run(self) -> None:
        """Carry all of it. The last frames have been written when this returns."""
        exchange, relay = self.exchange, self.relay
        while True:
            if relay.ended and exchange.keeper is not None:
                exchange.watch.rest()  # the provider has said all, and the keeper has a patience of its own
                self.out = await exchange.keeper.before_end(exchange, self.out)
            if self.out:
                self._note(self.out)
                await self.sink.write(self.out)
            if relay.ended or not self.is_open:
                return
            exchange.watch.deadline_at = monotonic() + self.read_s
            if isinstance(self.sink, EventStream):
                await self._push(self.sink)
                continue
            chunk = await pull(self.answer)
            exchange.watch.deadline_at = inf  # a client that takes its time is not the provider's silence
            self._feed(chunk)

    async def _push(self, stream: EventStream) -> None:
        """Hand pieces on while nobody has to be waited for; return where the loop has something to do.

        This happens as soon as the provider's socket is read: to wake a task for a piece costs as much again.
        """
        watch, relay, push = self.exchange.watch, self.relay, stream.push

        def take(chunk: bytes) -> bool:
            self._feed(chunk)
            if relay.ended or not chunk:
                return False
            out = self.out
            if out:
                self._note(out)
                self.out = b""
                if not push(out):
                    return False
            watch.deadline_at = monotonic() + self.read_s
            return True

        await self.answer.flow(take)
        watch.deadline_at = inf
        await stream.caught_up()

    def _feed(self, chunk: bytes) -> None:
        self.is_open = bool(chunk)
        self.out = self.relay.feed(chunk) if chunk else self.relay.close()

    def _note(self, out: bytes) -> None:
        if self.watchers is not None:
            self.watchers.see(out)
        self.exchange.bytes_sent += len(out)


async def _tell(exchange: Exchange, relay: Relay, sink: Sink, write: Write, error: GatewayError) -> None:
    """End a stream that has begun with its format's error event, as plugins want it to be told."""
    exchange.usage = relay.usage or exchange.usage
    exchange.error = await retold(exchange.gateway.hooks.on_error, exchange, _noted(exchange, error))
    frame = relay.fail(exchange.error)
    if frame:
        if exchange.keeper is not None:
            frame = await exchange.keeper.before_end(exchange, frame)
        await write(frame)
        await sink.write_eof()
        return
    # Bytes without a format can only break off: a clean end would be a lie.
    transport = exchange.request.transport
    if transport is not None:
        transport.abort()
    raise ConnectionResetError("the provider's answer broke off")


def _noted(exchange: Exchange, error: GatewayError) -> GatewayError:
    """Say of the running attempt what it failed with, and of the error whose it was."""
    attempt = exchange.attempts[-1]
    if error.provider is None:
        error.provider = attempt.target.provider.name
    attempt.error = attempt.error or error  # of a stream that nobody went on with, the first word counts
    return error


async def _linger(exchange: Exchange, answer: Answer) -> None:
    """Wait a moment for the end of the provider's body, so that its connection can be used again."""
    exchange.watch.deadline_at = monotonic() + LINGER_S
    try:
        with contextlib.suppress(GatewayError):
            while await pull(answer):
                pass
    except asyncio.CancelledError:
        if exchange.watch.recover() is None:
            raise
    finally:
        exchange.watch.rest()  # the answer is whole: nothing behind it can make it late any more


def interrupted(exchange: Exchange, read_s: float) -> GatewayError:
    """Say what a wait for the provider was ended for by the watchdog. read_s: how long it may be silent."""
    if exchange.gateway.stopping:
        return ServerError("the gateway is shutting down", kind=ErrorKind.UNAVAILABLE)
    attempt = exchange.attempts[-1]
    name = attempt.target.provider.name
    total_s = attempt.target.provider.timeouts.total_s
    what = f"was silent for more than {read_s:g} s"
    if total_s is not None and monotonic() - attempt.started_at >= total_s:
        what = f"took more than {total_s:g} s in all"
    return UpstreamError(f'provider "{name}" {what}', kind=ErrorKind.UPSTREAM_TIMEOUT, provider=name)
