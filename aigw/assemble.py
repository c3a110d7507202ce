"""From what the operator wrote, and what stands in the environment, to a `Gateway` that can run.

Owns the meaning of configuration: which sections become which objects, and what is there when nothing
was written at all. The environment is an argument; nothing global is read.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from aigw.config import (
    Config,
    KeyConfig,
    ProviderConfig,
    Secret,
    find_config,
    load,
    loads,
    structure,
    target_path,
    unknown_provider,
)
from aigw.config.place import join
from aigw.config.secrets import MASK
from aigw.errors import ConfigError
from aigw.gateway import Gateway
from aigw.hooks.loader import Found, discover
from aigw.hooks.registry import Registry
from aigw.hooks.table import PluginError
from aigw.upstream.catalog import CATALOG
from aigw.upstream.demo import DemoProvider
from aigw.upstream.http import Provider
from aigw.upstream.provider import BaseProvider, Timeouts
from aigw.upstream.registry import Target
from aigw.upstream.transport.base import TransportSettings
from aigw.upstream.transport.tls import make_ssl_context

DEMO = "demo"


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
    providers = _configured(config, gateway.registry, env, problems)
    providers.update(_from_environment(config, env, problems))
    notes = _demo_if_alone(gateway, providers)
    for provider in providers.values():
        known = gateway.models.providers.get(provider.name)
        if known is None or known is provider:
            gateway.models.add_provider(provider, families=_families(provider))
        elif provider.name in config.providers:
            problems.append(f"providers.{provider.name}: a plugin provides a provider of that name")
    _register_models(gateway, config, env, problems)
    if problems:
        raise ConfigError(problems)
    return Assembled(gateway, (*notes, *gateway.notes))


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


def _configured(
    config: Config, registry: Registry, env: Mapping[str, str], problems: list[str]
) -> dict[str, BaseProvider]:
    made: dict[str, BaseProvider] = {}
    for name, section in config.providers.items():
        try:
            made[name] = make_provider(name, section, registry, env)
        except ConfigError as error:
            problems += error.problems
        except ValueError as error:
            problems.append(f"providers.{name}: {error}")
        except Exception as error:
            raise PluginError(
                f'provider kind "{section.kind}" failed to make providers.{name}: {error!r}'
            ) from error
    return made


def make_provider(
    name: str, section: ProviderConfig, registry: Registry, env: Mapping[str, str]
) -> BaseProvider:
    """Make one provider from its section. Raises ConfigError or ValueError."""
    kind = section.kind
    if kind == DEMO:
        return _demo(name, section)
    if kind is not None and kind in registry.kinds:
        provider = registry.kinds[kind](name, section)
        if provider.name != name:
            raise ConfigError([f'providers.{name}: kind "{kind}" calls it "{provider.name}"'])
        return provider
    if kind is not None and kind not in CATALOG:
        known = ", ".join(sorted({*CATALOG, *registry.kinds, DEMO}))
        raise ConfigError([f'providers.{name}.kind: got "{kind}", wanted one of {known}'])
    row = CATALOG.get(kind or "")
    if row is not None and section.api_version:
        row = evolve(row, api_version=section.api_version)
    key = section.api_key.reveal() if section.api_key else _first(env, row.key_env if row else ())
    base_url = section.base_url or _first(env, row.url_env if row else ()) or ""
    if row is not None and row.key_required and not key and not section.forward_client_key:
        wanted = " or ".join(row.key_env)
        raise ConfigError(
            [f"providers.{name}.api_key: got nothing, wanted a key (or {wanted} in the environment)"]
        )
    return Provider(
        base_url,
        key,
        name=name,
        kind=row,
        base_path=section.base_path,
        apis=section.apis,
        headers={header: value.reveal() for header, value in section.headers.items()},
        query=section.query,
        timeouts=Timeouts(
            section.timeouts.connect_s,
            section.timeouts.first_byte_s,
            section.timeouts.read_s,
            section.timeouts.total_s,
        ),
        settings=_transport_settings(name, section),
        forward_client_key=section.forward_client_key,
        forward_headers=section.forward_headers,
        transport=section.transport,
        stream_usage=section.stream_usage,
        done_optional=None if section.done_marker is None else section.done_marker == "optional",
    )


def _transport_settings(name: str, section: ProviderConfig) -> TransportSettings:
    """Return how to reach a provider. Raises ConfigError on files of no use, sooner than its first call."""
    settings = TransportSettings(
        max_connections=section.pool.max_connections,
        keepalive_s=section.pool.keepalive_s,
        proxy=section.proxy.reveal() if section.proxy else None,
        verify=section.tls.verify,
        ca_file=section.tls.ca_file,
        cert_file=section.tls.cert_file,
        key_file=section.tls.key_file,
        server_name=section.tls.server_name,
    )
    make_ssl_context(name, settings)
    return settings


@frozen
class DemoOptions:
    """What a section of `kind = "demo"` may say in its `options`."""

    pace_s: float = 0.02


def _demo(name: str, section: ProviderConfig) -> DemoProvider:
    problems: list[str] = []
    options = structure(DemoOptions, section.options, f"providers.{name}.options", problems)
    if options is None:
        raise ConfigError(problems)
    return DemoProvider(name, pace_s=options.pace_s)


def _from_environment(config: Config, env: Mapping[str, str], problems: list[str]) -> dict[str, BaseProvider]:
    """Return the catalogue's providers whose key variable is set and that were not configured by hand.

    Those that need no key are made where models name them as targets, so that `provider = "ollama"`
    needs no section.
    """
    wanted = {target.provider for model in config.models.values() for target in model.targets}
    made: dict[str, BaseProvider] = {}
    for row in CATALOG.values():
        if row.name in config.providers:
            continue
        key = _first(env, row.key_env)
        base_url = _first(env, row.url_env) or ""
        announced = bool(key if row.key_required else base_url)
        possible = bool(key or not row.key_required) and bool(base_url or row.base_url)
        if not possible or not (announced or row.name in wanted):
            continue
        try:
            made[row.name] = Provider(base_url, key, name=row.name, kind=row)
        except ValueError as error:
            problems.append(f"{' or '.join(row.url_env)}: {error}")
    if DEMO in wanted and DEMO not in config.providers:
        made[DEMO] = DemoProvider(DEMO)
    return made


def _demo_if_alone(gateway: Gateway, providers: dict[str, BaseProvider]) -> tuple[str, ...]:
    """With no provider at all the demo provider answers for every model, and start-up says so."""
    if providers or gateway.models.providers or gateway.models.entries:
        return ()
    demo = providers[DEMO] = DemoProvider(DEMO)
    gateway.models.register("demo", demo)
    gateway.models.register("*", demo)
    note = (
        "no provider is configured, so the built-in demo provider answers every request (offline, made-up "
        "answers); set OPENAI_API_KEY or another provider's key, or write aigw.toml"
    )
    return (note,)


def _register_models(gateway: Gateway, config: Config, env: Mapping[str, str], problems: list[str]) -> None:
    for name, model in config.models.items():
        targets = []
        for index, target in enumerate(model.targets):
            provider = gateway.models.providers.get(target.provider)
            if provider is None:
                if target.provider not in config.providers:  # else its own mistake has been told
                    problems.append(_nowhere(target_path(name, index), target.provider, gateway, env))
                continue
            own_name = target.model or ("*" if "*" in name else name)
            targets.append(Target(provider, own_name, target.weight, target.profile))
        if targets:
            try:
                gateway.models.register(name, targets=targets, prefer=model.prefer, aliases=model.aliases)
            except ValueError as error:
                problems.append(f"{join('models', name)}: {error}")


def _nowhere(path: str, provider: str, gateway: Gateway, env: Mapping[str, str]) -> str:
    row = CATALOG.get(provider)
    if row is not None:
        variables = (*row.key_env, *row.url_env)
        wanted = f"{' or '.join(variables)} in the environment, or " if variables else ""
        return f'{path}: got "{provider}", wanted {wanted}a section [providers.{provider}]'
    if any(provider == value.partition("/")[0] for value in env.values()):
        provider = MASK  # from the environment, then, where it may be a key put into the wrong variable
    named = {*gateway.models.providers, *gateway.config.providers}
    return unknown_provider(path, provider, {*named, *CATALOG, DEMO}, named)


def _families(provider: BaseProvider) -> tuple[str, ...]:
    return provider.kind.families if isinstance(provider, Provider) else ()


def _first(env: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((env[name] for name in names if env.get(name)), None)
