"""A `HealthStore` in the file where responses are kept: what it needs is open already."""

from __future__ import annotations

from collections.abc import Sequence

from aigw.stores.health import HealthNote
from aigw.stores.sqlite import SqliteStore


class SqliteHealthStore:
    """Shares targets' health with all who keep their state in the file of this store."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    async def open(self) -> None:
        """Nothing is to be acquired: the store is opened by whom it belongs to."""

    async def close(self) -> None:
        """Nothing is to be released."""

    async def tell(self, notes: Sequence[HealthNote]) -> None:
        await self._store.tell(notes)

    async def hear(self, source: str) -> list[HealthNote]:
        return await self._store.hear(source)
