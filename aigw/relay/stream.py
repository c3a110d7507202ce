"""What every relay is to the pump: bytes in, bytes out, and how it stands with the stream.

Owns the interface alone.
"""

from __future__ import annotations

from typing import Protocol

from aigw.errors import GatewayError
from aigw.model import Usage


class Relay(Protocol):
    """One stream on its way from provider to client.

    has_content: something of the answer itself has been seen (not only a role, or a comment).
    may_be_empty: the provider has properly finished, so no content is an answer too.
    ended: the terminal event has been fed, or an error; what comes after is not looked at.
    error: the failure that ended it, if one did; it has been told in the bytes already.
    """

    @property
    def has_content(self) -> bool: ...
    @property
    def may_be_empty(self) -> bool: ...
    @property
    def ended(self) -> bool: ...
    @property
    def error(self) -> GatewayError | None: ...
    @property
    def usage(self) -> Usage | None: ...

    def feed(self, chunk: bytes) -> bytes:
        """Take one read, return what to write, in whole frames. Raises GatewayError on what is no stream."""

    def close(self) -> bytes:
        """The provider's bytes have ended: return what is owed. Raises UpstreamError if they broke off."""

    def fail(self, error: GatewayError) -> bytes:
        """Return the frames that tell the client of a failure: the stream's one terminal event."""
