"""Which models there are, and where a model name leads.

Owns names, aliases, wildcards and their order of precedence. Knows providers only as objects that
have a name; picks no target (that is the chain's route link) and reads no configuration.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import Any

from attrs import evolve, field, frozen

from aigw.upstream.near import NearNames
from aigw.upstream.patterns import matches
from aigw.upstream.provider import BaseProvider
from aigw.upstream.target import NO_POLICY, Group, Policy, Target

__all__ = ["Entry", "ModelRegistry", "Route", "Target"]

_CACHE_LIMIT = 4096


@frozen
class Entry:
    """A registered name. A target's model "*" stands for what the wildcard matched."""

    name: str
    groups: tuple[Group, ...]
    prefer: str | None = None
    policy: Policy = NO_POLICY

    @property
    def is_pattern(self) -> bool:
        return "*" in self.name

    @property
    def targets(self) -> tuple[Target, ...]:
        """The targets of all groups, in order."""
        return tuple(target for group in self.groups for target in group.targets)


@frozen(eq=False)
class Route:
    """What a model name resolved to. `entry` is the registered name or pattern that led there.

    plans: what others have worked out of it and need again; it goes when the route does.
    """

    entry: str
    groups: tuple[Group, ...]
    prefer: str | None = None
    policy: Policy = NO_POLICY
    plans: dict[Any, Any] = field(factory=dict, repr=False)

    @property
    def targets(self) -> tuple[Target, ...]:
        """The targets of all groups, in order."""
        return tuple(target for group in self.groups for target in group.targets)


