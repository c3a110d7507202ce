"""What gateways tell one another of targets' limits: `LimitStore`, and one for gateways of one process.

Owns the interface. As with health, nobody waits for it on a request's way: each gateway counts what it does
itself, tells it a moment later, and counts what it has heard of the others as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from attrs import frozen

HOLDS_S = 60.0
"""How long a note says something: limits look at one minute."""


@frozen
class LimitNote:
    """How much one gateway has used of one target's limits.

    limits: which they are, by a name. in_flight: calls under way. requests, tokens: within the last minute.
    told_at: Unix seconds. source: which gateway says so.
    """

    limits: str
    in_flight: int
    requests: int
    tokens: int
    told_at: float
    source: str


class LimitStore(Protocol):
    """Keeps the latest note of each gateway on each target's limits, for HOLDS_S.

    Methods raise StoreError when the backend cannot do it; then each gateway goes by what it knows.
    """

    async def open(self) -> None:
        """Acquire what must live as long as the gateway. In the running loop."""

    async def close(self) -> None:
        """Release it again."""

    async def tell(self, notes: Sequence[LimitNote]) -> None:
        """Keep these notes, each in place of an older one of the same source and limits."""

    async def hear(self, source: str) -> list[LimitNote]:
        """Return what all others than `source` have said and still holds."""


class MemoryLimitStore:
    """Notes in memory: for gateways that live in one process, and for tests."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._notes: dict[tuple[str, str], LimitNote] = {}

    async def open(self) -> None:
        """Nothing is to be acquired."""

    async def close(self) -> None:
        """Nothing is to be released: another gateway may use it."""

    async def tell(self, notes: Sequence[LimitNote]) -> None:
        for note in notes:
            self._notes[note.source, note.limits] = note
        since = self._clock() - HOLDS_S
        self._notes = {key: note for key, note in self._notes.items() if note.told_at > since}

    async def hear(self, source: str) -> list[LimitNote]:
        since = self._clock() - HOLDS_S
        return [note for note in self._notes.values() if note.source != source and note.told_at > since]
