import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from stores.conformance import keep_chain, kept, record

from aigw.stores.sqlite import SqliteStore

TESTS = Path(__file__).parents[1]

# Saves chains of two in many tasks, and prints each id once `save` has returned.
CHILD = """
import asyncio, itertools, sys
from pathlib import Path
from stores.conformance import record
from aigw.stores.sqlite import SqliteStore

async def main(path, name, count):
    store = SqliteStore(Path(path))
    await store.open()
    numbers = itertools.count() if count == "endless" else iter(range(int(count)))

    async def some():
        for number in numbers:
            await store.save(record(f"{name}{number}"))
            await store.save(record(f"{name}{number}-next", f"{name}{number}"))
            print(f"{name}{number}-next", flush=True)

    await asyncio.gather(*[some() for _ in range(16)])
    await store.close()

asyncio.run(main(*sys.argv[1:]))
"""


def child(path, name, count):
    command = [sys.executable, "-c", CHILD, str(path), name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=TESTS)


@pytest.fixture
async def open_store(tmp_path):
    stores = []

    async def make():
        store = SqliteStore(tmp_path / "state.db")
        stores.append(store)
        await store.open()
        return store

    yield make
    for store in stores:
        await store.close()


@pytest.mark.parametrize("lines", [1, 40, 400])
async def test_what_was_saved_survives_a_kill(tmp_path, open_store, lines):
    with child(tmp_path / "state.db", "r", "endless") as process:
        told = [process.stdout.readline().strip() for _ in range(lines)]
        process.send_signal(signal.SIGKILL)
        told += process.stdout.read().split()
    store = await open_store()
    for response_id in told:
        chain = await store.chain("t", response_id)
        first = response_id.removesuffix("-next")
        assert chain == [record(first), record(response_id, first)]
    with closing(sqlite3.connect(tmp_path / "state.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows = connection.execute("SELECT id, body FROM responses").fetchall()
    assert {row[0] for row in rows} >= {*told}
    assert all(json.loads(body)["id"] == response_id for response_id, body in rows)


async def test_processes_write_one_file_at_once(tmp_path, open_store):
    with child(tmp_path / "state.db", "a", 150) as one, child(tmp_path / "state.db", "b", 150) as other:
        store = await open_store()
        await keep_chain(store, 100)
        told = one.communicate()[0].split() + other.communicate()[0].split()
    assert (one.returncode, other.returncode) == (0, 0)
    assert len(told) == 300
    assert await kept(store, *told) == told
    assert len(await store.chain("t", "r99")) == 100


async def test_each_process_sees_what_the_other_has_done(open_store):
    one, other = await open_store(), await open_store()
    for number in range(20):
        response_id = f"r{number}"
        await one.save(record(response_id, status="in_progress"))
        assert await kept(other, response_id) == [response_id]
        assert await other.finish(record(response_id, status="cancelled"))
        assert not await one.finish(record(response_id))
        await one.delete_response("t", response_id)
        assert await kept(other, response_id) == []


async def test_many_open_a_new_file_at_once(open_store):
    stores = await asyncio.gather(*[open_store() for _ in range(8)])
    await asyncio.gather(*[store.save(record(f"r{number}")) for number, store in enumerate(stores)])
    names = [f"r{number}" for number in range(8)]
    assert [await kept(store, *names) for store in stores] == [names] * 8
