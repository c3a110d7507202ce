"""Limits that hold for several gateways together: each tells what it uses of them, and hears the others.

Owns the task, which lives as long as the app, and how long what was heard counts. What it means for a target
is the limiter's. No request waits for any of it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING
from uuid import uuid4

from attrs import define, field

from aigw.builtin.meanwhile import meanwhile
from aigw.routing.health import HealthBoard
from aigw.routing.limiter import Limiter, Used
from aigw.stores.base import StoreError
from aigw.stores.limits import HOLDS_S, LimitNote, LimitStore
from aigw.upstream.target import Limits

if TYPE_CHECKING:
    from aigw.gateway import Gateway

logger = logging.getLogger("aigw.routing")

EXCHANGE_S = 0.1
"""How often gateways hear of one another, and tell what has changed, where any target has limits."""
REPEAT_S = 1.0
"""How often what has not changed is told again, as a sign of life."""
DEAD_S = 5.0
"""Whoever has said nothing for so long has no calls under way, and takes no part of what is left."""


@asynccontextmanager
async def shared_limits(gateway: Gateway, store: LimitStore) -> AsyncIterator[None]:
    """Share the use of limits with other gateways while this one runs."""
    await store.open()
    board = gateway.router.board
    for entry in gateway.models.entries:
        if not entry.is_pattern:
            for target in entry.targets:
                board.limiter(target)
    sharing = LimitSharing(board, store, gateway.router.clock)
    with suppress(StoreError):  # it will be said, if it is so still a moment later
        await sharing.once()
    try:
        async with meanwhile(sharing.again_and_again()):
            yield
    finally:
        with suppress(StoreError):
            await sharing.once()
        await store.close()


@define(eq=False)
class LimitSharing:
    """What one gateway tells others of the limits it uses, and hears from them. wall_clock: Unix seconds."""

    board: HealthBoard
    store: LimitStore
    clock: Callable[[], float]
    wall_clock: Callable[[], float] = time.time
    source: str = field(factory=lambda: uuid4().hex)
    _told: dict[str, LimitNote] = field(factory=dict)
    _heard: list[LimitNote] = field(factory=list)
    _is_silent: bool = False

    async def again_and_again(self) -> None:
        """Exchange notes until cancelled."""
        while True:
            await asyncio.sleep(EXCHANGE_S)
            try:
                await self.once()
                self._is_silent = False
            except StoreError as error:
                self._act()  # what was heard ages
                if not self._is_silent:
                    logger.warning("limits hold for each gateway alone now: %s", error)
                self._is_silent = True

    async def once(self) -> None:
        """Tell what is new, and act on what others say. Raises StoreError."""
        if not self.board.limiters:
            return
        if notes := list(self._news()):
            await self.store.tell(notes)
            self._told.update({note.limits: note for note in notes})
        self._heard = await self.store.hear(self.source)
        self._act()

    def _news(self) -> Iterator[LimitNote]:
        now, wall = self.clock(), self.wall_clock()
        for name, limiter in self._limiters():
            used = limiter.used(now)
            told = self._told.get(name)
            if (
                told is None
                or wall - told.told_at >= REPEAT_S
                or used != Used(told.in_flight, told.requests, told.tokens)
            ):
                yield LimitNote(name, used.in_flight, used.requests, used.tokens, wall, self.source)

    def _act(self) -> None:
        now, wall = self.clock(), self.wall_clock()
        living = {note.source for note in self._heard if wall - note.told_at < DEAD_S}
        others: dict[str, Used] = {}
        for note in self._heard:
            if wall - note.told_at < HOLDS_S:
                known = others.get(note.limits, Used())
                others[note.limits] = Used(
                    known.in_flight + (note.in_flight if note.source in living else 0),
                    known.requests + note.requests,
                    known.tokens + note.tokens,
                )
        for name, limiter in self._limiters():
            limiter.hear(now, others.get(name, Used()), 1 + len(living))

    def _limiters(self) -> Iterator[tuple[str, Limiter]]:
        for (target, limits), limiter in list(self.board.limiters.items()):
            if isinstance(limits, Limits):
                yield name_of(target, limits), limiter


def name_of(target: str, limits: Limits) -> str:
    """Return how gateways call a target's limits: those that allow the same are the same."""
    allowed = (limits.max_in_flight, limits.requests_per_minute, limits.tokens_per_minute)
    return f"{target} {'/'.join('-' if each is None else str(each) for each in allowed)}"
