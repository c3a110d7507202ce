"""Providers that stand in front of others: `chaos` and `replay`, from their sections.

Owns that each is made after the one it wraps, wherever in the file the two stand, and that none comes back
to itself. Knows the others as objects that have been made already.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from types import MappingProxyType
from typing import Final

import attrs

from aigw.config import Config, ProviderConfig
from aigw.config.place import join
from aigw.config.redact import secret_texts
from aigw.errors import ConfigError
from aigw.providers.environment import nowhere
from aigw.providers.reading import read_options, timeouts_of
from aigw.upstream.catalog import CATALOG
from aigw.upstream.http import Provider
from aigw.upstream.provider import BaseProvider, parse_apis

_OWN_FIELDS: Final = frozenset({"kind", "options", "timeouts", "apis"})
"""What a section may say of a wrapper; everything else is for the provider behind it."""

Secrets = frozenset[str]


def _chaos(name: str, section: ProviderConfig, inner: BaseProvider | None, _: Secrets) -> BaseProvider:
    from aigw.upstream.chaos import ChaosOptions, ChaosProvider  # noqa: PLC0415 - for tests: few start with it

    options = read_options(ChaosOptions, name, section)
    assert inner is not None  # noqa: S101 - the options have said of what
    return ChaosProvider(
        inner,
        name=name,
        faults=options.faults,
        script=options.script,
        repeat=options.repeat,
        seed=options.seed,
    )


def _replay(name: str, section: ProviderConfig, inner: BaseProvider | None, secrets: Secrets) -> BaseProvider:
    from aigw.upstream.replay import ReplayOptions, ReplayProvider  # noqa: PLC0415 - for tests, as chaos is

    options = read_options(ReplayOptions, name, section)
    return ReplayProvider(
        inner,
        name=name,
        dir=options.dir,
        mode=options.mode,
        pace=options.pace,
        ignore=options.ignore,
        after_last=options.after_last,
        secrets=secrets,
    )


Maker = Callable[[str, ProviderConfig, BaseProvider | None, Secrets], BaseProvider]

WRAPPERS: Final[Mapping[str, Maker]] = MappingProxyType({"chaos": _chaos, "replay": _replay})
"""Each kind's maker. Its options have a field `of`, the name of what it wraps."""


def wrapped_by(config: Config) -> list[str]:
    """Return every wrapper's name, each behind what it wraps.

    Raises ConfigError where wrappers wrap each other in a circle.
    """
    wraps = {
        name: str(of) if (of := section.options.get("of")) is not None else None
        for name, section in config.providers.items()
        if section.kind in WRAPPERS
    }
    try:
        order = TopologicalSorter({name: [of] if of else [] for name, of in wraps.items()}).static_order()
        return [name for name in order if name in wraps]
    except CycleError as error:
        first, *others = reversed(error.args[1])
        problem = (
            f'{_of(first)}: got "{others[0]}", wanted a provider that does not come back to this one: '
            f"{' -> '.join((first, *others))}"
        )
        raise ConfigError([problem]) from None


def make_wrapper(
    name: str, section: ProviderConfig, inner: BaseProvider | None, secrets: Secrets
) -> BaseProvider:
    """Make a wrapper from its section. Raises ConfigError or ValueError."""
    _refuse_others(name, section)
    provider = WRAPPERS[str(section.kind)](name, section, inner, secrets)
    if section.timeouts != attrs.fields(ProviderConfig).timeouts.default:
        provider.timeouts = timeouts_of(section)
    if section.apis is not None:
        provider.apis = parse_apis(section.apis)
    return provider


def find_wrapped(
    name: str,
    section: ProviderConfig,
    made: Mapping[str, BaseProvider],
    named: Collection[str],
    env: Mapping[str, str],
) -> BaseProvider | None:
    """Return the provider that a wrapper's `of` names; None where it names none.

    named: those that have a section. Raises ConfigError where there is no such provider; where its own
    section has a mistake, with no problem more.
    """
    of = section.options.get("of")
    if not isinstance(of, str):
        return None
    if of in made:
        return made[of]
    if of in named:  # its own mistake has been told
        raise ConfigError([])
    row = CATALOG.get(of)
    if row is not None and section.kind == "replay" and section.options.get("mode", "play") == "play":
        return Provider(row.base_url or "http://nowhere.invalid", kind=row)  # nobody calls it: no key needed
    raise ConfigError([nowhere(_of(name), of, {*made, *named}, env)])


def secrets_of(config: Config, env: Mapping[str, str]) -> Secrets:
    """Return every secret that the operator's files and variables hold."""
    keys: Iterable[str] = (env.get(name, "") for row in CATALOG.values() for name in row.key_env)
    return frozenset({*secret_texts(config, hidden=False), *keys} - {""})


def _of(name: str) -> str:
    return f"{join('providers', name)}.options.of"


def _refuse_others(name: str, section: ProviderConfig) -> None:
    problems = [
        f"{join('providers', name)}.{field.name}: wanted in the section of the provider that this one wraps"
        for field in attrs.fields(ProviderConfig)
        if field.name not in _OWN_FIELDS and getattr(section, field.name) != _default(field)
    ]
    if problems:
        raise ConfigError(problems)


def _default(field: attrs.Attribute[object]) -> object:
    return field.default.factory() if isinstance(field.default, attrs.Factory) else field.default  # type: ignore[arg-type, attr-defined]
