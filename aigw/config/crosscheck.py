"""Mistakes that only show between settings: targets without a provider, names used twice.

Owns what a single value's check cannot see. Knows of the catalogue only the names it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from aigw.config.place import did_you_mean, join, quote
from aigw.config.schema import Config


def cross_check(
    config: Config, known_providers: Collection[str] = (), shown: Callable[[str], str] = str
) -> list[str]:
    """Return one line per mistake; none for a sound config.

    known_providers: names that need no [providers] entry of their own.
    shown: how a value may stand in a message (one that came from the environment may not).
    """
    return [*_targets(config, known_providers, shown), *_aliases(config, shown)]


def _targets(config: Config, known_providers: Collection[str], shown: Callable[[str], str]) -> Iterator[str]:
    known = sorted({*config.providers, *known_providers})
    for name, model in config.models.items():
        for index, target in enumerate(model.targets):
            if target.provider in known:
                continue
            path = f"{join('models', name)}.targets[{index}].provider"
            text = shown(target.provider)
            hint = did_you_mean(text, known)
            wanted = ", ".join(sorted(config.providers)) or "a name under [providers]"
            yield f"{path}: got {quote(text)}, wanted one of the providers: {wanted}{hint}"


def _aliases(config: Config, shown: Callable[[str], str]) -> Iterator[str]:
    owner: dict[str, str] = {}
    for name, model in config.models.items():
        for index, alias in enumerate(model.aliases):
            path = f"{join('models', name)}.aliases[{index}]"
            other = alias if alias in config.models else owner.setdefault(alias, path)
            if alias in config.models:
                other = join("models", alias)
            if other != path:
                yield f"{path}: got {quote(shown(alias))}, wanted a name that {other} does not use already"
