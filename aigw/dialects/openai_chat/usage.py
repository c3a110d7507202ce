"""Token counts of Chat Completions, and of its relatives who share the shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aigw.dialects.base import Tree
from aigw.dialects.fields import MAX_INT, int_or_none, object_of
from aigw.dialects.openai_chat.fields import keep, restore
from aigw.model import Usage

_KNOWN = frozenset(
    (
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "prompt_tokens_details",
        "completion_tokens_details",
    )
)
_PROMPT_DETAILS = frozenset(("cached_tokens", "audio_tokens", "cache_write_tokens"))
_COMPLETION_DETAILS = frozenset(("reasoning_tokens", "audio_tokens"))
_PROMPT_SCOPE = "@prompt/"
_COMPLETION_SCOPE = "@completion/"


def read_usage(tree: Mapping[str, Any]) -> Usage | None:
    """Return the counts a response or a chunk holds: in `usage`, or where Groq puts them."""
    usage = tree.get("usage")
    if not isinstance(usage, dict):
        usage = object_of(tree.get("x_groq")).get("usage")
    return decode_usage(usage) if isinstance(usage, dict) else None


def decode_usage(tree: Tree) -> Usage:
    """Read a usage object; a count that is missing or no number is 0."""
    prompt = object_of(tree.get("prompt_tokens_details"))
    completion = object_of(tree.get("completion_tokens_details"))
    extras = keep(tree, _KNOWN)
    extras |= keep(prompt, _PROMPT_DETAILS, _PROMPT_SCOPE)
    extras |= keep(completion, _COMPLETION_DETAILS, _COMPLETION_SCOPE)
    return Usage(
        input_tokens=_count(tree, "prompt_tokens"),
        output_tokens=_count(tree, "completion_tokens"),
        # DeepSeek and Mistral count the cache beside the details, not inside.
        cached_tokens=_count(prompt, "cached_tokens")
        or _count(tree, "prompt_cache_hit_tokens")
        or _count(tree, "num_cached_tokens")
        or _count(tree, "cached_tokens"),
        cache_write_tokens=_count(prompt, "cache_write_tokens"),
        reasoning_tokens=_count(completion, "reasoning_tokens"),
        audio_input_tokens=_count(prompt, "audio_tokens"),
        audio_output_tokens=_count(completion, "audio_tokens"),
        total_tokens=int_or_none(tree.get("total_tokens")),
        extras=extras,
    )


def encode_usage(usage: Usage) -> Tree:
    """Write a usage object with both details, as OpenAI does."""
    prompt: Tree = {"cached_tokens": usage.cached_tokens, "audio_tokens": usage.audio_input_tokens}
    if usage.cache_write_tokens:
        prompt["cache_write_tokens"] = usage.cache_write_tokens
    completion: Tree = {
        "reasoning_tokens": usage.reasoning_tokens,
        "audio_tokens": usage.audio_output_tokens,
    }
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total,
        "prompt_tokens_details": prompt | restore(usage.extras, _PROMPT_SCOPE),
        "completion_tokens_details": completion | restore(usage.extras, _COMPLETION_SCOPE),
        **restore(usage.extras),
    }


def _count(tree: Tree, field: str) -> int:
    value = tree.get(field)
    if value is None or value == 0:  # most are; this runs for every answer
        return 0
    if type(value) is int and 0 < value <= MAX_INT:
        return value
    return max(0, int_or_none(value) or 0)
