"""Why an answer ended, in this format's words."""

from __future__ import annotations

from aigw.model import FinishReason

_REASONS: dict[str, FinishReason] = {
    "end_turn": FinishReason.STOP,
    "max_tokens": FinishReason.LENGTH,
    "stop_sequence": FinishReason.STOP_SEQUENCE,
    "tool_use": FinishReason.TOOL_CALLS,
    "pause_turn": FinishReason.PAUSE,
    "refusal": FinishReason.REFUSAL,
    "model_context_window_exceeded": FinishReason.CONTEXT_LENGTH,
}
_WORDS: dict[FinishReason, str] = {reason: word for word, reason in _REASONS.items()} | {
    FinishReason.CONTENT_FILTER: "refusal",
    FinishReason.CANCELLED: "end_turn",
    FinishReason.ERROR: "end_turn",
    FinishReason.UNKNOWN: "end_turn",
}


def decode_finish(word: str) -> FinishReason:
    """Name the reason; a word nobody knows is UNKNOWN."""
    return _REASONS.get(word, FinishReason.UNKNOWN)


def encode_finish(reason: FinishReason | None, *, calls: bool = False, refused: bool = False) -> str:
    """Write the reason. calls, refused: the answer asks for tools, or holds words of refusal."""
    if reason in {None, FinishReason.STOP, FinishReason.UNKNOWN}:
        # A caller's loop looks here for tool calls to make, and some providers call every end a stop.
        if calls:
            return "tool_use"
        # OpenAI marks a refusal by the kind of its text alone, this format by the reason alone.
        if refused:
            return "refusal"
    return _WORDS[reason or FinishReason.UNKNOWN]
