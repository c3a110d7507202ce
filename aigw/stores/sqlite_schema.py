"""The SQLite file: its tables, their versions, and a connection to it. Knows no record.

Keys begin with the id, not the tenant: ids that grow with time then fall on the same few pages, and
writing a response costs half.
"""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

from aigw.stores.base import StoreError

_FIRST = (
    # created_at and lease_until are text: JSON functions round numbers to 15 digits. used_at: milliseconds.
    """CREATE TABLE responses (
        number INTEGER PRIMARY KEY, tenant TEXT NOT NULL, id TEXT NOT NULL, created_at TEXT NOT NULL,
        used_at INTEGER NOT NULL, status TEXT NOT NULL, previous_id TEXT, conversation_id TEXT,
        lease_until TEXT, item_ids TEXT NOT NULL, input BLOB NOT NULL, body BLOB NOT NULL)""",
    "CREATE UNIQUE INDEX responses_id ON responses (id, tenant)",
    "CREATE INDEX responses_used ON responses (used_at)",
    "CREATE INDEX responses_next ON responses (previous_id, tenant) WHERE previous_id IS NOT NULL",
    """CREATE TABLE response_items (
        id TEXT NOT NULL, tenant TEXT NOT NULL, response INTEGER NOT NULL, PRIMARY KEY (id, tenant, response)
        ) WITHOUT ROWID""",
    """CREATE TABLE events (
        response INTEGER NOT NULL, number INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (response, number)
        ) WITHOUT ROWID""",
    """CREATE TRIGGER response_added AFTER INSERT ON responses BEGIN
        INSERT OR IGNORE INTO response_items
            SELECT value, new.tenant, new.number FROM json_each(new.item_ids);
        END""",
    """CREATE TRIGGER response_changed AFTER UPDATE OF item_ids ON responses
        WHEN old.item_ids <> new.item_ids BEGIN
        DELETE FROM response_items WHERE tenant = old.tenant AND response = old.number
            AND id IN (SELECT value FROM json_each(old.item_ids));
        INSERT OR IGNORE INTO response_items
            SELECT value, new.tenant, new.number FROM json_each(new.item_ids);
        END""",
    """CREATE TRIGGER response_removed AFTER DELETE ON responses BEGIN
        DELETE FROM response_items WHERE tenant = old.tenant AND response = old.number
            AND id IN (SELECT value FROM json_each(old.item_ids));
        DELETE FROM events WHERE response = old.number;
        END""",
    """CREATE TABLE conversations (
        number INTEGER PRIMARY KEY, tenant TEXT NOT NULL, id TEXT NOT NULL, created_at TEXT NOT NULL,
        used_at INTEGER NOT NULL, metadata BLOB NOT NULL)""",
    "CREATE UNIQUE INDEX conversations_id ON conversations (id, tenant)",
    "CREATE INDEX conversations_used ON conversations (used_at)",
    """CREATE TABLE items (
        number INTEGER PRIMARY KEY, conversation INTEGER NOT NULL, tenant TEXT NOT NULL, id TEXT NOT NULL,
        body BLOB NOT NULL)""",
    "CREATE UNIQUE INDEX items_id ON items (id, tenant, conversation)",
    "CREATE INDEX items_order ON items (conversation)",
    """CREATE TRIGGER conversation_removed AFTER DELETE ON conversations BEGIN
        DELETE FROM items WHERE conversation = old.number;
        END""",
    """CREATE TABLE health (
        source TEXT NOT NULL, target TEXT NOT NULL, until REAL NOT NULL, reason TEXT NOT NULL,
        PRIMARY KEY (source, target)) WITHOUT ROWID""",
)

_FEWER_ITEMS = (
    # Who writes a response knows which of its items are found without a row of their own, and adds the rest.
    "DROP TRIGGER response_added",
    "DROP TRIGGER response_changed",
    """CREATE TRIGGER response_changed AFTER UPDATE OF item_ids ON responses
        WHEN old.item_ids <> new.item_ids BEGIN
        DELETE FROM response_items WHERE tenant = old.tenant AND response = old.number
            AND id IN (SELECT value FROM json_each(old.item_ids));
        END""",
)

_LIMITS = (
    """CREATE TABLE limits (
        source TEXT NOT NULL, limits TEXT NOT NULL, in_flight INTEGER NOT NULL, requests INTEGER NOT NULL,
        tokens INTEGER NOT NULL, told_at REAL NOT NULL, PRIMARY KEY (source, limits)) WITHOUT ROWID""",
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (_FIRST, _FEWER_ITEMS, _LIMITS)
"""What leads from each version, `PRAGMA user_version`, to the next. Only ever add to the end."""

PAGE_BYTES = 8192


def connect(path: Path, busy_s: float) -> sqlite3.Connection:
    """Return a connection in autocommit mode to the file; make it, for its owner alone, if it is not there.

    busy_s: how long a statement waits while another process writes.
    Raises sqlite3.Error, OSError, and StoreError for a file of a newer version.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, timeout=busy_s, isolation_level=None, cached_statements=256)
    try:
        _prepare(connection, busy_s)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, busy_s: float) -> None:
    if _version(connection) == 0:
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    _use_wal(connection, time.monotonic() + busy_s)
    # A commit survives the process at once, and the machine's power cut after the next checkpoint.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"PRAGMA journal_size_limit = {64 * 2**20}")
    if _version(connection) != len(MIGRATIONS):
        _migrate(connection)


def _use_wal(connection: sqlite3.Connection, deadline: float) -> None:
    while True:  # SQLite does not wait by itself while another process does the same
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def _migrate(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    version = _version(connection)
    if version > len(MIGRATIONS):
        raise StoreError(
            f"schema version: got {version}, wanted at most {len(MIGRATIONS)}: made by a newer release"
        )
    for migration in MIGRATIONS[version:]:
        for statement in migration:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    connection.execute("COMMIT")
