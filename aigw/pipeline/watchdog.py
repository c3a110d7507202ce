"""One timer for all running exchanges: notices clients that left, and providers that are silent too long.

aiohttp cancels a handler when its client leaves only if the server was started that way, which an
embedded gateway cannot decide; and a timer for each read costs more than the read. So one timer per
gateway looks at every exchange a few times a second. Knows tasks and times, and nothing of requests' meaning.
"""

from __future__ import annotations

import asyncio
from enum import Enum, auto
from math import inf

from aiohttp import web
from attrs import define

TICK_S = 0.2


class Verdict(Enum):
    """Why the watchdog cancelled a task."""

    GONE = auto()
    """The client has left: nobody is there to be told."""
    LATE = auto()
    """The provider was silent for too long."""
    STOPPED = auto()
    """The gateway is shutting down and its patience is over."""


@define(eq=False)
class Watch:
    """What the watchdog sees of one exchange. Moving a deadline is an assignment, so it costs nothing.

    deadline_at: when the present wait is too long; hard_deadline_at: when the whole attempt is. Loop time.
    """

    request: web.BaseRequest
    task: asyncio.Task[object]
    deadline_at: float = inf
    hard_deadline_at: float = inf
    verdict: Verdict | None = None

    def recover(self) -> Verdict | None:
        """In an `except CancelledError`: say why the watchdog did it, and go on to tell the client.

        Returns None where the cancellation must go on: the client is gone, or it came from elsewhere.
        Law: returns a verdict once for each cancellation that the watchdog made.
        """
        verdict, self.verdict = self.verdict, None
        self.rest()
        if verdict is None or verdict is Verdict.GONE:
            self.verdict = verdict
            return None
        return verdict if self.task.uncancel() == 0 else None

    def rest(self) -> None:
        """Nothing is being waited for that could be late."""
        self.deadline_at = self.hard_deadline_at = inf

    @property
    def client_is_gone(self) -> bool:
        return self.verdict is Verdict.GONE or self.request.transport is None

    def judge(self, now: float) -> None:
        """Cancel the task if its client has left or its provider is late."""
        if self.request.transport is None:
            self.cancel(Verdict.GONE)
        elif now > self.deadline_at or now > self.hard_deadline_at:
            self.cancel(Verdict.LATE)

    def cancel(self, verdict: Verdict) -> None:
        if self.verdict is None:
            self.verdict = verdict
            self.task.cancel()


class Watchdog:
    """Looks at every watch each TICK_S while there are any; sleeps otherwise."""

    def __init__(self) -> None:
        self._watches: set[Watch] = set()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._watches)

    def add(self, watch: Watch) -> None:
        self._watches.add(watch)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def remove(self, watch: Watch) -> None:
        self._watches.discard(watch)

    def stop_all(self) -> None:
        """Cancel every exchange that still runs; each tells its client that the gateway stops."""
        for watch in tuple(self._watches):
            watch.cancel(Verdict.STOPPED)

    def close(self) -> None:
        """Stop looking. Exchanges that still run go on unwatched."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for watch in tuple(self._watches):
            watch.judge(now)
        self._timer = loop.call_later(TICK_S, self._tick) if self._watches else None
