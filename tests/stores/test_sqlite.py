import asyncio
import os
import resource
import sqlite3
import stat
import threading
from contextlib import closing, contextmanager

import orjson
import pytest
from stores.conformance import (
    DAY,
    OWN,
    OWN_ITEM,
    Clock,
    Conformance,
    item_record,
    keep_chain,
    kept,
    own_record,
    record,
)

from aigw.stores.base import ConversationRecord, Retention, StoreError
from aigw.stores.sqlite import MAX_OWED_BYTES, SqliteStore
from aigw.stores.sqlite_schema import MIGRATIONS


class TestSqliteStore(Conformance):
    @pytest.fixture
    def new_store(self, tmp_path):
        return lambda retention, clock: SqliteStore(tmp_path / "state.db", retention, clock=clock)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "state.db"


@pytest.fixture
async def store(path):
    store = SqliteStore(path, busy_s=0.1, close_s=2.0)
    await store.open()
    yield store
    await store.close()


@contextmanager
def locked(path):
    """Hold the lock that a writer needs, as another process would."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@contextmanager
def full(size_bytes):
    """Let no file grow beyond a size, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# The file.


async def test_the_file_and_its_folder_are_for_their_owner_alone(store, path):
    await store.save(record("r"))
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {"state.db": 0o600, "state.db-wal": 0o600, "state.db-shm": 0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_what_was_kept_is_there_after_opening_again(path):
    for number in range(3):
        store = SqliteStore(path)
        await store.open()
        assert await kept(store, "r0", "r1") == [f"r{n}" for n in range(number)]
        await store.save(record(f"r{number}"))
        await store.close()


async def test_one_store_opens_again_after_closing(store):
    await store.save(record("r"))
    await store.close()
    with pytest.raises(StoreError, match="closed"):
        await store.save(record("s"))
    with pytest.raises(StoreError, match="closed"):
        await store.response("t", "r")
    await store.open()
    assert await kept(store, "r", "s") == ["r"]


async def test_no_thread_is_left_behind(path, eventually):
    def threads():
        return [each for each in threading.enumerate() if each.name == f"aigw {own.name}"]

    own = path.with_name("alone.db")  # threads are called by their file, and others' may be about to end
    store = SqliteStore(own)
    await store.open()
    await store.response("t", "r")
    assert threads()
    await store.close()
    await store.close()
    await eventually(lambda: not threads())


async def test_a_file_of_a_newer_version_is_refused(path):
    store = SqliteStore(path)
    await store.open()
    await store.close()
    with closing(sqlite3.connect(path)) as newer:
        newer.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match=f"schema version: got 99, wanted at most {len(MIGRATIONS)}"):
        await store.open()
    await store.close()
    with closing(sqlite3.connect(path)) as newer:
        assert newer.execute("PRAGMA user_version").fetchone() == (99,)


async def test_an_older_file_is_brought_up_to_date(path, monkeypatch):
    store = SqliteStore(path)
    await store.open()
    await store.save(record("r"))
    await store.close()
    added = (*MIGRATIONS, ("ALTER TABLE responses ADD COLUMN colour TEXT",))
    monkeypatch.setattr("aigw.stores.sqlite_schema.MIGRATIONS", added)
    await store.open()
    assert await kept(store, "r") == ["r"]
    await store.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(added),)
        assert connection.execute("SELECT colour FROM responses").fetchall() == [(None,)]


async def test_items_kept_by_the_first_version_are_found_and_go_with_their_response(path):
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as old:
        for statement in (*MIGRATIONS[0], "PRAGMA user_version = 1"):
            old.execute(statement)
        for kept_record in (record("r"), own_record()):
            values = (kept_record.id, orjson.dumps(kept_record.item_ids).decode(), kept_record.body)
            old.execute(
                "INSERT INTO responses (tenant, id, created_at, used_at, status, item_ids, input, body)"
                " VALUES ('t', ?, '1.0', 1, 'completed', ?, '[]', ?)",
                values,
            )
        assert old.execute("SELECT count(*) FROM response_items").fetchone() == (3,)
        old.commit()
    store = SqliteStore(path)
    await store.open()
    assert {*await store.find_items("t", ["msg_r_out", OWN_ITEM])} == {"msg_r_out", OWN_ITEM}
    await store.save(record("r", body=b'{"output":[{"id":"new"}]}', item_ids=("new",)))
    assert {*await store.find_items("t", ["msg_r_out", "new"])} == {"new"}
    for response_id in ("r", OWN):
        assert await store.delete_response("t", response_id)
    await store.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM response_items").fetchone() == (0,)


async def test_items_whose_names_tell_their_response_take_no_row(store, path):
    await asyncio.gather(store.save(own_record()), store.save(record("r")), store.save(own_record("later")))
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(
            "SELECT r.id, i.id FROM response_items AS i JOIN responses AS r ON r.number = i.response"
        ).fetchall()
    assert {*rows} == {("r", "msg_r_in"), ("r", "msg_r_out"), ("later", OWN_ITEM)}


async def test_two_saves_of_one_response_at_once_leave_no_row_behind(store, path):
    versions = [record("r", item_ids=(f"item_{number}",)) for number in range(100)]
    await asyncio.gather(*map(store.save, versions))
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT id FROM response_items").fetchall() == [("item_99",)]


async def test_space_is_given_back(path):
    clock = Clock()
    store = SqliteStore(path, Retention(keep_s=DAY), clock=clock)
    await store.open()
    await keep_chain(store, 200, body=b"x" * 50_000)
    assert await store.sweep(clock.now + 2 * DAY) == 200
    await store.close()
    assert path.stat().st_size < 500_000


