"""How a request proves who sends it: an AWS signature (version 4), or a Bedrock API key.

Owns the choice of headers that are signed. Keys come from `aigw_bedrock.keys`; the algorithm is botocore's.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from botocore.auth import SigV4Auth  # type: ignore[import-untyped]
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from multidict import CIMultiDict

from aigw_bedrock.keys import AwsKeys, KeySource

LARGE_BODY_BYTES = 2**20
_GIVEN = ("Authorization", "X-Amz-Date", "X-Amz-Security-Token")


class Authority(Protocol):
    """Puts a credential into a request's headers."""

    async def authorize(self, url: str, service: str, headers: CIMultiDict[str], body: bytes) -> None:
        """Raises GatewayError where there is no credential to put."""

    async def close(self) -> None:
        """Stop whatever keeps the credential fresh."""


class Bearer:
    """A Bedrock API key. It is sent as it is, so only towards TLS or a server of one's own."""

    def __init__(self, key: str) -> None:
        self._key = key

    async def authorize(self, url: str, service: str, headers: CIMultiDict[str], body: bytes) -> None:  # noqa: ARG002
        headers["Authorization"] = f"Bearer {self._key}"

    async def close(self) -> None:
        """A key holds nothing."""


class SigV4:
    """Signs every request with AWS keys."""

    def __init__(self, keys: KeySource, region: str) -> None:
        keep_quiet()
        self._keys = keys
        self._region = region

    async def authorize(self, url: str, service: str, headers: CIMultiDict[str], body: bytes) -> None:
        keys = await self._keys.get()
        if len(body) > LARGE_BODY_BYTES:  # hashing some megabytes would keep all others waiting
            await asyncio.to_thread(sign, keys, self._region, service, url, headers, body)
        else:
            sign(keys, self._region, service, url, headers, body)

    async def close(self) -> None:
        await self._keys.close()


def sign(  # noqa: PLR0913, PLR0917 - a signature covers all of these
    keys: AwsKeys, region: str, service: str, url: str, headers: CIMultiDict[str], body: bytes
) -> None:
    """Sign a POST; the headers get Authorization, X-Amz-Date and X-Amz-Security-Token.

    Signed are host, content type and AWS's own headers, and no other: a proxy may add to the rest.
    """
    for name in (*_GIVEN, "X-Amz-Content-SHA256"):
        headers.popall(name, None)
    signed = {
        name: value
        for name, value in headers.items()
        if name.lower() == "content-type" or name.lower().startswith("x-amz-")
    }
    request = AWSRequest(method="POST", url=url, headers=signed, data=body)
    SigV4Auth(keys, service, region).add_auth(request)
    for name in _GIVEN:
        if name in request.headers:
            headers[name] = request.headers[name]


def keep_quiet() -> None:
    """Keep botocore from writing what it signs, session tokens among it, into a log of debug messages.

    Where somebody has set its level on purpose, that stands.
    """
    logger = logging.getLogger("botocore")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)
