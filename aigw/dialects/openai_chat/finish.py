"""Why an answer ended, in this format's words and its relatives'."""

from __future__ import annotations

from aigw.model import FinishReason

_REASONS: dict[str, FinishReason] = {
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
    "model_length": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
    "eos": FinishReason.STOP,
    "eos_token": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP_SEQUENCE,
    "error": FinishReason.ERROR,
}
_WORDS: dict[FinishReason, str] = {
    FinishReason.STOP: "stop",
    FinishReason.STOP_SEQUENCE: "stop",
    FinishReason.LENGTH: "length",
    FinishReason.TOOL_CALLS: "tool_calls",
    FinishReason.CONTENT_FILTER: "content_filter",
    FinishReason.REFUSAL: "content_filter",
    FinishReason.CONTEXT_LENGTH: "length",
    FinishReason.PAUSE: "stop",
    FinishReason.CANCELLED: "stop",
    # OpenAI has no word for it; OpenRouter's says what "stop" would hide.
    FinishReason.ERROR: "error",
    FinishReason.UNKNOWN: "stop",
}


def decode_finish(word: str) -> FinishReason:
    """Name the reason; a word nobody knows is UNKNOWN."""
    return _REASONS.get(word, FinishReason.UNKNOWN)


def encode_finish(reason: FinishReason | None, raw: str | None) -> str:
    """Write the reason with one of the words OpenAI's own clients accept."""
    if raw == "function_call" and reason is FinishReason.TOOL_CALLS:
        return raw
    return _WORDS[reason or FinishReason.UNKNOWN]
