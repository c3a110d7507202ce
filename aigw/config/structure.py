"""From a tree of tables, lists and scalars to attrs classes, by their type hints.

Owns the walk that finds every mistake at once, and is public because a plugin's own class is read the
same way. Knows no setting by name: what a value may be is said by the class's types and validators.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Literal, TypeVar, Union, cast, get_args, get_origin

import attrs

from aigw.config.interpolate import FAILED
from aigw.config.kinds import has_shape, holds_secret, short_field, wanted_by
from aigw.config.place import Place, kind_of
from aigw.config.scalars import SCALARS, read_choice
from aigw.config.secrets import Interpolated
from aigw.config.table import build_table, told

T = TypeVar("T")


def structure(cls: type[T], tree: object, path: str, problems: list[str]) -> T | None:
    """Make an instance of an attrs class from a tree; None when a problem was added.

    Adds one line per mistake: path, value seen, value wanted. Fields may be str, int, float, bool,
    Path, Secret, Literal, attrs classes, tuple[T, ...], list[T], dict[str, T], object, and unions of
    those. A class with a classmethod `from_text` may also be written as text, one with a field whose
    metadata is `SHORT` as that list or an item of it, and a field whose metadata is `REST` takes all keys
    left over. Validators raise `Wanted`, or any ValueError.
    Values of secrets, and of keys that are called like one, never stand in a problem.
    """
    before = len(problems)
    made = salvage(cls, tree, Place(path, problems))
    return made if len(problems) == before else None


def salvage(cls: type[T], tree: object, place: Place) -> T | None:
    """Like `structure`, but with defaults in place of what was wrong: good for further checks alone."""
    made = _build(cls, tree, place)
    return None if made is FAILED else cast("T", made)


def _build(kind: object, value: object, place: Place) -> object:
    if value is FAILED or kind is object:
        return value
    if kind in SCALARS:
        return SCALARS[kind](value, place)
    if isinstance(kind, type) and attrs.has(kind):
        return _table(kind, value, place)
    reader = _COMPOUNDS.get(get_origin(kind))
    if reader is None:
        raise TypeError(f"{place.path}: a setting cannot have the type {kind!r}")
    return reader(kind, value, place)


def _table(cls: type, value: object, place: Place) -> object:
    if isinstance(value, cls):
        return value
    from_text = getattr(cls, "from_text", None)
    if isinstance(value, str) and from_text is not None:
        return told(lambda: from_text(str(value)), value, _hide(cls, place))
    short = short_field(cls)
    if short is not None and isinstance(value, str | list | tuple):
        value = {short: [value] if isinstance(value, str) else value}
    if value is not None and not isinstance(value, Mapping):
        _hide(cls, place).refuse(value, wanted_by(cls))
        return FAILED
    return build_table(cls, dict(_texts(value or {}, place)), place, _build)


def _items(kind: object, value: object, place: Place) -> object:
    of = get_args(kind)[0]
    if value is not None and not isinstance(value, list | tuple):
        _hide(of, place).refuse(value, wanted_by(kind))
        return FAILED
    built = [_build(of, item, place.item(index)) for index, item in enumerate(value or ())]
    whole = [item for item in built if item is not FAILED]
    return whole if get_origin(kind) is list else tuple(whole)


def _entries(kind: object, value: object, place: Place) -> object:
    of = get_args(kind)[1]
    if value is not None and not isinstance(value, Mapping):
        _hide(of, place).refuse(value, wanted_by(kind))
        return FAILED
    built = {key: _build(of, item, place.key(key)) for key, item in _texts(value or {}, place)}
    return {key: item for key, item in built.items() if item is not FAILED}


def _either(kind: object, value: object, place: Place) -> object:
    members = [member for member in get_args(kind) if member is not type(None)]
    unset = value is None or (isinstance(value, Interpolated) and value.empty_on_purpose)
    if unset and len(members) < len(get_args(kind)):
        return None
    if len(members) == 1:
        return _build(members[0], value, place)
    for member in members:
        attempt: list[str] = []
        made = _build(member, value, attrs.evolve(place, problems=attempt))
        if not attempt:
            return made
    nearest = [member for member in members if has_shape(member, value)]
    if len(nearest) == 1:
        return _build(nearest[0], value, place)
    _hide(kind, place).refuse(value, wanted_by(kind))
    return FAILED


def _texts(table: Mapping[object, object], place: Place) -> Iterator[tuple[str, object]]:
    for key, item in table.items():
        if isinstance(key, str):
            yield key, item
        else:
            place.say(f"a key is {kind_of(key)}, wanted text (in quotes)")


def _hide(kind: object, place: Place) -> Place:
    """Hide a value of the wrong shape where a Secret was to be inside."""
    return place.secret() if holds_secret(kind) else place


_COMPOUNDS: Final[Mapping[object, Callable[[object, object, Place], object]]] = {
    Literal: read_choice,
    Union: _either,
    types.UnionType: _either,
    tuple: _items,
    list: _items,
    dict: _entries,
    Mapping: _entries,
}
