"""Writing a PNG picture: a gradient of one colour. Source: PNG specification, third edition."""

from __future__ import annotations

import struct
import zlib

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_RGB = 2
_BRIGHTEST = 255


def draw(width: int, height: int, colour: tuple[int, int, int], title: str) -> bytes:
    """Return a picture whose colour brightens from the upper left to the lower right."""
    steps = max(1, width + height - 2)
    shades = [_shade(colour, at / steps / 2) for at in range(width + height)]
    # Each row begins with its filter (0: none), and with the shade one further on than the row above.
    rows = b"".join(b"\0" + b"".join(shades[y : y + width]) for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, _RGB, 0, 0, 0)
    note = b"Software\0" + title.encode("latin-1", "replace")
    chunks = ((b"IHDR", header), (b"tEXt", note), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(kind, content) for kind, content in chunks)


def _shade(colour: tuple[int, int, int], light: float) -> bytes:
    return bytes(round(value + (_BRIGHTEST - value) * light) for value in colour)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
