"""What keeps an eye on targets while no request does: active health checks, and news from other gateways.

Owns these tasks, which live as long as the app. What a check means for a target is the health board's.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

from attrs import define, field

from aigw.builtin.limits import shared_limits
from aigw.builtin.meanwhile import meanwhile
from aigw.config import HealthCheckConfig
from aigw.errors import GatewayError, UpstreamError
from aigw.routing.breaker import Circuit
from aigw.routing.health import HealthBoard, News
from aigw.stores.base import StoreError
from aigw.stores.health import HealthNote, HealthStore
from aigw.upstream.provider import BaseProvider

if TYPE_CHECKING:
    from aigw.gateway import Gateway

logger = logging.getLogger("aigw.routing")


class HealthChecks:
    """Ask each provider that has a `health_check` now and then.

    checks: by the provider's name.
    """

    name = "health-checks"
    on_failure = "open"

    def __init__(self, checks: Mapping[str, HealthCheckConfig]) -> None:
        self._checks = dict(checks)

    async def setup(self, gateway: Gateway) -> AsyncIterator[None]:
        tasks = [
            asyncio.create_task(_check_again_and_again(gateway, gateway.models.providers[name], check))
            for name, check in self._checks.items()
            if name in gateway.models.providers
        ]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _check_again_and_again(gateway: Gateway, provider: BaseProvider, check: HealthCheckConfig) -> None:
    board, clock = gateway.router.board, gateway.router.clock
    while True:
        error: GatewayError | None = None
        try:
            async with asyncio.timeout(check.timeout_s):
                await provider.ping(check.path)
        except TimeoutError:
            error = UpstreamError(f'provider "{provider.name}" did not answer its health check in time')
        except GatewayError as failure:
            error = failure
        except Exception as failure:  # noqa: BLE001 - a provider of a plugin's may raise anything
            error = UpstreamError(f'provider "{provider.name}" failed in its health check: {failure!r}')
        take_note(board, provider.name, clock(), error)
        await asyncio.sleep(check.interval_s)


def take_note(board: HealthBoard, provider: str, now: float, error: GatewayError | None) -> None:
    """Let a check count for every target of a provider.

    A check that succeeds closes circuits whose time is over; it is no proof against failing requests.
    """
    for state in list(board.states.values()):
        if not state.name.startswith(f"{provider}/"):
            continue
        is_open = state.breaker.circuit is not Circuit.CLOSED
        if error is None and not (is_open and state.admits(now)):
            continue
        lease = state.begin(now)
        state.release(now, lease)
        if error is None:
            state.succeeded(now, lease)
        else:
            state.failed(now, lease, error)


@asynccontextmanager
async def shared(gateway: Gateway) -> AsyncIterator[None]:
    """Share what is known of targets with other gateways while this one runs, if it was given where."""
    async with AsyncExitStack() as stack:
        if gateway.health_store is not None:
            await stack.enter_async_context(_shared_health(gateway, gateway.health_store))
        if gateway.limit_store is not None:
            await stack.enter_async_context(shared_limits(gateway, gateway.limit_store))
        yield


@asynccontextmanager
async def _shared_health(gateway: Gateway, store: HealthStore) -> AsyncIterator[None]:
    await store.open()
    sharing = Sharing(gateway.router.board, store, gateway.router.clock)
    try:
        async with meanwhile(sharing.again_and_again(gateway.config.routing.health.share_s)):
            yield
    finally:
        gateway.router.board.listeners.remove(sharing.note)
        await store.close()


@define(eq=False)
class Sharing:
    """What one gateway tells others of its targets, and hears from them. wall_clock: Unix seconds."""

    board: HealthBoard
    store: HealthStore
    clock: Callable[[], float]
    wall_clock: Callable[[], float] = time.time
    source: str = field(factory=lambda: uuid4().hex)
    _news: dict[str, News] = field(factory=dict)
    _heard: dict[str, float] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.board.listeners.append(self.note)

    def note(self, news: News) -> None:
        """Keep news until the next exchange."""
        self._news[news.target] = news

    async def again_and_again(self, pause_s: float) -> None:
        """Exchange news every `pause_s`, until cancelled."""
        while True:
            await asyncio.sleep(pause_s)
            try:
                await self.once()
            except StoreError as error:
                logger.warning("targets' health is not shared now: %s", error)

    async def once(self) -> None:
        """Tell what is new, and act on what others say. Raises StoreError."""
        wall = self.wall_clock()
        fresh, self._news = self._news, {}
        if fresh:
            notes = [
                HealthNote(each.target, wall + each.for_s, each.reason, self.source)
                for each in fresh.values()
            ]
            await self.store.tell(notes)
        heard: dict[str, float] = {}
        for note in await self.store.hear(self.source):
            heard[note.target] = max(note.until, heard.get(note.target, 0.0))
            state = self.board.states.get(note.target)  # one that was never asked here is asked, and learns
            if state is not None and self._heard.get(note.target, 0.0) < note.until:
                state.heard(self.clock(), note.until - wall, note.reason)
        self._heard = heard
