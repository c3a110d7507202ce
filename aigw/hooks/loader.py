"""From entry points to plugins in order: discovery, configuration, pinning, disabling.

Owns which plugins are used and in which order: those named in `plugins.order`, as listed; then the
gateway's own; then every other installed one by name. Knows nothing of what hooks do.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from attrs import frozen

from aigw.config import PluginsConfig
from aigw.config.structure import structure
from aigw.errors import ConfigError
from aigw.hooks.table import Hooks, PluginError

GROUP = "aigw.plugins"


@frozen
class Found:
    """A plugin that could be used.

    load: returns its class (or any callable that makes it).
    wanted: False for one that is there, but that the rest of the configuration does not ask for.
    """

    name: str
    source: str
    load: Callable[[], Any]
    wanted: bool = True


def discover(installed: Iterable[EntryPoint] | None = None) -> dict[str, Found]:
    """Return the installed plugins by name. Raises PluginError when two distributions claim one name."""
    found: dict[str, Found] = {}
    for point in entry_points(group=GROUP) if installed is None else installed:
        source = f"{point.dist.name} {point.dist.version}" if point.dist else point.value
        known = found.get(point.name)
        if known is not None and known.source != source:
            raise PluginError(
                f'plugin "{point.name}" comes from both {known.source} and {source}; remove one'
            )
        found[point.name] = Found(point.name, source, point.load)
    return found


def order(
    builtins: Mapping[str, Found], installed: Mapping[str, Found], config: PluginsConfig
) -> list[Found]:
    """Return the plugins to use, in the order of their hooks. Raises ConfigError naming unknown ones."""
    known = {**installed, **builtins}
    problems = [
        f'plugins.order[{index}]: got "{name}", wanted an installed plugin: {_hint(name, known)}'
        for index, name in enumerate(config.order)
        if name not in known
    ]
    problems += [
        f"plugins.{name}: is configured, but no such plugin is installed: {_hint(name, known)}"
        for name in config.sections
        if name not in known and name not in config.disabled
    ]
    if problems:
        raise ConfigError(problems)
    names = [*config.order, *builtins, *sorted(installed)]
    disabled = set(config.disabled)
    return [known[name] for name in dict.fromkeys(names) if name not in disabled and known[name].wanted]


def load(found: Iterable[Found], config: PluginsConfig, hooks: Hooks) -> None:
    """Make each plugin, with its own section of the configuration, and put its hooks in force.

    Raises ConfigError with every mistake in every section; PluginError when a plugin cannot be used.
    """
    problems: list[str] = []
    for plugin in found:
        instance = instantiate(plugin, config.sections.get(plugin.name), problems)
        if instance is not None:
            hooks.register(instance, name=plugin.name)
    if problems:
        raise ConfigError(problems)


def instantiate(plugin: Found, section: Mapping[str, Any] | None, problems: list[str]) -> object | None:
    """Make one plugin; mistakes in its section are added to `problems`, and None is returned."""
    try:
        factory = plugin.load()
    except Exception as error:
        raise PluginError(
            f'plugin "{plugin.name}" ({plugin.source}) cannot be imported: {error!r}'
        ) from error
    wanted = getattr(factory, "Config", None)
    if wanted is None:
        if section:
            problems.append(f"plugins.{plugin.name}: this plugin takes no configuration")
            return None
        return _make(plugin, factory)
    before = len(problems)
    config = structure(wanted, dict(section or {}), f"plugins.{plugin.name}", problems)
    return _make(plugin, factory, config) if len(problems) == before else None


def _make(plugin: Found, factory: Any, *arguments: object) -> object:
    try:
        made: object = factory(*arguments)
    except ConfigError:
        raise
    except Exception as error:
        raise PluginError(f'plugin "{plugin.name}" ({plugin.source}) cannot be made: {error!r}') from error
    return made


def _hint(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f'did you mean "{near[0]}"?' if near else f"pip install aigw-{name} if that is its name"
