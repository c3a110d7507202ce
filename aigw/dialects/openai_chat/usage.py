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
_CACHED_BESIDE = ("prompt_cache_hit_tokens", "num_cached_tokens", "cached_tokens")
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
    # This runs for every answer: what is not there is not looked into.
    extras = keep(tree, _KNOWN)
    cached = written = audio_in = reasoning = audio_out = 0
    prompt, completion = tree.get("prompt_tokens_details"), tree.get("completion_tokens_details")
    if prompt and isinstance(prompt, dict):
        cached = _count(prompt.get("cached_tokens"))
        written = _count(prompt.get("cache_write_tokens"))
        audio_in = _count(prompt.get("audio_tokens"))
        extras |= keep(prompt, _PROMPT_DETAILS, _PROMPT_SCOPE)
    if completion and isinstance(completion, dict):
        reasoning = _count(completion.get("reasoning_tokens"))
        audio_out = _count(completion.get("audio_tokens"))
        extras |= keep(completion, _COMPLETION_DETAILS, _COMPLETION_SCOPE)
    if extras and not cached:  # DeepSeek and Mistral count the cache beside the details, not inside
        cached = next((count for field in _CACHED_BESIDE if (count := _count(tree.get(field)))), 0)
    return Usage(
        _count(tree.get("prompt_tokens")),
        _count(tree.get("completion_tokens")),
        cached,
        written,
        reasoning,
        audio_in,
        audio_out,
        int_or_none(tree.get("total_tokens")),
        extras,
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


def _count(value: object) -> int:
    if type(value) is int and 0 <= value <= MAX_INT:
        return value
    return max(0, int_or_none(value) or 0)
