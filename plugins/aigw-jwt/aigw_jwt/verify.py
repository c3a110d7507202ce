"""From a credential to the claims of a verified token.

Owns what looks like a token, every check of it, the words for each failure, and the cache of tokens
already verified. A message never holds the token.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import time
from typing import Any

import jwt
import orjson
from attrs import frozen
from jwt.exceptions import (
    DecodeError,
    ExpiredSignatureError,
    ImmatureSignatureError,
    InvalidAudienceError,
    InvalidIssuedAtError,
    InvalidIssuerError,
    InvalidSignatureError,
    InvalidTokenError,
    MissingRequiredClaimError,
    PyJWTError,
)

from aigw.errors import ClientError, ErrorKind
from aigw_jwt.config import JwtConfig
from aigw_jwt.keys import Header

MAX_TOKEN_CHARS = 16 * 1024

Claims = dict[str, Any]

_SHAPE = re.compile(r"([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")

# The most specific first: they are subclasses of each other.
_REASONS: tuple[tuple[type[PyJWTError], str], ...] = (
    (ExpiredSignatureError, "it has expired (exp)"),
    (ImmatureSignatureError, "it is not valid yet (nbf or iat)"),
    (InvalidIssuedAtError, "its iat is no time"),
    (InvalidAudienceError, "it is made for another audience (aud)"),
    (InvalidIssuerError, "it comes from another issuer (iss)"),
    (InvalidSignatureError, "its signature is wrong"),
    (DecodeError, "it cannot be decoded"),
    (InvalidTokenError, "one of its claims is not as it must be"),
)


def read_header(credential: str) -> Header | None:
    """Return a token's header, unverified; None for a credential that is no JWT at all."""
    shape = _SHAPE.fullmatch(credential) if len(credential) <= MAX_TOKEN_CHARS else None
    if shape is None:
        return None
    head = shape[1]
    try:
        header = orjson.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (binascii.Error, ValueError):
        return None
    return header if isinstance(header, dict) and isinstance(header.get("alg"), str) else None


def refused(reason: str) -> ClientError:
    """Return the 401 for a token."""
    return ClientError(f"the token is refused: {reason}", kind=ErrorKind.AUTHENTICATION)


@frozen
class Verifier:
    """All that is checked of a token once its key is found."""

    config: JwtConfig

    def check_algorithm(self, header: Header) -> None:
        """Raise ClientError unless the token's algorithm is on the list: before any key is touched."""
        if header["alg"] not in self.config.algorithms:
            seen = str(header["alg"])[:16]
            raise refused(f'it is signed with "{seen}", wanted {" or ".join(self.config.algorithms)}')

    def verify(self, token: str, header: Header, key: Any) -> Claims:
        """Return the claims of a good token. Raises ClientError with the reason."""
        config = self.config
        try:
            claims: Claims = jwt.decode(
                token,
                key,
                algorithms=[header["alg"]],
                audience=config.audiences or None,
                issuer=config.issuers or None,
                leeway=config.leeway_s,
                options={
                    "require": list(config.required),
                    "verify_aud": bool(config.audiences),
                    "verify_iss": bool(config.issuers),
                    "verify_sub": False,
                    "verify_jti": False,
                },
            )
        except MissingRequiredClaimError as error:
            raise refused(f'it has no claim "{error.claim}"') from None
        except PyJWTError as error:
            reason = next((text for kind, text in _REASONS if isinstance(error, kind)), "it is not valid")
            raise refused(reason) from None
        except (TypeError, ValueError, OverflowError):
            raise refused("it does not fit the key") from None
        return claims


class Cache:
    """Verified tokens by their SHA-256.

    A client sends the same token with each request, and a signature costs 30 to 150 microseconds of the
    loop's time. The hash is kept, not the token. No entry outlives the token, nor `cache_s`; the oldest
    goes when there are too many, and all of them when the keys change.
    """

    def __init__(self, config: JwtConfig) -> None:
        self._seconds = config.cache_s
        self._size = config.cache_size
        self._leeway_s = config.leeway_s
        self._known: dict[bytes, tuple[float, Claims]] = {}

    def get(self, token: str) -> Claims | None:
        """Return the claims of a token that was verified not long ago and has not expired since."""
        found = self._known.get(_digest(token))
        return found[1] if found is not None and time.time() < found[0] else None

    def put(self, token: str, claims: Claims) -> None:
        now = time.time()
        expires_at = claims.get("exp")
        until = now + self._seconds
        if isinstance(expires_at, int | float):
            until = min(until, expires_at + self._leeway_s)
        if until <= now:
            return
        while len(self._known) >= self._size:
            del self._known[next(iter(self._known))]
        self._known[_digest(token)] = (until, claims)

    def clear(self) -> None:
        self._known.clear()

    def __len__(self) -> int:
        return len(self._known)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
