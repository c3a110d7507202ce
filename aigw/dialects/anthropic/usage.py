"""Token counts. This format's `input_tokens` leaves out what the cache served; the vocabulary's counts it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aigw.dialects.anthropic.fields import keep, restore
from aigw.dialects.base import Tree
from aigw.dialects.fields import int_or_none, object_of
from aigw.model import Usage

_KNOWN = frozenset(
    (
        "input_tokens",
        "output_tokens",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
        "output_tokens_details",
        # Says who answered, not what it cost: `Response.service_tier`.
        "service_tier",
    )
)
_DETAILS = frozenset(("thinking_tokens",))
_DETAILS_SCOPE = "@output/"

_TIERS = {"standard": "default", "priority": "priority"}
_TIER_WORDS = {tier: word for word, tier in _TIERS.items()}


def read_usage(tree: Mapping[str, Any]) -> Usage | None:
    """Return the counts of a message, or of a stream's frame: message_start keeps them one level deeper."""
    usage = tree.get("usage")
    if not isinstance(usage, dict):
        usage = object_of(tree.get("message")).get("usage")
    return decode_usage(usage) if isinstance(usage, dict) else None


def decode_usage(tree: Tree) -> Usage:
    """Read a usage object; a count that is missing or no number is 0."""
    details = object_of(tree.get("output_tokens_details"))
    cached, written = _count(tree, "cache_read_input_tokens"), _count(tree, "cache_creation_input_tokens")
    return Usage(
        input_tokens=_count(tree, "input_tokens") + cached + written,
        output_tokens=_count(tree, "output_tokens"),
        cached_tokens=cached,
        cache_write_tokens=written,
        reasoning_tokens=_count(details, "thinking_tokens"),
        extras=keep(tree, _KNOWN) | keep(details, _DETAILS, _DETAILS_SCOPE),
    )


def encode_usage(usage: Usage | None) -> Tree:
    """Write a usage object, which this format wants even where nothing is known."""
    usage = usage or Usage()
    apart = usage.cached_tokens + usage.cache_write_tokens
    tree: Tree = {
        "input_tokens": max(0, usage.input_tokens - apart),
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
        **restore(usage.extras),
    }
    details = restore(usage.extras, _DETAILS_SCOPE)
    if usage.reasoning_tokens or details:
        tree["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens, **details}
    return tree


def decode_tier(usage: Any) -> str | None:
    """Return the tier that answered, in the vocabulary's words; it stands among the token counts."""
    tier = object_of(usage).get("service_tier")
    return _TIERS.get(tier, tier) if isinstance(tier, str) else None


def encode_tier(tier: str | None) -> Tree:
    """Return the field that names the tier; nothing for one this format has no word for."""
    word = _TIER_WORDS.get(tier or "")
    return {} if word is None else {"service_tier": word}


def _count(tree: Tree, field: str) -> int:
    return max(0, int_or_none(tree.get(field)) or 0)
