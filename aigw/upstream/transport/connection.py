"""One kept-alive HTTP/1.1 connection to a provider: bytes to answers, and nothing of pools.

Owns one exchange at a time on an asyncio Protocol, parsed by httptools. A body is handed on in the
pieces in which the socket gave it; the socket is not read while nobody takes them. Time limits are the
pipeline's; this file has no timer. Whatever is not HTTP ends the connection, and with it what it said.
"""

from __future__ import annotations

import asyncio
import zlib
from typing import Any, cast

import httptools
from multidict import CIMultiDict

from aigw.errors import ErrorKind, UpstreamError

HIGH_WATER_BYTES = 256 * 1024
LOW_WATER_BYTES = 64 * 1024
MAX_HEAD_BYTES = 64 * 1024


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
        self._parts: list[bytes] = []
        self._buffered = 0
        self._paused = False
        self._busy = False
        self._interim = False
        self._head_bytes = 0
        self._got_bytes = False
        self._until_close = True
        self._keep_alive = False
        self._inflate: Any = None
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
        self._begin()
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

    def take_all(self) -> bytes:
        """Return what is left of a body that is complete."""
        return self._take() if self._parts else b""

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

    def _begin(self) -> None:
        self._busy = True
        self.complete = self._interim = self._got_bytes = False
        self._until_close = True
        self._head_bytes = self.status = 0
        self._inflate = self._error = None
        self.headers = CIMultiDict()

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
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail(_broken("it switched protocols unasked"))
        except httptools.HttpParserError as error:
            self._fail(
                error.__context__ if isinstance(error.__context__, UpstreamError) else _broken(str(error))
            )
        else:
            self._wake(data)

    def _wake(self, data: bytes) -> None:
        head = self._head
        if head is not None and not head.done():
            if self.status:
                head.set_result(None)
            else:
                self._head_bytes += len(data)
                if self._head_bytes > MAX_HEAD_BYTES:
                    self._fail(_broken(f"its head passes {MAX_HEAD_BYTES} bytes"))
                    return
        if self._waiter is not None and (self._parts or self.complete) and not self._waiter.done():
            self._waiter.set_result(None)
        if self._buffered > HIGH_WATER_BYTES and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def eof_received(self) -> None:
        self._ended(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended(exc)
        self._transport = None

    def _ended(self, exc: Exception | None) -> None:
        if not self._busy or self.complete:
            return
        if self.status and self._until_close and exc is None:
            self.on_message_complete()
            if self._waiter is not None and not self._waiter.done():
                self._waiter.set_result(None)
        elif self.status:
            self._fail(UpstreamError("its answer breaks off", kind=ErrorKind.UPSTREAM_TRUNCATED))
        elif self._got_bytes:
            self._fail(UpstreamError("it closed the connection", kind=ErrorKind.UPSTREAM_UNREACHABLE))
        else:
            self._fail(StaleError("it closed the connection", kind=ErrorKind.UPSTREAM_UNREACHABLE))

    def _fail(self, error: UpstreamError) -> None:
        if self._error is None:
            self._error = error
        self.abort()
        for future in (self._head, self._waiter):
            if future is not None and not future.done():
                if future is self._head:
                    future.set_exception(error)
                else:
                    future.set_result(None)

    # httptools: what the bytes mean. Called from feed_data.

    def on_message_begin(self) -> None:
        if self.complete:
            raise _broken("it sent two answers to one request")
        self.status = 0
        self._interim = False
        self.headers = CIMultiDict()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > MAX_HEAD_BYTES:
            raise _broken(f"its head passes {MAX_HEAD_BYTES} bytes")
        self.headers.add(name.decode("latin-1"), value.decode("latin-1"))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            self._interim = True  # 100 Continue, 103 Early Hints: the answer itself is still to come
            return
        headers = self.headers
        length = headers.get("Content-Length")
        self._until_close = not (length is not None or "Transfer-Encoding" in headers or status in {204, 304})
        encoding = headers.get("Content-Encoding", "identity").lower()
        if encoding != "identity":
            self._inflate = _decompressor(encoding)
            headers.popall("Content-Encoding", None)
            headers.popall("Content-Length", None)
        self._keep_alive = bool(self._parser.should_keep_alive())
        self.status = status

    def on_body(self, body: bytes) -> None:
        if self._inflate is not None:
            try:
                body = self._inflate.decompress(body)
            except zlib.error:
                raise UpstreamError(
                    "its compressed body is damaged", kind=ErrorKind.UPSTREAM_TRUNCATED
                ) from None
        if body:
            self._parts.append(body)
            self._buffered += len(body)

    def on_message_complete(self) -> None:
        if self._interim:
            return
        if self._inflate is not None and not self._inflate.eof:
            raise UpstreamError("its answer breaks off", kind=ErrorKind.UPSTREAM_TRUNCATED)
        self.complete = True


class StaleError(UpstreamError):
    """The connection ended before a byte of the answer came."""


def _broken(what: str) -> UpstreamError:
    return UpstreamError(f"not valid HTTP: {what}", kind=ErrorKind.UPSTREAM_PROTOCOL)


def _decompressor(encoding: str) -> Any:
    """Return a decompressor for an encoding nobody asked for, but some send all the same."""
    if encoding in {"gzip", "x-gzip"}:
        return zlib.decompressobj(16 + zlib.MAX_WBITS)
    if encoding == "deflate":
        return zlib.decompressobj()
    raise _broken(f'it is encoded as "{encoding}", which was not asked for')
