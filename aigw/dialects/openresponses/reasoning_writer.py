"""The model's thinking in a responses stream: summaries and texts told, opaque values kept for the end."""

from __future__ import annotations

from attrs import evolve

from aigw.dialects.base import Tree
from aigw.dialects.openresponses.item_writer import ItemWriter, Numbering
from aigw.model import Item, Reasoning, ReasoningDelta

# The kind of a delta, and the field of the item it adds to.
_OPAQUE = {"signature": "signature", "encrypted": "encrypted_content", "redacted": "redacted"}
# The specification's name for the thinking itself; OpenAI's own is "response.reasoning_text".
_EVENTS = {"content": "response.reasoning", "summary": "response.reasoning_summary_text"}
_PARTS = {"content": "response.content_part", "summary": "response.reasoning_summary_part"}
_TYPES = {"content": "reasoning_text", "summary": "summary_text"}


class ReasoningWriter(ItemWriter):
    """One item of thinking."""

    def __init__(self, item: Reasoning, response_id: str, place: int, numbering: Numbering) -> None:
        super().__init__(item, response_id, place, numbering)
        self._texts: dict[str, list[list[str]]] = {"summary": [], "content": []}
        self._opaque: dict[str, list[str]] = {}
        self._open: tuple[str, int] | None = None

    def add(self, event: ReasoningDelta) -> bytes:
        """Tell more of a text, or keep more of an opaque value."""
        if not event.text:
            return b""
        if event.kind in _OPAQUE:
            self._opaque.setdefault(_OPAQUE[event.kind], []).append(event.text)
            return b""
        start = b""
        if self._open != (event.kind, event.part):
            start = self.end_texts() + self._begin(event.kind, event.part)
        pieces = self._texts[event.kind]
        pieces[-1].append(event.text)
        at = _at(event.kind, len(pieces) - 1)
        return start + self.frame(f"{_EVENTS[event.kind]}.delta", **at, delta=event.text)

    def _begin(self, kind: str, part: int) -> bytes:
        self._open = (kind, part)
        self._texts[kind].append([])
        at = _at(kind, len(self._texts[kind]) - 1)
        return self.frame(f"{_PARTS[kind]}.added", **at, part={"type": _TYPES[kind], "text": ""})

    def end_texts(self) -> bytes:
        if self._open is None:
            return b""
        kind = self._open[0]
        self._open = None
        text = "".join(self._texts[kind][-1])
        at = _at(kind, len(self._texts[kind]) - 1)
        return self.frame(f"{_EVENTS[kind]}.done", **at, text=text) + self.frame(
            f"{_PARTS[kind]}.done", **at, part={"type": _TYPES[kind], "text": text}
        )

    def whole(self) -> Item:
        texts = {kind: tuple("".join(text) for text in all_) for kind, all_ in self._texts.items()}
        opaque = {field: "".join(pieces) for field, pieces in self._opaque.items()}
        return evolve(self.item, **texts, **opaque)  # type: ignore[arg-type]


def _at(kind: str, index: int) -> Tree:
    return {"summary_index" if kind == "summary" else "content_index": index}
