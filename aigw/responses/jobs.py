"""The background responses of one process: how many run, that others know they do, and that all of them end.

Owns their tasks, the places they wait for, and the two things that are done for all of them at once: leases
are renewed, and new events go to the store. Knows not what a response is made of.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Coroutine, Iterable
from typing import Protocol

from aigw.errors import ServerError
from aigw.responses.guard import Guard
from aigw.responses.live import LiveLog

logger = logging.getLogger("aigw.state")

Key = tuple[str, str]
"""(tenant, id of the response)"""

LEASE_S = 20.0
"""A response of which nothing has been heard for so long is run by nobody any more."""
RENEW_S = 4.0
FLUSH_S = 0.25
CLOSE_S = 2.0
"""How long those that are being kept may take for it when the gateway ends."""


class Job(Protocol):
    """One background response while it runs."""

    @property
    def key(self) -> Key: ...
    @property
    def log(self) -> LiveLog: ...

    async def flush(self) -> None:
        """Bring new events to the store, as far as it takes them."""

    async def cancel(self) -> None:
        """End it at once, unless it is about to; returns when it has ended, or soon will."""

    def lose(self) -> None:
        """Somebody else has ended it: give it up."""


class Jobs:
    """Background responses of this process.

    limit: how many run at a time; others wait for their place in order.
    lease_s, renew_s: for how long one is spoken for, and how often that is renewed.
    closing: nothing is to be waited for any more.
    """

    def __init__(self, guard: Guard, limit: int) -> None:
        self.places = asyncio.Semaphore(limit)
        self._limit = limit
        self.lease_s = LEASE_S
        self.renew_s = RENEW_S
        self.closing = False
        self._guard = guard
        self._jobs: dict[Key, Job] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._tender: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._jobs)

    def lease(self) -> float:
        """Return until when (Unix seconds) a response that runs here is spoken for from now."""
        return time.time() + self.lease_s

    def find(self, tenant: str, response_id: str) -> Job | None:
        """Return a response that runs in this process."""
        return self._jobs.get((tenant, response_id))

    def start(self, job: Job, run: Coroutine[None, None, None]) -> None:
        """Begin to run a response: `run` brings it to its end. It is in nobody's hands but ours from here."""
        self._jobs[job.key] = job
        task = asyncio.create_task(self._run(job, run), name="aigw background response")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self._tender is None or self._tender.done():
            self._tender = asyncio.create_task(self._tend(), name="aigw background tender")

    def open(self) -> None:
        """Be ready, in the running loop: a gateway may run again in another one."""
        self.closing = False
        self.places = asyncio.Semaphore(self._limit)

    async def close(self) -> None:
        """End all that still run, and wait until they have."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_S)
        self.closing = True
        left = [*self._tasks, *filter(None, [self._tender])]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _run(self, job: Job, run: Coroutine[None, None, None]) -> None:
        try:
            await run
        except Exception:
            logger.exception("background response %s broke on a mistake of ours", job.key[1])
        finally:
            job.log.end()
            self._jobs.pop(job.key, None)

    async def _tend(self) -> None:
        now = asyncio.get_running_loop().time
        renew_at = now() + self.renew_s
        while self._jobs:
            await asyncio.sleep(min(FLUSH_S, self.renew_s))
            try:
                await asyncio.gather(*(job.flush() for job in [*self._jobs.values()]))
                if now() >= renew_at:
                    renew_at = now() + self.renew_s
                    await self._renew()
            except Exception:  # one mistake must not end all leases
                logger.exception("background responses were not tended, on a mistake of ours")

    async def _renew(self) -> None:
        running = [*self._jobs]
        ended: Iterable[Key] = ()
        with contextlib.suppress(ServerError):  # a store that fails is logged where it is asked
            ended = await self._guard.ask(self._guard.store.renew(running, self.lease()))
        for key in ended:
            if key in self._jobs:
                self._jobs[key].lose()
