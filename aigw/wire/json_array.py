"""A streamed JSON array as bytes: cutting `[{...}, {...}]` into its elements, and writing one.

Owns framing alone: it finds where an object ends and does not parse it. Pure: bytes in, bytes out, no
I/O. Linear however finely an element is cut: what has been looked at is not looked at again.
"""

from __future__ import annotations

import re

from aigw.errors import ProtocolError

MAX_ELEMENT_BYTES = 32 * 1024 * 1024
"""Longest element accepted; a picture in base64 travels in one and takes several megabytes."""

_TOKEN = re.compile(rb'["{}\[\]]')
# What stands between two marks of structure inside an element, whole strings included.
_RUN = re.compile(rb'(?:[^"{}\[\]]++|"(?:[^"\\]++|\\.)*+")*+', re.DOTALL)
# The rest of a string, without its quote; a backslash at the very end stays for what follows.
_STRING = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
_BETWEEN = re.compile(rb"[\s,]*", re.ASCII)
_BOM = b"\xef\xbb\xbf"


class JsonArrayReader:
    """Parse a stream of bytes, cut anywhere, into the objects of one array.

    closed: the array's own end has come. unfinished: an element has begun whose end has not come.
    """

    __slots__ = (
        "_depth",
        "_escaped",
        "_held",
        "_held_bytes",
        "_in_string",
        "_inside",
        "_max_bytes",
        "closed",
    )

    def __init__(self, max_element_bytes: int = MAX_ELEMENT_BYTES) -> None:
        self._max_bytes = max_element_bytes
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._depth = 0
        self._inside = False
        self._in_string = False
        self._escaped = False
        self.closed = False

    @property
    def unfinished(self) -> bool:
        return self._depth > 1

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the elements this chunk completed.

        Raises ProtocolError when one passes the limit, or the bytes are no array of objects.
        """
        elements: list[bytes] = []
        start = position = 0
        while position < len(chunk):
            if self._in_string:
                position = self._skip_string(chunk, position)
                continue
            end = self._next_mark(chunk, position)
            if end == len(chunk):
                break
            position = end + 1
            if self._step(chunk[end:position]):
                start = end
            elif self._depth == 1 and self._inside:
                self._inside = False
                self._hold(chunk[start:position])
                elements.append(b"".join(self._held))
                self._held.clear()
                self._held_bytes = 0
        if self._depth > 1:
            self._hold(chunk[start:])
        return elements

    def _next_mark(self, chunk: bytes, position: int) -> int:
        """Return where the next mark of structure stands, or the end of the chunk."""
        if self._inside:
            run = _RUN.match(chunk, position)
            return position if run is None else run.end()
        token = _TOKEN.search(chunk, position)
        end = len(chunk) if token is None else token.start()
        self._check_between(chunk[position:end])
        return end

    def _skip_string(self, chunk: bytes, position: int) -> int:
        if self._escaped:
            self._escaped = False
            position += 1
        match = _STRING.match(chunk, position)
        end = match.end() if match is not None else position
        if end == len(chunk):
            return end
        if chunk[end : end + 1] == b'"':
            self._in_string = False
        else:
            self._escaped = True
        return end + 1

    def _step(self, token: bytes) -> bool:
        """Take one mark of structure; tell whether an element begins with it."""
        if self.closed or (self._depth == 0 and token != b"[") or (self._depth == 1 and token not in b"{]"):
            raise ProtocolError(f"expected an array of JSON objects, got {token.decode()}")
        if token == b'"':
            self._in_string = True
        elif token in b"{[":
            self._depth += 1
            self._inside = self._depth > 1
            return self._depth == 2
        else:
            self._depth -= 1
            self.closed = self._depth == 0
        return False

    def _check_between(self, between: bytes) -> None:
        if self._depth == 0 and not self.closed:
            between = between.removeprefix(_BOM)
        if not _BETWEEN.fullmatch(between):
            raise ProtocolError(f"expected an array of JSON objects, got {between[:40]!r}")

    def _hold(self, piece: bytes) -> None:
        self._held_bytes += len(piece)
        if self._held_bytes > self._max_bytes:
            raise ProtocolError(f"an element of the array passes {self._max_bytes} bytes")
        self._held.append(piece)


class JsonArrayWriter:
    """Write objects as one array, each in a piece that can be sent by itself."""

    __slots__ = ("_closed", "_empty")

    def __init__(self) -> None:
        self._empty = True
        self._closed = False

    def write(self, element: bytes) -> bytes:
        """Return the bytes of one more element."""
        head = b"[" if self._empty else b",\n"
        self._empty = False
        return head + element

    def close(self) -> bytes:
        """Return the end of the array; empty if it has been written."""
        if self._closed:
            return b""
        self._closed = True
        return b"[]" if self._empty else b"]\n"
