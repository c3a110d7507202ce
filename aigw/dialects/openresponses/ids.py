"""Names of items that their provider gave none, as this format wants one on each.

Made of the answer's own id and the item's place, so that the same answer always reads the same. They
mean nothing to anybody: on the way back they are taken off again, or a provider would look them up.
"""

from __future__ import annotations

import hashlib

_MARK = "_aigw"
_RESPONSE = "resp_"
_PREFIXES = ("msg", "fc", "ctc", "rs", "fco", "ctco")
_OURS = tuple(prefix + _MARK for prefix in _PREFIXES)


def synthetic_item_id(prefix: str, response_id: str | None, index: int) -> str:
    """Name the item number `index` of an answer. prefix: the one OpenAI gives items of its type."""
    if response_id is not None and response_id.startswith(_RESPONSE):
        return f"{prefix}{_MARK}{response_id.removeprefix(_RESPONSE)}{index:02x}"  # in the order of responses
    digest = hashlib.blake2b(f"{response_id}/{index}".encode(), digest_size=12).hexdigest()
    return f"{prefix}{_MARK}{digest}"


def own_id(value: object) -> str | None:
    """Return an id that its provider gave; None for one of ours, and for what is no id."""
    if not isinstance(value, str) or not value or value.startswith(_OURS):
        return None
    return value
