"""The names this format gives to extras: its own fields, and its notes to itself."""

from __future__ import annotations

from aigw.dialects.fields import OwnFields, list_of
from aigw.model import JsonObject

NAME = "openai_chat"
MESSAGE_SCOPE = "@message/"

_own = OwnFields(NAME)
keep, restore = _own.keep, _own.restore

# The caller put this item into a message of its own, though it could join the one before it.
STARTS_MESSAGE = _own.note("starts_message")
# The caller spoke the tongue of before tools: function_call, functions, role "function".
LEGACY = _own.note("legacy")
# Fields the thinking stood in: "reasoning_content", "reasoning" or both, joined by a comma.
REASONING_FIELDS = _own.note("reasoning_fields")
REASONING_DETAILS = f"{NAME}:reasoning_details"
# The thinking was a part of the content list, as Mistral writes it.
THINKING_PART = _own.note("thinking_part")
# Sampling fields OpenAI does not know, which this caller used all the same.
EXTENSIONS = _own.note("extensions")
# The caller said max_tokens, not max_completion_tokens.
MAX_TOKENS = _own.note("max_tokens")
LOGPROBS = f"{NAME}:logprobs"


def logprobs_of(value: object) -> tuple[JsonObject, ...]:
    """Return a list of token probabilities; what is no object says none."""
    return tuple([tree for tree in list_of(value) if isinstance(tree, dict)])
