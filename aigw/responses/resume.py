"""The stream of a response once more, from any event on: while it runs, here or elsewhere, and after its end.

Owns where its events come from: from memory where it runs, else from the store; and where none were kept,
because nobody was expected to come back, they are made again from the response.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import orjson
from aiohttp import web

from aigw.dialects.base import Tree
from aigw.errors import ClientError
from aigw.pipeline.exchange import Exchange
from aigw.relay.ending import Ending
from aigw.relay.outlet import EVENTS
from aigw.responses.endings import TERMINAL, end_of, told_again
from aigw.responses.leases import settled
from aigw.responses.live import Follower, Numbered, Source, kind_of
from aigw.stores.base import ResponseRecord

if TYPE_CHECKING:
    from aigw.responses.runtime import Responses

POLL_S = 0.25
"""How often the store is asked for news of a response that runs in another process."""


async def resumed(request: web.Request, exchange: Exchange, record: ResponseRecord) -> web.StreamResponse:
    """Answer with the events of a response above `starting_after`, to its end. Raises ClientError."""
    after = starting_after(request)
    responses = exchange.gateway.responses
    job = responses.jobs.find(record.tenant, record.id)
    source: Source = StoredEvents(responses, record) if job is None else job.log
    follower = Follower(source, exchange.watch, after)
    headers = {"x-request-id": exchange.id, "Content-Type": EVENTS}
    exchange.status = 200
    exchange.stream = True
    try:
        return await exchange.outlet.send_stream(exchange, headers, follower.carry)
    except ConnectionError:
        if exchange.gateway.stopping:
            exchange.ending = Ending.SHUT_DOWN
        raise
    finally:
        exchange.bytes_sent = follower.bytes_sent


def starting_after(request: web.BaseRequest) -> int:
    """Return the number of the last event the client has; -1 if it says none. Raises ClientError."""
    given = request.query.get("starting_after")
    if given is None:
        return -1
    if not (given.isascii() and given.isdecimal() and len(given) < 16):
        raise ClientError(
            f'starting_after must be the sequence number of an event, got "{given[:40]}"',
            param="starting_after",
        )
    return int(given)


class StoredEvents:
    """The events of a response that does not run in this process. record: how it stood a moment ago."""

    def __init__(self, responses: Responses, record: ResponseRecord) -> None:
        self._responses = responses
        self._record: ResponseRecord | None = record
        self._is_over = False

    async def more(self, after: int) -> list[Numbered]:
        """Return the next events above number `after`, once there are any; none when there will be none."""
        while not self._is_over:
            record = self._record  # read before the events: where it has ended, they are all there
            events = await self._kept(after)
            if record is None or not record.is_running:
                self._is_over = True
                return events if record is None else await self._to_the_end(record, events, after)
            self._record = await self._look_again(record)
            if events:
                return events
            await asyncio.sleep(POLL_S)
        return []

    async def _kept(self, after: int) -> list[Numbered]:
        guard, record = self._responses.guard, self._record
        if record is None:
            return []
        return await guard.ask(guard.store.events(record.tenant, record.id, after))

    async def _look_again(self, record: ResponseRecord) -> ResponseRecord | None:
        guard = self._responses.guard
        found = await guard.ask(guard.store.response(record.tenant, record.id))
        return None if found is None else await settled(self._responses, found)

    async def _to_the_end(self, record: ResponseRecord, events: list[Numbered], after: int) -> list[Numbered]:
        """Return what is kept up to the end of a response, with an end where that is not kept."""
        known = events or await self._kept(-1)
        for place, (_, body) in enumerate(known):
            if kind_of(body) in TERMINAL:
                return events[: place + 1]
        response: Tree = orjson.loads(record.body)
        first = known[-1][0] + 1 if known else 0
        missing = [*(end_of(response) if known else told_again(response))]
        numbered = [(first + place, _write(event, first + place)) for place, event in enumerate(missing)]
        return events + [event for event in numbered if event[0] > after]


def _write(event: Tree, number: int) -> bytes:
    return orjson.dumps({"type": event["type"], **event, "sequence_number": number})
