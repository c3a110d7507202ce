"""What the stateful side of `/v1/responses` holds as long as the gateway lives.

Owns the store with its guard, sweeping it, and that background responses end with the gateway. One of these
stands in each gateway.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from typing import Protocol

from aigw.config import Config
from aigw.responses.guard import Guard
from aigw.responses.jobs import Jobs
from aigw.stores.base import StateStore, StoreError

logger = logging.getLogger("aigw.state")

SWEEP_S = 300.0


class Connection(Protocol):
    """A client's connection that lives longer than one request."""

    def drain(self) -> None:
        """Begin nothing new, and close when the present turn has ended."""


class Responses:
    """The state behind `/v1/responses` and `/v1/conversations`.

    jobs: background responses that run here. connections: those that are open.
    """

    def __init__(self, config: Config, store: StateStore) -> None:
        self.config = config.responses
        self.refuse = config.state.outage == "refuse"
        self.guard = Guard(store, config.state.patience_s)
        self.jobs = Jobs(self.guard, self.config.max_background)
        self.connections: set[Connection] = set()

    def drain(self) -> None:
        """Let open connections begin no more turns, and close."""
        for connection in tuple(self.connections):
            connection.drain()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Open the store and keep it swept, until the gateway ends."""
        store = self.guard.store
        await store.open()
        self.jobs.open()
        sweeper = asyncio.create_task(self._sweep(), name="aigw state sweeper")
        try:
            yield
        finally:
            await self.jobs.close()
            sweeper.cancel()
            await asyncio.gather(sweeper, return_exceptions=True)
            await store.close()

    async def _sweep(self) -> None:
        while True:
            try:
                await self.guard.store.sweep(time.time())
            except (StoreError, OSError) as error:
                logger.warning("the store of responses could not be swept: %s", error)
            await asyncio.sleep(SWEEP_S)
