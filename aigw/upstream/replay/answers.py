"""The two answers of a replay: one that plays a recording, and one that is being recorded."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from multidict import CIMultiDict

from aigw.upstream.provider import Answer, pull
from aigw.upstream.replay.options import Pace
from aigw.upstream.replay.recording import Chunk, Recording

logger = logging.getLogger("aigw.upstream.replay")


class PlayedAnswer(Answer):
    """Gives a recording's chunks at their pace. started_at: the loop's time when the call came."""

    def __init__(self, recording: Recording, pace: Pace, started_at: float) -> None:
        self.status = recording.status
        self.headers = CIMultiDict(recording.headers)
        self._chunks = iter(recording.chunks)
        self._pace = pace
        self._started_at = started_at

    async def chunk(self) -> bytes:
        for chunk in self._chunks:
            await self._wait(chunk.at_s)
            if chunk.content:
                return chunk.content
        return b""

    async def _wait(self, at_s: float) -> None:
        if self._pace == "original":
            await until(self._started_at + at_s)
        elif isinstance(self._pace, float | int):
            await asyncio.sleep(self._pace)


class RecordedAnswer(Answer):
    """Gives another answer's chunks, and at their end all of them to `save`: one left early is not kept."""

    def __init__(self, answer: Answer, started_at: float, save: Callable[[Sequence[Chunk]], None]) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self._answer = answer
        self._started_at = started_at
        self._chunks: list[Chunk] = []
        self._save: Callable[[Sequence[Chunk]], None] | None = save

    async def chunk(self) -> bytes:
        content = await pull(self._answer)
        if content:
            at_s = asyncio.get_running_loop().time() - self._started_at
            self._chunks.append(Chunk(at_s, content))
        elif self._save is not None:
            save, self._save = self._save, None
            save(self._chunks)
        return content

    async def close(self) -> None:
        if self._save is not None:
            self._save = None
            logger.warning("an answer was left before its end, so it is not recorded")
        await self._answer.close()


async def until(when: float) -> None:
    """Wait until the loop's time has come to `when`."""
    await asyncio.sleep(max(0.0, when - asyncio.get_running_loop().time()))
