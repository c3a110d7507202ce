"""The names this format gives to extras, and the reading of its spellings.

Owns what proto JSON allows: two spellings of a name, and integers written as strings.
"""

from __future__ import annotations

import re

from aigw.dialects import fields
from aigw.dialects.base import Tree

NAME = "gemini"

_own = fields.OwnFields(NAME)
keep, restore = _own.keep, _own.restore

CONTENT_SCOPE = "@content/"
CALL_SCOPE = "@call/"
# "starts": this item began a content of its own; "joins": it shared the one before it.
CONTENT = _own.note("content")
# The content's role, where it was neither "user" nor "model".
ROLE = _own.note("role")
# The call or its answer came without an id: ours must not be shown to who never gave one.
NO_ID = _own.note("no_id")
# No candidate came at all, for the prompt was blocked.
PROMPT_BLOCKED = _own.note("prompt_blocked")

_UNDERSCORE = re.compile(r"(?<=[a-z0-9])_([a-z0-9])")


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


def int_or_none(value: object) -> int | None:
    """Return an integer field, or None; proto JSON may write an int64 as a string."""
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,15}", value, re.ASCII):
        return int(value)
    return fields.int_or_none(value)
