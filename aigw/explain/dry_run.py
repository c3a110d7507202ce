"""One request through the whole application, and nobody called.

Owns what of a gateway runs for it: every link and every hook of the request's way, and neither `setup` nor
what opens providers. State is empty and in memory; chance begins at the same place each time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from random import Random

import aiohttp
from aiohttp import web
from attrs import evolve, frozen
from yarl import URL

from aigw.assemble import assemble
from aigw.config import Config
from aigw.explain.asked import Asked
from aigw.explain.noted import Noted, NotedListing, NotedRouter, NotedShadows
from aigw.gateway import Gateway
from aigw.hooks.loader import Found
from aigw.hooks.table import HOOK_NAMES
from aigw.pipeline.exchange import Exchange

SEED = 0
LIMIT_S = 60.0


@frozen
class DryRun:
    """What came of it.

    hooks: for each point of a request's way, the plugins in their order. status, body: what the client gets,
    which is of use only where no call was to be made.
    """

    asked: Asked
    gateway: Gateway
    noted: Noted
    router: NotedRouter
    shadows: NotedShadows
    hooks: Mapping[str, tuple[str, ...]]
    status: int
    body: bytes
    notes: tuple[str, ...]

    @property
    def exchange(self) -> Exchange | None:
        """The request as the chain knew it; None for a URL that is no endpoint of the API."""
        return self.noted.exchange


async def dry_run(
    asked: Asked, config: Config, env: Mapping[str, str], *, installed: Mapping[str, Found] | None = None
) -> DryRun:
    """Let a request go its way. Raises ConfigError and PluginError as `assemble` does."""
    made = assemble(_offline(config), env, installed=installed)
    gateway = made.gateway
    hooks = {
        point: tuple(hook.plugin for hook in getattr(gateway.hooks, point))
        for point in HOOK_NAMES
        if point != "provide" and getattr(gateway.hooks, point)
    }
    noted, shadows = Noted(), NotedShadows()
    chance = Random(SEED).random  # noqa: S311 - it draws targets and guards no secret
    router = NotedRouter(config.routing, gateway.registry.strategies, chance)
    gateway.router, gateway.shadows, gateway.listing = router, shadows, NotedListing(gateway.models)
    gateway.hooks.on_complete = ()
    gateway.hooks.on_error = tuple(map(noted.unless_called, gateway.hooks.on_error))
    gateway.hooks.register(noted)
    async with asyncio.timeout(LIMIT_S), _served(gateway) as address, gateway.responses.running():
        status, body = await _send(asked, address)
        while gateway.in_flight:  # a background response goes on without its client  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    return DryRun(asked, gateway, noted, router, shadows, hooks, status, body, made.notes)


def _offline(config: Config) -> Config:
    """Return the configuration with nothing kept, and nothing shared with gateways that run."""
    routing = evolve(config.routing, health=evolve(config.routing.health, share=False))
    return evolve(config, state=evolve(config.state, kind="memory", path=None), routing=routing)


@asynccontextmanager
async def _served(gateway: Gateway) -> AsyncIterator[URL]:
    """Serve on a free port of this machine what the gateway serves, but start nothing it would start."""
    app = gateway.make_app()
    for signal in (app.on_startup, app.on_shutdown, app.on_cleanup):
        signal.clear()
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        yield URL.build(scheme="http", host=host, port=port)
    finally:
        await runner.cleanup()


async def _send(asked: Asked, address: URL) -> tuple[int, bytes]:
    url = URL(f"{address}".rstrip("/") + asked.path, encoded=True)
    unsaid = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
    async with (
        aiohttp.ClientSession(skip_auto_headers=unsaid) as session,
        session.request(
            asked.method, url, headers=asked.headers, data=asked.body or None, allow_redirects=False
        ) as answer,
    ):
        return answer.status, await answer.read()
