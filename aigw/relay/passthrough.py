"""The same format on both sides: whole frames forwarded, only those with news looked into.

Owns the fast path. For each read it searches a few byte strings and forwards the very bytes it got; a
frame is parsed only if one of those strings stands in it, until the first content has been seen, and when a
read does not end as an object does. So a frame that was cut, or is a page or a plain word, ends the stream
with an error; one that is broken and ends with a brace, or has whole ones behind it in the same read, passes.
Binary answers (audio) take the same path without frames.
"""

from __future__ import annotations

import contextlib

from aigw.dialects.base import Mend, Passed, Sighting, StreamGrammar
from aigw.errors import ErrorKind, GatewayError, ProtocolError, UpstreamError
from aigw.model import Usage
from aigw.wire.sse import FrameAligner, cut_frames, split_frames

# OpenAI writes this into every chunk when token counts were asked for. Inside a JSON string the quotes
# would be escaped, so these bytes can only be the field itself.
_NO_USAGE_YET = (b',"usage":null', b', "usage": null')

_COLON = ord(":")

# How a read ends whose last frame holds an object, as nearly all do; one that was cut does not.
_CLOSED, _CLOSED_CRLF = b"}", b"}\r\n\r\n"


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
        self._is_begun = grammar.mender is None
        self._mend: Mend | None = None
        # What a failure is told from: two references, nothing is parsed before there is one.
        self._begun = self._last = b""

    def feed(self, chunk: bytes) -> bytes:
        if self.ended:
            return b""
        whole = self._align(chunk)
        if not whole:
            return whole
        if self._hide_usage:
            whole = _without_nulls(whole)
        if not self.has_content:
            whole = self._inspect(self._begin(whole), every_frame=True)
        elif whole[-3:-2] == _CLOSED or whole.endswith(_CLOSED_CRLF):
            find = whole.find  # it takes two thirds of the time of `in`
            for suspect in self._suspects:
                if find(suspect) >= 0:
                    whole = self._inspect(whole)
                    break
            else:
                if whole[0] != _COLON:
                    self._last = whole
                    return whole
        else:  # it ends on no object: a mark, a comment, or what its client could not read
            whole = self._inspect(whole, every_frame=True)
        if whole and (whole[0] != _COLON or b"\ndata" in whole):  # more than a comment
            self._last = whole
        return whole

    def _begin(self, whole: bytes) -> bytes:
        """Decide by its first frames whether this stream is written as its format wants; mend it if not."""
        mender = self._grammar.mender
        if self._is_begun or mender is None or b"data" not in whole:
            return whole
        self._is_begun = True
        self._mend = mender(whole)
        if self._mend is None:
            return whole
        self._align = self._align_mended
        return self._mend(whole)

    def _align_mended(self, chunk: bytes) -> bytes:
        whole = self._aligner.feed(chunk)
        return self._mend(whole) if whole and self._mend is not None else whole

    def close(self) -> bytes:
        if self.ended:
            return b""
        tail = self._aligner.tail
        if tail and self._ends_on(tail):
            whole = tail + b"\n\n"
            if self._mend is not None:
                whole = self._mend(tail.rstrip(b"\r\n") + b"\n\n")
            return whole + self._grammar.behind_end
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
        if self._grammar.encode_failure is None:
            return self._grammar.encode_error(error)
        return self._grammar.encode_failure(error, Passed(self._begun, self._last))

    def _inspect(self, whole: bytes, *, every_frame: bool = False) -> bytes:
        """Look into the frames that may hold news; return what of them the client is to see."""
        seen: list[bytes] = []
        frames = cut_frames(whole)
        for number, raw in enumerate(frames, 1):
            sighting = None
            if every_frame or any(suspect in raw for suspect in self._suspects):
                sighting = self._look(raw)
                if sighting is not None and self._hide_usage and sighting.usage_only:
                    continue
            seen.append(raw)
            if self.ended and sighting is not None:  # nothing the provider says goes out behind its end
                seen += self._end(sighting, seen, frames[number:])
                break
        return whole if len(seen) == 1 and len(seen[0]) == len(whole) else b"".join(seen)

    def _end(self, sighting: Sighting, seen: list[bytes], behind: list[bytes]) -> list[bytes]:
        """Return what the client is to see behind the frame that has ended the stream.

        seen: the frames of this read up to that one; a failure that is told anew is taken out of it.
        behind: those that came after it. Nothing is waited for.
        """
        error, encode = self.error, self._grammar.encode_failure
        if error is None or encode is None or not (sighting.to_be_repeated or sighting.to_be_retold):
            return [self._grammar.behind_end] if self._grammar.behind_end else []
        if sighting.to_be_retold:
            seen.pop()
        last = b"".join([self._last, *seen])
        told = sighting.to_be_repeated
        return [encode(error, Passed(self._begun, last, told=told, end=self._own_end(behind)))]

    def _own_end(self, frames: list[bytes]) -> bytes:
        """Return the frame in which the provider itself repeats its failure, if it is one of these."""
        for raw in frames:
            for event, data, _ in split_frames(raw):
                with contextlib.suppress(ProtocolError):
                    sighting = self._grammar.examine(event, data)
                    if sighting.error is not None:
                        return b"" if sighting.to_be_repeated or sighting.to_be_retold else raw
        return b""

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
        if sighting.begun:
            self._begun = frames[0].data
        if sighting.error is not None:
            self.error = sighting.error
        self.ended = sighting.terminal or sighting.error is not None
        return sighting


def _without_nulls(whole: bytes) -> bytes:
    for nothing in _NO_USAGE_YET:
        whole = whole.replace(nothing, b"")
    return whole


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
