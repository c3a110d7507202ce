"""Providers that nobody wrote down: a vendor's key in the environment is enough.

Owns which variables announce which vendor, and what to say of a name that leads to no provider.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from aigw.config import Config, unknown_provider
from aigw.config.secrets import MASK
from aigw.upstream.catalog import CATALOG
from aigw.upstream.http import Provider
from aigw.upstream.provider import BaseProvider

DEMO: Final = "demo"


def from_environment(
    config: Config, wanted: Collection[str], env: Mapping[str, str], problems: list[str]
) -> dict[str, BaseProvider]:
    """Return the catalogue's providers whose key variable is set and that were not configured by hand.

    Those that need no key are made where they are wanted, so that `provider = "ollama"` needs no section.
    """
    made: dict[str, BaseProvider] = {}
    for row in CATALOG.values():
        if row.name in config.providers:
            continue
        key = first(env, row.key_env)
        base_url = first(env, row.url_env) or ""
        announced = bool(key if row.key_required else base_url)
        possible = bool(key or not row.key_required) and bool(base_url or row.base_url)
        if not possible or not (announced or row.name in wanted):
            continue
        try:
            made[row.name] = Provider(base_url, key, name=row.name, kind=row)
        except ValueError as error:
            problems.append(f"{' or '.join(row.url_env)}: {error}")
    if DEMO in wanted and DEMO not in config.providers:
        from aigw.upstream.demo import DemoProvider  # noqa: PLC0415 - start-up does not wait for it unasked

        made[DEMO] = DemoProvider(DEMO)
    return made


def nowhere(path: str, provider: str, named: Collection[str], env: Mapping[str, str]) -> str:
    """Return the line for a name that leads to no provider. named: those there are."""
    row = CATALOG.get(provider)
    if row is not None:
        variables = (*row.key_env, *row.url_env)
        wanted = f"{' or '.join(variables)} in the environment, or " if variables else ""
        return f'{path}: got "{provider}", wanted {wanted}a section [providers.{provider}]'
    if any(provider == value.partition("/")[0] for value in env.values()):
        provider = MASK  # from the environment, then, where it may be a key put into the wrong variable
    return unknown_provider(path, provider, {*named, *CATALOG, DEMO}, named)


def first(env: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    """Return the first of these variables that says something."""
    return next((env[name] for name in names if env.get(name)), None)
