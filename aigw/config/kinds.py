"""What can be said of a type hint without a value: its name in a message, its shape, its secrets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

import attrs

from aigw.config.secrets import Secret

_NAMES: Final[Mapping[object, str]] = {
    str: "text",
    Secret: "text",
    Path: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    tuple: "a list",
    list: "a list",
    dict: "a table",
    Mapping: "a table",
}


_KNOWN = 512
"""Of how many types is kept what was found out: more than all settings have."""


@lru_cache(_KNOWN)
def hints_of(kind: Callable[..., object]) -> Mapping[str, Any]:
    """Return the types of a class's fields or a function's parameters.

    Asked once for each item of a list, where finding them out would be most of what reading a file costs.
    """
    return MappingProxyType(get_type_hints(kind))


def wanted_by(kind: object) -> str:
    """Name a type in the words of a configuration file, as `a whole number or text`."""
    name = _NAMES.get(kind) or _NAMES.get(get_origin(kind))
    if name:
        return name
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, get_args(kind)))}"
    if isinstance(kind, type) and attrs.has(kind):
        if short_field(kind) is not None:
            return "text, a list or a table"
        return "text or a table" if hasattr(kind, "from_text") else "a table"
    members = [wanted_by(member) for member in get_args(kind) if member is not type(None)]
    return " or ".join(dict.fromkeys(members)) or "a value"


def short_field(kind: type) -> str | None:
    """Return the field that a text or a list in place of a class's table means, if it has such a one."""
    return next((each.name for each in attrs.fields(kind) if each.metadata.get("short")), None)


def has_shape(kind: object, value: object) -> bool:
    """Tell whether a value is of the table or list shape that a type has."""
    wanted = wanted_by(kind)
    if isinstance(value, Mapping):
        return wanted.endswith("a table")
    return isinstance(value, list | tuple) and wanted == "a list"


@lru_cache(_KNOWN)
def holds_secret(kind: object) -> bool:
    """Tell whether a Secret is somewhere inside a type."""
    return _holds_secret(kind, frozenset())


def _holds_secret(kind: object, above: frozenset[object]) -> bool:
    if kind is Secret or kind in above:
        return kind is Secret
    parts = get_args(kind)
    if isinstance(kind, type) and attrs.has(kind):
        parts = tuple(hints_of(kind).values())
    return any(_holds_secret(part, above | {kind}) for part in parts)