class ModelRegistry:
    """Names to targets. Precedence: exact name, alias, pattern (the longest first), `provider/model`, family.

    A family is a provider's own pattern for bare names (`gpt-[!o]*`), known from the catalogue: the one kind
    of pattern in which more than `*` has a meaning.
    """

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._aliases: dict[str, str] = {}
        self._patterns: list[Entry] = []
        self._families: list[tuple[str, BaseProvider]] = []
        self._providers: dict[str, BaseProvider] = {}
        self._cache: dict[str, Route | None] = {}
        self._near: NearNames | None = None

    def register(  # noqa: PLR0913 - the library's front door: each is optional and named at the call
        self,
        name: str,
        provider: BaseProvider | None = None,
        *,
        rewrite: str | None = None,
        prefer: str | None = None,
        aliases: Iterable[str] = (),
        targets: Iterable[Target] = (),
        groups: Iterable[Group] = (),
        policy: Policy = NO_POLICY,
    ) -> None:
        """Register a name (or a pattern with `*`) for one provider, several weighted targets, or groups.

        rewrite: the provider's own name for the model; by default the name itself, and for a pattern
        what its `*` matched. groups: follow what `provider` and `targets` say. policy: what is wanted
        beside them. Raises ValueError if the name is taken, or leads nowhere.
        """
        first = list(targets)
        if provider is not None:
            first.insert(0, Target(provider, rewrite or _own_name(name)))
        all_groups = (*([Group(tuple(first))] if first else []), *groups)
        if not any(group.targets for group in all_groups):
            raise ValueError(f'model "{name}": no provider and no targets')
        aliases = tuple(aliases)
        if name in self._entries or name in self._aliases:
            raise ValueError(f'model "{name}" is registered already')
        for number, alias in enumerate(aliases):
            if alias in {name, *aliases[:number]} or alias in self._entries or alias in self._aliases:
                raise ValueError(f'alias "{alias}" of model "{name}" is taken already')
        for group in all_groups:
            for target in group.targets:
                self.add_provider(target.provider)
        entry = Entry(name, all_groups, prefer, policy)
        self._entries[name] = entry
        self._aliases |= dict.fromkeys(aliases, name)
        if entry.is_pattern:
            insort(self._patterns, entry, key=lambda known: -len(known.name))
        self._cache.clear()
        self._near = None

    def add_provider(self, provider: BaseProvider, families: Iterable[str] = ()) -> None:
        """Make `provider/model` names and the provider's bare-name families resolve."""
        known = self._providers.setdefault(provider.name, provider)
        if known is not provider:
            raise ValueError(f'two providers are called "{provider.name}"')
        self._families.extend((pattern, provider) for pattern in families)
        self._cache.clear()

    @property
    def providers(self) -> dict[str, BaseProvider]:
        """Every provider known, by name. Not to be changed."""
        return self._providers

    @property
    def entries(self) -> tuple[Entry, ...]:
        return tuple(self._entries.values())

    @property
    def aliases(self) -> dict[str, str]:
        """Alias -> name. Not to be changed."""
        return self._aliases

    def names(self) -> list[str]:
        """Every name that stands for one model: entries that are no patterns, and aliases."""
        return sorted(
            [entry.name for entry in self._entries.values() if not entry.is_pattern] + list(self._aliases)
        )

    def nearest(self, name: str, is_shown: Callable[[str], bool]) -> str | None:
        """Return the name that may have been meant, of those that may be told; None if none is near."""
        if self._near is None:
            self._near = NearNames(self.names())
        return self._near.nearest(name, is_shown)

    def target_names(self) -> set[str]:
        """Names of the targets that entries lead to, but for patterns: those a client cannot make up."""
        return {
            target.name
            for entry in self._entries.values()
            if not entry.is_pattern
            for target in entry.targets
        }

    def resolve(self, name: str) -> Route | None:
        """Return where `name` leads, or None if nowhere. Constant time for names seen before."""
        try:
            return self._cache[name]
        except KeyError:
            pass
        route = self._find(name)
        if len(self._cache) >= _CACHE_LIMIT:  # names come from clients: never let them fill the memory
            self._cache.clear()
        self._cache[name] = route
        return route

    def _find(self, name: str) -> Route | None:
        steps: tuple[Callable[[str], Route | None], ...] = (
            self._by_name,
            self._by_pattern,
            self._by_provider,
            self._by_family,
        )
        return next((route for step in steps if (route := step(name)) is not None), None)

    def _by_name(self, name: str) -> Route | None:
        entry = self._entries.get(self._aliases.get(name, name))
        if entry is None or entry.is_pattern:
            return None
        return Route(entry.name, entry.groups, entry.prefer, entry.policy)

    def _by_pattern(self, name: str) -> Route | None:
        for entry in self._patterns:
            if matches(entry.name, name):
                matched = _matched(entry.name, name)
                groups = tuple(_fill_group(group, matched, name) for group in entry.groups)
                return Route(entry.name, groups, entry.prefer, entry.policy)
        return None

    def _by_provider(self, name: str) -> Route | None:
        head, slash, rest = name.partition("/")
        provider = self._providers.get(head)
        if provider is None or not slash or not rest:
            return None
        return Route(f"{head}/*", (Group((Target(provider, rest),)),))

    def _by_family(self, name: str) -> Route | None:
        for pattern, provider in self._families:
            if fnmatchcase(name, pattern):
                return Route(pattern, (Group((Target(provider, name),)),))
        return None


def _own_name(name: str) -> str:
    return "*" if "*" in name else name


def _matched(pattern: str, name: str) -> str:
    """Return what the first `*` of the pattern stands for; with more than one, the rest of the name."""
    head, _, tail = pattern.partition("*")
    return name[len(head) : len(name) - len(tail) if tail and "*" not in tail else None]


def _fill_group(group: Group, matched: str, name: str) -> Group:
    return evolve(group, targets=tuple(_fill(target, matched, name) for target in group.targets))


def _fill(target: Target, matched: str, name: str) -> Target:
    """Put what the wildcard matched into the target's own model name; a lone catch-all keeps the name."""
    model = target.model.replace("*", matched or name)
    return evolve(target, model=model)
