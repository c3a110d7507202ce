"""What plugins provide beside hooks: providers and their kinds, stores, strategies, routes, last touches.

Owns the list of what was provided, by whom; a name provided twice is refused with both plugins named.
Knows nothing of loading or of requests.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from aiohttp import web
from attrs import define, field

from aigw.hooks.table import PluginError, blamed
from aigw.stores.base import StateStore
from aigw.upstream.provider import BaseProvider

if TYPE_CHECKING:
    from aigw.config import ProviderConfig, StateConfig
    from aigw.routing.seats import StrategyFactory

ProviderFactory = Callable[[str, "ProviderConfig"], BaseProvider]
"""(name, its section of the configuration) -> a provider. Raises ConfigError on settings it cannot use."""

StoreFactory = Callable[["StateConfig"], StateStore]
"""The section `[state]` -> a store. Raises ConfigError on settings it cannot use."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@define(eq=False)
class Registry:
    """Collects what `provide` hooks add. `plugin` is the one being asked right now, "" the gateway itself.

    kinds: provider kinds by the name that `kind = "..."` uses in configuration.
    stores: kinds of store by the name that `state.kind` uses in configuration.
    strategies: ways to choose among targets, by the name that `strategy = "..."` uses in configuration.
    routes: (method, path, handler) of pages and APIs beside the gateway's own.
    finishers: (plugin, function): run on the finished application, after every route is there.
    """

    kinds: dict[str, ProviderFactory] = field(factory=dict)
    providers: dict[str, BaseProvider] = field(factory=dict)
    stores: dict[str, StoreFactory] = field(factory=dict)
    strategies: dict[str, StrategyFactory] = field(factory=dict)
    routes: list[tuple[str, str, Handler]] = field(factory=list)
    finishers: list[tuple[str, Callable[[web.Application], None]]] = field(factory=list)
    plugin: str = ""
    _owners: dict[str, str] = field(factory=dict)

    def provider_kind(self, kind: str, factory: ProviderFactory) -> None:
        """Let configuration say `kind = "<kind>"`."""
        self._own(f'provider kind "{kind}"')
        self.kinds[kind] = factory

    def provider(self, provider: BaseProvider) -> None:
        """Add a provider that needs no configuration; its models are `<name>/<model>` at once."""
        self._own(f'provider "{provider.name}"')
        self.providers[provider.name] = provider

    def store_kind(self, kind: str, factory: StoreFactory) -> None:
        """Let configuration say `state.kind = "<kind>"`."""
        self._own(f'store kind "{kind}"')
        self.stores[kind] = factory

    def strategy(self, name: str, factory: StrategyFactory) -> None:
        """Let configuration say `strategy = "<name>"`."""
        self._own(f'strategy "{name}"')
        self.strategies[name] = factory

    def route(self, method: str, path: str, handler: Handler) -> None:
        """Add a page or API of the plugin's own; it passes no link of the model chain."""
        self._own(f"route {method} {path}")
        self.routes.append((method, path, handler))

    def finish_app(self, finisher: Callable[[web.Application], None]) -> None:
        """Have `finisher` called with the application once all its routes are there."""
        self.finishers.append((self.plugin, finisher))

    def finish(self, app: web.Application) -> None:
        """Run the finishers. Raises ConfigError or PluginError that names whose failed."""
        for plugin, finisher in self.finishers:
            try:
                finisher(app)
            except Exception as error:
                raise blamed(plugin, "finish_app", error) from error

    def keep_route(self, method: str, path: str) -> None:
        """Let no plugin have a route that is the gateway's own: aiohttp would never lead there."""
        self._own(f"route {method} {path}")

    def _own(self, what: str) -> None:
        owner = self._owners.setdefault(what, self.plugin)
        if owner != self.plugin:
            other = f'plugin "{owner}"' if owner else "the gateway itself"
            raise PluginError(f'{what} is provided by plugin "{self.plugin}" and by {other}')
