"""A stream that is over before it began: an answer that was there at once, told as a stream.

Owns nothing but the bytes; there is no provider left that could say more, or fail.
"""

from __future__ import annotations

from aigw.errors import GatewayError
from aigw.model import Usage


class ToldRelay:
    """Gives its frames at the first asking."""

    def __init__(self, frames: bytes, usage: Usage | None = None) -> None:
        self.has_content = False
        self.may_be_empty = True
        self.ended = False
        self.error: GatewayError | None = None
        self.usage = usage
        self._frames = frames

    def feed(self, chunk: bytes) -> bytes:  # noqa: ARG002
        """Ignore what the provider says beyond its answer."""
        return self.close()

    def close(self) -> bytes:
        self.has_content = self.ended = True
        frames, self._frames = self._frames, b""
        return frames

    def fail(self, error: GatewayError) -> bytes:
        self.ended = True
        self.error = error
        return b""
