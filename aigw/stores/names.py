"""What an item's name tells of where it is kept. Pure.

The gateway names most items after their response: `msg_aigw` and so on, then what follows `resp_` in the
response's own name, then which item of it. A store finds those through the response, and need not write down
where they are. Every other name, a provider's or a client's, it has to.
"""

from __future__ import annotations

from collections.abc import Sequence

_RESPONSE = "resp_"
_MARK = "_aigw"
_BYTES = len(_MARK) + 48
"""Of the mark and a response's name behind it: 48 hexadecimal digits, where the gateway made that."""


def response_of(item_id: str) -> str | None:
    """Return the id of the response that an item's name tells; None where it tells none."""
    told = _told(item_id)
    is_whole = len(told) == _BYTES and told.startswith(_MARK)
    return _RESPONSE + told[len(_MARK) :] if is_whole else None


def not_named_after(response_id: str, item_ids: Sequence[str]) -> list[str]:
    """Return those of these items whose names do not tell that they are of this response."""
    own = _MARK + response_id.removeprefix(_RESPONSE)
    return [one for one in item_ids if _told(one) != own] if len(own) == _BYTES else [*item_ids]


def _told(item_id: str) -> str:
    start = item_id.find("_")
    return item_id[start : start + _BYTES]
