"""Fields this format has and the vocabulary has not: kept as extras under this dialect's name.

Owns the naming, the same as the chat dialect's: "openresponses:field", "openresponses:@scope/field" for
a field of an object inside, "openresponses:@word" for a note to ourselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aigw.dialects.base import Tree
from aigw.model import Extras

NAME = "openresponses"
_PREFIX = NAME + ":"

# Thinking that came without an id, in this format: a provider that showed it so takes it back.
OWN_REASONING = _PREFIX + "@own_reasoning"
# The caller of this format left to it whether a tool's arguments must keep to the schema.
DEFAULT_STRICT = _PREFIX + "@default_strict"
# The caller used the penalties of the published specification, which OpenAI itself refuses.
EXTENSIONS = _PREFIX + "@extensions"


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
    """Set a field that has a value."""
    if value is not None:
        tree[field] = value


def seconds_or_none(value: object) -> int | None:
    """Return a time in whole Unix seconds; some servers write a fraction."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**53:
        return None
    return int(value)
