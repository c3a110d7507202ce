"""Token counts of Gemini: `usageMetadata`, whose answer does not include the thinking.

Gemini counts prompt, tools' results fed back to the prompt, thoughts and answer apart; the vocabulary
counts the first two as input and the last two as output.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aigw.dialects.base import Tree
from aigw.dialects.fields import list_of, object_of
from aigw.dialects.gemini.fields import NAME, int_or_none, keep, restore
from aigw.model import Usage

_KNOWN = frozenset(
    (
        "promptTokenCount",
        "candidatesTokenCount",
        "thoughtsTokenCount",
        "cachedContentTokenCount",
        "totalTokenCount",
    )
)
_TOOL_USE = f"{NAME}:toolUsePromptTokenCount"


def read_usage(tree: Mapping[str, Any]) -> Usage | None:
    """Return the counts a response or a chunk holds."""
    usage = tree.get("usageMetadata")
    return decode_usage(usage) if isinstance(usage, dict) else None


def decode_usage(tree: Tree) -> Usage:
    """Read a usage object; a count that is missing or no number is 0."""
    thoughts = _count(tree, "thoughtsTokenCount")
    answer = _count(tree, "candidatesTokenCount")
    return Usage(
        input_tokens=_count(tree, "promptTokenCount") + _count(tree, "toolUsePromptTokenCount"),
        output_tokens=answer + thoughts,
        cached_tokens=_count(tree, "cachedContentTokenCount"),
        reasoning_tokens=thoughts,
        audio_input_tokens=_modality(tree, "promptTokensDetails", "AUDIO"),
        audio_output_tokens=_modality(tree, "candidatesTokensDetails", "AUDIO"),
        total_tokens=int_or_none(tree.get("totalTokenCount")),
        extras=keep(tree, _KNOWN),
    )


def encode_usage(usage: Usage) -> Tree:
    """Write a usage object, leaving out what is zero as Google does."""
    tool_use = int_or_none(usage.extras.get(_TOOL_USE)) or 0
    prompt = max(0, usage.input_tokens - tool_use)
    answer = max(0, usage.output_tokens - usage.reasoning_tokens)
    tree: Tree = {"promptTokenCount": prompt, "candidatesTokenCount": answer, "totalTokenCount": usage.total}
    if usage.reasoning_tokens:
        tree["thoughtsTokenCount"] = usage.reasoning_tokens
    if usage.cached_tokens:
        tree["cachedContentTokenCount"] = usage.cached_tokens
    if usage.audio_input_tokens:
        tree["promptTokensDetails"] = _details(prompt, usage.audio_input_tokens)
    if usage.audio_output_tokens:
        tree["candidatesTokensDetails"] = _details(answer, usage.audio_output_tokens)
    return tree | restore(usage.extras)


def _details(total: int, audio: int) -> list[Tree]:
    return [
        {"modality": "TEXT", "tokenCount": max(0, total - audio)},
        {"modality": "AUDIO", "tokenCount": audio},
    ]


def _modality(tree: Tree, field: str, modality: str) -> int:
    found = (object_of(detail) for detail in list_of(tree.get(field)))
    return sum(_count(detail, "tokenCount") for detail in found if detail.get("modality") == modality)


def _count(tree: Tree, field: str) -> int:
    return max(0, int_or_none(tree.get(field)) or 0)
