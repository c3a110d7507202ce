"""What a supervisor tells a worker, and how a worker says that it serves.

Owns the names in the environment, and the files of a worker. Starts nothing and serves nothing.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

WORKER = "AIGW_WORKER"
"""The process id of the supervisor: set in the environment of a worker alone."""
_FILES = "AIGW_WORKER_FILES"
_SOCKETS = "AIGW_WORKER_SOCKETS"

RETIRE = getattr(signal, "SIGUSR2", signal.SIGTERM)  # Windows has none, and no workers
"""Tells a worker that another one has taken its place: accept no more, answer what has come, end."""


@frozen
class Post:
    """One worker's place.

    supervisor: its process id; a worker must not outlive it. sockets: file numbers of those to accept from.
    files: a path without suffix, in a folder that is the supervisor's and its workers' alone.
    """

    supervisor: int
    files: Path
    sockets: tuple[int, ...]

    def environment(self) -> dict[str, str]:
        """Return what a worker has to find in its environment, to be read by `post_of`."""
        return {
            WORKER: str(self.supervisor),
            _FILES: str(self.files),
            _SOCKETS: " ".join(map(str, self.sockets)),
        }

    def adopt(self) -> list[socket.socket]:
        """Return the sockets as objects; programs that the worker starts do not get them."""
        adopted = [socket.socket(fileno=number) for number in self.sockets]
        for each in adopted:
            each.set_inheritable(False)
        return adopted

    @property
    def ready_file(self) -> Path:
        """It is there once the worker accepts."""
        return self.files.with_suffix(".ready")


def post_of(env: Mapping[str, str]) -> Post | None:
    """Return the place of this process; None where it is nobody's worker."""
    if WORKER not in env:
        return None
    return Post(int(env[WORKER]), Path(env[_FILES]), tuple(map(int, env[_SOCKETS].split())))
