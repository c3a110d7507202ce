"""Content codings: what a compressed answer says, unpacked as it comes.

Nobody asks a provider to compress, and some do so all the same. Owns that one piece cannot unpack to
more than `MAX_UNPACKED_BYTES`, and that an answer which breaks off is never taken for a whole one. Pure.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from importlib import import_module
from typing import Protocol

from attrs import define, field, frozen
from multidict import CIMultiDict, MultiMapping

from aigw.errors import ErrorKind, UpstreamError
from aigw.upstream.transport.framing import broken

MAX_UNPACKED_BYTES = 16 * 2**20
MAX_MEMBERS = 1024
"""How many members one piece may hold: each is a new decompressor, and copies what is behind it."""


class Decompressor(Protocol):
    """What zlib's and zstd's objects have in common."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


@frozen
class Coding:
    """make: a decompressor for a member that begins with these bytes. damage: what it raises."""

    make: Callable[[bytes], Decompressor]
    damage: type[Exception]


@define(eq=False)
class ContentDecoder:
    """Unpacks one body; members that follow each other are one body, as gzip's own tools read them."""

    _coding: Coding
    _member: Decompressor | None = field(default=None, init=False)

    def feed(self, data: bytes) -> bytes:
        """Return what these bytes unpack to, often nothing.

        Raises UpstreamError: UPSTREAM_TRUNCATED where they are damaged, UPSTREAM_PROTOCOL where they
        unpack to too much.
        """
        parts: list[bytes] = []
        room = MAX_UNPACKED_BYTES
        for _ in range(MAX_MEMBERS):
            member, data = self._member_for(data)
            if member is None:
                return b"".join(parts)
            try:
                part = member.decompress(data, room + 1)
            except self._coding.damage as error:
                raise UpstreamError(
                    "its compressed body is damaged", kind=ErrorKind.UPSTREAM_TRUNCATED
                ) from error
            room -= len(part)
            if room < 0:
                break
            parts.append(part)
            data = member.unused_data if member.eof else b""
        raise UpstreamError(
            f"its compressed body unpacks to more than {MAX_UNPACKED_BYTES} bytes at once",
            kind=ErrorKind.UPSTREAM_PROTOCOL,
        )

    def close(self) -> None:
        """Say that the body ends here. Raises UpstreamError if it breaks off; none at all is a whole one."""
        if self._member is not None and not self._member.eof:
            raise UpstreamError("its answer breaks off", kind=ErrorKind.UPSTREAM_TRUNCATED)

    def _member_for(self, data: bytes) -> tuple[Decompressor | None, bytes]:
        """Return what takes these bytes, and the bytes; None if nothing is left to take."""
        member = self._member
        if member is not None and member.eof:
            data = data.lstrip(b"\0")  # gzip's tools pad with zeros
            member = None
        if not data:
            return None, data
        if member is None:
            member = self._member = self._coding.make(data)
        return member, data


def decoder_for(headers: MultiMapping[str]) -> ContentDecoder | None:
    """Return what unpacks an answer with these headers, None if it is not packed.

    Raises UpstreamError where nothing here can.
    """
    name = ", ".join(headers.getall("Content-Encoding", ())).strip().lower()
    if name in {"identity", ""}:
        return None
    make = CODINGS.get(name)
    coding = make() if make is not None else None
    if coding is None:
        raise broken(f'it is encoded as "{name[:40]}", which was not asked for')
    return ContentDecoder(coding)


def unpacked_headers(headers: MultiMapping[str]) -> CIMultiDict[str]:
    """Return the headers as they are for the unpacked body."""
    kept: CIMultiDict[str] = CIMultiDict(headers)
    kept.popall("Content-Encoding", None)
    kept.popall("Content-Length", None)
    return kept


def _gzip() -> Coding:
    return Coding(lambda _: zlib.decompressobj(16 + zlib.MAX_WBITS), zlib.error)


def _deflate() -> Coding:
    return Coding(_deflated, zlib.error)


def _deflated(start: bytes) -> Decompressor:
    """RFC 9110 means zlib's format by "deflate"; some servers send the bare stream."""
    has_header = start[0] & 0x0F == 8
    return zlib.decompressobj(zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS)


def _zstd() -> Coding | None:
    try:
        module = import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
    except ImportError:
        return None
    return Coding(lambda _: module.ZstdDecompressor(), module.ZstdError)


def _brotli() -> Coding | None:
    try:
        module = import_module("brotli")
    except ImportError:
        return None
    return Coding(lambda _: Brotli(module.Decompressor()), module.error)


class Brotli:
    """Brotli's object in the shape of the others. It has no members, and refuses what is behind its end."""

    unused_data = b""

    def __init__(self, inner: BrotliObject) -> None:
        self._inner = inner

    @property
    def eof(self) -> bool:
        return self._inner.is_finished()

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inner.process(data, output_buffer_limit=max_length)


class BrotliObject(Protocol):
    """What the brotli package makes (1.2 is the first to bound its output)."""

    def is_finished(self) -> bool: ...

    def process(self, data: bytes, /, *, output_buffer_limit: int) -> bytes: ...


CODINGS: dict[str, Callable[[], Coding | None]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}
