"""A tool call's signature on a journey: inside the call's id, the one field every client sends back.

Gemini wants a call's thought signature back with the call. A client of another format has no field for
it, and many a client drops fields it does not know; but each one returns the id, on the call and on its
output, because the two are paired by it. So a client's id of a signed call is the provider's id and the
signature, both written in letters any API takes; both uses of the id are taken apart again. A call
without a signature keeps its id as it is. Pure.
"""

from __future__ import annotations

import base64
import binascii
import re

_MARK = "aigw1sig."
_PACKED = re.compile(r"aigw1sig\.([A-Za-z0-9_=-]*)\.([A-Za-z0-9_=-]+)")


def pack_call_id(call_id: str, signature: str | None) -> str:
    """Return the id a client is to see, in the letters A-Z a-z 0-9 _ . = - if it is a new one.

    signature: sealed.
    """
    if not signature:
        return call_id
    return f"{_MARK}{_write(call_id)}.{_write(signature)}"


def unpack_call_id(call_id: str) -> tuple[str, str | None]:
    """Return the provider's own id, and the sealed signature if the id carries one."""
    match = _PACKED.fullmatch(call_id) if call_id.startswith(_MARK) else None
    if match is None:
        return call_id, None
    try:
        return _read(match[1]), _read(match[2])
    except (binascii.Error, UnicodeDecodeError):
        return call_id, None


def _write(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


def _read(text: str) -> str:
    return base64.urlsafe_b64decode(text).decode()
