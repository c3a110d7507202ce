"""Fields this format has and the vocabulary has not, kept as extras; and the reading of its spellings.

Owns the naming. A key is "gemini:field"; "gemini:@content/field" for a field of the content around a
part; "gemini:@word" for a note to ourselves about how the caller spelt something.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from aigw.dialects.base import Tree
from aigw.model import Extras

NAME = "gemini"
_PREFIX = NAME + ":"

CONTENT_SCOPE = "@content/"
CALL_SCOPE = "@call/"
# "starts": this item began a content of its own; "joins": it shared the one before it.
CONTENT = _PREFIX + "@content"
# The content's role, where it was neither "user" nor "model".
ROLE = _PREFIX + "@role"
# The call or its answer came without an id: ours must not be shown to who never gave one.
NO_ID = _PREFIX + "@no_id"
# No candidate came at all, for the prompt was blocked.
PROMPT_BLOCKED = _PREFIX + "@prompt_blocked"

_MAX_INT = 2**53
_UNDERSCORE = re.compile(r"(?<=[a-z0-9])_([a-z0-9])")


def keep(tree: Mapping[str, Any], known: frozenset[str], scope: str = "") -> Extras:
    """Return what of the tree is not known, as extras; nulls say nothing and are left out."""
    if tree.keys() <= known:
        return {}
    prefix = _PREFIX + scope
    return {prefix + key: value for key, value in tree.items() if key not in known and value is not None}


def restore(extras: Extras, scope: str = "") -> Tree:
    """Return the fields kept under this scope, for writing back."""
    if not extras:
        return {}
    prefix = _PREFIX + scope
    size = len(prefix)
    return {
        key[size:]: value
        for key, value in extras.items()
        if key.startswith(prefix) and not key.startswith("@", size)
    }


def camel(tree: Tree) -> Tree:
    """Return an object with its own keys in camelCase: Google reads `function_call` as well."""
    for key in tree:
        if "_" in key:
            return {_UNDERSCORE.sub(_upper, key): value for key, value in tree.items()}
    return tree


def _upper(match: re.Match[str]) -> str:
    return match[1].upper()


def object_at(tree: Tree, field: str) -> Tree:
    """Return an object field with its keys in camelCase; anything else counts as empty."""
    value = tree.get(field)
    return camel(value) if isinstance(value, dict) else {}


def synthetic_call_id(seed: str, number: int, name: str) -> str:
    """Name a tool call that came without an id: the same answer gives the same name, another one another."""
    digest = hashlib.blake2b(f"{seed}/{number}/{name}".encode(), digest_size=12)
    return "call_" + digest.hexdigest()


def text_of(value: object) -> str:
    """Return a string field; anything else counts as empty."""
    return value if isinstance(value, str) else ""


def text_or_none(value: object) -> str | None:
    """Return a string field, or None for anything else."""
    return value if isinstance(value, str) else None


def int_or_none(value: object) -> int | None:
    """Return an integer field, or None; proto JSON may write an int64 as a string."""
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,15}", value, re.ASCII):
        return int(value)
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