async def test_deleting_leaves_no_row_behind(store, path):
    await store.save(record("r"))
    await store.add_events("t", "r", [(0, b"{}")])
    await store.create_conversation(ConversationRecord("t", "c", 1.0), [item_record("a")])
    await store.delete_response("t", "r")
    await store.delete_conversation("t", "c")
    with closing(sqlite3.connect(path)) as connection:
        for table in ("responses", "response_items", "events", "conversations", "items"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM response_items WHERE id = 'a' AND tenant = 't'",
        "SELECT * FROM items WHERE id = 'a' AND tenant = 't'",
        "SELECT * FROM items WHERE conversation = 1 AND number > 3 ORDER BY number DESC",
        "SELECT * FROM responses WHERE id = 'a' AND tenant = 't'",
        "SELECT * FROM responses WHERE previous_id = 'a' AND tenant = 't'",
        "SELECT used_at FROM responses ORDER BY used_at, number LIMIT 1",
    ],
)
async def test_look_ups_use_an_index(store, path, query):
    with closing(sqlite3.connect(path)) as connection:
        plan = " ".join(row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + query))
    assert "SEARCH" in plan or "USING COVERING INDEX" in plan
    assert "TEMP B-TREE" not in plan


# Failures.


async def test_a_locked_file_fails_writes_and_not_reads(store, path):
    await store.save(record("r"))
    with locked(path):
        with pytest.raises(StoreError, match=r"state\.db: database is locked"):
            await store.save(record("s"))
        assert await kept(store, "r", "s") == ["r"]
    await store.save(record("s"))
    assert await kept(store, "r", "s") == ["r", "s"]


async def test_the_loop_runs_on_while_the_file_is_locked(store, path):
    turns = 0
    with locked(path):
        saving = asyncio.ensure_future(store.save(record("r")))
        while not saving.done():
            await asyncio.sleep(0.001)
            turns += 1
    assert isinstance(saving.exception(), StoreError)
    assert turns > 5


async def test_a_full_disk_fails_and_recovers(store, path):
    await store.save(record("r"))
    with full(300_000):
        with pytest.raises(StoreError) as failure:
            await store.save(record("big", body=b"secret words" * 100_000))
        assert "secret" not in str(failure.value)
        assert str(path) in str(failure.value)
        assert await kept(store, "r", "big") == ["r"]
    await store.save(record("big", body=b"secret words" * 100_000))
    assert await kept(store, "r", "big") == ["r", "big"]


async def test_a_file_that_is_no_database_fails_until_it_is_gone(path):
    path.parent.mkdir()
    path.write_bytes(b"my poems, " * 1000)
    store = SqliteStore(path)
    with pytest.raises(StoreError, match="file is not a database"):
        await store.open()
    with pytest.raises(StoreError, match="file is not a database"):
        await store.response("t", "r")
    assert path.read_bytes() == b"my poems, " * 1000
    path.unlink()
    await store.save(record("r"))
    assert await kept(store, "r") == ["r"]
    await store.close()


async def test_a_folder_in_the_files_place_is_named(tmp_path):
    store = SqliteStore(tmp_path)
    with pytest.raises(StoreError, match="Is a directory"):
        await store.open()
    await store.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
async def test_a_read_only_file_is_named(path):
    store = SqliteStore(path)
    await store.open()
    await store.close()
    path.chmod(0o400)
    with pytest.raises(StoreError, match="Permission denied"):
        await store.open()
    await store.close()


async def test_what_cannot_be_kept_fails_alone(store):
    results = await asyncio.gather(
        store.save(record("a")),
        store.save(record("r", tenant="\ud800")),
        store.save(record("b")),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [type(None), StoreError, type(None)]
    with pytest.raises(StoreError):
        await store.response("\ud800", "r")
    assert await kept(store, "a", "b") == ["a", "b"]


async def test_a_backlog_is_bounded(store, path):
    body = b"x" * (MAX_OWED_BYTES // 2)
    with locked(path):
        waiting = [asyncio.ensure_future(store.save(record(f"r{n}", body=body))) for n in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(StoreError, match="wait to be written already"):
            await store.save(record("s"))
        results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(result, StoreError) for result in results)
    await store.save(record("s"))
    assert store._owed_bytes == 0


async def test_a_write_whose_caller_went_away_does_no_harm(store, path):
    with locked(path):
        first = asyncio.ensure_future(store.save(record("first")))
        await asyncio.sleep(0.02)
        second = asyncio.ensure_future(store.save(record("second")))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.wait([first, second])
    assert isinstance(first.exception(), StoreError)
    await store.save(record("third"))
    assert await kept(store, "first", "second", "third") == ["third"]
    assert not store._open_jobs
    assert not store._written


# Closing.


async def test_closing_finishes_what_was_queued(path):
    store = SqliteStore(path)
    await store.open()
    saving = [asyncio.ensure_future(store.save(record(f"r{number}"))) for number in range(600)]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*saving)
    await store.open()
    assert await kept(store, "r0", "r599") == ["r0", "r599"]
    await store.close()


async def test_a_stuck_writer_does_not_hold_up_closing(path):
    store = SqliteStore(path, busy_s=1.0, close_s=0.1)
    await store.open()
    with locked(path):
        saving = asyncio.ensure_future(store.save(record("r")))
        await asyncio.sleep(0)
        await asyncio.wait_for(store.close(), 0.8)
        assert saving.done()
        with pytest.raises(StoreError, match=r"not done within 0\.1 s"):
            await saving
    await store.open()
    await store.save(record("s"))
    assert await kept(store, "s") == ["s"]
    assert store._owed_bytes == 0
    await store.close()
