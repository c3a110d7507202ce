"""One kept-alive HTTP/1.1 connection to a provider: bytes to answers, and nothing of pools.

Owns one exchange at a time on an asyncio Protocol, parsed by httptools. A body is handed on in the
pieces in which the socket gave it; the socket is not read while nobody takes them. Time limits are the
pipeline's; this file has no timer. Whatever is not HTTP ends the connection, and with it what it said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import httptools
from multidict import CIMultiDict

from aigw.errors import ErrorKind, UpstreamError
from aigw.upstream.transport.coding import ContentDecoder, decoder_for, unpacked_headers
from aigw.upstream.transport.framing import (
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    TRANSFER_ENCODING,
    broken,
    check_head,
    field_name,
)

HIGH_WATER_BYTES = 256 * 1024
LOW_WATER_BYTES = 64 * 1024
MAX_HEAD_BYTES = 64 * 1024
"""Of all names and values, and of interim answers and trailers: so it does not matter how they come."""

MAX_QUIET_BYTES = 2 * MAX_HEAD_BYTES
"""How much may come without a piece of the body: a line that never ends must be held, too."""

HEADER_OVERHEAD_BYTES = 4


class Connection(asyncio.Protocol):
    """A connection that carries one request and its answer at a time.

    reused: it has carried an answer before, so its end may be no more than an idle time-out.
    idle_since: loop time at which it was last given back.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._parser: Any = httptools.HttpResponseParser(self)
        self._head: asyncio.Future[None] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._taker: Callable[[bytes], bool] | None = None
        self._parts: list[bytes] = []
        self._buffered = 0
        self._paused = False
        self._busy = False
        self._interim = False
        self._head_bytes = 0
        self._quiet_bytes = 0
        self._bodiless = False
        self._got_bytes = False
        self._until_close = True
        self._keep_alive = False
        self._inflate: ContentDecoder | None = None
        self._error: UpstreamError | None = None
        self.reused = False
        self.idle_since = 0.0
        self.status = 0
        self.headers: CIMultiDict[str] = CIMultiDict()
        self.complete = False

    # The exchange, as the pool sees it.

    def request(self, data: bytes, body: bytes | None) -> asyncio.Future[None]:
        """Send a request; the future is done when the head of its answer is there, or is an UpstreamError."""
        transport = self._transport
        if transport is None:
            raise StaleError("it closed the connection", kind=ErrorKind.UPSTREAM_UNREACHABLE)
        self._busy = self._until_close = True
        self.complete = self._interim = self._got_bytes = False
        self._head_bytes = self._quiet_bytes = self.status = 0
        self._inflate = self._error = None
        self._bodiless = data.startswith(b"HEAD ")
        self._head = head = self._loop.create_future()
        if body and len(body) > LOW_WATER_BYTES:
            transport.write(data)
            transport.write(body)
        else:
            transport.write(data + body if body else data)
        return head

    def poll(self) -> bytes | None:
        """Return the next piece of the body, b"" at its end, None if it has to be waited for.

        Raises UpstreamError when the body broke off.
        """
        if self._parts:
            return self._take()
        if self._error is not None:
            raise self._error
        return b"" if self.complete else None

    def wait(self) -> asyncio.Future[None]:
        """Return a future that is done when there is something to poll."""
        self._waiter = waiter = self._loop.create_future()
        return waiter

    async def flow(self, take: Callable[[bytes], bool]) -> None:
        """Give `take` each piece of the body as it is read, b"" at the end, until it returns False.

        It is called from `data_received`, so no task has to wake for a piece. Raises what it raises, and
        UpstreamError when the body breaks off.
        """
        while (data := self.poll()) is not None:
            if not take(data) or not data:
                return
        self._taker = take
        try:
            await self.wait()
        finally:
            self._taker = None

    def _hand_on(self, take: Callable[[bytes], bool], flowing: asyncio.Future[None]) -> None:
        try:
            while self._parts or self.complete:
                data = self._take() if self._parts else b""
                if not take(data) or not data:
                    self._taker = None
                    flowing.set_result(None)
                    return
        except Exception as error:  # noqa: BLE001 - it belongs to the task that waits
            self._taker = None
            flowing.set_exception(error)

    def take_all(self) -> bytes:
        """Return what is left of a body that is complete."""
        if self._paused or len(self._parts) != 1:
            return self._take() if self._parts else b""
        self._buffered = 0
        return self._parts.pop()

    @property
    def reusable(self) -> bool:
        """Tell whether another request may follow: the answer was read whole, and the request sent whole."""
        transport = self._transport
        return (
            self.complete
            and self._error is None
            and not self._parts
            and not self._until_close
            and transport is not None
            and not transport.is_closing()
            and transport.get_write_buffer_size() == 0
            and self._keep_alive
        )

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def rest(self, now: float) -> None:
        """Wait for the next request; anything the provider says before that ends the connection."""
        self._busy = False
        self.reused = True
        self.idle_since = now

    def abort(self) -> None:
        """Drop the connection now."""
        if self._transport is not None:
            self._transport.abort()

    def _take(self) -> bytes:
        parts, self._parts, self._buffered = self._parts, [], 0
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    # asyncio.Protocol: what the socket says.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one by behaviour alone

    def data_received(self, data: bytes) -> None:
        if not self._busy:  # an answer nobody asked for would be taken for the next one
            self.abort()
            return
        self._got_bytes = True
        self._quiet_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            if not self.complete:
                cause = error.__context__
                self._fail(cause if isinstance(cause, UpstreamError) else broken(str(error)))
                return
            self._keep_alive = False  # what stands behind a whole answer spoils the connection alone
        if self._quiet_bytes > MAX_QUIET_BYTES and not self.complete:
            self._fail(broken(f"it says nothing in {MAX_QUIET_BYTES} bytes"))
            return
        self._wake()

    def _wake(self) -> None:
        if self._head is not None and self.status and not self._head.done():
            self._head.set_result(None)
        if self._waiter is not None and (self._parts or self.complete) and not self._waiter.done():
            if self._taker is not None:
                self._hand_on(self._taker, self._waiter)
            else:
                self._waiter.set_result(None)
        if self._buffered > HIGH_WATER_BYTES and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def eof_received(self) -> None:
        if self._busy and self.status and self._until_close and not self.complete and self._error is None:
            try:
                self.on_message_complete()
            except UpstreamError as error:
                self._fail(error)
            self._wake()
        else:
            self._ended()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - no end but EOF is a good one
        self._ended()
        self._transport = None

    def _ended(self) -> None:
        if not self._busy or self.complete:
            return
        if self.status:
            self._fail(UpstreamError("its answer breaks off", kind=ErrorKind.UPSTREAM_TRUNCATED))
        elif self._got_bytes:
            self._fail(UpstreamError("it closed the connection", kind=ErrorKind.UPSTREAM_UNREACHABLE))
        else:
            self._fail(StaleError("it closed the connection", kind=ErrorKind.UPSTREAM_UNREACHABLE))

    def _fail(self, error: UpstreamError) -> None:
        if self._error is None:
            self._error = error
        self.abort()
        flowing = self._waiter
        if self._taker is not None and flowing is not None and not flowing.done() and self._parts:
            self._hand_on(self._taker, flowing)  # what came before it failed is not lost
        for future in (self._head, self._waiter):
            if future is not None and not future.done():
                if future is self._head or self._taker is not None:
                    future.set_exception(error)
                else:
                    future.set_result(None)

    # httptools: what the bytes mean. Called from feed_data.

    def on_message_begin(self) -> None:
        if self.complete:
            raise broken("it sent two answers to one request")
        self._head_bytes += HEADER_OVERHEAD_BYTES
        self.status = 0
        self._interim = False
        self.headers = CIMultiDict()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value) + HEADER_OVERHEAD_BYTES
        if self._head_bytes > MAX_HEAD_BYTES:
            raise broken(f"its head passes {MAX_HEAD_BYTES} bytes")
        if not self.status:  # a trailer is no header: nobody could have seen it in time
            self.headers.add(field_name(name), value.decode("latin-1"))

    def on_headers_complete(self) -> None:
        status, headers = self._parser.get_status_code(), self.headers
        check_head(status, headers)
        if status < 200:
            self._interim = True  # 100 Continue, 103 Early Hints: the answer itself is still to come
            return
        self.status = status
        self._keep_alive = bool(self._parser.should_keep_alive())
        if self._bodiless:  # the parser takes the head for one that a body follows
            self._keep_alive, self.complete = False, True
            return
        framed = CONTENT_LENGTH in headers or TRANSFER_ENCODING in headers
        self._until_close = not (framed or status in {204, 304})
        if CONTENT_ENCODING in headers:
            self._inflate = decoder_for(headers)
            self.headers = unpacked_headers(headers)

    def on_body(self, body: bytes) -> None:
        self._quiet_bytes = 0
        if self._bodiless:
            return
        if self._inflate is not None:
            body = self._inflate.feed(body)
        if body:
            self._parts.append(body)
            self._buffered += len(body)

    def on_message_complete(self) -> None:
        if self._interim or self.complete:
            return
        if self._inflate is not None:
            self._inflate.close()
        self.complete = True


class StaleError(UpstreamError):
    """The connection ended before a byte of the answer came."""
