"""The store as requests see it: with patience that ends, and with an outage that is declared.

Owns how long a request waits for the store, that a store which is down does not hold up every request, and
the count of what failed. Knows nothing of responses.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import TypeVar

from aigw.errors import ErrorKind, ServerError
from aigw.stores.base import StateStore, StoreError

logger = logging.getLogger("aigw.state")

T = TypeVar("T")

PAUSE_S = 1.0
"""After a failure, how long the store is not asked at all; then the next request finds out."""
TICK_S = 0.1
"""How often it is looked whose patience has ended: one timer for all, since each of its own costs more than
all else here."""


class Guard:
    """Asks a store on behalf of requests.

    patience_s: how long one operation may take. failures: how many have failed. is_down: the last one did.
    While it is, one operation every PAUSE_S finds out whether it still is; all others fail at once.
    """

    def __init__(self, store: StateStore, patience_s: float = 2.0) -> None:
        self.store = store
        self.failures = 0
        self.is_down = False
        self._patience_s = patience_s
        self._ask_again_at = 0.0
        self._waiting: dict[asyncio.Task[object], float] = {}
        self._late: set[asyncio.Task[object]] = set()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_shut(self) -> bool:
        """The store is known to be down, and nobody asks it now."""
        return self.is_down and asyncio.get_running_loop().time() < self._ask_again_at

    async def ask(self, operation: Awaitable[T]) -> T:
        """Wait for an operation of the store. Raises ServerError (503) when it fails or takes too long."""
        if self.is_down:
            self._let_one_find_out(operation)
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None  # noqa: S101
        self._waiting[task] = loop.time() + self._patience_s
        if self._timer is None:
            self._timer = loop.call_later(min(TICK_S, self._patience_s), self._look, loop)
        try:
            result = await operation
        except LookupError:  # what was asked for is not there: an answer like any other
            self._answered()
            raise
        except asyncio.CancelledError as error:
            if task in self._late and task.uncancel() == 0:
                self._failed(TimeoutError())
                raise unavailable() from error
            self._ask_again_at = 0.0
            raise
        except (StoreError, OSError) as error:
            self._failed(error)
            raise unavailable() from error
        finally:
            del self._waiting[task]
            self._late.discard(task)
        self._answered()
        return result

    def _let_one_find_out(self, operation: Awaitable[object]) -> None:
        """While the store is down: let this operation find out for all others, which do not wait for it."""
        if self.is_shut:
            _drop(operation)
            raise unavailable()
        self._ask_again_at = asyncio.get_running_loop().time() + self._patience_s

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for task, deadline in self._waiting.items():
            if now >= deadline and task not in self._late:
                self._late.add(task)
                task.cancel()
        step_s = min(TICK_S, self._patience_s)
        self._timer = loop.call_later(step_s, self._look, loop) if self._waiting else None

    def _answered(self) -> None:
        if self.is_down:
            self.is_down = False
            logger.warning("the store of responses answers again")

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        self._ask_again_at = asyncio.get_running_loop().time() + PAUSE_S
        if not self.is_down:
            self.is_down = True
            logger.error("the store of responses fails: %s", str(error) or "it does not answer in time")


def unavailable() -> ServerError:
    """Return the error for a request that needs the store while it fails."""
    return ServerError(
        "the gateway's store of responses is not available; try again, or send all items with store=false",
        kind=ErrorKind.UNAVAILABLE,
        code="store_unavailable",
        retry_after_s=PAUSE_S,
    )


def _drop(operation: Awaitable[object]) -> None:
    if asyncio.iscoroutine(operation):
        operation.close()  # it never began, and would complain of that
