"""What gateways tell one another of targets' health: `HealthStore`, and one for gateways of one process.

Owns the interface. Nobody waits for it on a request's way: each gateway decides by what it has seen itself,
writes behind what it has found out, and hears of the others' findings a moment later.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from attrs import frozen


@frozen
class HealthNote:
    """What one gateway found out of one target.

    target: "provider/model". until: Unix seconds until which it is to be left alone; a time that has passed
    takes the note back. reason: an error's code. source: which gateway says so.
    """

    target: str
    until: float
    reason: str
    source: str


class HealthStore(Protocol):
    """Keeps the latest note of each gateway on each target, until its time has passed.

    Methods raise StoreError when the backend cannot do it; then each gateway goes by what it sees itself.
    """

    async def open(self) -> None:
        """Acquire what must live as long as the gateway. In the running loop."""

    async def close(self) -> None:
        """Release it again."""

    async def tell(self, notes: Sequence[HealthNote]) -> None:
        """Keep these notes, each in place of an older one of the same source and target."""

    async def hear(self, source: str) -> list[HealthNote]:
        """Return what all others than `source` have said and still holds."""


class MemoryHealthStore:
    """Notes in memory: for gateways that live in one process, and for tests."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._notes: dict[tuple[str, str], HealthNote] = {}

    async def open(self) -> None:
        """Nothing is to be acquired."""

    async def close(self) -> None:
        """Nothing is to be released: another gateway may use it."""

    async def tell(self, notes: Sequence[HealthNote]) -> None:
        now = self._clock()
        for note in notes:
            self._notes[note.source, note.target] = note
        self._notes = {key: note for key, note in self._notes.items() if note.until > now}

    async def hear(self, source: str) -> list[HealthNote]:
        now = self._clock()
        return [note for note in self._notes.values() if note.source != source and note.until > now]
