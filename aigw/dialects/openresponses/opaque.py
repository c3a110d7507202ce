"""What other providers want back unchanged, in the one opaque field this format has.

A client of this format keeps a reasoning item's `encrypted_content` and sends it back. A value of its own
provider stands there bare. Anything else (Anthropic's signature, redacted thinking, several at once) is
packed with its kind: "aigw1+" and a JSON object of sealed values. Pure.
"""

from __future__ import annotations

from typing import Any

import orjson
from attrs import evolve

from aigw.dialects.fields import text_or_none
from aigw.dialects.openresponses.fields import NAME
from aigw.model import Reasoning
from aigw.model.seal import for_client, seal

_PACKED = "aigw1+"
_FIELDS = ("encrypted_content", "signature", "redacted")


def pack(item: Reasoning) -> str | None:
    """Return what a client is to keep of an item's opaque values; None where it has none."""
    values = {field: getattr(item, field) for field in _FIELDS if getattr(item, field)}
    if not values:
        return None
    if values.keys() == {"encrypted_content"}:
        return for_client(NAME, values["encrypted_content"])
    return _PACKED + orjson.dumps(values).decode()


def unpack(item: Reasoning, value: Any) -> Reasoning:
    """Give an item the opaque values that its `encrypted_content` holds, sealed."""
    text = text_or_none(value)
    if not text:
        return item
    if not text.startswith(_PACKED):
        return evolve(item, encrypted_content=seal(NAME, text))
    try:
        values = orjson.loads(text[len(_PACKED) :])
    except orjson.JSONDecodeError:
        values = None
    if not isinstance(values, dict):
        return evolve(item, encrypted_content=seal(NAME, text))
    found: dict[str, Any] = {
        field: seal(NAME, text) for field in _FIELDS if (text := text_or_none(values.get(field)))
    }
    return evolve(item, **found)
