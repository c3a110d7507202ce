"""Mistakes that only show between settings: targets without a provider or profile, names used twice.

Owns what a single value's check cannot see. Knows of the catalogue only the names it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from aigw.config.place import did_you_mean, join, listed, quote
from aigw.config.schema import Config


def cross_check(
    config: Config, known_providers: Collection[str] | None = (), shown: Callable[[str], str] = str
) -> list[str]:
    """Return one line per mistake; none for a sound config.

    known_providers: names that need no [providers] entry of their own; None leaves providers to whoever
        knows what plugins bring.
    shown: how a value may stand in a message (one that came from the environment may not).
    """
    unknown = [] if known_providers is None else _targets(config, known_providers, shown)
    return [*unknown, *_profiles(config, shown), *_aliases(config, shown)]


def target_path(model: str, place: str) -> str:
    """Return the path of a target's provider, as messages name it. place: its path below the model."""
    return f"{join('models', model)}.{place}.provider"


def unknown_provider(path: str, text: str, known: Collection[str], named: Collection[str]) -> str:
    """Return the line for a target that leads to no provider.

    known: all that it could have been; named: those worth listing, without the whole catalogue.
    """
    wanted = listed(named) or "a name under [providers]"
    return f"{path}: got {quote(text)}, wanted one of the providers: {wanted}{did_you_mean(text, known)}"


def _targets(config: Config, known_providers: Collection[str], shown: Callable[[str], str]) -> Iterator[str]:
    known = sorted({*config.providers, *known_providers})
    for name, model in config.models.items():
        for place, target in model.each_target():
            if target.provider in known:
                continue
            text = shown(target.provider)
            yield unknown_provider(target_path(name, place), text, known, config.providers)


def _profiles(config: Config, shown: Callable[[str], str]) -> Iterator[str]:
    for name, model in config.models.items():
        for place, target in model.each_target():
            if target.profile is None or target.profile in config.profiles:
                continue
            path = f"{join('models', name)}.{place}.profile"
            known = listed(config.profiles) or "a name under [profiles]"
            text = shown(target.profile)
            hint = did_you_mean(text, sorted(config.profiles))
            yield f"{path}: got {quote(text)}, wanted one of the profiles: {known}{hint}"


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
