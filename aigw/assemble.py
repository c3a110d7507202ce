"""From what the operator wrote, and what stands in the environment, to a `Gateway` that can run.

Owns the meaning of configuration: which sections become which objects, and what is there when nothing
was written at all. The environment is an argument; nothing global is read.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from aigw.config import (
    Config,
    KeyConfig,
    Secret,
    find_config,
    load,
    loads,
)
from aigw.errors import ConfigError
from aigw.gateway import Gateway
from aigw.hooks.loader import Found, discover
from aigw.providers import DEMO, make_providers
from aigw.registration import register_models
from aigw.stores.choose import default_path
from aigw.upstream.http import Provider
from aigw.upstream.provider import BaseProvider


@frozen
class Assembled:
    """A gateway, and what a person who starts it should be told."""

    gateway: Gateway
    notes: tuple[str, ...] = ()


def read_config(path: Path | None, env: Mapping[str, str], cwd: Path) -> Config:
    """Read the file named, or the one in the working folder, or none at all. Raises ConfigError."""
    path = path or find_config(cwd)
    return to_config(path, env)


def to_config(config: Config | Mapping[str, Any] | str | Path | None, env: Mapping[str, str]) -> Config:
    """Accept configuration in every form a Python program may hold it in. Raises ConfigError.

    AIGW_API_KEY in the environment is the one key where the configuration has none.
    """
    if config is None:
        config = Config()
    elif isinstance(config, Mapping):
        config = loads(config, env, known_providers=None)
    elif not isinstance(config, Config):
        config = load(Path(config), env, known_providers=None)
    key = env.get("AIGW_API_KEY")
    if not key or config.auth.keys:
        return config
    try:
        return evolve(config, auth=evolve(config.auth, keys=(KeyConfig(key=Secret(key)),)))
    except ValueError as error:
        raise ConfigError([f"AIGW_API_KEY: wanted {error}"]) from None


def assemble(
    config: Config, env: Mapping[str, str], *, installed: Mapping[str, Found] | None = None
) -> Assembled:
    """Make the gateway. Raises ConfigError with every mistake, PluginError for a plugin that cannot be used.

    installed: plugins to use; by default those that entry points announce.
    """
    gateway = Gateway(config, installed=discover() if installed is None else installed)
    problems: list[str] = []
    wanted = {target.provider for model in config.models.values() for _, target in model.each_target()}
    providers = make_providers(config, wanted, gateway.registry, env, problems)
    notes = _demo_if_alone(gateway, providers)
    for provider in providers.values():
        known = gateway.models.providers.get(provider.name)
        if known is None or known is provider:
            gateway.models.add_provider(provider, families=_families(provider))
        elif provider.name in config.providers:
            problems.append(f"providers.{provider.name}: a plugin provides a provider of that name")
    register_models(gateway, config, env, problems)
    if problems:
        raise ConfigError(problems)
    return Assembled(gateway, (*notes, *gateway.notes))


def on_disk(config: Config, env: Mapping[str, str]) -> tuple[Config, tuple[str, ...]]:
    """Keep state in a file where the configuration does not say where, as a program of its own should.

    Returns the configuration and notes: where the usual folder cannot be used, state is kept in memory.
    """
    if config.state.kind is not None or config.state.path is not None:
        return config, ()
    path = default_path(env)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        usable = os.access(path.parent, os.W_OK)
    except OSError:
        usable = False
    if usable:
        return evolve(config, state=evolve(config.state, kind="sqlite", path=str(path))), ()
    note = f"{path.parent} cannot be written, so responses are kept in memory alone; state.path names a file"
    return evolve(config, state=evolve(config.state, kind="memory")), (note,)


def as_worker(config: Config) -> Config:
    """Return the configuration of one of several processes that serve together."""
    routing = config.routing
    return evolve(config, routing=evolve(routing, health=evolve(routing.health, share=True)))


def check_exposure(config: Config, host: str, *, authenticated: bool) -> None:
    """Refuse to spend the owner's money for anyone who finds the port. Raises ConfigError."""
    if authenticated or config.auth.allow_anonymous or is_loopback(host):
        return
    problem = (
        f'server.host: got "{host}" without any key, wanted auth.keys (or AIGW_API_KEY, or a plugin that '
        "authenticates) for anything but loopback; auth.allow_anonymous = true opens it on purpose"
    )
    raise ConfigError([problem])


def is_loopback(host: str) -> bool:
    """Tell whether an address to listen on can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _demo_if_alone(gateway: Gateway, providers: dict[str, BaseProvider]) -> tuple[str, ...]:
    """With no provider at all the demo provider answers for every model, and start-up says so."""
    if providers or gateway.models.providers or gateway.models.entries:
        return ()
    from aigw.upstream.demo import DemoProvider  # noqa: PLC0415 - who has a provider needs none of it

    demo = providers[DEMO] = DemoProvider(DEMO)
    gateway.models.register("demo", demo)
    gateway.models.register("*", demo)
    note = (
        "no provider is configured, so the built-in demo provider answers every request (offline, made-up "
        "answers); set OPENAI_API_KEY or another provider's key, or write aigw.toml"
    )
    return (note,)


def _families(provider: BaseProvider) -> tuple[str, ...]:
    return provider.kind.families if isinstance(provider, Provider) else ()
