"""An answer that is ready to go: whole, or as a stream.

Owns what is written to the client and the one moment after which no other target can be tried. The
answer is written here and not by aiohttp after the handler returns, so that whoever is told of the end
is told the truth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from aiohttp import HttpVersion11, web
from aiohttp_sse import EventSourceResponse
from attrs import define

from aigw.relay.pump import pump
from aigw.relay.stream import Relay
from aigw.relay.watchers import Watchers
from aigw.upstream.provider import Answer

if TYPE_CHECKING:
    from aigw.pipeline.exchange import Exchange


EVENTS = "text/event-stream"


class Delivery(Protocol):
    """Something that can be sent to the client, once."""

    async def send(self, exchange: Exchange) -> web.StreamResponse:
        """Send it all. Raises ConnectionError when the client is gone."""


@define(eq=False)
class WholeDelivery:
    """A whole answer."""

    status: int
    headers: dict[str, str]
    body: bytes
    content_type: str = "application/json"

    async def send(self, exchange: Exchange) -> web.StreamResponse:
        if exchange.committed:  # a second answer behind a begun one would be read as part of it
            raise ConnectionResetError("an answer had begun already")
        exchange.watch.rest()  # the provider has done its part: a client that takes its time may
        self.headers["Content-Type"] = self.content_type
        response = web.Response(status=self.status, headers=self.headers, body=self.body)
        exchange.committed = True
        exchange.status = self.status
        await response.prepare(exchange.request)
        await response.write_eof()
        exchange.bytes_sent = len(self.body)
        return response


@define(eq=False)
class StreamDelivery:
    """A stream whose first content is there. `read_s`: how long the provider may be silent."""

    headers: dict[str, str]
    relay: Relay
    answer: Answer
    first: bytes
    read_s: float
    watchers: Watchers | None = None

    async def send(self, exchange: Exchange) -> web.StreamResponse:
        exchange.status = 200
        if self.headers.get("Content-Type") != EVENTS:
            response = web.StreamResponse(headers=self.headers)
            _end_by_closing(exchange, response)
            exchange.committed = True
            await response.prepare(exchange.request)
            await self._pump(exchange, response)
            return response
        events = EventSourceResponse(
            headers=self.headers,
            sep="\n",
            allow_all_methods=True,
            ping_interval=exchange.gateway.config.server.ping_interval_s,
        )
        _end_by_closing(exchange, events)
        exchange.committed = True
        await events.prepare(exchange.request)
        async with events:
            await self._pump(exchange, events)
        return events

    async def _pump(self, exchange: Exchange, response: web.StreamResponse) -> None:
        await pump(
            exchange,
            self.answer,
            self.relay,
            response,
            first=self.first,
            read_s=self.read_s,
            watchers=self.watchers,
        )


def _end_by_closing(exchange: Exchange, response: web.StreamResponse) -> None:
    """HTTP/1.0 knows no chunks: where no length is given, only closing the connection tells the end."""
    if exchange.request.version < HttpVersion11:
        response.force_close()
        response.headers["Connection"] = "close"
