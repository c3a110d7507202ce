"""Messages that wait for their turn: in order, and only so many.

Owns the bounds. Reads no message.
"""

from __future__ import annotations

import asyncio
from collections import deque

MAX_WAITING = 16
"""Messages that may wait while a turn runs. A client that sends more than that waits for nothing."""

Message = str | bytes


class Inbox:
    """Waiting messages. max_bytes: how large they may be together; one alone may always wait."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._waiting: deque[Message] = deque()
        self._news = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, message: Message) -> bool:
        """Let a message wait; False if there is no room for it."""
        too_large = self._waiting and self._bytes + len(message) > self._max_bytes
        if too_large or len(self._waiting) >= MAX_WAITING:
            return False
        self._waiting.append(message)
        self._bytes += len(message)
        self._news.set()
        return True

    def wake(self) -> None:
        """Let who waits for a message look around."""
        self._news.set()

    async def next(self) -> Message | None:
        """Wait for the next message; None when woken without one."""
        if not self._waiting:
            self._news.clear()
            await self._news.wait()
        if not self._waiting:
            return None
        message = self._waiting.popleft()
        self._bytes -= len(message)
        return message
