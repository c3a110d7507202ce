"""Responses and conversations in one SQLite file, for any number of processes on one machine.

Owns what the event loop does: hand over jobs, wait for their futures. One thread writes, and everything that
gathered while a transaction ran goes into the next; others read. A read waits first for the writes of the
same id that this process has queued, so that it sees them. Knows no SQL.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from aigw.stores import sqlite_read as read
from aigw.stores import sqlite_sweep as sweeping
from aigw.stores import sqlite_write as write
from aigw.stores.base import ConversationRecord, ItemPage, ItemRecord, ResponseRecord, Retention, StoreError
from aigw.stores.health import HealthNote
from aigw.stores.names import not_named_after
from aigw.stores.retention import touch_after_s
from aigw.stores.sqlite_schema import connect
from aigw.stores.sqlite_worker import Job, Queue, Run, Worker, answer_each, commit_together

READERS = 2
MAX_READS = 8
MAX_WRITES = 256
MAX_OWED_BYTES = 64 * 2**20
"""What may wait to be written. More is refused: the disk does not keep up, or answers no more."""

OVERHEAD_BYTES = 500


class SqliteStore:
    """A `StateStore` in the file at `path`.

    busy_s: how long a write waits while another process writes. close_s: how long `close` waits for the disk.
    Where `open` fails the store may be used all the same: it tries again with each request.
    """

    def __init__(
        self,
        path: Path,
        retention: Retention | None = None,
        *,
        clock: Callable[[], float] = time.time,
        busy_s: float = 5.0,
        close_s: float = 10.0,
    ) -> None:
        self.path = path
        self._retention = retention or Retention()
        self._touch_after_s = touch_after_s(self._retention)
        self._clock = clock
        self._connect = partial(connect, path, busy_s)
        self._close_s = close_s
        self._to_write: Queue = SimpleQueue()
        self._to_read: Queue = SimpleQueue()
        self._workers: list[Worker] = []
        self._open_jobs: set[Job] = set()
        self._gathered: list[Job] = []
        self._is_writing = False
        self._written: dict[str, asyncio.Future[Any]] = {}
        self._owed_bytes = 0

    async def open(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._to_write, self._to_read = SimpleQueue(), SimpleQueue()
        perform = partial(commit_together, is_one_statement=write.is_one_statement)
        make = partial(Worker, self.path, connect=self._connect)
        self._workers = [
            make(self._to_write, most=MAX_WRITES, perform=perform, settle=self._settle_writes),
            *[
                make(self._to_read, most=MAX_READS, perform=answer_each, settle=self._settle)
                for _ in range(READERS)
            ],
        ]
        await self._write(write.nothing, None)

    async def close(self) -> None:
        workers, self._workers = self._workers, []
        if not workers:
            return
        self._to_write.put(self._gathered)
        self._to_write.put(None)
        self._gathered = []
        for _ in range(READERS):
            self._to_read.put(None)
        await asyncio.wait([worker.ended for worker in workers], timeout=self._close_s)
        for worker in workers:
            if not worker.ended.done():
                worker.interrupt()
        for job in self._open_jobs:
            job.result = StoreError(f"{self.path}: not done within {self._close_s:g} s of closing")
        self._settle([*self._open_jobs])

    # Jobs.

    def _write(
        self, run: Run, argument: object, ids: tuple[str, ...] = (), size: int = 0
    ) -> asyncio.Future[Any]:
        if self._owed_bytes > MAX_OWED_BYTES:
            raise StoreError(f"{self.path}: {self._owed_bytes} bytes wait to be written already")
        job = self._job(run, argument, ids, size + OVERHEAD_BYTES)
        self._owed_bytes += job.size
        for written in ids:
            self._written[written] = job.future
        self._gathered.append(job)
        if not self._is_writing:
            self._is_writing = True
            self._loop.call_soon(self._hand_over)  # with those that are asked for in this turn of the loop
        return job.future

    def _hand_over(self) -> None:
        """Give the writer what has gathered, if any."""
        jobs, self._gathered = self._gathered[:MAX_WRITES], self._gathered[MAX_WRITES:]
        self._is_writing = bool(jobs)
        if jobs:
            self._to_write.put(jobs)

    def _settle_writes(self, jobs: list[Job]) -> None:
        self._settle(jobs)
        self._hand_over()

    async def _read(self, run: Run, argument: object, *ids: str) -> Any:
        """Read, after what this process is about to write under these ids."""
        if writing := {self._written[written] for written in ids if written in self._written}:
            await asyncio.wait(writing)
        job = self._job(run, argument)
        self._to_read.put([job])
        return await job.future

    def _job(self, run: Run, argument: object, ids: tuple[str, ...] = (), size: int = 0) -> Job:
        if not self._workers:
            raise StoreError(f"{self.path}: the store is closed")
        job = Job(run, argument, self._loop.create_future(), ids, size)
        self._open_jobs.add(job)
        return job

    def _settle(self, jobs: list[Job]) -> None:
        for job in jobs:
            if job not in self._open_jobs:  # given up on by `close`
                continue
            self._open_jobs.remove(job)
            self._owed_bytes -= job.size
            for written in job.ids:
                if self._written.get(written) is job.future:
                    del self._written[written]
            job.settle()

    # Responses.

    async def save(self, record: ResponseRecord, items: Sequence[ItemRecord] = ()) -> None:
        if items:
            await self._save(write.save_with_items, record, items)
        else:
            size = len(record.body) + len(record.input)
            to_index = not_named_after(record.id, record.item_ids)
            await self._write(write.save, (record, self._now_ms(), to_index), (record.id,), size)

    async def finish(self, record: ResponseRecord, items: Sequence[ItemRecord] = ()) -> bool:
        finished: bool = await self._save(write.finish, record, items)
        return finished

    def _save(self, run: Run, record: ResponseRecord, items: Sequence[ItemRecord]) -> asyncio.Future[Any]:
        size = len(record.body) + len(record.input) + _size(items)
        return self._write(
            run, (record, items, self._now_ms()), (record.id, record.conversation_id or record.id), size
        )

    async def response(self, tenant: str, response_id: str) -> ResponseRecord | None:
        found: ResponseRecord | None = await self._read(read.response, (tenant, response_id), response_id)
        return found

    async def chain(self, tenant: str, response_id: str) -> list[ResponseRecord]:
        found: list[ResponseRecord]
        found, uses = await self._read(read.chain, (tenant, response_id), response_id)
        self._touch(write.touch_responses, uses)
        return found

    def _touch(self, run: Run, uses: Sequence[read.Used]) -> None:
        """Write down, some time, the use of those whose last one is a while ago."""
        now = self._clock()
        if numbers := [number for number, used_at in uses if now - used_at >= self._touch_after_s]:
            with suppress(StoreError):
                self._write(run, (numbers, int(now * 1000))).add_done_callback(_forgive)

    async def delete_response(self, tenant: str, response_id: str) -> bool:
        deleted: bool = await self._write(write.delete_response, (tenant, response_id), (response_id,))
        return deleted

    async def find_items(self, tenant: str, item_ids: Sequence[str]) -> dict[str, bytes]:
        found: dict[str, bytes] = await self._read(read.find_items, (tenant, [*item_ids]), *self._written)
        return found

    async def renew(self, running: Sequence[tuple[str, str]], lease_until: float) -> set[tuple[str, str]]:
        ids = tuple(response_id for _, response_id in running)
        argument = (running, lease_until, self._now_ms())
        ended: set[tuple[str, str]] = await self._write(write.renew, argument, ids)
        return ended

    async def add_events(self, tenant: str, response_id: str, events: Sequence[tuple[int, bytes]]) -> None:
        size = sum(len(body) for _, body in events)
        await self._write(write.add_events, (tenant, response_id, events), (response_id,), size)

    async def events(self, tenant: str, response_id: str, after: int = -1) -> list[tuple[int, bytes]]:
        found: list[tuple[int, bytes]]
        found = await self._read(read.events, (tenant, response_id, after), response_id)
        return found

    # Conversations.

    async def create_conversation(self, record: ConversationRecord, items: Sequence[ItemRecord] = ()) -> None:
        size = len(record.metadata) + _size(items)
        await self._write(write.create_conversation, (record, items, self._now_ms()), (record.id,), size)

    async def conversation(self, tenant: str, conversation_id: str) -> ConversationRecord | None:
        found: ConversationRecord | None
        found = await self._read(read.conversation, (tenant, conversation_id), conversation_id)
        return found

    async def update_conversation(self, record: ConversationRecord) -> bool:
        argument = (record, self._now_ms())
        updated: bool = await self._write(
            write.update_conversation, argument, (record.id,), len(record.metadata)
        )
        return updated

    async def delete_conversation(self, tenant: str, conversation_id: str) -> bool:
        key = (tenant, conversation_id)
        deleted: bool = await self._write(write.delete_conversation, key, (conversation_id,))
        return deleted

    async def add_items(self, tenant: str, conversation_id: str, items: Sequence[ItemRecord]) -> None:
        argument = (tenant, conversation_id, items, self._now_ms())
        await self._write(write.add_items, argument, (conversation_id,), _size(items))

    async def items(
        self,
        tenant: str,
        conversation_id: str,
        *,
        after: str | None = None,
        limit: int | None = None,
        descending: bool = False,
    ) -> ItemPage:
        page: ItemPage
        argument = (tenant, conversation_id, after, limit, descending)
        page, use = await self._read(read.items, argument, conversation_id)
        self._touch(write.touch_conversations, [use])
        return page

    async def item(self, tenant: str, conversation_id: str, item_id: str) -> ItemRecord | None:
        found: ItemRecord | None
        found = await self._read(read.item, (tenant, conversation_id, item_id), conversation_id)
        return found

    async def delete_item(self, tenant: str, conversation_id: str, item_id: str) -> bool:
        key = (tenant, conversation_id, item_id)
        deleted: bool = await self._write(write.delete_item, key, (conversation_id,))
        return deleted

    # What gateways tell one another of targets' health.

    async def tell(self, notes: Sequence[HealthNote]) -> None:
        """Do what `HealthStore.tell` says."""
        await self._write(write.tell, (notes, self._clock()))

    async def hear(self, source: str) -> list[HealthNote]:
        """Do what `HealthStore.hear` says."""
        heard: list[HealthNote] = await self._read(read.hear, (source, self._clock()))
        return heard

    # What is shared beside it in the same file.

    @property
    def clock(self) -> Callable[[], float]:
        return self._clock

    async def write(self, run: Run, argument: object) -> Any:
        """Do a job that writes, in the same transactions as all else. Raises StoreError."""
        return await self._write(run, argument)

    async def read(self, run: Run, argument: object) -> Any:
        """Do a job that reads. Raises StoreError."""
        return await self._read(run, argument)

    # Retention.

    async def sweep(self, now: float) -> int:
        keep_s, removed = self._retention.keep_s, 0
        cutoff_ms = None if keep_s is None else int((now - keep_s) * 1000)
        is_done = False
        while not is_done:
            step: sweeping.Swept = await self._write(sweeping.sweep, (cutoff_ms, self._retention.max_bytes))
            removed, is_done = removed + step.removed, step.is_done
        while not await self._write(sweeping.give_back, None):
            pass
        return removed

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)


def _size(items: Sequence[ItemRecord]) -> int:
    return sum(len(item.body) for item in items)


def _forgive(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()
