"""Several processes that share one port: started, watched, started again, and stopped together.

Owns the lives of workers and who has the port. Serves nothing itself: a worker is `aigw serve` as anyone
may run it, with SO_REUSEPORT so that the kernel deals out connections.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from attrs import define, field

from aigw.config import Config
from aigw.config.load import FILE_NAMES
from aigw.hooks.loader import code
from aigw.server import WORKER, cannot_listen, log_to_stderr

logger = logging.getLogger("aigw")

POLL_S = 0.2
RESTART_PAUSE_S = 1.0
STEADY_S = 10.0
"""A worker that has lived so long has started well."""
TRIES = 3
"""How often each worker may fail to start before it is clear that none ever will."""
KILL_AFTER_S = 10.0
"""How much longer than its own drain a worker may take to stop."""


def supervise(config: Config, path: Path | None, flags: Sequence[str], *, reload: bool) -> int:
    """Run workers until a signal says stop; return the exit code.

    flags: what the workers are started with. With `reload` there is one worker, started anew when the
    configuration or the code changes; if it cannot start, it waits for the next change.
    Raises OSError when the port cannot be had.
    """
    log_to_stderr()
    with reserved(config.server.host, config.server.port) as port:
        command = [sys.executable, "-m", "aigw", "serve", *flags, "--workers", "1"]
        if config.server.port == 0:
            command += ["--port", str(port)]
        supervisor = Supervisor(
            command,
            count=1 if reload else config.server.workers,
            patience_s=config.server.drain_timeout_s + KILL_AFTER_S,
            watched=_watched(path) if reload else (),
        )
        return supervisor.run()


@contextlib.contextmanager
def reserved(host: str, port: int) -> Iterator[int]:
    """Keep a port for the workers and give its number, a free one for 0. Raises OSError if it is taken.

    SO_REUSEPORT alone would let two gateways share a port and neither would notice: first it is bound
    without, which fails if anybody listens, then with, and held so that it stays ours.
    """
    with contextlib.ExitStack() as held:
        flags = socket.AI_PASSIVE
        try:
            for family, kind, _, _, address in socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=flags
            ):
                with _bound(family, kind, (address[0], port), shared=False) as alone:
                    port = alone.getsockname()[1]
                held.enter_context(_bound(family, kind, (address[0], port), shared=True))
        except OSError as error:
            raise cannot_listen(host, port, error) from error
        yield port


def _bound(family: int, kind: int, address: tuple[object, int], *, shared: bool) -> socket.socket:
    bound = socket.socket(family, kind)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


@define(eq=False)
class Supervisor:
    """Keeps `count` processes of one command alive.

    patience_s: how long they may take to stop. watched: files and folders whose change restarts them.
    """

    command: Sequence[str]
    count: int
    patience_s: float
    watched: Sequence[Path] = ()
    _workers: dict[subprocess.Popen[bytes], float] = field(factory=dict)
    _failures: int = 0
    _start_at: float = 0.0
    _waits_for_change: bool = False
    _stopping: bool = False

    def run(self) -> int:
        """Return when a signal came and every worker has ended: 0 if all ended well, 1 if none can start."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        seen = _stamps(self.watched)
        while not self._stopping:
            self._bury()
            if self._failures >= TRIES * self.count:
                logger.error("giving up: the workers do not start; what they wrote above tells why")
                self._terminate()
                return 1
            self._fill_up()
            time.sleep(POLL_S)
            if self.watched and (now := _stamps(self.watched)) != seen:
                seen = now
                logger.info("something changed: starting anew")
                self._terminate()
                self._waits_for_change = False
        return 0 if self._terminate() else 1

    def _stop(self, *_: object) -> None:
        if self._stopping:  # asked a second time: the workers end their waiting, too
            for worker in self._workers:
                worker.terminate()
        self._stopping = True

    def _bury(self) -> None:
        """Take note of the workers that have ended, and of those that have started well."""
        now = time.monotonic()
        for worker, started_at in tuple(self._workers.items()):
            steady = now - started_at > STEADY_S
            if steady:
                self._failures = 0
            code = worker.poll()
            if code is None:
                continue
            del self._workers[worker]
            if self.watched:
                self._waits_for_change = True
                logger.error("the gateway ended with code %d; waiting for a change", code)
                continue
            self._failures += 0 if steady else 1
            self._start_at = now + RESTART_PAUSE_S
            logger.error("worker %d ended with code %d; starting another", worker.pid, code)

    def _fill_up(self) -> None:
        now = time.monotonic()
        if self._waits_for_change or now < self._start_at:
            return
        while len(self._workers) < self.count and not self._stopping:
            environment = {**os.environ, WORKER: str(os.getpid())}
            worker = subprocess.Popen(self.command, env=environment)  # noqa: S603 - our own command
            self._workers[worker] = now

    def _terminate(self) -> bool:
        """Stop every worker; tell whether all ended well."""
        for worker in self._workers:
            worker.terminate()
        deadline = time.monotonic() + self.patience_s
        ended_well = [_ends_well(worker, deadline - time.monotonic()) for worker in self._workers]
        self._workers.clear()
        return all(ended_well)


def _ends_well(worker: subprocess.Popen[bytes], patience_s: float) -> bool:
    try:
        code = worker.wait(max(patience_s, 0.0))
    except subprocess.TimeoutExpired:
        logger.error("worker %d does not stop; killing it", worker.pid)  # noqa: TRY400 - no trace is needed
        worker.kill()
        code = worker.wait()
    return code in {0, -signal.SIGTERM}  # the latter before it could set its handler


def _watched(path: Path | None) -> tuple[Path, ...]:
    """Return the code, also that of plugins, and the configuration file or all that could become one."""
    files = (path,) if path else tuple(Path.cwd() / name for name in FILE_NAMES)
    return (Path(__file__).parent, *code(), *files)


def _stamps(paths: Sequence[Path]) -> dict[Path, float]:
    """Return when each watched file was last changed; a file that comes or goes is a change, too."""
    stamps: dict[Path, float] = {}
    for path in paths:
        for file in path.rglob("*.py") if path.is_dir() else (path,):
            with contextlib.suppress(OSError):
                stamps[file] = file.stat().st_mtime
    return stamps
