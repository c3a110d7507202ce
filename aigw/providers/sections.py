"""One provider from one section under [providers]: HTTP, the demo, or a plugin's kind.

Owns the meaning of a section's settings. Wrappers, which need another provider, are made in `wrappers`.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve, frozen

from aigw.config import ProviderConfig
from aigw.errors import ConfigError
from aigw.hooks.registry import ProviderFactory
from aigw.providers.environment import DEMO, first
from aigw.providers.reading import read_options, timeouts_of, transport_settings
from aigw.providers.wrappers import WRAPPERS
from aigw.upstream.catalog import CATALOG
from aigw.upstream.http import Provider
from aigw.upstream.key_pool import Key, KeyPool
from aigw.upstream.provider import BaseProvider


@frozen
class DemoOptions:
    """What a section of `kind = "demo"` may say in its `options`."""

    pace_s: float = 0.02


def make_provider(
    name: str, section: ProviderConfig, kinds: Mapping[str, ProviderFactory], env: Mapping[str, str]
) -> BaseProvider:
    """Make one provider that wraps no other from its section.

    kinds: those that plugins bring. Raises ConfigError or ValueError.
    """
    kind = section.kind
    if kind == DEMO:
        from aigw.upstream.demo import DemoProvider  # noqa: PLC0415 - start-up does not wait for it unasked

        return DemoProvider(name, pace_s=read_options(DemoOptions, name, section).pace_s)
    if kind is not None and kind in kinds:
        provider = kinds[kind](name, section)
        if provider.name != name:
            raise ConfigError([f'providers.{name}: kind "{kind}" calls it "{provider.name}"'])
        return provider
    if kind is not None and kind not in CATALOG:
        known = ", ".join(sorted({*CATALOG, *kinds, *WRAPPERS, DEMO}))
        raise ConfigError([f'providers.{name}.kind: got "{kind}", wanted one of {known}'])
    return _http(name, section, env)


def _http(name: str, section: ProviderConfig, env: Mapping[str, str]) -> Provider:
    row = CATALOG.get(section.kind or "")
    if row is not None and section.api_version:
        row = evolve(row, api_version=section.api_version)
    keys = _key_pool(section)
    key = section.api_key.reveal() if section.api_key else first(env, row.key_env if row else ())
    base_url = section.base_url or first(env, row.url_env if row else ()) or ""
    if row is not None and row.key_required and not (key or keys or section.forward_client_key):
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
        timeouts=timeouts_of(section),
        settings=transport_settings(name, section),
        forward_client_key=section.forward_client_key,
        forward_headers=section.forward_headers,
        transport=section.transport,
        stream_usage=section.stream_usage,
        done_optional=None if section.done_marker is None else section.done_marker == "optional",
        keys=keys,
    )


def _key_pool(section: ProviderConfig) -> KeyPool | None:
    if not section.api_keys:
        return None
    keys = [Key(each.key.reveal(), each.name or "", each.weight) for each in section.api_keys]
    return KeyPool(keys, section.key_strategy)
