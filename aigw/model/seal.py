"""Opaque values on a journey: how a provider's signature survives a client of another format.

A thinking signature, encrypted reasoning or a thought signature means something only to the provider
that made it, and must come back to it unchanged in the next turn, whatever format the client speaks.
So a decoder seals such a value with its own dialect's name; an encoder of the same dialect opens it
again, and any other passes the sealed text on in whatever field its clients send back. A provider never
gets a value that another one sealed. Pure.

    seal("anthropic", "EqQB...")  ->  "aigw1.anthropic.EqQB..."
"""

from __future__ import annotations

import re

_PREFIX = "aigw1."
_SEALED = re.compile(r"aigw1\.([a-z_]+)\.(.*)", re.DOTALL)


MARKS = (b"aigw1", b"aigw-kept", b"YWlndzE6")
"""Byte strings one of which stands in every request that brings back a value sealed for its client.

The last one is the first in base64, for formats whose opaque fields are bytes.
"""


def seal(origin: str, value: str) -> str:
    """Mark an opaque value with the dialect it belongs to; one that is sealed already stays as it is."""
    return value if value.startswith(_PREFIX) else f"{_PREFIX}{origin}.{value}"


def unseal(origin: str, value: str) -> str | None:
    """Return the value as its provider wrote it; None if it belongs to another dialect.

    A value that was never sealed is its own provider's: it came from a client of the same format.
    """
    match = _SEALED.fullmatch(value)
    if match is None:
        return value
    return match[2] if match[1] == origin else None


def for_client(dialect: str, value: str) -> str:
    """Return what a client of this dialect is to keep: its own provider's value bare, any other sealed."""
    own = unseal(dialect, value)
    return value if own is None else own
