"""The same format on both sides: whole frames forwarded, only those with news looked into.

Owns the fast path. For each read it searches a few byte strings and forwards the very bytes it got; a
frame is parsed only if one of those strings stands in it, or until the first content has been seen.
Binary answers (audio) take the same path without frames.
"""

from __future__ import annotations

import contextlib

from aigw.dialects.base import Sighting, StreamGrammar
from aigw.errors import ErrorKind, GatewayError, ProtocolError, UpstreamError
from aigw.model import Usage
from aigw.wire.sse import FrameAligner, cut_frames, split_frames

# OpenAI writes this into every chunk when token counts were asked for. Inside a JSON string the quotes
# would be escaped, so these bytes can only be the field itself.
_NO_USAGE_YET = (b',"usage":null', b', "usage": null')


class PassthroughRelay:
    """Forward an event stream of the client's own format.

    hide_usage: token counts were asked for on the gateway's behalf; the client is not shown them.
    done_optional: a stream that has given a finish reason is whole even without its terminal mark.
    """

    def __init__(
        self,
        grammar: StreamGrammar,
        *,
        hide_usage: bool = False,
        done_optional: bool = False,
    ) -> None:
        self.has_content = False
        self.may_be_empty = False
        self.ended = False
        self.error: GatewayError | None = None
        self.usage: Usage | None = None
        self._grammar = grammar
        self._suspects = grammar.suspects
        self._hide_usage = hide_usage
        self._done_optional = done_optional
        self._aligner = FrameAligner()
        self._align = self._aligner.feed

    def feed(self, chunk: bytes) -> bytes:
        if self.ended:
            return b""
        whole = self._align(chunk)
        if not whole:
            return whole
        if self._hide_usage:
            for nothing in _NO_USAGE_YET:
                whole = whole.replace(nothing, b"")
        if not self.has_content:
            whole = self._inspect(whole, every_frame=True)
        else:
            for suspect in self._suspects:
                if suspect in whole:
                    whole = self._inspect(whole)
                    break
        return whole

    def close(self) -> bytes:
        if self.ended:
            return b""
        tail = self._aligner.tail
        if tail and self._ends_on(tail):
            return tail + b"\n\n"
        if self._done_optional and self.may_be_empty and not tail:
            self.ended = True
            return self._grammar.closing
        raise UpstreamError(
            "the provider's stream broke off before its end", kind=ErrorKind.UPSTREAM_TRUNCATED
        )

    def _ends_on(self, tail: bytes) -> bool:
        """Tell whether the bytes left over are the terminal event: some servers leave its blank line out."""
        with contextlib.suppress(ProtocolError):  # a frame that was cut short
            self._look(tail)
        return self.ended and self.error is None

    def fail(self, error: GatewayError) -> bytes:
        self.ended = True
        self.error = error
        return self._grammar.encode_error(error)

    def _inspect(self, whole: bytes, *, every_frame: bool = False) -> bytes:
        """Look into the frames that may hold news; return what of them the client is to see."""
        seen: list[bytes] = []
        for raw in cut_frames(whole):
            if every_frame or any(suspect in raw for suspect in self._suspects):
                sighting = self._look(raw)
                if sighting is not None and self._hide_usage and sighting.usage_only:
                    continue
            seen.append(raw)
            if self.ended:  # nothing goes out behind the terminal event
                break
        return whole if len(seen) == 1 and len(seen[0]) == len(whole) else b"".join(seen)

    def _look(self, raw: bytes) -> Sighting | None:
        frames = split_frames(raw)
        if not frames:  # a comment, or white space
            return None
        sighting = self._grammar.examine(frames[0].event, frames[0].data)
        self.has_content = self.has_content or sighting.content
        self.may_be_empty = self.may_be_empty or sighting.finished
        if sighting.usage is not None:
            # Anthropic tells the prompt's count at the beginning, and at the end that of the answer.
            self.usage = sighting.usage if self.usage is None else self.usage.updated(sighting.usage)
        if sighting.error is not None:
            self.error = sighting.error
        self.ended = sighting.terminal or sighting.error is not None
        return sighting


class BinaryRelay:
    """Forward bytes that are no event stream. A failure cannot be told in them: the connection is cut."""

    def __init__(self) -> None:
        self.has_content = False
        self.may_be_empty = True
        self.ended = False
        self.error: GatewayError | None = None
        self.usage: Usage | None = None

    def feed(self, chunk: bytes) -> bytes:
        self.has_content = True
        return chunk

    def close(self) -> bytes:
        self.ended = True
        return b""

    def fail(self, error: GatewayError) -> bytes:
        self.ended = True
        self.error = error
        return b""
