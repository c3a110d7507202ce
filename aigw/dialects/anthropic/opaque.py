"""Opaque values of other providers, kept by clients of this format, and this format's own.

Clients return two things untouched: the `signature` of a thinking block and the `data` of a
redacted_thinking block. A signature of thinking travels in the first as it is. All else that must come
back is packed into one of the two: encrypted reasoning with its id, and the signature of a text, which
has no field of its own here and goes into a redacted_thinking block right before the text. (A tool
call's is kept in its id.) So unpacked on the way back, a provider gets what it gave. Pure.
"""

from __future__ import annotations

import base64
import binascii

import orjson

from aigw.dialects.base import Tree

_PACKED = "aigw-kept."

ENCRYPTED = "encrypted"
SIGNATURE = "signature"
ID = "id"
IS_SUMMARY = "summary"
# The value belongs to the text that follows.
OF_TEXT = "text"


def pack(values: dict[str, str | bool]) -> str:
    """Return one opaque text that holds these values."""
    return _PACKED + base64.urlsafe_b64encode(orjson.dumps(values)).decode()


def unpack(text: str) -> Tree | None:
    """Return the values a text holds; None if it is no packed text."""
    if not text.startswith(_PACKED):
        return None
    try:
        tree = orjson.loads(base64.urlsafe_b64decode(text[len(_PACKED) :]))
    except (binascii.Error, ValueError):
        return None
    return tree if isinstance(tree, dict) else None


def carrier(signature: str) -> Tree:
    """Return the block that carries the signature of the text behind it, or of an empty text."""
    return {"type": "redacted_thinking", "data": pack({OF_TEXT: signature})}


def carried(block: Tree) -> str | None:
    """Return the signature a block carries, if that is what it is for."""
    data = block.get("data")
    if block.get("type") != "redacted_thinking" or not isinstance(data, str):
        return None
    signature = (unpack(data) or {}).get(OF_TEXT)
    return signature if isinstance(signature, str) else None
