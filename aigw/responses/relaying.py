"""The client's side of the loop: one stream that stays open over several calls of the model, or one body.

Owns the outlet that each call of the model is given, and the client's own, opened with the head of the
first call that has something to tell. So whatever fails before is told by its HTTP status.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from aiohttp import web
from attrs import define, field

from aigw.dialects.base import Tree
from aigw.pipeline.exchange import Exchange
from aigw.relay.outlet import Carry, Outlet, Sink
from aigw.wire.sse import split_frames

DONE = b"[DONE]"


@define(eq=False)
class ClientStream:
    """The client's stream. Its outlet runs in a task of its own, so that no call of the model holds another.

    is_open: something has been sent. sent: how many bytes.
    """

    exchange: Exchange
    outlet: Outlet
    sent: int = 0
    _sink: Sink | None = None
    _task: asyncio.Task[web.StreamResponse] | None = None
    _ended: asyncio.Event = field(factory=asyncio.Event)

    @property
    def is_open(self) -> bool:
        return self._sink is not None

    async def open(self, headers: Mapping[str, str]) -> None:
        """Send the head. Raises ConnectionError when the client is gone."""
        opened: asyncio.Future[Sink] = asyncio.get_running_loop().create_future()

        async def carry(sink: Sink) -> None:
            opened.set_result(sink)
            await self._ended.wait()

        self._task = asyncio.create_task(
            self.outlet.send_stream(self.exchange, headers, carry), name="aigw client stream"
        )
        waited: list[asyncio.Future[Any]] = [self._task, opened]
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if not opened.done():
            await self._task
            raise ConnectionResetError("the stream has ended before it began")
        self._sink = opened.result()

    async def write(self, frames: bytes) -> None:
        """Write some frames. Raises ConnectionError when the client is gone."""
        if self._sink is not None and frames:
            self.sent += len(frames)
            await self._sink.write(frames)

    async def end(self) -> web.StreamResponse:
        """Say that the stream has ended."""
        assert self._sink is not None and self._task is not None  # noqa: S101, PT018
        await self._sink.write_eof()
        self._ended.set()
        return await self._task

    async def close(self) -> None:
        """Leave nothing behind, however it went."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


@define(eq=False)
class StepOutlet:
    """Where the answer to one call of the model goes: event by event to the loop.

    feed: takes one event, returns what the client is to get. headers: the head of that answer.
    """

    stream: ClientStream | None
    feed: Callable[[Tree], bytes]
    headers: dict[str, str] = field(factory=dict)

    async def send_stream(
        self,
        exchange: Exchange,  # noqa: ARG002
        headers: Mapping[str, str],
        carry: Carry,
    ) -> web.StreamResponse:
        await self._begin(headers)
        await carry(self)
        return web.StreamResponse()

    async def send_whole(
        self,
        exchange: Exchange,  # noqa: ARG002
        status: int,  # noqa: ARG002
        headers: Mapping[str, str],
        body: bytes,
    ) -> web.StreamResponse:
        """Take an answer that came whole though a stream was asked for: from a plugin's own provider."""
        await self._begin(headers)
        response = orjson.loads(body)
        await self._told(self.feed({"type": "response.created", "response": response}))
        await self._told(self.feed({"type": f"response.{response['status']}", "response": response}))
        return web.StreamResponse()

    async def write(self, data: bytes) -> None:
        for frame in split_frames(data):
            if frame.data != DONE:
                await self._told(self.feed(orjson.loads(frame.data)))

    async def write_eof(self) -> None:
        """The call of the model has ended; the client's stream goes on."""

    async def _begin(self, headers: Mapping[str, str]) -> None:
        self.headers = dict(headers)
        if self.stream is not None and not self.stream.is_open:
            await self.stream.open(headers)

    async def _told(self, frames: bytes) -> None:
        if self.stream is not None:
            await self.stream.write(frames)
