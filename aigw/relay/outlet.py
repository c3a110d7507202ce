"""Where an answer goes: the HTTP response of the request, unless something else has been put there.

Owns how an answer is written to an HTTP client. A WebSocket, a background response and a loop over several
calls of the model put an outlet of their own in this place; the links of the chain see no difference.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from aiohttp import HttpVersion11, web
from aiohttp_sse import EventSourceResponse

from aigw.relay.http_answer import CLOSED, KEPT, EventStream, WrittenAnswer, may_write, put, whole_head

if TYPE_CHECKING:
    from aigw.pipeline.exchange import Exchange

EVENTS = "text/event-stream"


class Sink(Protocol):
    """Takes the bytes of one stream, in whole frames where it is an event stream."""

    async def write(self, data: bytes) -> None:
        """Write some bytes. Waits while the client takes nothing; raises ConnectionError when it is gone."""

    async def write_eof(self) -> None:
        """Say that the stream has ended."""


Carry = Callable[[Sink], Awaitable[None]]
"""Writes a whole stream to the sink it is given."""


class Outlet(Protocol):
    """Takes one answer."""

    async def send_whole(
        self, exchange: Exchange, status: int, headers: Mapping[str, str], body: bytes
    ) -> web.StreamResponse:
        """Send a whole answer, also one that tells an error. Raises ConnectionError when nobody takes it."""

    async def send_stream(
        self, exchange: Exchange, headers: Mapping[str, str], carry: Carry
    ) -> web.StreamResponse:
        """Open a stream and let `carry` write it."""


class HttpOutlet:
    """The HTTP response of the request."""

    async def send_whole(
        self, exchange: Exchange, status: int, headers: Mapping[str, str], body: bytes
    ) -> web.StreamResponse:
        if exchange.begun:  # a second answer behind a begun one would be read as part of it
            raise ConnectionResetError("an answer had begun already")
        request = exchange.request
        if self.is_ours(request):
            keep_alive = request.keep_alive
            head = whole_head(status, headers, len(body), keep_alive=keep_alive)
            exchange.begun = True
            if not put(request, head, body):
                await request.writer.drain()  # the client is behind: what it has not taken is still ours
            return self.written(status, headers, len(body), keep_alive=keep_alive)
        response = web.Response(status=status, headers=headers, body=body)
        exchange.begun = True
        await response.prepare(request)
        await response.write_eof()
        return response

    def is_ours(self, request: web.Request) -> bool:
        """Tell whether we write the answer, and not aiohttp."""
        return may_write(request)

    def written(
        self, status: int, headers: Mapping[str, str], length: int, *, keep_alive: bool
    ) -> web.StreamResponse:
        """Return what is to be known of an answer that we have written."""
        return WrittenAnswer(status, headers, length, keep_alive=keep_alive)

    async def send_stream(
        self, exchange: Exchange, headers: Mapping[str, str], carry: Carry
    ) -> web.StreamResponse:
        exchange.begun = True
        if headers.get("Content-Type") != EVENTS:
            response = web.StreamResponse(headers=headers)
            _end_by_closing(exchange, response)
            await response.prepare(exchange.request)
            await carry(response)
            return response
        kind = EventSourceResponse if exchange.request.version < HttpVersion11 else EventStream
        events = kind(
            headers=headers,
            sep="\n",
            allow_all_methods=True,
            ping_interval=exchange.gateway.config.server.ping_interval_s,
        )
        _end_by_closing(exchange, events)
        await events.prepare(exchange.request)
        async with events:
            await carry(events)
        return events


class OwnHttpOutlet(HttpOutlet):
    """The same where it is known from the start that nobody but aiohttp's server looks at the answer.

    So it is for HTTP/1.1 requests of the short way into an application of our own.
    """

    def is_ours(self, request: web.Request) -> bool:  # noqa: ARG002
        return True

    def written(
        self,
        status: int,  # noqa: ARG002 - it is on its way, and nobody asks
        headers: Mapping[str, str],  # noqa: ARG002
        length: int,  # noqa: ARG002
        *,
        keep_alive: bool,
    ) -> web.StreamResponse:
        return KEPT if keep_alive else CLOSED


HTTP = HttpOutlet()
OWN_HTTP = OwnHttpOutlet()


def _end_by_closing(exchange: Exchange, response: web.StreamResponse) -> None:
    """HTTP/1.0 knows no chunks: where no length is given, only closing the connection tells the end."""
    if exchange.request.version < HttpVersion11:
        response.force_close()
        response.headers["Connection"] = "close"
