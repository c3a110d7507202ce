"""What providers want back unchanged, in the fields this format has for it.

A provider of this format is sent its own values bare, and no others. A client keeps any provider's:
thinking in `reasoning_details`, one entry a text or value with its item's number as `id`, and the
signature of a tool call inside the call's id, since many a client drops fields it does not know.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import evolve, frozen

from aigw.dialects.base import Tree
from aigw.dialects.call_ids import pack_call_id
from aigw.dialects.fields import int_or_none, object_of, text_of
from aigw.dialects.openai_chat.fields import NAME, REASONING_DETAILS
from aigw.model import FunctionCall, Reasoning
from aigw.model.seal import for_client, seal, unseal

# OpenRouter's details name the format of their values; this one is ours.
_FORMAT = "aigw-v1"
_TEXT, _SUMMARY, _ENCRYPTED = "reasoning.text", "reasoning.summary", "reasoning.encrypted"
OPAQUE_FIELDS = ("signature", "encrypted_content", "redacted")


@frozen
class Reader:
    """Who reads what is written. details: `reasoning_details` of one item, the number of which is given."""

    details: Callable[[Reasoning, int], list[Any]]
    call_id: Callable[[FunctionCall], str]


def is_own(item: Reasoning) -> bool:
    """Say whether a provider of this format has made one of the item's opaque values."""
    return any(value is not None and unseal(NAME, value) is not None for value in _values(item))


def is_foreign(item: Reasoning) -> bool:
    """Say whether another provider has made one of the item's opaque values."""
    return any(value is not None and unseal(NAME, value) is None for value in _values(item))


def _values(item: Reasoning) -> tuple[str | None, ...]:
    return (item.signature, item.encrypted_content, item.redacted)


def seal_own(item: Reasoning) -> Reasoning:
    """Mark the opaque values of an item as this format's."""
    sealed: dict[str, Any] = {
        field: seal(NAME, value)
        for field, value in zip(OPAQUE_FIELDS, _values(item), strict=True)
        if value is not None
    }
    return evolve(item, **sealed) if sealed else item


def _for_client(item: Reasoning, number: int) -> list[Any]:
    """Write details a client is to keep: what came in them, or all of an item with opaque values."""
    known = item.extras.get(REASONING_DETAILS)
    if isinstance(known, list):
        return known
    if is_foreign(item):
        return _portable(item, number)
    return _for_provider(item, number)


def _for_provider(item: Reasoning, _number: int) -> list[Any]:
    known = item.extras.get(REASONING_DETAILS)
    if isinstance(known, list):
        return known
    signature, encrypted, redacted = [None if v is None else unseal(NAME, v) for v in _values(item)]
    details: list[Any] = []
    if signature is not None:
        details.append({"type": _TEXT, "text": "".join(item.content), "signature": signature})
    if encrypted is not None:
        details.append({"type": _ENCRYPTED, "data": encrypted})
    if redacted is not None:
        details.append({"type": _ENCRYPTED, "data": redacted, "redacted": True})
    return details


def _portable(item: Reasoning, number: int) -> list[Any]:
    found: list[Tree] = [{"type": _SUMMARY, "summary": text} for text in item.summary]
    texts: list[Tree] = [{"type": _TEXT, "text": text} for text in item.content]
    if item.signature is not None:
        texts = texts or [{"type": _TEXT, "text": None}]
        texts[-1]["signature"] = for_client(NAME, item.signature)
    found += texts
    if item.encrypted_content is not None:
        found.append({"type": _ENCRYPTED, "data": for_client(NAME, item.encrypted_content)})
    if item.redacted is not None:
        found.append({"type": _ENCRYPTED, "data": for_client(NAME, item.redacted), "redacted": True})
    # An index of its own for each, so that nobody who joins pieces of a stream joins two of them.
    return [
        {**detail, "id": f"{_FORMAT}-{number}", "format": _FORMAT, "index": 1000 * number + place}
        for place, detail in enumerate(found)
    ]


def is_portable(details: list[Any]) -> bool:
    """Say whether these details are of our making."""
    return any(object_of(detail).get("format") == _FORMAT for detail in details)


def items_from(details: list[Any]) -> list[Reasoning]:
    """Read the items that a client was given to keep."""
    groups: dict[str, list[Tree]] = {}
    for detail in map(object_of, details):
        if detail.get("format") == _FORMAT:
            groups.setdefault(text_of(detail.get("id")), []).append(detail)
    return [_item_from(sorted(group, key=_index)) for group in groups.values()]


def _index(detail: Tree) -> int:
    return int_or_none(detail.get("index")) or 0


def _item_from(details: list[Tree]) -> Reasoning:
    def texts(kind: str, field: str) -> tuple[str, ...]:
        return tuple(d[field] for d in details if d.get("type") == kind and isinstance(d.get(field), str))

    def data(*, redacted: bool) -> str | None:
        own = [d for d in details if (d.get("redacted") is True) == redacted]
        return next((d["data"] for d in own if isinstance(d.get("data"), str)), None)

    signatures = texts(_TEXT, "signature")
    item = Reasoning(
        summary=texts(_SUMMARY, "summary"),
        content=texts(_TEXT, "text"),
        signature=signatures[-1] if signatures else None,
        encrypted_content=data(redacted=False),
        redacted=data(redacted=True),
    )
    return seal_own(item)


TO_CLIENT = Reader(_for_client, lambda call: pack_call_id(call.call_id, call.signature))
TO_PROVIDER = Reader(_for_provider, lambda call: call.call_id)
