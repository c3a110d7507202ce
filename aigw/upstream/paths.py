"""Places in a `Request`, named as `sampling.temperature` or, for each of several, as `tools.strict`.

Owns how such a path is read and changed. A path that leads through a list means every element of the
one kind that it is about: `items.name` is a message's, and never that of the tool in a call. What was changed
is told by its exact place, as `tools[1].strict`. Knows no model and no provider.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from attrs import evolve

from aigw.model import FunctionTool, Message, ReasoningOptions, Request, ResponseFormat, Sampling

T = TypeVar("T")

Change = Callable[[object], object]
"""From a field's value to what it is to be."""

_MISSING: Final = object()

_BLANK: Final[Mapping[str, object]] = {
    "": Request(model=""),
    "sampling": Sampling(),
    "reasoning": ReasoningOptions(),
    "response_format": ResponseFormat("text"),
    "tools": FunctionTool(""),
    "items": Message(""),
}
"""By the head of a path, something that has said nothing: its fields hold their defaults."""


def is_path(path: str) -> bool:
    """Tell whether there is such a place in a request."""
    head, _, name = path.rpartition(".")
    return head in _BLANK and not name.startswith("_") and hasattr(_BLANK[head], name)


def value_at(thing: object, path: str) -> object:
    """Return what a path without lists leads to; None where something on the way is None."""
    for name in path.split("."):
        thing = getattr(thing, name, None)
    return thing


def clear(thing: T, path: str) -> tuple[T, list[str]]:
    """Put a field's default in its place; return the new thing, and the places that held something else."""
    head, _, name = path.rpartition(".")
    blank = getattr(_BLANK[head], name)
    return change(thing, path, lambda _: blank)


def change(thing: T, path: str, to: Change) -> tuple[T, list[str]]:
    """Change what a path leads to; return the new thing, and the places that became different."""
    changed: list[str] = []
    return _change(thing, path.split("."), to, "", changed), changed


def _change(thing: T, path: list[str], to: Change, where: str, changed: list[str]) -> T:
    name, *rest = path
    value = getattr(thing, name, _MISSING)
    if value is _MISSING or (value is None and rest):
        return thing
    place = f"{where}.{name}" if where else name
    made: object
    if not rest:
        made = to(value)
        if made != value:
            changed.append(place)
    elif isinstance(value, tuple):
        kind = type(_BLANK[name])
        made = tuple(
            _change(one, rest, to, f"{place}[{number}]", changed) if isinstance(one, kind) else one
            for number, one in enumerate(value)
        )
    else:
        made = _change(value, rest, to, place, changed)
    return thing if made == value else _evolved(thing, name, made)


def _evolved(thing: T, name: str, value: object) -> T:
    made: T = evolve(thing, **{name: value})  # type: ignore[misc]  # all that has fields here is attrs'
    return made
