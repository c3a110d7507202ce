"""`Gateway`: owns all that lives as long as the app; the library's front door.

Owns models, providers, hooks and the watchdog, and opens and closes them in the right order. Reads no
file and no environment (that is `aigw.assemble`), and knows no step of a request (that is the chain).
No module state: several gateways may live in one process.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from aiohttp import web
from aiohttp.typedefs import Handler

from aigw.app import OWN_ROUTES, build
from aigw.builtin import builtins
from aigw.builtin.targets import shared
from aigw.config import Config
from aigw.dialects.endpoints import Endpoint
from aigw.hooks.loader import Found, load, order, unknown_disabled
from aigw.hooks.registry import Registry
from aigw.hooks.table import Hook, Hooks, blamed
from aigw.pipeline.shadow import Shadows
from aigw.pipeline.watchdog import Watchdog
from aigw.responses.runtime import Responses
from aigw.routing.router import Router
from aigw.routing.strategies import STRATEGIES
from aigw.stores.base import StateStore
from aigw.stores.choose import health_store_beside, limit_store_beside, make_store
from aigw.stores.health import HealthStore
from aigw.stores.limits import LimitStore
from aigw.upstream.listing import Listing
from aigw.upstream.own_profiles import profile_book
from aigw.upstream.registry import ModelRegistry
from aigw.upstream.wrapper import with_wrapped

logger = logging.getLogger("aigw")


class Gateway:
    """An AI gateway without a port: register models and hooks, then `make_app()`.

    config: settings of server, auth and plugins; by default open on loopback, with every built-in.
    store: where responses and conversations are kept, in place of what `config.state` says.
    health_store: where gateways tell one another of targets' health; None keeps it to each of them.
    limit_store: where they tell one another what they use of targets' limits; None lets each have them all.
    installed: plugins to load beside the built-ins, as `hooks.loader.discover` finds them.

    models: names -> targets. profiles: what models refuse. hooks: what plugins have put in force.
    registry: what they provide. responses: the state behind `/v1/responses`.
    router: which target is next, and how each one is. shadows: copies of requests to second targets.
    links: the chain behind its first link, for turns that are no HTTP request of their own.
    loop: the event loop it runs in, once it runs.
    notes: what a person who starts it should be told of the configuration.
    """

    def __init__(
        self,
        config: Config | None = None,
        *,
        installed: Mapping[str, Found] | None = None,
        store: StateStore | None = None,
        health_store: HealthStore | None = None,
        limit_store: LimitStore | None = None,
    ) -> None:
        self.config = config or Config()
        self.models = ModelRegistry()
        self.profiles = profile_book(self.config.profiles)
        self.hooks = Hooks()
        self.registry = Registry()
        for name, strategy in STRATEGIES.items():
            self.registry.strategy(name, strategy)
        self.router = Router(self.config.routing, self.registry.strategies)
        self.shadows = Shadows()
        self.watchdog = Watchdog(self.config.server.client_write_timeout_s)
        self.listing = Listing(self.models)
        self.links: Handler | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.endpoints: dict[web.AbstractRoute, Endpoint] = {}
        self.draining = False
        self.stopping = False
        self.started = False
        self._asked: set[str] = set()
        self._apps = 0
        self._turn = asyncio.Lock()
        self._life = AsyncExitStack()
        for method, path in OWN_ROUTES:
            self.registry.keep_route(method, path)
        own, others = builtins(self.config), installed or {}
        load(order(own, others, self.config.plugins), self.config.plugins, self.hooks)
        self.notes = unknown_disabled({*own, *others}, self.config.plugins)
        self.provide()
        store = store or make_store(self.config.state, self.registry.stores)
        self.responses = Responses(self.config, store)
        self.health_store = health_store
        if health_store is None and self.config.routing.health.share:
            self.health_store = health_store_beside(store)
        self.limit_store = limit_store
        if limit_store is None and self.config.routing.health.share:
            self.limit_store = limit_store_beside(store)

    def provide(self) -> None:
        """Ask the plugins that were not asked yet what they provide."""
        for hook in self.hooks.provide:
            if hook.plugin in self._asked:
                continue
            self._asked.add(hook.plugin)
            self.registry.plugin = hook.plugin
            try:
                hook.call(self.registry)
                for provider in self.registry.providers.values():
                    self.models.add_provider(provider)
            except Exception as error:
                raise blamed(hook.plugin, "provide", error) from error

    def make_app(self) -> web.Application:
        """Return the web application: run it, or `parent.add_subapp("/ai/", gateway.make_app())`."""
        self.provide()
        self.hooks.frozen = True
        return build(self)

    @property
    def in_flight(self) -> int:
        """How many requests are being answered right now."""
        return len(self.watchdog)

    async def drain(self, timeout_s: float) -> bool:
        """Say not ready, and wait until every running answer has ended; False if some were cut off.

        Those that still run after `timeout_s`, or when `hurry` is called, get their format's error event
        and end.
        """
        self.draining = True
        self.responses.drain()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while self.in_flight and loop.time() < deadline and not self.stopping:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        return not await self._stop_all()

    def hurry(self) -> None:
        """Let `drain` wait no longer: what still runs is cut off, and told."""
        self.stopping = True

    async def _stop_all(self) -> int:
        """Cut off what still runs, give it a moment to tell its clients, and return how much it was."""
        count = self.in_flight
        if count:
            logger.warning("%d answers were cut off by the shutdown", count)
            self.stopping = True
            self.watchdog.stop_all()
            for _ in range(20):
                if not self.in_flight:
                    break
                await asyncio.sleep(0.05)
        return count

    async def drain_on_shutdown(self, _app: web.Application) -> None:
        """Drain as soon as the server that runs us begins to stop: in `serve` there is nothing left to do.

        aiohttp waits for handlers, too, but in the end it only cuts connections, and tells no client why.
        """
        await self.drain(self.config.server.drain_timeout_s)

    async def running(self, _app: web.Application) -> AsyncIterator[None]:
        """Open with the first app that starts, close with the last that ends: aiohttp's cleanup_ctx.

        There are several when one gateway is mounted in several places.
        """
        async with self._turn:
            if not self._apps:
                await self._life.enter_async_context(self._open())
            self._apps += 1
        yield
        async with self._turn:
            self._apps -= 1
            if not self._apps:
                await self._life.aclose()

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[None]:
        """Open providers and plugins, and close them again in reverse."""
        self.loop = asyncio.get_running_loop()
        async with AsyncExitStack() as stack:
            for provider in with_wrapped(self.models.providers.values()):
                await provider.open()
                stack.push_async_callback(provider.close)
            await stack.enter_async_context(self.responses.running())
            for hook in self.hooks.setup:
                await stack.enter_async_context(_set_up(hook, self))
            stack.callback(self.watchdog.close)
            stack.push_async_callback(self.shadows.close)
            await stack.enter_async_context(shared(self))
            self.started, self.draining, self.stopping = True, False, False
            yield
            self.started = False
            await self._stop_all()


@asynccontextmanager
async def _set_up(hook: Hook, gateway: Gateway) -> AsyncIterator[None]:
    """Run a `setup` hook around the life of the app; say whose it was when it fails on either side."""
    context = asynccontextmanager(hook.call)(gateway)
    try:
        await context.__aenter__()
    except Exception as error:
        raise blamed(hook.plugin, "setup", error) from error
    try:
        yield
    finally:
        try:  # ends well for this plugin, also when it was another that failed
            await context.__aexit__(None, None, None)
        except Exception:  # nobody is left to be told, and the others are still to be closed
            logger.exception("plugin %s failed in setup, closing", hook.plugin)
