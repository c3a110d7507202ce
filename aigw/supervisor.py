"""Several processes that share one port: started, watched, started again, replaced and stopped together.

Owns when a worker lives. Serves nothing itself: a worker is `aigw serve` as anyone may run it, which is given
the sockets that it accepts from (`aigw.listeners`), and a place for its files.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path

from attrs import define, field

from aigw.builtin.metrics_shared import absorb
from aigw.config import Config
from aigw.config.load import FILE_NAMES
from aigw.crew import Crew, Plan, Worker, ends_well
from aigw.errors import ConfigError
from aigw.hooks.loader import code
from aigw.listeners import Listener, Port
from aigw.server import has_terminal, log_to_stderr

logger = logging.getLogger("aigw")

POLL_S = 0.2
RESTART_PAUSE_S = 1.0
STEADY_S = 10.0
"""A worker that has lived so long has started well."""
TRIES = 3
"""How often each worker may fail to start before it is clear that none ever will."""
START_S = 60.0
"""How long new workers may take to begin; then the old ones go on in their place."""
KILL_AFTER_S = 10.0
"""How much longer than its own drain a worker may take to stop."""


def supervise(
    config: Config, path: Path | None, flags: Sequence[str], reread: Callable[[], Config], *, reload: bool
) -> int:
    """Run workers until a signal says stop; return the exit code.

    flags: what the workers are started with. reread: returns the configuration as it is when SIGHUP asks
    for it; raises ConfigError. With `reload` there is one worker, started anew when the configuration or
    the code changes; if it cannot start, it waits for the next change.
    Raises OSError when the port cannot be had.
    """
    log_to_stderr()
    with Port(config.server.host, config.server.port) as port:
        # The address is always said: a worker that starts later stays there, whatever the file says by then.
        address = ("--host", port.host, "--port", str(port.number), "--workers", "1")
        command = (sys.executable, "-m", "aigw", "serve", *flags, *address)

        def plan(now: Config) -> Plan:
            drain_s = now.server.drain_timeout_s
            return Plan(command, 1 if reload else now.server.workers, drain_s + KILL_AFTER_S)

        def plan_anew() -> Plan:
            now = reread()
            if (now.server.host, now.server.port) != (config.server.host, config.server.port):
                logger.warning("server.host and server.port are as they were until a restart")
            return plan(now)

        with tempfile.TemporaryDirectory(prefix="aigw-", ignore_cleanup_errors=True) as folder:
            watched = _watched(path) if reload else ()
            return Supervisor(plan(config), Path(folder), port.listener, plan_anew, watched).run()


@define(eq=False)
class Supervisor:
    """Keeps the processes of one plan alive, and puts others in their place when it is asked to.

    folder: for the workers' files, and theirs alone. new_listener: makes what a worker accepts from.
    plan_anew: what is to run by the configuration of that moment; raises ConfigError.
    watched: files and folders whose change restarts the workers.
    """

    plan: Plan
    folder: Path
    new_listener: Callable[[], Listener]
    plan_anew: Callable[[], Plan]
    watched: Sequence[Path] = ()
    _crew: Crew = field(init=False)
    _coming: Crew | None = None
    _start_until: float = 0.0
    _retired: dict[Worker, float] = field(factory=dict)
    _numbers: Iterator[int] = field(factory=count)
    _failures: int = 0
    _start_at: float = 0.0
    _waits_for_change: bool = False
    _is_renewal_due: bool = False
    _had_terminal: bool = field(factory=has_terminal)
    _stopping: bool = False

    def __attrs_post_init__(self) -> None:
        self._crew = Crew(self.plan, [self.new_listener() for _ in range(self.plan.count)])

    def run(self) -> int:
        """Return when a signal came and every worker has ended: 0 if all ended well, 1 if none can start."""
        for number, act in ((signal.SIGTERM, self._stop), (signal.SIGINT, self._stop),
                            (signal.SIGHUP, self._hear_hangup)):  # fmt: skip
            signal.signal(number, act)
        seen = _stamps(self.watched)
        while not self._stopping:
            self._bury()
            self._see_off()
            self._take_over()
            if self._failures >= TRIES * self._crew.plan.count:
                logger.error("giving up: the workers do not start; what they wrote above tells why")
                self._terminate()
                return 1
            self._fill_up()
            self._renew()
            time.sleep(POLL_S)
            if self.watched and (now := _stamps(self.watched)) != seen:
                seen = now
                logger.info("something changed: starting anew")
                self._terminate()
                self._waits_for_change = False
        return 0 if self._terminate() else 1

    # Signals.

    def _stop(self, *_: object) -> None:
        if self._stopping:  # asked a second time: the workers end their waiting, too
            for worker in (*self._living(), *self._retired):
                worker.process.terminate()
        self._stopping = True

    def _hear_hangup(self, *_: object) -> None:
        if self._had_terminal and not has_terminal():
            self._stop()
        else:
            self._is_renewal_due = True

    # Those that serve.

    def _bury(self) -> None:
        """Take note of the workers that have ended, and of those that have started well."""
        now = time.monotonic()
        for place, worker in tuple(self._crew.workers.items()):
            steady = now - worker.started_at > STEADY_S
            if steady:
                self._failures = 0
            code = worker.process.poll()
            if code is None:
                continue
            del self._crew.workers[place]
            was_ready = worker.is_ready
            absorb(worker.post.files)
            if not was_ready:
                self._start_at = now + RESTART_PAUSE_S
                self._let_go(place)
            if self.watched:
                self._waits_for_change = True
                logger.error("the gateway ended with code %d; waiting for a change", code)
                continue
            self._failures += 0 if steady else 1
            logger.error("worker %d ended with code %d; starting another", worker.process.pid, code)

    def _let_go(self, place: int) -> None:
        """Let nobody wait for a worker that cannot start: its share of connections goes to the others.

        What one that had started leaves behind waits for the next, which is there in a moment.
        """
        if self._coming is not None:  # it has been given the same ones
            return
        listeners = self._crew.listeners
        for listener in self._crew.dealt(place):
            listener.close()
            listeners[listeners.index(listener)] = self.new_listener()

    def _fill_up(self) -> None:
        if self._waits_for_change or time.monotonic() < self._start_at:
            return
        for place in self._crew.vacant():
            if not self._stopping:
                self._start(self._crew, place)

    def _start(self, crew: Crew, place: int) -> None:
        crew.start(place, self.folder / str(next(self._numbers)))

    # Those that take their place.

    def _renew(self) -> None:
        """Start workers of the configuration as it is now, beside those that serve."""
        if not self._is_renewal_due or self._coming is not None:
            return
        self._is_renewal_due = False
        try:
            plan = self.plan_anew()
        except ConfigError as error:
            logger.error("the workers go on as they were: %s", error)  # noqa: TRY400 - no trace is needed
            return
        logger.info("starting %d workers anew", plan.count)
        missing = range(len(self._crew.listeners), plan.count)
        listeners = [*self._crew.listeners, *(self.new_listener() for _ in missing)]
        self._coming = Crew(plan, listeners)
        self._start_until = time.monotonic() + START_S
        for place in self._coming.vacant():
            self._start(self._coming, place)

    def _take_over(self) -> None:
        """Let new workers serve in place of the old ones once all accept; or not at all."""
        coming = self._coming
        if coming is None:
            return
        workers = coming.workers.values()
        if (
            any(worker.process.poll() is not None for worker in workers)
            or time.monotonic() > self._start_until
        ):
            logger.error("the workers go on as they were: new ones do not start; what they wrote tells why")
            self._dismiss(coming)
            for listener in coming.listeners[len(self._crew.listeners) :]:
                listener.close()
        elif all(worker.is_ready for worker in workers):
            logger.info("the new workers serve; the old ones answer what they have, and end")
            old, self._crew = self._crew, coming
            self._waits_for_change = False
            self._dismiss(old)
        else:
            return
        self._coming = None

    def _dismiss(self, crew: Crew) -> None:
        deadline = time.monotonic() + crew.plan.patience_s
        for worker in crew.workers.values():
            worker.retire()
            self._retired[worker] = deadline
        crew.workers.clear()

    def _see_off(self) -> None:
        """Take note of those that were to end and have; end those that should have by now."""
        now = time.monotonic()
        for worker, deadline in tuple(self._retired.items()):
            if worker.process.poll() is not None or now > deadline:
                ends_well(worker, 0.0)
                absorb(worker.post.files)
                del self._retired[worker]
                logger.info("worker %d has ended", worker.process.pid)

    # The end.

    def _living(self) -> list[Worker]:
        return [
            worker
            for crew in (self._crew, self._coming)
            if crew is not None
            for worker in crew.workers.values()
        ]

    def _terminate(self) -> bool:
        """Stop every worker; tell whether all ended well. Those that were to end already go on with that."""
        living = self._living()
        for worker in living:
            worker.process.terminate()
        deadline = time.monotonic() + self._crew.plan.patience_s
        for worker in self._retired:
            ends_well(worker, deadline - time.monotonic())
        ended_well = [ends_well(worker, deadline - time.monotonic()) for worker in living]
        for worker in (*living, *self._retired):
            absorb(worker.post.files)
        self._crew.workers.clear()
        self._retired.clear()
        self._coming = None
        return all(ended_well)


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
