"""From entry points to plugins in order: discovery, configuration, pinning, disabling.

Owns which plugins are used and in which order: those named in `plugins.order`, as listed; then the
gateway's own; then every other installed one by name. Knows nothing of what hooks do.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from attrs import frozen

from aigw.config import PluginsConfig
from aigw.config.place import did_you_mean
from aigw.config.structure import structure
from aigw.errors import ConfigError
from aigw.hooks.table import Hooks, PluginError, blamed

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


def code() -> list[Path]:
    """Return the files and folders that installed plugins are made of, for those who watch for changes."""
    places: list[Path] = []
    for point in entry_points(group=GROUP):
        spec = find_spec(point.module.partition(".")[0])
        if spec is not None:
            places += map(Path, spec.submodule_search_locations or [spec.origin or ""])
    return places


def order(
    builtins: Mapping[str, Found], installed: Mapping[str, Found], config: PluginsConfig
) -> list[Found]:
    """Return the plugins to use, in the order of their hooks.

    Raises ConfigError naming unknown ones, PluginError for an installed one that has a built-in's name.
    """
    for name in builtins.keys() & installed.keys():
        raise PluginError(
            f'plugin "{name}" of {installed[name].source} has the name of the built-in plugin "{name}"; '
            "uninstall it, or give it another name"
        )
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

    Raises ConfigError with every mistake in every section; PluginError when plugins cannot be used.
    """
    failed = try_each(found, config, hooks).values()
    unusable = [str(error) for error in failed if isinstance(error, PluginError)]
    if unusable:
        raise PluginError("\n".join(unusable))
    problems = [line for error in failed if isinstance(error, ConfigError) for line in error.problems]
    if problems:
        raise ConfigError(problems)


def try_each(
    found: Iterable[Found], config: PluginsConfig, hooks: Hooks
) -> dict[str, ConfigError | PluginError]:
    """Put in force what can be, and return by name why the others cannot."""
    failed: dict[str, ConfigError | PluginError] = {}
    for plugin in found:
        try:
            hooks.register(instantiate(plugin, config.sections.get(plugin.name)), name=plugin.name)
        except (ConfigError, PluginError) as error:
            failed[plugin.name] = error
    return failed


def unknown_disabled(known: Iterable[str], config: PluginsConfig) -> list[str]:
    """Return a line for each disabled name that no plugin has: no mistake where machines share a file."""
    names = set(known)
    return [
        f'plugins.disabled[{index}]: no plugin is called "{name}" here{did_you_mean(name, names)}'
        for index, name in enumerate(config.disabled)
        if name not in names
    ]


def instantiate(plugin: Found, section: Mapping[str, Any] | None) -> object:
    """Make one plugin. Raises ConfigError with the mistakes in its section, PluginError if it is broken."""
    try:
        factory = plugin.load()
    except Exception as error:
        raise PluginError(
            f'plugin "{plugin.name}" ({plugin.source}) cannot be imported: {error!r}'
        ) from error
    wanted = getattr(factory, "Config", None)
    if wanted is None:
        if section:
            raise ConfigError([f"plugins.{plugin.name}: this plugin takes no configuration"])
        return _make(plugin, factory)
    problems: list[str] = []
    config = structure(wanted, dict(section or {}), f"plugins.{plugin.name}", problems)
    if problems and section is None:
        problems.append(
            f"plugins.{plugin.name}: {plugin.source} is installed but not configured; write a section "
            f'[plugins.{plugin.name}], or put "{plugin.name}" in plugins.disabled'
        )
    if problems:
        raise ConfigError(problems)
    return _make(plugin, factory, config)


def _make(plugin: Found, factory: Any, *arguments: object) -> object:
    try:
        made: object = factory(*arguments)
    except ConfigError as error:
        raise blamed(plugin.name, "making it", error) from error
    except Exception as error:
        raise PluginError(f'plugin "{plugin.name}" ({plugin.source}) cannot be made: {error!r}') from error
    return made


def _hint(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f'did you mean "{near[0]}"?' if near else f"pip install aigw-{name} if that is its name"
