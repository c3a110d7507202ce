"""The one interface between providers and an HTTP client.

Owns what a transport must do, so that the client behind it can be changed without a word elsewhere.
"""

from __future__ import annotations

from typing import Protocol

from attrs import frozen
from multidict import CIMultiDict

from aigw.upstream.provider import Answer


@frozen
class TransportSettings:
    """How to reach one origin; `max_connections` 0 means no limit.

    proxy: URL of an HTTP proxy; may hold a password, so it is kept out of reprs.
    verify: False accepts any certificate (for one's own test servers only).
    """

    max_connections: int = 0
    keepalive_s: float = 15.0
    proxy: str | None = None
    verify: bool = True
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    server_name: str | None = None

    def __repr__(self) -> str:
        return f"TransportSettings(max_connections={self.max_connections}, verify={self.verify})"


class Transport(Protocol):
    """A pool of connections to one provider."""

    async def open(self) -> None:
        """Make the pool, in the running loop. Raises ConfigError when its TLS files cannot be used."""

    async def close(self) -> None:
        """Close every connection and wait until they are closed."""

    async def send(self, method: str, url: str, headers: CIMultiDict[str], body: bytes | None) -> Answer:
        """Send a request, wait for the head of the answer.

        Raises UpstreamError: UPSTREAM_UNREACHABLE when no byte of an answer came, UPSTREAM_PROTOCOL when
        what came is not HTTP. Cancelling it drops the connection.
        """
