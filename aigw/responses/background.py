"""Responses that go on without the request they came by: `background: true`.

Owns their beginning and their first answer, which says that they are queued. The exchange is parted from the
HTTP request, so that the client may leave; a task of the gateway's answers and closes it (`job`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler
from attrs import evolve

from aigw.dialects.openai_chat.grammar import DONE
from aigw.dialects.openresponses.finish import Ending
from aigw.dialects.openresponses.response import base_of, snapshot
from aigw.pipeline.exchange import Exchange
from aigw.pipeline.watchdog import Watch
from aigw.relay.outlet import EVENTS, Carry, Outlet
from aigw.responses.endings import told_again
from aigw.responses.guard import Guard
from aigw.responses.job import BackgroundJob
from aigw.responses.jobs import Jobs
from aigw.responses.live import Follower, LiveLog, Numbered
from aigw.responses.session import Session
from aigw.wire.sse import split_frames


async def start(
    exchange: Exchange, session: Session, request: web.Request, handler: Handler
) -> web.StreamResponse:
    """Begin a background response, and answer with what there is of it.

    Raises ServerError (503) when it cannot be kept: then it does not begin, either.
    """
    exchange.payload.edit().pop("background", None)  # providers are asked in the foreground
    responses = exchange.gateway.responses
    job = _prepare(exchange, session, responses.guard, responses.jobs)
    queued = session.record(job.response)
    await responses.guard.ask(responses.guard.store.save(evolve(queued, lease_until=responses.jobs.lease())))
    first = exchange.outlet
    exchange.detached = True
    exchange.keeper = None  # the job keeps its end by itself
    exchange.outlet = JobOutlet(job)
    exchange.watch.attached = False
    exchange.status = 200
    responses.jobs.start(job, job.run(request, handler))
    return await _first_answer(job, first)


def _prepare(exchange: Exchange, session: Session, guard: Guard, jobs: Jobs) -> BackgroundJob:
    """Make the job; its response is as it stands before anything was done."""
    created = int(time.time())
    base = base_of(session.id, exchange.model, created, None, exchange.asked())
    response = snapshot(base, {}, Ending("queued"), [], None)
    fixed = {**session.patch, "id": session.id, "created_at": created}
    exchange.patch = fixed

    async def older(after: int) -> list[Numbered]:
        return await guard.ask(guard.store.events(session.tenant, session.id, after))

    return BackgroundJob(exchange, session, guard, jobs, {**response, **fixed}, fixed, LiveLog(older))


async def _first_answer(job: BackgroundJob, outlet: Outlet) -> web.StreamResponse:
    """Answer the request that has begun the response; from here on its client may leave."""
    exchange = job.exchange
    headers = {"x-request-id": exchange.id}
    if not exchange.stream:
        headers["Content-Type"] = "application/json"
        return await outlet.send_whole(exchange, 200, headers, orjson.dumps(job.response))
    headers["Content-Type"] = EVENTS
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - handlers run in tasks
    watch = Watch(exchange.request, task)
    exchange.gateway.watchdog.add(watch)
    try:
        return await outlet.send_stream(exchange, headers, Follower(job.log, watch).carry)
    finally:
        exchange.gateway.watchdog.remove(watch)


class JobOutlet:
    """Where the answer of a background response goes: into its log."""

    def __init__(self, job: BackgroundJob) -> None:
        self._job = job

    async def send_whole(
        self,
        exchange: Exchange,  # noqa: ARG002
        status: int,
        headers: Mapping[str, str],  # noqa: ARG002
        body: bytes,
    ) -> web.StreamResponse:
        tree = orjson.loads(body) if status < 300 else None
        if isinstance(tree, dict):
            for event in told_again({**tree, "status": tree.get("status") or "completed"}):
                await self._job.tell(event)
        else:
            self._job.fail()
        return web.Response(status=status)

    async def send_stream(
        self,
        exchange: Exchange,  # noqa: ARG002
        headers: Mapping[str, str],  # noqa: ARG002
        carry: Carry,
    ) -> web.StreamResponse:
        await carry(self)
        return web.Response()

    async def write(self, data: bytes) -> None:
        """Take frames of the answer."""
        for frame in split_frames(data):
            if frame.data.strip() not in {b"", DONE}:
                await self._job.tell(orjson.loads(frame.data))

    async def write_eof(self) -> None:
        """Nothing is owed: the last event has said it."""
