"""Fields this format has and the vocabulary has not: kept as extras under this dialect's name.

Owns the naming. A key is "openai_chat:field"; "openai_chat:@message/field" for a field of the message
around an item; "openai_chat:@word" for a note to ourselves about how the caller spelt something.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from aigw.dialects.base import Tree
from aigw.model import Extras, JsonObject

NAME = "openai_chat"
_PREFIX = NAME + ":"
MESSAGE_SCOPE = "@message/"

# The caller put this item into a message of its own, though it could join the one before it.
STARTS_MESSAGE = _PREFIX + "@starts_message"
# The caller spoke the tongue of before tools: function_call, functions, role "function".
LEGACY = _PREFIX + "@legacy"
# Fields the thinking stood in: "reasoning_content", "reasoning" or both, joined by a comma.
REASONING_FIELDS = _PREFIX + "@reasoning_fields"
REASONING_DETAILS = _PREFIX + "reasoning_details"
# The thinking was a part of the content list, as Mistral writes it.
THINKING_PART = _PREFIX + "@thinking_part"
# Sampling fields OpenAI does not know, which this caller used all the same.
EXTENSIONS = _PREFIX + "@extensions"
# The caller said max_tokens, not max_completion_tokens.
MAX_TOKENS = _PREFIX + "@max_tokens"
LOGPROBS = _PREFIX + "logprobs"

MAX_INT = 2**53


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


def synthetic_call_id(response_id: str | None, choice: int, number: int) -> str:
    """Name a tool call that came without an id: the same answer gives the same name, another one another."""
    seed = f"{response_id}/{choice}/{number}".encode()
    return "call_" + hashlib.blake2b(seed, digest_size=12).hexdigest()


def text_of(value: object) -> str:
    """Return a string field; anything else counts as empty."""
    return value if isinstance(value, str) else ""


def text_or_none(value: object) -> str | None:
    """Return a string field, or None for anything else."""
    return value if isinstance(value, str) else None


def int_or_none(value: object) -> int | None:
    """Return an integer field, or None for anything else; a whole float counts, a bool does not."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Beyond that a float is not exact any more, and a writer of JSON may refuse it.
    if not -MAX_INT <= value <= MAX_INT or value != int(value):
        return None
    return int(value)


def object_of(value: object) -> Tree:
    """Return an object field; anything else counts as empty."""
    return value if isinstance(value, dict) else {}


def logprobs_of(value: object) -> tuple[JsonObject, ...]:
    """Return a list of token probabilities; what is no object says none."""
    return tuple([tree for tree in list_of(value) if isinstance(tree, dict)])


def list_of(value: object) -> list[Any]:
    """Return a list field; anything else counts as empty."""
    return value if isinstance(value, list) else []
