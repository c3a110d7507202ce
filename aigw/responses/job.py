"""One background response: from its place in the queue to its last state in the store.

Owns what its events and its states are, and that it is kept before anybody is told of its end. What became
of its exchange is told apart from that: the provider's work is done before the store's.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from functools import partial

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler
from attrs import define, evolve, field

from aigw.dialects.base import Tree
from aigw.dialects.openresponses.failure import error_event, response_error
from aigw.errors import ErrorKind, ServerError
from aigw.pipeline.boundary import run
from aigw.pipeline.exchange import Exchange
from aigw.pipeline.watchdog import Verdict
from aigw.relay.ending import Ending
from aigw.relay.outlet import HTTP
from aigw.responses.agent import respond
from aigw.responses.endings import STATES, TERMINAL, cancelled, end_of, failed, stopped
from aigw.responses.guard import PAUSE_S, Guard
from aigw.responses.jobs import Jobs
from aigw.responses.live import LiveLog, Numbered
from aigw.responses.partial import partial_output
from aigw.responses.session import CONTINUABLE, Session
from aigw.stores.base import ItemRecord, MissingError, ResponseRecord

KEEP_TRYING_S = 30.0
"""How long the end of a response is offered to a store that fails."""
_TOLD = frozenset(("response.created", "response.queued", "response.in_progress"))
"""Events that a background response tells of itself: what a provider says of its own is not repeated."""


@define(eq=False)
class BackgroundJob:
    """One background response.

    response: the response object as it stood when it was queued. fixed: the fields in it that only the
    gateway knows. final: the events that are to tell its end, once that is kept. over: the answer has ended,
    and only that is left to be done. lost: somebody else has ended it.
    """

    exchange: Exchange
    session: Session
    guard: Guard
    jobs: Jobs
    response: Tree
    fixed: Tree
    log: LiveLog
    final: list[Tree] = field(factory=list)
    over: bool = False
    lost: bool = False
    flushing: asyncio.Lock = field(factory=asyncio.Lock)

    @property
    def key(self) -> tuple[str, str]:
        return self.session.tenant, self.session.id

    async def run(self, request: web.Request, handler: Handler) -> None:
        """Run it to its end, and have it kept."""
        exchange = self.exchange
        task = asyncio.current_task()
        assert task is not None  # noqa: S101
        exchange.watch.task = task  # not before it runs: one that is cancelled before would close nothing
        self.log.add({"type": "response.created", "response": self.response})
        self.log.add({"type": "response.queued", "response": self.response})
        try:
            await run(exchange, request, partial(self._work, handler))
        except (asyncio.CancelledError, ConnectionError):
            while task.cancelling():
                task.uncancel()
        self.over = True
        await self.flush()
        response = await self._kept(await self._last_state())
        for event in self.final:
            self.log.add({**event, "response": response} if event["type"] in TERMINAL else event)
        self.log.end()
        await self.flush()
        exchange.outlet = HTTP  # exchange and job hold each other: parted, neither waits to be collected

    async def _work(self, handler: Handler, request: web.Request) -> web.StreamResponse:
        """Wait for a place, then answer."""
        try:
            await self.jobs.places.acquire()
        except asyncio.CancelledError:
            if self.exchange.watch.recover() is not Verdict.STOPPED:
                raise
            raise stopped() from None
        try:
            await self._begin()
            return await respond(self.exchange, self.session, request, handler)
        finally:
            self.jobs.places.release()

    async def _begin(self) -> None:
        begun = {**self.response, "status": "in_progress"}
        self.log.add({"type": "response.in_progress", "response": begun})
        record = evolve(self.session.record(begun), lease_until=self.jobs.lease())
        with contextlib.suppress(ServerError):  # its end will be tried again, and that is what counts
            if not await self.guard.ask(self.guard.store.finish(record)):
                self.lose()
                await asyncio.sleep(0)  # where the cancellation arrives

    async def tell(self, event: Tree) -> None:
        """Take an event of the answer; its last one is told when it has been kept."""
        kind = event.get("type")
        if kind in _TOLD or self.final or not isinstance(kind, str):
            return
        if kind == "error" and self._was_stopped:
            event = error_event(stopped(), 0)
        response = event.get("response")
        if kind in TERMINAL or isinstance(response, dict):
            said = response if isinstance(response, dict) else {}
            event["response"] = {**self.response, "status": STATES.get(kind), **said, **self.fixed}
        if kind in TERMINAL:
            if self._was_stopped:
                event["response"]["error"] = response_error(stopped())
            self.final = [event]
            return
        self.log.add(event)
        if not self.exchange.gateway.stopping:
            await self.log.room()

    @property
    def _was_stopped(self) -> bool:
        error = self.exchange.error
        return self.exchange.gateway.stopping and error is not None and error.kind is ErrorKind.UNAVAILABLE

    def fail(self) -> None:
        """Take an answer that is an error."""
        self.exchange.status = 200  # what the client has been told, when it was queued
        self.exchange.ending = Ending.FAILED
        error = self.exchange.error or ServerError("the gateway failed; its log tells why")
        self.final = end_of(failed(self.response, stopped() if self._was_stopped else error))

    async def flush(self) -> None:
        """Bring new events to the store, as far as it takes them."""
        async with self.flushing:
            events = [] if self.lost else self.log.owed()
            if events:
                with contextlib.suppress(ServerError):  # logged where the store is asked; offered again
                    await self.guard.ask(self.guard.store.add_events(*self.key, events))
                    self.log.paid(events[-1][0] + 1)

    async def cancel(self) -> None:
        """End it at once, unless it is about to; returns when it has ended, or soon will."""
        self._call_off()
        await asyncio.wait({self.exchange.watch.task}, timeout=PAUSE_S * 2)

    def lose(self) -> None:
        """Somebody else has ended it: give it up."""
        if not self.final and not self.over:
            self.lost = True
            self._call_off()

    def _call_off(self) -> None:
        watch = self.exchange.watch
        if not self.final and not self.over and watch.verdict is not Verdict.CALLED_OFF:
            watch.call_off()

    # Its end.

    async def _last_state(self) -> Tree:
        """Return the response as it ended, or as it stands where it was broken off."""
        if not self.final:
            output = await self._output()
            was_cancelled = self.exchange.ending is Ending.CANCELLED
            state = (
                cancelled(self.response, output)
                if was_cancelled
                else failed(self.response, stopped(), output)
            )
            self.final = end_of(state)
        response: Tree = self.final[-1]["response"]
        if response.get("status") not in CONTINUABLE and not response.get("output"):
            response["output"] = await self._output()
        return response

    async def _output(self) -> list[Tree]:
        events: list[Numbered] = []
        with contextlib.suppress(ServerError):
            while (after := events[-1][0] if events else -1) + 1 < self.log.count:
                events += await self.log.more(after)
        return partial_output(body for _, body in events)

    async def _kept(self, response: Tree) -> Tree:
        """Keep a response in its last state, and return the state that holds."""
        record = self.session.record(response)
        items = self.session.added(response)
        try:
            if not self.lost and await self._write(record, items):
                return response
            kept = await self.guard.ask(self.guard.store.response(*self.key))
        except ServerError as error:
            return self._unkept(response, error)
        self.lost = True
        if kept is None or kept.is_running:  # deleted
            return response
        truth: Tree = orjson.loads(kept.body)
        self.final = end_of(truth)
        return truth

    async def _write(self, record: ResponseRecord, items: Sequence[ItemRecord]) -> bool:
        """Keep the last state, patiently. Raises ServerError when the store fails for too long."""
        now = asyncio.get_running_loop().time
        give_up_at = now() + KEEP_TRYING_S
        while True:
            try:
                return await self.guard.ask(self.guard.store.finish(record, items))
            except MissingError:  # its conversation was deleted while it ran
                items = ()
            except ServerError:
                if now() > give_up_at or self.exchange.gateway.stopping or self.jobs.closing:
                    raise
                await asyncio.sleep(PAUSE_S)

    def _unkept(self, response: Tree, error: ServerError) -> Tree:
        """Return what those who listen are told where the end could not be kept, as the operator wants."""
        if not self.exchange.gateway.responses.refuse:
            return {**response, "store": False}
        self.final = end_of(failed(response, error))
        state: Tree = self.final[-1]["response"]
        return state
