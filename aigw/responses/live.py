"""The events of one running response, and those who follow them.

Owns numbering, waking whoever waits for more, and a bound on memory: what the store has is let go when it
gets large, and what it has not is waited for. Knows no provider, and not how a response ends.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol

import orjson

from aigw.dialects.base import Tree
from aigw.dialects.openresponses.grammar import CLOSING
from aigw.errors import GatewayError
from aigw.pipeline.watchdog import Watch
from aigw.relay.outlet import Sink

Numbered = tuple[int, bytes]
"""An event: its sequence number, and its JSON, which begins with its type."""

HELD_BYTES = 2 * 1024 * 1024
"""What is kept in memory of one response; the store has the rest."""
OWED_BYTES = 8 * 1024 * 1024
"""What the store may not have yet before a response waits for it."""
PARTING_S = 0.7
"""How long a follower waits for the end of a response when the gateway stops."""
_TYPE_AT = len(b'{"type":"')


class Source(Protocol):
    """Where a follower gets its events from."""

    async def more(self, after: int) -> list[Numbered]:
        """Return the next events above number `after`, once there are any; none when there will be none."""


class LiveLog:
    """The events of a response that runs in this process.

    older: reads from the store what is in memory no more, above a number. count: how many there are.
    """

    def __init__(self, older: Callable[[int], Awaitable[list[Numbered]]]) -> None:
        self.count = 0
        self.ended = False
        self._older = older
        self._held: deque[bytes] = deque()
        self._held_bytes = 0
        self._owed_bytes = 0
        self._saved = 0
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    def add(self, tree: Tree) -> None:
        """Number an event, and show it to all followers."""
        body = orjson.dumps({"type": tree["type"], **tree, "sequence_number": self.count})
        self.count += 1
        self._held.append(body)
        self._held_bytes += len(body)
        self._owed_bytes += len(body)
        if self._owed_bytes > OWED_BYTES:
            self._room.clear()
        self._wake()

    def end(self) -> None:
        """Say that nothing more comes."""
        self.ended = True
        self._wake()

    async def room(self) -> None:
        """Wait until the store has taken enough for more to be added."""
        await self._room.wait()

    async def more(self, after: int) -> list[Numbered]:
        """Return the next events above number `after`, once there are any; none when there will be none."""
        while after + 1 >= self.count:
            if self.ended:
                return []
            await self._news.wait()
        if after + 1 >= self._first:
            return self._above(after)
        older = await self._older(after)
        return [event for event in older if event[0] < self.count] or self._above(after)

    @property
    def _first(self) -> int:
        return self.count - len(self._held)

    def _above(self, after: int) -> list[Numbered]:
        first = self._first
        return [(number, self._held[number - first]) for number in range(max(after + 1, first), self.count)]

    def owed(self) -> list[Numbered]:
        """Return the events that the store has not got yet."""
        return self._above(self._saved - 1)

    def paid(self, upto: int) -> None:
        """The store has all events below this number: the oldest of them may go when they are many."""
        paid = [body for number, body in self.owed() if number < upto]
        self._owed_bytes -= sum(map(len, paid))
        self._saved = max(upto, self._saved)
        while self._held_bytes > HELD_BYTES and self._first < upto:
            self._held_bytes -= len(self._held.popleft())
        if self._owed_bytes <= OWED_BYTES:
            self._room.set()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


def frame(body: bytes) -> bytes:
    """Return an event as it goes over the wire."""
    return b"event: " + kind_of(body).encode() + b"\ndata: " + body + b"\n\n"


def kind_of(body: bytes) -> str:
    """Return the type of an event."""
    return body[_TYPE_AT : body.index(b'"', _TYPE_AT)].decode()


class Follower:
    """Carries events to one client until there are no more. after: the number of the last one it has."""

    def __init__(self, source: Source, watch: Watch, after: int = -1) -> None:
        self.bytes_sent = 0
        self._source = source
        self._watch = watch
        self._after = after

    async def carry(self, sink: Sink) -> None:
        """Write the events and `[DONE]`. Raises ConnectionError where they break off; they can be resumed.

        A gateway that stops ends its responses, so their last events are waited for a little.
        """
        try:
            await self._carry(sink)
        except asyncio.CancelledError:
            if self._watch.recover() is None:
                raise
            await self._part(sink)
        except GatewayError as error:
            raise ConnectionResetError("the events cannot be read now") from error
        await sink.write(CLOSING)
        await sink.write_eof()

    async def _carry(self, sink: Sink) -> None:
        while events := await self._source.more(self._after):
            frames = b"".join([frame(body) for _, body in events])
            await sink.write(frames)
            self.bytes_sent += len(frames)
            self._after = events[-1][0]

    async def _part(self, sink: Sink) -> None:
        try:
            async with asyncio.timeout(PARTING_S):
                await self._carry(sink)
        except (TimeoutError, GatewayError) as error:
            raise ConnectionResetError("the gateway stops; the stream can be resumed") from error
