"""What a family of models is known to refuse, as data: one `Profile` is one row.

Owns the row, which rows match a model, and how several that match are laid over each other. Changes no
request (that is `fitting`), knows no vendor (those are in `profiles/`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from functools import reduce
from typing import Literal

from attrs import evolve, field, frozen

from aigw.dialects.endpoints import Api

_CACHE_LIMIT = 4096

Thinking = Literal["none", "budget", "adaptive"]


@frozen(eq=False)
class Profile:
    """One family of models, and what to do so that it does not answer 400.

    name: for messages, and for targets that name one.
    models, unless: patterns of the provider's own model names, in lower case; `unless` takes some out again.
    providers: kinds of the catalogue, or names of providers; empty means every one.
    apis: the formats that these rules are about; empty means every one.
    certain: the provider is known to refuse what is changed here. Only such rows may touch a request that
        is in the provider's own format already.

    drop: paths of what it refuses. drop_reasoning: of what it refuses while it reasons.
    reasons: whether it reasons when nobody says how hard.
    conflicts: pairs of paths that may not both be said; the second goes.
    values: by path, values it does not know and what stands for them.
    defaults: by path, or by key among the extras, what is said where the caller says nothing.
    rename: fields of the request on the wire, by the names that the format gives them.
    max_output_tokens: the most that may be asked for.
    thinking: the only kind of thinking it knows. always_thinks: it refuses to have it turned off.
    roles: names of roles it does not know, and what stands for them.
    prefill: whether it takes an assistant's last message for the beginning of its own answer; None where that
        is not known, and then it is not relied upon.
    tool_text_only: what a tool answers must be text, so that pictures go into a user's message behind it.
    replace: an operator's row that stands in the place of all rows of the catalogue, rather than over them.
    """

    name: str
    models: tuple[str, ...] = ("*",)
    unless: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    apis: frozenset[Api] = frozenset()
    certain: bool = True
    drop: tuple[str, ...] = ()
    drop_reasoning: tuple[str, ...] = ()
    reasons: bool = True
    conflicts: tuple[tuple[str, str], ...] = ()
    values: Mapping[str, Mapping[str, str]] = field(factory=dict)
    defaults: Mapping[str, object] = field(factory=dict)
    rename: Mapping[str, str] = field(factory=dict)
    max_output_tokens: int | None = None
    thinking: Thinking | None = None
    always_thinks: bool = False
    roles: Mapping[str, str] = field(factory=dict)
    prefill: bool | None = None
    tool_text_only: bool = False
    replace: bool = False

    def matches(self, place: Place) -> bool:
        """Tell whether this row is about a model at a provider."""
        if self.apis and place.api not in self.apis:
            return False
        if self.providers and not {place.kind, place.provider} & set(self.providers):
            return False
        model = place.model.lower()
        return _any(self.models, model) and not _any(self.unless, model)

    def over(self, under: Profile) -> Profile:
        """Return both rows as one; where only one can hold, this one does."""
        return Profile(
            name=self.name,
            drop=(*under.drop, *self.drop),
            drop_reasoning=(*under.drop_reasoning, *self.drop_reasoning),
            reasons=under.reasons and self.reasons,
            conflicts=(*under.conflicts, *self.conflicts),
            values={
                path: {**under.values.get(path, {}), **self.values.get(path, {})}
                for path in (*under.values, *self.values)
            },
            defaults={**under.defaults, **self.defaults},
            rename={**under.rename, **self.rename},
            max_output_tokens=self.max_output_tokens or under.max_output_tokens,
            thinking=self.thinking or under.thinking,
            always_thinks=self.always_thinks or under.always_thinks,
            roles={**under.roles, **self.roles},
            prefill=under.prefill if self.prefill is None else self.prefill,
            tool_text_only=self.tool_text_only or under.tool_text_only,
        )


@frozen
class Place:
    """A model at a provider, spoken to in one format. kind: the provider's row of the catalogue."""

    kind: str
    provider: str
    model: str
    api: Api


NOTHING_KNOWN = Profile("")
"""The profile of a model that takes everything its format has."""


def _any(patterns: Iterable[str], model: str) -> bool:
    return any(fnmatchcase(model, pattern) for pattern in patterns)


class ProfileBook:
    """All rows there are, and the one profile that they come to for a model.

    known: rows of the catalogue. own: the operator's, which lie over them, or stand in their place if they
    say `replace`.
    """

    def __init__(self, known: Iterable[Profile] = (), own: Iterable[Profile] = ()) -> None:
        self._known = tuple(known)
        self._own = {profile.name: profile for profile in own}
        self._cache: dict[tuple[Place, str | None, bool], Profile] = {}

    @property
    def own(self) -> Mapping[str, Profile]:
        """The operator's rows by name. Not to be changed."""
        return self._own

    def find(self, place: Place, named: str | None = None, *, certain: bool = False) -> Profile:
        """Return what is known of a model. Constant time for places seen before.

        named: an operator's row that holds whatever its patterns say. certain: leave out rows that are not.
        """
        key = (place, named, certain)
        try:
            return self._cache[key]
        except KeyError:
            pass
        found = self._find(place, named, certain)
        if len(self._cache) >= _CACHE_LIMIT:  # model names may come from clients
            self._cache.clear()
        self._cache[key] = found
        return found

    def _find(self, place: Place, named: str | None, certain: bool) -> Profile:
        own = [row for row in self._own.values() if row.name != named and row.matches(place)]
        own += [self._own[named]] if named in self._own else []
        known = [] if any(row.replace for row in own) else [row for row in self._known if row.matches(place)]
        rows = [row for row in (*known, *own) if row.certain or not certain]
        if not rows:
            return NOTHING_KNOWN
        first = evolve(rows[0], replace=False)
        return reduce(lambda under, row: row.over(under), rows[1:], first)
