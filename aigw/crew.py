"""The workers of one configuration: what runs, each at its place, and how one is ended.

Owns processes. When one is to be started or ended is the supervisor's to decide.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from attrs import define, field, frozen

from aigw.listeners import Listener
from aigw.worker import RETIRE, Post

logger = logging.getLogger("aigw")


@frozen
class Plan:
    """What is to run: one command, `count` times. patience_s: how long each may take to stop."""

    command: Sequence[str]
    count: int
    patience_s: float


@frozen(eq=False)
class Worker:
    """One process. started_at: `time.monotonic()`."""

    process: subprocess.Popen[bytes]
    post: Post
    started_at: float

    @property
    def is_ready(self) -> bool:
        """It has begun to accept; it may have ended since."""
        return self.post.ready_file.exists()

    def retire(self) -> None:
        """Let it answer what it has and end, whether or not it had begun."""
        self.process.send_signal(RETIRE if self.is_ready else signal.SIGTERM)


@define(eq=False)
class Crew:
    """As many workers as the plan says. listeners: at least one a worker; workers: by their place."""

    plan: Plan
    listeners: list[Listener]
    workers: dict[int, Worker] = field(factory=dict)

    def dealt(self, place: int) -> list[Listener]:
        """Return what the worker at a place accepts from: several where there were more workers before."""
        return self.listeners[place :: self.plan.count]

    def vacant(self) -> list[int]:
        return [place for place in range(self.plan.count) if place not in self.workers]

    def start(self, place: int, files: Path) -> None:
        """Start the worker at a place. files: where it keeps its own, without suffix."""
        sockets = tuple(each.fileno() for listener in self.dealt(place) for each in listener.sockets)
        post = Post(os.getpid(), files, sockets)
        process = subprocess.Popen(  # noqa: S603 - our own command
            self.plan.command, env={**os.environ, **post.environment()}, pass_fds=sockets
        )
        self.workers[place] = Worker(process, post, time.monotonic())


def ends_well(worker: Worker, patience_s: float) -> bool:
    """Wait for a worker that was told to end, and kill it if it does not; tell whether it ended well."""
    process = worker.process
    try:
        code = process.wait(max(patience_s, 0.0))
    except subprocess.TimeoutExpired:
        logger.error("worker %d does not stop; killing it", process.pid)  # noqa: TRY400 - no trace is needed
        process.kill()
        code = process.wait()
    return code in {0, -signal.SIGTERM}  # the latter before it could set its handler
