"""Threads that use the disk so that the event loop need not: each takes jobs in bunches.

Owns queues, threads, connections and futures; knows no table. A busy event loop makes a thread wait for the
interpreter lock after every call into SQLite. So what counts is few calls for many jobs, and a thread is
woken, and the loop told, once for a bunch of them.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from attrs import define

from aigw.stores.base import MissingError, StoreError

T = TypeVar("T")

Run = Callable[[sqlite3.Connection, Any], Any]
"""What a job does. To read: (connection, argument) -> result. To write: (connection, arguments of several
jobs) -> what each came to, where an exception in place of a result is that job's own."""

IsOneStatement = Callable[[Run, Sequence[Any]], bool]
"""Whether jobs that write, all of one kind, are one statement of SQLite; from their `run` and arguments."""

Queue = SimpleQueue["list[Job] | None"]


@define(eq=False)
class Job:
    """Something to do, and what it came to. ids: what it writes. size: bytes."""

    run: Run
    argument: object
    future: asyncio.Future[Any]
    ids: tuple[str, ...] = ()
    size: int = 0
    result: object = None

    def settle(self) -> None:
        """Tell whoever waits. In the loop."""
        if self.future.done():
            return
        if isinstance(self.result, Exception):
            self.future.set_exception(self.result)
        else:
            self.future.set_result(self.result)


class Worker:
    """One thread. It ends behind a None in its queue; until then it opens a lost connection again.

    most: jobs that it takes at a time, so that the first of them does not wait for too many others.
    perform: does some jobs and sets their results; what it raises is the result of all of them.
    settle: called in the loop with the jobs that have their results.
    """

    def __init__(  # noqa: PLR0913 - all but the path and the queue are what makes a writer or a reader
        self,
        path: Path,
        queue: Queue,
        *,
        most: int,
        connect: Callable[[], sqlite3.Connection],
        perform: Callable[[sqlite3.Connection, list[Job]], None],
        settle: Callable[[list[Job]], None],
    ) -> None:
        self._path = path
        self._queue = queue
        self._most = most
        self._connect = connect
        self._perform = perform
        self._settle = settle
        self._connection: sqlite3.Connection | None = None
        self._is_ending = False
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        # A daemon: a disk that answers no more must not keep the process alive.
        threading.Thread(target=self._work, name=f"aigw {path.name}", daemon=True).start()

    def interrupt(self) -> None:
        """Make the statement that runs now fail, where SQLite still listens."""
        if connection := self._connection:
            connection.interrupt()

    def _work(self) -> None:
        while not self._is_ending:
            if jobs := self._take():
                if wanted := [job for job in jobs if not job.future.cancelled()]:
                    self._do(wanted)
                self._tell(self._settle, jobs)
        self._disconnect()
        self._tell(self._end, None)

    def _take(self) -> list[Job]:
        jobs: list[Job] = []
        try:
            more = self._queue.get()
            while more is not None:
                jobs += more
                if len(jobs) >= self._most:
                    return jobs
                more = self._queue.get_nowait()
        except Empty:
            return jobs
        self._is_ending = True
        return jobs

    def _do(self, jobs: list[Job]) -> None:
        try:
            if self._connection is None:
                self._connection = self._connect()
            self._perform(self._connection, jobs)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            self._disconnect()
            for job in jobs:
                job.result = StoreError(f"{self._path}: {error}")

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _tell(self, function: Callable[[T], object], argument: T) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(function, argument)

    def _end(self, _nothing: None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


def commit_together(
    connection: sqlite3.Connection, jobs: list[Job], is_one_statement: IsOneStatement
) -> None:
    """Do jobs in one transaction; where one of them cannot be done at all, each in its own."""
    try:
        _commit(connection, jobs, is_one_statement)
    except Exception as error:
        if concerns_all(error):
            raise
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if len(jobs) == 1:
            jobs[0].result = StoreError(f"it cannot be kept: {type(error).__name__}")
            return
        for job in jobs:
            commit_together(connection, [job], is_one_statement)


def _commit(connection: sqlite3.Connection, jobs: list[Job], is_one_statement: IsOneStatement) -> None:
    groups = [(run, [*group]) for run, group in groupby(jobs, key=attrgetter("run"))]
    run, arguments = groups[0][0], [job.argument for job in groups[0][1]]
    if len(groups) == 1 and is_one_statement(run, arguments):
        _set_results(jobs, run(connection, arguments))
        return
    connection.execute("BEGIN IMMEDIATE")
    for run, together in groups:
        _set_results(together, run(connection, [job.argument for job in together]))
    connection.execute("COMMIT")


def _set_results(jobs: list[Job], results: Sequence[object]) -> None:
    for job, result in zip(jobs, results, strict=True):
        job.result = result


def answer_each(connection: sqlite3.Connection, jobs: list[Job]) -> None:
    """Do jobs that only read."""
    for job in jobs:
        try:
            job.result = job.run(connection, job.argument)
        except MissingError as error:
            job.result = error
        except Exception as error:
            if concerns_all(error):
                raise
            job.result = StoreError(f"it cannot be read: {type(error).__name__}")


def concerns_all(error: Exception) -> bool:
    """Tell whether it is the file or the disk that fails, not one job's values."""
    return isinstance(error, sqlite3.OperationalError) or type(error) is sqlite3.DatabaseError
