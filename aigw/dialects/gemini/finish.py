"""Why an answer ended, in Gemini's words. Calls end with STOP too, so the words alone do not say."""

from __future__ import annotations

from aigw.model import FinishReason

# The protocol's zero: it says that nothing has been said.
UNSPECIFIED = "FINISH_REASON_UNSPECIFIED"
_REASONS: dict[str, FinishReason] = {
    "STOP": FinishReason.STOP,
    "MAX_TOKENS": FinishReason.LENGTH,
    "SAFETY": FinishReason.CONTENT_FILTER,
    "RECITATION": FinishReason.CONTENT_FILTER,
    "BLOCKLIST": FinishReason.CONTENT_FILTER,
    "PROHIBITED_CONTENT": FinishReason.CONTENT_FILTER,
    "SPII": FinishReason.CONTENT_FILTER,
    "MODEL_ARMOR": FinishReason.CONTENT_FILTER,
    "IMAGE_SAFETY": FinishReason.CONTENT_FILTER,
    "IMAGE_PROHIBITED_CONTENT": FinishReason.CONTENT_FILTER,
    "IMAGE_RECITATION": FinishReason.CONTENT_FILTER,
    "JAILBREAK": FinishReason.CONTENT_FILTER,  # a block reason of prompts
    "MALFORMED_FUNCTION_CALL": FinishReason.ERROR,
    "UNEXPECTED_TOOL_CALL": FinishReason.ERROR,
    "TOO_MANY_TOOL_CALLS": FinishReason.ERROR,
    "MISSING_THOUGHT_SIGNATURE": FinishReason.ERROR,
    "MALFORMED_RESPONSE": FinishReason.ERROR,
    "LANGUAGE": FinishReason.ERROR,
    "NO_IMAGE": FinishReason.ERROR,
    "IMAGE_OTHER": FinishReason.ERROR,
    "CONTINUATION": FinishReason.PAUSE,
    "OTHER": FinishReason.UNKNOWN,
}
_WORDS: dict[FinishReason, str] = {
    FinishReason.STOP: "STOP",
    FinishReason.STOP_SEQUENCE: "STOP",
    FinishReason.TOOL_CALLS: "STOP",
    FinishReason.LENGTH: "MAX_TOKENS",
    FinishReason.CONTEXT_LENGTH: "MAX_TOKENS",
    FinishReason.CONTENT_FILTER: "SAFETY",
    FinishReason.REFUSAL: "SAFETY",
    FinishReason.PAUSE: "OTHER",
    FinishReason.CANCELLED: "OTHER",
    FinishReason.ERROR: "OTHER",
    FinishReason.UNKNOWN: "OTHER",
}


def decode_finish(word: str, *, with_calls: bool) -> FinishReason:
    """Name the reason; a word nobody knows is UNKNOWN."""
    reason = _REASONS.get(word, FinishReason.UNKNOWN)
    return FinishReason.TOOL_CALLS if with_calls and reason is FinishReason.STOP else reason


def encode_finish(reason: FinishReason | None, raw: str | None) -> str:
    """Write the reason: with the provider's own word where it is one of Gemini's, and fits."""
    if reason is None:
        return "STOP"
    if raw in _REASONS and raw != "JAILBREAK" and _REASONS[raw] is reason:
        return raw
    return _WORDS[reason]
