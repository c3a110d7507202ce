"""Static API keys: a key in the configuration, or its hash, names a tenant and its models.

Owns the comparison. A key is hashed when it comes in and looked up by its digest, so the time it takes
says nothing of how much of a key was right.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from aigw.config import KeyConfig
from aigw.pipeline.exchange import Exchange, Identity, credential_of


class StaticKeys:
    """Authenticate by the keys in `[auth] keys`."""

    name = "keys"

    def __init__(self, keys: Sequence[KeyConfig]) -> None:
        self._identities = {
            bytes.fromhex(key.digest.lower().removeprefix("sha256:")): Identity(
                key.tenant, key.name, key.models, is_admin=key.admin
            )
            for key in keys
        }

    async def authenticate(self, exchange: Exchange) -> Identity | None:
        credential = credential_of(exchange.request)
        if credential is None:
            return None
        return self._identities.get(sha256(credential.encode("utf-8", "surrogateescape")).digest())
