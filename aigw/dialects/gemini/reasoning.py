"""Thinking, as parts marked `thought: true`; one part holds one text and one signature."""

from __future__ import annotations

from attrs import evolve

from aigw.dialects.base import Tree
from aigw.dialects.gemini.signatures import Sign, SignatureKind
from aigw.model import Item, Reasoning


def opaque_of(item: Reasoning) -> list[tuple[SignatureKind, str]]:
    """Return what of a piece of thinking nobody can read, in the order it is written."""
    found: list[tuple[SignatureKind, str | None]] = [
        ("signature", item.signature),
        ("encrypted", item.encrypted_content),
        ("redacted", item.redacted),
    ]
    return [(kind, value) for kind, value in found if value]


def encode_reasoning(item: Reasoning, sign: Sign, path: str) -> list[Tree]:
    """Write thinking as parts: its texts, then its opaque values on the last text or on empty ones."""
    parts: list[Tree] = [{"text": text, "thought": True} for text in item.content or item.summary]
    for kind, value in opaque_of(item):
        written = sign(value, kind, path)
        if written is None:
            continue
        if not parts or "thoughtSignature" in parts[-1]:
            parts.append({"text": "", "thought": True})
        parts[-1]["thoughtSignature"] = written
    return parts


def extend(items: list[Item], more: Reasoning) -> bool:
    """Join a thought with the one before it, unless a signature has ended that; tell whether it joined."""
    last = items[-1]
    if not isinstance(last, Reasoning) or last.encrypted_content or last.redacted:
        return False
    if last.signature and (more.content or more.signature):
        return False
    items[-1] = evolve(
        last,
        content=last.content + more.content,
        signature=more.signature or last.signature,
        encrypted_content=more.encrypted_content,
        redacted=more.redacted,
    )
    return True
