"""Where lines go: a file that only its owner may read, put aside when it is full, or standard output.

Blocking on purpose: it is called on a thread. Knows nothing of what a line holds.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import BinaryIO, Protocol

from attrs import define, field


class Sink(Protocol):
    """Somewhere to write to."""

    def open(self) -> None:
        """Get ready. Raises OSError."""

    def write(self, lines: bytes) -> None:
        """Write whole lines, and have the system take them. Raises OSError."""

    def close(self) -> None:
        """Let go of it."""


@define
class RotatingFile:
    """A file with mode 0600; at `rotate_bytes` it becomes `path.1`, the one before `path.2`, and so on."""

    path: Path
    rotate_bytes: int = 0
    keep_files: int = 5
    _file: BinaryIO | None = field(default=None, init=False)
    _size: int = field(default=0, init=False)

    def open(self) -> None:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._file = os.fdopen(descriptor, "ab", buffering=0)
        self._size = os.fstat(descriptor).st_size

    def write(self, lines: bytes) -> None:
        if self._file is not None and self.rotate_bytes and self._size + len(lines) > self.rotate_bytes:
            self._rotate()
        if self._file is None:
            self.open()
        assert self._file is not None  # noqa: S101 - open() has set it
        rest = memoryview(lines)
        while rest:
            written = self._file.write(rest)
            self._size += written
            rest = rest[written:]

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _rotate(self) -> None:
        if not self._size:
            return
        self.close()
        for number in range(self.keep_files - 1, 0, -1):
            if (older := self._aside(number)).exists():
                older.replace(self._aside(number + 1))
        if self.path.exists():
            self.path.replace(self._aside(1))

    def _aside(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")


class StandardOutput:
    """The standard output, as containers like it."""

    def open(self) -> None:
        return

    def write(self, lines: bytes) -> None:
        sys.stdout.buffer.write(lines)
        sys.stdout.buffer.flush()

    def close(self) -> None:
        return
