"""A `LimitStore` in the file where responses are kept, and what it reads and writes there."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from aigw.stores.limits import HOLDS_S, LimitNote
from aigw.stores.sqlite import SqliteStore

_KEEP = """INSERT OR REPLACE INTO limits (limits, in_flight, requests, tokens, told_at, source)
    VALUES (?, ?, ?, ?, ?, ?)"""
_HEAR = """SELECT limits, in_flight, requests, tokens, told_at, source FROM limits
    WHERE source <> ? AND told_at > ?"""


class SqliteLimitStore:
    """Shares how much of targets' limits is used with all who keep their state in the file of this store."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    async def open(self) -> None:
        """Nothing is to be acquired: the store is opened by whom it belongs to."""

    async def close(self) -> None:
        """Nothing is to be released."""

    async def tell(self, notes: Sequence[LimitNote]) -> None:
        await self._store.write(_tell, (notes, self._store.clock() - HOLDS_S))

    async def hear(self, source: str) -> list[LimitNote]:
        heard: list[LimitNote] = await self._store.read(_hear, (source, self._store.clock() - HOLDS_S))
        return heard


def _tell(connection: sqlite3.Connection, told: list[tuple[Sequence[LimitNote], float]]) -> list[None]:
    for notes, since in told:
        connection.execute("DELETE FROM limits WHERE told_at <= ?", (since,))
        rows = [
            (note.limits, note.in_flight, note.requests, note.tokens, note.told_at, note.source)
            for note in notes
        ]
        connection.executemany(_KEEP, rows)
    return [None] * len(told)


def _hear(connection: sqlite3.Connection, heard: tuple[str, float]) -> list[LimitNote]:
    return [LimitNote(*row) for row in connection.execute(_HEAR, heard).fetchall()]
