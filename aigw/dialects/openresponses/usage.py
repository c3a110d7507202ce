"""Token counts of the Responses API, and of its relatives who share the shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve

from aigw.dialects.base import Tree
from aigw.dialects.fields import object_of
from aigw.dialects.openai_events import read_token_usage
from aigw.dialects.openresponses.fields import keep, restore
from aigw.model import Usage

_INPUT, _OUTPUT = "input_tokens_details", "output_tokens_details"
_KNOWN = frozenset(("input_tokens", "output_tokens", "total_tokens", _INPUT, _OUTPUT))
_INPUT_KNOWN = frozenset(("cached_tokens", "cache_write_tokens", "audio_tokens"))
_OUTPUT_KNOWN = frozenset(("reasoning_tokens", "audio_tokens"))
_INPUT_SCOPE = "@input/"
_OUTPUT_SCOPE = "@output/"


def read_usage(tree: Mapping[str, Any]) -> Usage | None:
    """Return the counts a response holds; a count that is missing or no number is 0."""
    usage = read_token_usage(dict(tree))
    if usage is None:
        return None
    counts = object_of(tree.get("usage"))
    extras = keep(counts, _KNOWN)
    extras |= keep(object_of(counts.get(_INPUT)), _INPUT_KNOWN, _INPUT_SCOPE)
    extras |= keep(object_of(counts.get(_OUTPUT)), _OUTPUT_KNOWN, _OUTPUT_SCOPE)
    return evolve(usage, extras=extras)


def encode_usage(usage: Usage) -> Tree:
    """Write a usage object with both details, as the specification wants."""
    inputs: Tree = {"cached_tokens": usage.cached_tokens, "cache_write_tokens": usage.cache_write_tokens}
    if usage.audio_input_tokens:
        inputs["audio_tokens"] = usage.audio_input_tokens
    outputs: Tree = {"reasoning_tokens": usage.reasoning_tokens}
    if usage.audio_output_tokens:
        outputs["audio_tokens"] = usage.audio_output_tokens
    return {
        "input_tokens": usage.input_tokens,
        _INPUT: inputs | restore(usage.extras, _INPUT_SCOPE),
        "output_tokens": usage.output_tokens,
        _OUTPUT: outputs | restore(usage.extras, _OUTPUT_SCOPE),
        "total_tokens": usage.total,
        **restore(usage.extras),
    }
