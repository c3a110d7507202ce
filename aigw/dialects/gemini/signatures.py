"""Thought signatures: opaque proof of thinking, which must come back unchanged in the next turn.

A Gemini client has one field for it, `thoughtSignature`, which its SDK reads as base64 bytes. What
another provider sealed is kept there too, as base64 of "aigw1:kind:value", and recognised on its way back.
"""

from __future__ import annotations

import base64
import binascii
from typing import Literal, Protocol

from aigw.dialects.gemini.fields import NAME
from aigw.model.seal import for_client, seal, unseal

SignatureKind = Literal["signature", "encrypted", "redacted"]

# Google documents this value for calls that no Gemini model made, which Gemini 3 would refuse unsigned.
# Source: "Thought signatures", FAQ, Gemini API documentation, read 2026-11.
DUMMY = "skip_thought_signature_validator"
_DUMMIES = frozenset((DUMMY, base64.b64encode(DUMMY.encode()).decode()))

_MARK = b"aigw1:"
_MARK_BASE64 = base64.b64encode(_MARK).decode()  # six bytes: no padding, so any continuation keeps it
_KINDS: dict[str, SignatureKind] = {
    "signature": "signature",
    "encrypted": "encrypted",
    "redacted": "redacted",
}
_URL_SAFE = str.maketrans("-_", "+/")


class Sign(Protocol):
    """Write an opaque value for `thoughtSignature`; None when this reader must not get it."""

    def __call__(self, value: str, kind: SignatureKind, path: str) -> str | None: ...


def from_provider(value: object) -> str | None:
    """Seal a signature that Gemini gave."""
    return seal(NAME, value) if isinstance(value, str) and value else None


def from_client(value: object) -> tuple[SignatureKind, str] | None:
    """Read a signature a client sends back: Gemini's own bare, another provider's as it was sealed."""
    if not isinstance(value, str) or not value or value in _DUMMIES:
        return None
    if value.startswith(_MARK_BASE64):
        try:
            text = standard_bytes(value).decode()
        except ValueError:
            return "signature", value
        kind, _, inner = text[len(_MARK) :].partition(":")
        if kind in _KINDS and inner:
            return _KINDS[kind], inner
    return "signature", value


def for_gemini_client(value: str, kind: SignatureKind, path: str = "") -> str | None:
    """Write any opaque value so that a Gemini client can keep it."""
    del path
    own = for_client(NAME, value)
    if kind == "signature" and unseal(NAME, value) is not None and _is_base64(own):
        return own
    return base64.b64encode(_MARK + f"{kind}:{own}".encode()).decode()


def provider_sign(dropped: list[str]) -> Sign:
    """Return a writer of signatures for Gemini itself; what another provider sealed is told in `dropped`."""

    def sign(value: str, kind: SignatureKind, path: str) -> str | None:
        own = unseal(NAME, value) if kind == "signature" else None
        if own is None:
            dropped.append(f"{path}.encrypted_content" if kind == "encrypted" else f"{path}.{kind}")
        return own

    return sign


def standard_bytes(text: str) -> bytes:
    """Decode base64 of either alphabet, padded or not. Raises ValueError."""
    text = text.translate(_URL_SAFE)
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def standard_base64(text: str) -> str:
    """Return base64 in the standard alphabet, which is all that most providers read."""
    return text.translate(_URL_SAFE) if "-" in text or "_" in text else text


def _is_base64(text: str) -> bool:
    try:
        standard_bytes(text)
    except (binascii.Error, ValueError):
        return False
    return True
