"""The model's thinking, which OpenAI's own chat format hides and its relatives show in three ways.

`reasoning_content` (DeepSeek, vLLM, Qwen), `reasoning` (OpenRouter, Groq, Ollama), and OpenRouter's
`reasoning_details`, the only one that holds signatures. All are written back as they came, since
providers want the thinking returned unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import evolve

from aigw.dialects.base import Tree
from aigw.dialects.fields import list_of, object_of, text_of
from aigw.dialects.openai_chat.fields import REASONING_DETAILS, REASONING_FIELDS
from aigw.dialects.openai_chat.opaque import Reader, is_portable, items_from, seal_own
from aigw.model import Extras, Reasoning, ReasoningDelta

TEXT_FIELDS = ("reasoning_content", "reasoning")
FIELDS = frozenset((*TEXT_FIELDS, "reasoning_details"))
DEFAULT_FIELD = "reasoning_content"


def read_texts(tree: Tree) -> tuple[str, str]:
    """Return the text a message or delta holds, and the fields it stood in, joined by a comma."""
    told = [field for field in TEXT_FIELDS if isinstance(tree.get(field), str) and tree[field]]
    # The first delta of a stream may hold details alone, and its text fields be empty.
    fields = told or [field for field in TEXT_FIELDS if field in tree]
    return tree[told[0]] if told else "", ",".join(fields)


def decode_reasoning(tree: Tree) -> list[Reasoning]:
    """Read the thinking of a whole message: one item, unless a client brings several back."""
    text, fields = read_texts(tree)
    details = list_of(tree.get("reasoning_details"))
    if is_portable(details):
        return items_from(details)
    # DeepSeek insists on the field in what it is sent back, even empty.
    empty = any(tree.get(field) == "" for field in TEXT_FIELDS)
    if not text and not details and not empty:
        return []
    extras: Extras = {REASONING_FIELDS: fields}
    if details:
        extras[REASONING_DETAILS] = details
    summaries = _details(details, "reasoning.summary", "summary")
    texts = (text,) if text or not details else _details(details, "reasoning.text", "text")
    item = Reasoning(
        summary=() if text else summaries,
        content=texts,
        signature="".join(_details(details, "reasoning.text", "signature")) or None,
        encrypted_content=_encrypted(details, redacted=False),
        redacted=_encrypted(details, redacted=True),
        extras=extras,
    )
    return [seal_own(item)]


def _details(details: list[Any], kind: str, field: str) -> tuple[str, ...]:
    found = (object_of(detail) for detail in details)
    return tuple(text_of(d.get(field)) for d in found if d.get("type") == kind and d.get(field))


def _encrypted(details: list[Any], *, redacted: bool) -> str | None:
    own = [d for d in map(object_of, details) if (d.get("redacted") is True) == redacted]
    return "".join(_details(own, "reasoning.encrypted", "data")) or None


def encode_reasoning(items: Sequence[Reasoning], reader: Reader) -> Tree:
    """Write the thinking of one message, in the fields it came in."""
    tree: Tree = {}
    details: list[Any] = []
    for number, item in enumerate(items):
        text = "".join(item.content) or "\n\n".join(item.summary)
        fields = item.extras.get(REASONING_FIELDS, DEFAULT_FIELD)
        for field in fields.split(",") if fields and (item.content or item.summary) else ():
            tree[field] = tree.get(field, "") + text
        details.extend(reader.details(item, number))
    if details:
        tree["reasoning_details"] = merge_details(details)
    return tree


class ReasoningDraft:
    """An item of thinking put together from its deltas; kept for the opaque values it may end with."""

    def __init__(self, item: Reasoning) -> None:
        self._skeleton = item
        self._pieces: dict[tuple[str, int], list[str]] = {}

    def add(self, event: ReasoningDelta) -> None:
        """Take one delta."""
        if event.text:
            self._pieces.setdefault((event.kind, event.part), []).append(event.text)

    def item(self) -> Reasoning:
        """Return what has come."""
        known = self._skeleton
        return evolve(
            known,
            summary=known.summary + self._texts("summary"),
            content=known.content + self._texts("content"),
            signature=self._joined("signature") or known.signature,
            encrypted_content=self._joined("encrypted") or known.encrypted_content,
            redacted=self._joined("redacted") or known.redacted,
        )

    def _texts(self, kind: str) -> tuple[str, ...]:
        return tuple("".join(pieces) for (known, _), pieces in sorted(self._pieces.items()) if known == kind)

    def _joined(self, kind: str) -> str:
        return "".join(self._texts(kind))


def merge_details(details: list[Any]) -> list[Any]:
    """Join the pieces a stream cut: neighbours of one type and index are one detail.

    Texts are appended, and any other field keeps its last value.
    """
    merged: list[Any] = []
    for detail in details:
        last: Any = merged[-1] if merged else None
        if not _continues(last, detail):
            merged.append(dict(detail) if isinstance(detail, dict) else detail)
            continue
        for key, value in detail.items():
            if key in {"text", "summary", "data"} and isinstance(last.get(key), str):
                last[key] += text_of(value)
            elif value or key not in last:
                last[key] = value
    return merged


def _continues(last: Any, detail: Any) -> bool:
    if not isinstance(last, dict) or not isinstance(detail, dict):
        return False
    # Without an index nothing says that two details were ever one.
    if detail.get("index") is None or last.get("signature"):
        return False
    return all(last.get(key) == detail.get(key) for key in ("type", "index"))
