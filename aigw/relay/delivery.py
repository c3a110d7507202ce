"""An answer that is ready to go: whole, or as a stream.

Owns what is written to the client and the one moment after which no other target can be tried. The
answer is written here and not by aiohttp after the handler returns, so that whoever is told of the end
is told the truth.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from aiohttp import web
from attrs import define

from aigw.dialects.base import Tree
from aigw.relay.outlet import Sink
from aigw.relay.pump import pump
from aigw.relay.stream import Relay
from aigw.relay.watchers import Watchers
from aigw.upstream.provider import Answer

if TYPE_CHECKING:
    from aigw.pipeline.exchange import Exchange


class Delivery(Protocol):
    """Something that can be sent to the client, once."""

    async def send(self, exchange: Exchange) -> web.StreamResponse:
        """Send it all. Raises ConnectionError when the client is gone."""


class Keeper(Protocol):
    """Is shown how an answer ends before its client is, so that what the client was told of is kept.

    Both return what goes out in its place. They may wait, for as long as their own patience lasts.
    """

    async def before_whole(
        self, exchange: Exchange, headers: dict[str, str], body: bytes, tree: Tree | None = None
    ) -> bytes:
        """See a whole answer that is a good one; may add to its headers. tree: what it says, if parsed."""

    async def before_end(self, exchange: Exchange, frames: bytes) -> bytes:
        """See the last frames of an event stream, the terminal event among them."""


@define(eq=False)
class WholeDelivery:
    """A whole answer. tree: what its body says, where that is at hand."""

    status: int
    headers: dict[str, str]
    body: bytes
    tree: Tree | None = None
    content_type: str = "application/json"

    async def send(self, exchange: Exchange) -> web.StreamResponse:
        exchange.watch.rest()  # the provider has done its part: a client that takes its time may
        body = self.body
        if exchange.keeper is not None and self.status < 300:
            body = await exchange.keeper.before_whole(exchange, self.headers, body, self.tree)
        self.headers["Content-Type"] = self.content_type
        exchange.committed = True
        exchange.status = self.status
        response = await exchange.outlet.send_whole(exchange, self.status, self.headers, body)
        exchange.bytes_sent = len(body)
        return response


@define(eq=False)
class StreamDelivery:
    """A stream whose first content is there.

    read_s: how long the provider may be silent. carry_on: makes of its answer one that others go on with.
    """

    headers: dict[str, str]
    relay: Relay
    answer: Answer
    first: bytes
    read_s: float
    watchers: Watchers | None = None
    carry_on: Callable[[Exchange, Answer], Answer] | None = None

    async def send(self, exchange: Exchange) -> web.StreamResponse:
        exchange.status = 200
        exchange.committed = True
        answer = self.answer if self.carry_on is None else self.carry_on(exchange, self.answer)

        async def carry(sink: Sink) -> None:
            await pump(
                exchange,
                answer,
                self.relay,
                sink,
                first=self.first,
                read_s=self.read_s,
                watchers=self.watchers,
            )

        try:
            return await exchange.outlet.send_stream(exchange, self.headers, carry)
        finally:
            if answer is not self.answer:
                await answer.close()
