"""One timer for all running exchanges: notices clients that left or are stuck, and providers that are silent.

aiohttp cancels a handler when its client leaves only if the server was started that way, which an
embedded gateway cannot decide; and a timer for each read costs more than the read. So one timer per
gateway looks at every exchange a few times a second. Knows tasks and times, and nothing of requests' meaning.
"""

from __future__ import annotations

import asyncio
import logging
from enum import Enum, auto
from math import inf
from time import monotonic

from aiohttp import web
from attrs import define

from aigw.pipeline.backlog import drop, unsent_bytes

logger = logging.getLogger("aigw")

TICK_S = 0.2


class Verdict(Enum):
    """Why the watchdog cancelled a task."""

    GONE = auto()
    """The client has left: nobody is there to be told."""
    LATE = auto()
    """The provider was silent for too long."""
    STOPPED = auto()
    """The gateway is shutting down and its patience is over."""
    STALLED = auto()
    """The client has taken nothing for too long, and so it cannot be told."""
    CALLED_OFF = auto()
    """Whoever asked for the answer has cancelled it, and waits for it no more."""


_FINAL = frozenset({None, Verdict.GONE, Verdict.STALLED, Verdict.CALLED_OFF})
"""Where nobody is there to be told, or somebody else has cancelled the task: the cancellation goes on."""


@define(eq=False)
class Watch:
    """What the watchdog sees of one exchange. Moving a deadline is an assignment, so it costs nothing.

    attached: the request's client is the one that waits: when it leaves, nobody wants the answer.
    deadline_at: when the present wait is too long; hard_deadline_at: when the whole attempt is; answer_by:
        when the client must have an answer begun, over all attempts. In seconds, as `time.monotonic`.
    took_at: when the client was last seen to take something, or to owe nothing; unsent: what waited for it
        then, in bytes.
    """

    request: web.BaseRequest
    task: asyncio.Task[object]
    attached: bool = True
    deadline_at: float = inf
    hard_deadline_at: float = inf
    answer_by: float = inf
    verdict: Verdict | None = None
    took_at: float = inf
    unsent: int = 0

    def recover(self) -> Verdict | None:
        """In an `except CancelledError`: say why the watchdog did it, and go on to tell the client.

        Returns None where the cancellation must go on: nobody wants the answer, or it came from elsewhere.
        Law: returns a verdict once for each cancellation that the watchdog made.
        """
        verdict, self.verdict = self.verdict, None
        self.rest()
        if verdict in _FINAL:
            self.verdict = verdict
            return None
        return verdict if self.task.uncancel() == 0 else None

    def rest(self) -> None:
        """Nothing is being waited for that could be late."""
        self.deadline_at = self.hard_deadline_at = inf

    @property
    def client_is_gone(self) -> bool:
        return self.verdict is Verdict.GONE or (self.attached and self.request.transport is None)

    def judge(self, now: float) -> None:
        """Cancel the task if its client has left or its provider is late."""
        if self.attached and self.request.transport is None:
            self.cancel(Verdict.GONE)
        elif now > self.deadline_at or now > self.hard_deadline_at or now > self.answer_by:
            self.cancel(Verdict.LATE)

    def look_at_client(self, now: float, patience_s: float) -> None:
        """Give a client up that takes nothing for so long: its connection is dropped, and the task cancelled.

        What counts is what waits for it: that only shrinks when the client reads. So nobody has to take the
        time of a write.
        """
        transport = self.request.transport
        if transport is None or not self.attached:
            return
        unsent = unsent_bytes(transport)
        if not unsent or unsent < self.unsent or self.took_at == inf:
            self.took_at = now
        elif now - self.took_at > patience_s:
            self.cancel(Verdict.STALLED)
            drop(transport)
        self.unsent = unsent

    def cancel(self, verdict: Verdict) -> None:
        if self.verdict is None:
            self.verdict = verdict
            self.task.cancel()

    def call_off(self) -> None:
        """Cancel the task for good, whatever else has been thought of it: no other target is to be tried."""
        self.verdict = Verdict.CALLED_OFF
        self.task.cancel()


class Watchdog:
    """Looks at every watch each TICK_S while there are any; sleeps otherwise.

    client_write_s: how long a client may take nothing of what is there for it; None is without limit.
    """

    def __init__(self, client_write_s: float | None = None) -> None:
        self._client_write_s = client_write_s
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
        now = monotonic()
        self._timer = loop.call_later(TICK_S, self._tick) if self._watches else None
        for watch in tuple(self._watches):
            try:
                watch.judge(now)
                if self._client_write_s is not None:
                    watch.look_at_client(now, self._client_write_s)
            except Exception:  # one that cannot be looked at must not leave all others unwatched
                logger.exception("an exchange could not be looked at")
