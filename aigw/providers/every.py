"""All providers of one configuration, in an order in which each finds what it needs.

Owns the order, and whose mistake it was when one could not be made.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

from aigw.config import Config, ProviderConfig
from aigw.errors import ConfigError
from aigw.hooks.registry import Registry
from aigw.hooks.table import PluginError
from aigw.providers.environment import from_environment
from aigw.providers.sections import make_provider
from aigw.providers.wrappers import WRAPPERS, find_wrapped, make_wrapper, secrets_of, wrapped_by
from aigw.upstream.provider import BaseProvider


def make_providers(
    config: Config, wanted: Collection[str], registry: Registry, env: Mapping[str, str], problems: list[str]
) -> dict[str, BaseProvider]:
    """Make every provider that is configured, and those that the environment announces or somebody wants.

    wanted: names that models give as their targets' providers. Mistakes are added to `problems`.
    Raises PluginError when a plugin's kind fails.
    """
    made: dict[str, BaseProvider] = {}
    for name, section in config.providers.items():
        if section.kind not in WRAPPERS:
            with _telling(name, section, problems):
                made[name] = make_provider(name, section, registry.kinds, env)
    wrapped = {str(section.options.get("of")) for section in config.providers.values()}
    made |= from_environment(config, {*wanted, *wrapped}, env, problems)
    _add_wrappers(made, config, registry, env, problems)
    places = {name: number for number, name in enumerate(config.providers)}
    return dict(sorted(made.items(), key=lambda item: places.get(item[0], len(places))))


def _add_wrappers(
    made: dict[str, BaseProvider],
    config: Config,
    registry: Registry,
    env: Mapping[str, str],
    problems: list[str],
) -> None:
    secrets = secrets_of(config, env)
    try:
        order = wrapped_by(config)
    except ConfigError as error:
        problems += error.problems
        return
    for name in order:
        section = config.providers[name]
        with _telling(name, section, problems):
            known = {**registry.providers, **made}
            inner = find_wrapped(name, section, known, config.providers, env)
            made[name] = make_wrapper(name, section, inner, secrets)


@contextmanager
def _telling(name: str, section: ProviderConfig, problems: list[str]) -> Iterator[None]:
    """Tell the mistakes made in a section, and whose code it was that failed otherwise."""
    try:
        yield
    except ConfigError as error:
        problems += error.problems
    except ValueError as error:
        problems.append(f"providers.{name}: {error}")
    except Exception as error:
        raise PluginError(
            f'provider kind "{section.kind}" failed to make providers.{name}: {error!r}'
        ) from error
