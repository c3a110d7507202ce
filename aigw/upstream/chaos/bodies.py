"""The bodies of spoilt answers: another provider's bytes, changed on their way.

Owns that the answer behind is given back whatever happens. Knows no fault.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable
from typing import Self

from multidict import CIMultiDict

from aigw.upstream.provider import Answer, pull
from aigw.wire.sse import FrameAligner, cut_frames

EVENTS = "text/event-stream"


class ChangedAnswer(Answer):
    """An answer whose body is made from another's, or from nothing. Closing it closes both."""

    def __init__(
        self,
        chunks: AsyncGenerator[bytes, None],
        *,
        behind: Answer | None = None,
        content_type: str = EVENTS,
    ) -> None:
        self.status = 200 if behind is None else behind.status
        self.headers = CIMultiDict({"Content-Type": content_type} if behind is None else behind.headers)
        self.headers.pop("Content-Length", None)
        self._chunks = chunks
        self._behind = behind

    async def chunk(self) -> bytes:
        async for chunk in self._chunks:
            if chunk:
                return chunk
        return b""

    async def close(self) -> None:
        try:
            await self._chunks.aclose()
        finally:
            if self._behind is not None:
                await self._behind.close()


class WatchedAnswer(Answer):
    """An answer that tells when it is closed, once."""

    def __init__(self, answer: Answer, closed: Callable[[], None]) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self._answer = answer
        self._closed: Callable[[], None] | None = closed

    async def chunk(self) -> bytes:
        return await pull(self._answer)

    def at_once(self) -> bytes | None:
        return self._answer.at_once()

    async def close(self) -> None:
        try:
            await self._answer.close()
        finally:
            closed, self._closed = self._closed, None
            if closed is not None:
                closed()


def is_events(answer: Answer) -> bool:
    """Tell whether an answer's body is an event stream."""
    return answer.headers.get("Content-Type", "").lower().startswith(EVENTS)


class pieces:  # noqa: N801 - used as the generator that it would be, but nothing in it has to be closed
    """Give the frames of an event stream, one by one; of any other body its chunks."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._aligner = FrameAligner() if is_events(answer) else None
        self._ready: deque[bytes] = deque()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while not self._ready:
            chunk = await pull(self._answer)
            if not chunk:
                return self._tail()
            self._ready += cut_frames(self._aligner.feed(chunk)) if self._aligner else [chunk]
        return self._ready.popleft()

    def _tail(self) -> bytes:
        aligner, self._aligner = self._aligner, None
        if aligner is None or aligner.empty:
            raise StopAsyncIteration
        return aligner.tail
