"""Thinking: `thinking` and `redacted_thinking` blocks, read and written.

A provider takes back only thinking it has signed itself. A client is shown all there is, signed or not,
and keeps for us what must come back: see `opaque`.
"""

from __future__ import annotations

from aigw.dialects.anthropic.fields import NAME, keep, restore
from aigw.dialects.anthropic.opaque import ENCRYPTED, ID, IS_SUMMARY, SIGNATURE, pack, unpack
from aigw.dialects.base import Tree
from aigw.dialects.fields import text_of, text_or_none
from aigw.model import Reasoning
from aigw.model.seal import for_client, seal, unseal

_THINKING = frozenset(("type", "thinking", "signature"))
_REDACTED = frozenset(("type", "data"))
TEXT_JOINT = "\n\n"


def decode_thinking(tree: Tree) -> Reasoning:
    """Read a thinking block."""
    text = text_of(tree.get("thinking"))
    signature = text_of(tree.get("signature"))
    extras = keep(tree, _THINKING)
    texts = (text,) if text else ()
    kept = unpack(signature)
    if kept is None:
        return Reasoning(content=texts, signature=seal(NAME, signature) if signature else None, extras=extras)
    is_summary = kept.get(IS_SUMMARY) is True
    return Reasoning(
        summary=texts if is_summary else (),
        content=() if is_summary else texts,
        encrypted_content=text_or_none(kept.get(ENCRYPTED)),
        signature=text_or_none(kept.get(SIGNATURE)),
        id=text_or_none(kept.get(ID)),
        extras=extras,
    )


def decode_redacted(tree: Tree) -> Reasoning:
    """Read a redacted_thinking block."""
    data = text_of(tree.get("data"))
    kept = unpack(data)
    if kept is None:
        return Reasoning(redacted=seal(NAME, data) if data else None, extras=keep(tree, _REDACTED))
    return Reasoning(
        encrypted_content=text_or_none(kept.get(ENCRYPTED)),
        id=text_or_none(kept.get(ID)),
        extras=keep(tree, _REDACTED),
    )


def thinking_text(item: Reasoning) -> str:
    """Return the thinking in one text, or what a provider shows in its place."""
    return TEXT_JOINT.join(item.content or item.summary)


def client_signature(item: Reasoning) -> str:
    """Return what a client is to keep beside the thinking; empty if there is nothing."""
    if item.encrypted_content is None:
        return "" if item.signature is None else for_client(NAME, item.signature)
    kept: dict[str, str | bool] = {ENCRYPTED: item.encrypted_content}
    if item.signature is not None:
        kept[SIGNATURE] = item.signature
    if item.id is not None:
        kept[ID] = item.id
    if item.summary and not item.content:
        kept[IS_SUMMARY] = True
    return pack(kept)


def encode_for_client(item: Reasoning) -> list[Tree]:
    """Write the blocks that show this thinking, and keep its opaque values."""
    blocks: list[Tree] = []
    text, signature = thinking_text(item), client_signature(item)
    if text or item.signature is not None:
        blocks.append({"type": "thinking", "thinking": text, "signature": signature})
    elif signature:
        blocks.append({"type": "redacted_thinking", "data": signature})
    if item.redacted:
        blocks.append({"type": "redacted_thinking", "data": for_client(NAME, item.redacted)})
    if blocks:
        blocks[0] |= restore(item.extras)
    return blocks


def encode_for_provider(item: Reasoning) -> list[Tree]:
    """Write the blocks this provider gave; none if it did not, or if nothing proves it did."""
    blocks: list[Tree] = []
    signature = unseal(NAME, item.signature) if item.signature else None
    if signature:
        blocks.append({"type": "thinking", "thinking": thinking_text(item), "signature": signature})
    redacted = unseal(NAME, item.redacted) if item.redacted else None
    if redacted:
        blocks.append({"type": "redacted_thinking", "data": redacted})
    if blocks:
        blocks[0] |= restore(item.extras)
    return blocks
