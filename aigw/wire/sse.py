"""Server-sent events as bytes: cutting a stream into frames, and writing one.

Owns framing alone: what a frame's data means is a dialect's business. Pure: bytes in, bytes or frames
out, no I/O. Source: WHATWG HTML, section "Server-sent events".

Two readers for two jobs. `SseFramer` parses frames for a decoder. `FrameAligner` only finds where a
frame ends, so that a relay can forward untouched bytes and never stop in the middle of one. Both are
linear however finely a frame is cut: pieces are kept in a list and joined once.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from aigw.errors import ProtocolError

MAX_FRAME_BYTES = 32 * 1024 * 1024
"""Longest frame accepted; a picture in base64 travels in one frame and takes several megabytes."""

_BOM = b"\xef\xbb\xbf"
# A CR at the very end may be half of a CRLF, unless the line before it ended in a bare CR too.
_NAMED = re.compile(rb"event: ([^\n]+)\ndata: ([^\n]*)")
_BLANK_LINE = re.compile(rb"(?:\r\n|\n|\r(?=[^\n])|(?<=\r)\r\Z){2}")


class SseFrame(NamedTuple):
    """One event of the stream. event: its name, if the stream gave one. data: lines joined by LF."""

    event: str | None
    data: bytes
    id: str | None = None


class FrameAligner:
    """Let whole frames through at once, and hold back the beginning of an unfinished one.

    empty: nothing is held back.
    """

    __slots__ = ("_held", "_held_bytes", "_last", "_max_frame_bytes", "empty")

    def __init__(self, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self._max_frame_bytes = max_frame_bytes
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._last = b""
        self.empty = True

    @property
    def tail(self) -> bytes:
        """What is held back: the beginning of a frame whose end has not come."""
        return b"".join(self._held)

    def feed(self, chunk: bytes) -> bytes:
        """Return everything up to and including the last blank line; the very same object if that is all.

        Raises ProtocolError when a frame passes the limit.
        """
        if self.empty and chunk.endswith((b"\n\n", b"\r\n\r\n")) and len(chunk) <= self._max_frame_bytes:
            return chunk
        end = self._last_frame_end(chunk)
        if not end:
            self._hold(chunk)
            return b""
        whole = b"".join([*self._held, chunk[:end]])
        self._held.clear()
        self.empty = True
        self._held_bytes = 0
        self._last = b""
        self._hold(chunk[end:])
        return whole

    def _last_frame_end(self, chunk: bytes) -> int:
        # Held bytes hold no blank line of their own, so two of them are context enough to see one
        # that the cut went through: "\r\n" before it and "\r\n" after it.
        window = self._last + chunk
        if b"\r" not in window:
            found = window.rfind(b"\n\n")
            return found + 2 - len(self._last) if found >= 0 else 0
        end = 0
        for match in _BLANK_LINE.finditer(window):
            end = match.end()
        return max(0, end - len(self._last))

    def _hold(self, piece: bytes) -> None:
        if not piece:
            return
        self._held_bytes += len(piece)
        if self._held_bytes > self._max_frame_bytes:
            raise ProtocolError(f"a frame of the event stream passes {self._max_frame_bytes} bytes")
        self._held.append(piece)
        self.empty = False
        self._last = (self._last + piece[-2:])[-2:]


class SseFramer:
    """Parse a stream of bytes, cut anywhere, into frames."""

    __slots__ = ("_after_cr", "_aligner")

    def __init__(self, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self._aligner = FrameAligner(max_frame_bytes)
        self._after_cr = False

    def feed(self, chunk: bytes) -> list[SseFrame]:
        """Return the frames this chunk completed. Raises ProtocolError when one passes the limit."""
        if not self._after_cr and self._aligner.empty and _is_one_line(chunk):
            return [SseFrame(None, chunk[6:-2], None)]
        if self._after_cr or b"\r" in chunk:
            chunk = self._with_lf_only(chunk)
        whole = self._aligner.feed(chunk)
        return split_frames(whole) if whole else []

    def close(self) -> list[SseFrame]:
        """Return the frame that the end of the stream left without its blank line, if one has data.

        The standard discards it. Some servers end on `data: [DONE]` and one line end, so the decoder
        decides: it must not take a frame that was cut short for a whole one.
        """
        return split_frames(self._aligner.tail)

    def _with_lf_only(self, chunk: bytes) -> bytes:
        if not chunk:
            return chunk
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
            self._after_cr = False
            if not chunk:
                return chunk
        self._after_cr = chunk.endswith(b"\r")
        return _lf_only(chunk)


def _is_one_line(chunk: bytes) -> bool:
    # Nearly every chunk of every provider is this one frame of one line.
    return (
        chunk.endswith(b"\n\n")
        and chunk.startswith(b"data: ")
        and chunk.find(b"\n") == len(chunk) - 2
        and b"\r" not in chunk
    )


def split_frames(data: bytes) -> list[SseFrame]:
    """Parse bytes that end where a frame ends, as a FrameAligner lets them through."""
    if b"\r" in data:
        data = _lf_only(data)
    frames = []
    for block in data.split(b"\n\n"):
        if block.startswith(b"data: ") and b"\n" not in block:
            frames.append(SseFrame(None, block[6:]))
        elif (match := _NAMED.fullmatch(block)) is not None:  # and of the others, these two
            frames.append(SseFrame(match[1].decode("utf-8", "replace"), match[2]))
        elif block and (frame := _parse_lines(block)) is not None:
            frames.append(frame)
    return frames


def cut_frames(data: bytes) -> list[bytes]:
    """Cut bytes that end where a frame ends into the raw frames they hold, each with its blank line."""
    if b"\r" not in data:
        return [piece + b"\n\n" for piece in data.split(b"\n\n")[:-1]]
    ends = [match.end() for match in _BLANK_LINE.finditer(data)]
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def encode_frame(data: bytes, event: str | None = None) -> bytes:
    """Write one frame. Data with line ends in it takes one `data:` line each."""
    head = b"" if event is None else b"event: " + event.encode() + b"\n"
    if b"\n" in data or b"\r" in data:
        data = _lf_only(data).replace(b"\n", b"\ndata: ")
    return head + b"data: " + data + b"\n\n"


def _lf_only(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _parse_lines(block: bytes) -> SseFrame | None:
    event: str | None = None
    frame_id: str | None = None
    lines: list[bytes] = []
    for line in block.removeprefix(_BOM).split(b"\n"):
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            lines.append(value)
        elif name == b"event":
            event = value.decode("utf-8", "replace") or None
        elif name == b"id":
            frame_id = value.decode("utf-8", "replace")
    return SseFrame(event, b"\n".join(lines), frame_id) if lines else None
