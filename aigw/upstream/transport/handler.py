"""aiohttp's client connection, held to what a gateway needs of one: no doubt about where an answer ends.

Owns the places where aiohttp 3.14 leaves room for doubt: what comes on a connection that rests is kept for
the next request, a body that stops being HTTP never ends, one that breaks off takes with it what came, and
interim answers, chunk extensions and blanks behind a header's name are not limited.
It builds on names that aiohttp does not promise to keep; the transport's tests would tell.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import RawResponseMessage
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import StreamReader

from aigw.errors import ErrorKind, UpstreamError
from aigw.upstream.transport.framing import broken, check_head

MAX_INTERIM = 1000
MAX_QUIET_BYTES = 128 * 1024
"""How much of a body may come without a byte that counts: chunk sizes, extensions, trailers."""


class Handler(ResponseHandler):
    """A connection that is over as soon as the provider says what it was not asked."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._asked = False
        self._answered = False
        self._heard = False
        self._requests = 0
        self._interim = 0
        self._read_bytes = 0
        self._quiet_bytes = 0

    def set_response_params(self, **options: Any) -> None:
        self._asked = True
        self._answered = self._heard = False
        self._requests += 1
        self._interim = self._read_bytes = self._quiet_bytes = 0
        super().set_response_params(**options)

    def data_received(self, data: bytes) -> None:
        if data and not self._asked:  # it would be taken for the next answer
            self.abort()
            return
        self._heard = True
        super().data_received(data)
        if self._answered and self._payload is not None:
            self._watch(self._payload, len(data))

    def _watch(self, body: StreamReader, size: int) -> None:
        """Note that the answer is whole, or that it has said nothing for too long."""
        if body.is_eof():
            if self._asked and not self._is_clean():
                self.abort()
            self._asked = False
        elif body.total_bytes == self._read_bytes:
            self._quiet_bytes += size
            if self._quiet_bytes > MAX_QUIET_BYTES and self.transport is not None:
                self.set_exception(broken(f"it says nothing in {MAX_QUIET_BYTES} bytes"))
                self.transport.abort()
        else:
            self._read_bytes, self._quiet_bytes = body.total_bytes, 0

    def _is_clean(self) -> bool:
        """Tell whether the parser is where an answer may begin: it would pass over empty lines there only."""
        if self._parser is None:
            return True
        try:
            messages, _, _ = self._parser.feed_data(b"\r\n\r\n")
        except HttpProcessingError:
            return False
        return not messages

    def feed_data(self, data: tuple[RawResponseMessage, StreamReader], size: int = 0) -> None:
        """Take the head of an answer from the parser."""
        message = data[0]
        if self._answered:  # the connection may be another request's already
            self.abort()
            return
        if message.code >= 200:
            self._answered = True
        else:
            self._interim += 1
        try:
            check_head(message.code, message.headers)
            if any(name[-1:].isspace() for name in message.headers):  # it would pass every list of names
                raise broken("a header's name ends in a blank")
            if self._interim > MAX_INTERIM:
                raise broken(f"more than {MAX_INTERIM} interim answers")
        except UpstreamError as error:
            self.set_exception(error)
            return
        super().feed_data(data, size)

    def connection_lost(self, exc: BaseException | None) -> None:
        if exc is not None:  # no end but EOF is a good one
            self._break_off()
        super().connection_lost(exc)

    def close(self) -> None:
        self._break_off()
        super().close()

    def abort(self) -> None:
        self._break_off()
        super().abort()

    def _break_off(self) -> None:
        """Let whoever reads the body know that no more of it will come."""
        body = self._payload
        if body is not None and not body.is_eof() and body.exception() is None:
            body.set_exception(aiohttp.ClientPayloadError("the body breaks off"))

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        if isinstance(exc, (aiohttp.ClientConnectionError, OSError)) and (self._heard or self._requests == 1):
            # It was no kept-alive connection's idle end: nothing may ask again.
            exc = UpstreamError("it closed the connection", kind=ErrorKind.UPSTREAM_UNREACHABLE)
        super().set_exception(exc, *cause)
        self._break_off()


async def next_piece(body: StreamReader) -> bytes:
    """Wait for more of a body, b"" at its end. Raises what it broke off with, behind what came before.

    aiohttp's own `readany` looks for a failure once, and before it looks for bytes. The end of a chunk wakes
    it for nothing, and a failure right behind that finds nobody who waits: it would wait again, for ever.
    """
    while not body.at_eof():
        if body._buffer:  # noqa: SLF001 - see above
            return body._read_nowait(-1)  # noqa: SLF001
        if (error := body.exception()) is not None:
            raise error
        await body._wait("next_piece")  # noqa: SLF001
    return b""


def strict(connector: aiohttp.TCPConnector) -> aiohttp.TCPConnector:
    """Make a connector's connections `Handler`s."""
    made = partial(Handler, loop=asyncio.get_running_loop())
    connector._factory = cast("partial[ResponseHandler]", made)  # noqa: SLF001 - see above
    return connector
