"""The queue between requests and the disk, and the one task that empties it.

Owns the bound: a slow disk costs lines, never memory and never a request's time. Whatever is in the
queue when `running` is left has been written when it returns.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from aigw_request_log.file import Sink
from aigw_request_log.line import Line, encode

logger = logging.getLogger("aigw.request_log")

BATCH_LINES = 500


class Writer:
    """Writes lines in the background. dropped: how many found the queue full, or the disk failing."""

    def __init__(self, sink: Sink, max_lines: int, redact_fields: frozenset[str]) -> None:
        self.dropped = 0
        self._sink = sink
        self._max_lines = max_lines
        self._redact_fields = redact_fields
        self._lines: deque[Line] = deque()
        self._wake = asyncio.Event()
        self._closing = False

    def put(self, line: Line) -> None:
        """Queue a line, or drop it. Never waits."""
        if len(self._lines) >= self._max_lines:
            self.dropped += 1
            return
        self._lines.append(line)
        self._wake.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write while this is entered, and all that is left on leaving. Raises OSError if it cannot."""
        await asyncio.to_thread(self._sink.open)
        self._closing = False
        writing = asyncio.create_task(self._run(), name="aigw-request-log writer")
        try:
            yield
        finally:
            self._closing = True
            self._wake.set()
            await writing
            await asyncio.to_thread(self._sink.close)

    async def _run(self) -> None:
        # Closing may be told before this has begun: look at the queue first, at the flag after.
        is_last = False
        while not is_last:
            await self._wake.wait()
            self._wake.clear()
            is_last = self._closing
            while self._lines:
                size = min(len(self._lines), BATCH_LINES)
                await self._write([self._lines.popleft() for _ in range(size)])
        if self.dropped:
            await self._write([{"time": now(), "dropped": self.dropped}])

    async def _write(self, batch: list[Line]) -> None:
        try:
            await asyncio.to_thread(self._write_blocking, batch)
        except (OSError, ValueError, TypeError):
            self.dropped += len(batch)
            logger.exception("%d lines of the request log were not written", len(batch))

    def _write_blocking(self, batch: list[Line]) -> None:
        self._sink.write(b"".join([encode(line, self._redact_fields) for line in batch]))


def now() -> str:
    """Return the time as ISO 8601 in UTC, with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
