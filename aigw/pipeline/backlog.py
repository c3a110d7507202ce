"""What a client has not taken of what was written to it, and dropping a client that never will.

Owns the questions to the operating system. Where it has no answer (only Unix has), the connection's own
buffer is all that is known: it shrinks in larger steps, so that a slow client looks stuck for longer.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from contextlib import suppress

try:
    import fcntl
    import termios
except ImportError:  # pragma: no cover - not a Unix
    fcntl = termios = None  # type: ignore[assignment]

_AT_ONCE = struct.pack("ii", 1, 0)


def unsent_bytes(transport: asyncio.WriteTransport) -> int:
    """Return what waits for a client: 0 unless it is behind, else with what the kernel holds for it.

    A slow client empties the kernel's buffer, of some megabytes, long before there is room in it again.
    """
    waiting = transport.get_write_buffer_size()
    if not waiting:
        return 0
    return waiting + _in_kernel(transport.get_extra_info("socket"))


def _in_kernel(connection: socket.socket | None) -> int:
    if connection is None or fcntl is None:
        return 0
    held = bytearray(4)
    try:
        fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, held)
    except OSError:
        return 0
    return int.from_bytes(held, sys.byteorder)


def drop(transport: asyncio.WriteTransport) -> None:
    """Close a connection without waiting for its client, and forget what it has not taken."""
    connection = transport.get_extra_info("socket")
    if connection is not None:
        with suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    transport.abort()
