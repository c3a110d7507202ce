"""What every format's reading of JSON has in common: fields of a wanted type, and fields kept as extras.

Owns how a field is read that may hold anything, how the extras of a format are named, and the id that stands
in for a missing one. Knows no format. Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from aigw.dialects.base import Tree
from aigw.model import Extras

# Beyond that a float is not exact any more, and a writer of JSON may refuse an integer.
MAX_INT = 2**53


class OwnFields:
    """Fields a format has and the vocabulary has not: kept as extras under the format's name.

    A key is "name:field"; "name:@scope/field" for a field of what stands around or inside; and
    "name:@word" for a format's note to itself about how the caller spelt something.
    """

    __slots__ = ("_prefix",)

    def __init__(self, name: str) -> None:
        self._prefix = name + ":"

    def note(self, word: str) -> str:
        """Return the key of a note; `restore` leaves it out."""
        return f"{self._prefix}@{word}"

    def keep(self, tree: Mapping[str, Any], known: frozenset[str], scope: str = "") -> Extras:
        """Return what of the tree is not known, as extras; nulls say nothing and are left out."""
        if tree.keys() <= known:
            return {}
        prefix = self._prefix + scope
        return {prefix + key: value for key, value in tree.items() if key not in known and value is not None}

    def restore(self, extras: Extras, scope: str = "") -> Tree:
        """Return the fields that `keep` put away in this scope."""
        if not extras:
            return {}
        prefix = self._prefix + scope
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
    if type(value) is int and -MAX_INT <= value <= MAX_INT:
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not -MAX_INT <= value <= MAX_INT or value != int(value):
        return None
    return int(value)


def object_of(value: object) -> Tree:
    """Return an object field; anything else counts as empty."""
    return value if isinstance(value, dict) else {}


def list_of(value: object) -> list[Any]:
    """Return a list field; anything else counts as empty."""
    return value if isinstance(value, list) else []


def synthetic_call_id(*place: object) -> str:
    """Name a tool call that came without an id: the same place gives the same name, another one another.

    place: what tells this call from all others, as the answer's id and the call's number.
    """
    seed = "/".join(map(str, place)).encode()
    return "call_" + hashlib.blake2b(seed, digest_size=12).hexdigest()
