"""Fields this format has and the vocabulary has not: kept as extras under this dialect's name.

Owns the naming. A key is "anthropic:field"; "anthropic:@scope/field" for a field of what stands around
or inside; "anthropic:@word" for a note to ourselves about how the caller spelt something.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aigw.dialects.base import Tree
from aigw.model import Extras

NAME = "anthropic"
_PREFIX = NAME + ":"

# The caller put this system message among the others, where newer models take one.
IN_PLACE = _PREFIX + "@in_place"

_MAX_INT = 2**53


def keep(tree: Mapping[str, Any], known: frozenset[str], scope: str = "") -> Extras:
    """Return what of the tree is not known, as extras; nulls say nothing and are left out."""
    if tree.keys() <= known:
        return {}
    prefix = _PREFIX + scope
    return {prefix + key: value for key, value in tree.items() if key not in known and value is not None}


def restore(extras: Extras, scope: str = "") -> Tree:
    """Return the fields that `keep` put away in this scope."""
    if not extras:
        return {}
    prefix = _PREFIX + scope
    size = len(prefix)
    return {
        key[size:]: value
        for key, value in extras.items()
        if key.startswith(prefix) and not key.startswith("@", size)
    }


def put(tree: Tree, field: str, value: Any) -> None:
    """Write a field that has a value."""
    if value is not None:
        tree[field] = value


def text_of(value: object) -> str:
    """Return a string field; anything else counts as empty."""
    return value if isinstance(value, str) else ""


def text_or_none(value: object) -> str | None:
    """Return a string field, or None for anything else."""
    return value if isinstance(value, str) else None


def bool_or_none(value: object) -> bool | None:
    """Return a boolean field, or None for anything else."""
    return value if isinstance(value, bool) else None


def int_or_none(value: object) -> int | None:
    """Return an integer field, or None for anything else; a whole float counts, a bool does not."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Beyond that a float is not exact any more, and a writer of JSON may refuse it.
    if not -_MAX_INT <= value <= _MAX_INT or value != int(value):
        return None
    return int(value)


def object_of(value: object) -> Tree:
    """Return an object field; anything else counts as empty."""
    return value if isinstance(value, dict) else {}


def list_of(value: object) -> list[Any]:
    """Return a list field; anything else counts as empty."""
    return value if isinstance(value, list) else []
