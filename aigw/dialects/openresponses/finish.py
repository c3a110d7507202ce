"""Why an answer ended: `status` and `incomplete_details`, read and written."""

from __future__ import annotations

from attrs import frozen

from aigw.dialects.base import Tree
from aigw.dialects.fields import object_of, text_or_none
from aigw.model import FinishReason

_INCOMPLETE = "incomplete"
_REASONS = {"max_output_tokens": FinishReason.LENGTH, "content_filter": FinishReason.CONTENT_FILTER}
_WORDS = {
    FinishReason.LENGTH: "max_output_tokens",
    FinishReason.CONTEXT_LENGTH: "max_output_tokens",
    FinishReason.CONTENT_FILTER: "content_filter",
    FinishReason.REFUSAL: "content_filter",
}


@frozen
class Ending:
    """How this format tells an ending. reason: of an incomplete answer."""

    status: str
    reason: str | None = None

    @property
    def incomplete(self) -> bool:
        """The last item may be cut short."""
        return self.status == _INCOMPLETE

    @property
    def details(self) -> Tree | None:
        """The value of `incomplete_details`."""
        return None if self.reason is None else {"reason": self.reason}


def decode_finish(tree: Tree, *, has_calls: bool) -> tuple[FinishReason | None, str | None]:
    """Return the reason and the provider's own word for it; no reason while the answer is unfinished."""
    status = text_or_none(tree.get("status"))
    if status in {"queued", "in_progress"}:
        return None, None
    if status == "cancelled":
        return FinishReason.CANCELLED, status
    if status == _INCOMPLETE:
        word = text_or_none(object_of(tree.get("incomplete_details")).get("reason"))
        # A word born yesterday: marked, so that it goes back as what it was.
        known = _REASONS.get(word or "")
        return (known, word) if known else (FinishReason.UNKNOWN, f"{_INCOMPLETE}:{word or ''}")
    return FinishReason.TOOL_CALLS if has_calls else FinishReason.STOP, status


def encode_finish(reason: FinishReason | None, raw: str | None) -> Ending:
    """Say the reason in this format. A kind of ending it has no word for counts as completed."""
    if reason is FinishReason.UNKNOWN and raw is not None and raw.startswith(_INCOMPLETE + ":"):
        return Ending(_INCOMPLETE, raw.partition(":")[2] or None)
    if reason is FinishReason.CANCELLED:
        return Ending("cancelled")
    if reason is FinishReason.ERROR:
        return Ending("failed")
    word = _WORDS.get(reason) if reason is not None else None
    return Ending("completed") if word is None else Ending(_INCOMPLETE, word)
