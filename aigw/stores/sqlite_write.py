"""What is written to the SQLite file: each function does some jobs of one kind, in as few calls as it can.

Each takes (connection, arguments) and returns a result for every one of them. All run inside the writer's
transaction, unless they are one statement, and raise nothing of their own once they have begun to write:
MissingError is a result.
"""
# ruff: noqa: D103, S608 - what each does is said by the method of StateStore; queries are made of constants

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar

import orjson

from aigw.stores.base import RUNNING, ConversationRecord, ItemRecord, MissingError, ResponseRecord
from aigw.stores.health import HealthNote
from aigw.stores.names import not_named_after

T = TypeVar("T")
R = TypeVar("R")

MAX_ROWS = 64
"""In one statement. Each number of rows is a statement that SQLite has to compile and keep once."""

Kept = tuple[ResponseRecord, int, Sequence[str]]
"""(the record, now in milliseconds, those of its items that have to be indexed)"""

Saved = tuple[ResponseRecord, Sequence[ItemRecord], int]
"""(the record, items for its conversation, now in milliseconds)"""

_COLUMNS = (
    "tenant, id, created_at, used_at, status, previous_id, conversation_id, "
    "lease_until, item_ids, input, body"
)
_OPTIONAL = {"previous_id", "conversation_id", "lease_until"}
_SAVE = f"INSERT INTO responses ({_COLUMNS}) VALUES "
# The driver looks for adapters for each None and each `bytes`: that takes longer than SQLite over the same.
_SAVED = ", ".join("nullif(?, '')" if column in _OPTIONAL else "?" for column in _COLUMNS.split(", "))
_REPLACE = " ON CONFLICT (id, tenant) DO UPDATE SET " + ", ".join(
    f"{column} = excluded.{column}" for column in _COLUMNS.split(", ")[2:]
)
_ADD_ITEMS = "INSERT INTO items (conversation, tenant, id, body) VALUES "
_REPLACE_ITEM = " ON CONFLICT (id, tenant, conversation) DO UPDATE SET body = excluded.body"
_ADD_RESPONSE_ITEMS = (
    "INSERT OR IGNORE INTO response_items SELECT e.column3, e.column1, r.number FROM (VALUES "
)
_ADD_EVENTS = "INSERT OR REPLACE INTO events SELECT r.number, e.column3, e.column4 FROM (VALUES "
_OF_RESPONSE = ") AS e CROSS JOIN responses AS r ON r.id = e.column2 AND r.tenant = e.column1"
_IS_RUNNING = f"status IN {tuple(sorted(RUNNING))}"


def nothing(_connection: sqlite3.Connection, arguments: list[None]) -> list[None]:
    """Only show that the file can be written."""
    return arguments


def save(connection: sqlite3.Connection, records: list[Kept]) -> list[None]:
    """Keep responses."""
    _insert(connection, _SAVE, [_row(record, now_ms) for record, now_ms, _ in records], _REPLACE, _SAVED)
    if any(item_ids for _, _, item_ids in records):
        _index(connection, records)
    return [None] * len(records)


def is_one_statement(run: object, arguments: Sequence[Any]) -> bool:
    """Tell whether these are written by a single statement: alone, it needs no transaction around it."""
    return run is save and len(arguments) <= MAX_ROWS and not any(item_ids for _, _, item_ids in arguments)


def _index(connection: sqlite3.Connection, records: Sequence[Kept]) -> None:
    last = {(record.tenant, record.id): item_ids for record, _, item_ids in records}
    rows = [(*key, item_id) for key, item_ids in last.items() for item_id in item_ids]
    _insert(connection, _ADD_RESPONSE_ITEMS, rows, _OF_RESPONSE)


def _row(record: ResponseRecord, now_ms: int) -> tuple[object, ...]:
    return (
        record.tenant,
        record.id,
        repr(record.created_at),
        now_ms,
        record.status,
        record.previous_id or "",
        record.conversation_id or "",
        "" if record.lease_until is None else repr(record.lease_until),
        orjson.dumps(record.item_ids).decode() if record.item_ids else "[]",
        bytearray(record.input),
        bytearray(record.body),
    )


def _insert(
    connection: sqlite3.Connection, head: str, rows: Sequence[tuple[object, ...]], tail: str, row: str = ""
) -> None:
    """Run a statement for many rows. row: the values of one, where they are not plain ones."""
    for start in range(0, len(rows), MAX_ROWS):
        some = rows[start : start + MAX_ROWS]
        values = _values(len(some), row or ", ".join("?" * len(some[0])))
        connection.execute(head + values + tail, [value for each in some for value in each])


@cache
def _values(rows: int, row: str) -> str:
    return ", ".join([f"({row})"] * rows)


def _one_by_one(
    do: Callable[[sqlite3.Connection, T], R],
) -> Callable[[sqlite3.Connection, list[T]], list[R | MissingError]]:
    """Make a function for many of one for one."""

    def do_all(connection: sqlite3.Connection, arguments: list[T]) -> list[R | MissingError]:
        results: list[R | MissingError] = []
        for argument in arguments:
            try:
                results.append(do(connection, argument))
            except MissingError as error:
                results.append(error)
        return results

    return do_all


@_one_by_one
def save_with_items(connection: sqlite3.Connection, saved: Saved) -> None:
    record, items, now_ms = saved
    _append(connection, record.tenant, record.conversation_id or "", items, now_ms)
    save(connection, [(record, now_ms, not_named_after(record.id, record.item_ids))])


@_one_by_one
def finish(connection: sqlite3.Connection, saved: Saved) -> bool:
    record, items, now_ms = saved
    query = f"SELECT 1 FROM responses WHERE id = ? AND tenant = ? AND {_IS_RUNNING}"
    if connection.execute(query, (record.id, record.tenant)).fetchone() is None:
        return False
    if items:
        _append(connection, record.tenant, record.conversation_id or "", items, now_ms)
    save(connection, [(record, now_ms, not_named_after(record.id, record.item_ids))])
    return True


@_one_by_one
def delete_response(connection: sqlite3.Connection, key: tuple[str, str]) -> bool:
    return connection.execute("DELETE FROM responses WHERE tenant = ? AND id = ?", key).rowcount > 0


@_one_by_one
def renew(
    connection: sqlite3.Connection, renewed: tuple[Sequence[tuple[str, str]], float, int]
) -> set[tuple[str, str]]:
    running, lease_until, now_ms = renewed
    query = f"""UPDATE responses SET lease_until = ?, used_at = ? WHERE {_IS_RUNNING} AND number IN (
        SELECT r.number FROM json_each(?) AS k CROSS JOIN responses AS r
        ON r.id = k.value ->> 1 AND r.tenant = k.value ->> 0) RETURNING tenant, id"""
    found = connection.execute(query, (repr(lease_until), now_ms, orjson.dumps(running).decode())).fetchall()
    return {*running} - {*found}


def touch_responses(connection: sqlite3.Connection, touched: list[tuple[list[int], int]]) -> list[None]:
    """Write down a use of responses by their numbers, each list with the milliseconds of now."""
    return _touch(connection, "responses", touched)


def touch_conversations(connection: sqlite3.Connection, touched: list[tuple[list[int], int]]) -> list[None]:
    """Do the same for conversations."""
    return _touch(connection, "conversations", touched)


def _touch(connection: sqlite3.Connection, table: str, touched: list[tuple[list[int], int]]) -> list[None]:
    query = f"""UPDATE {table} SET used_at = max(used_at, ?)
        WHERE number IN (SELECT value FROM json_each(?))"""
    for numbers, now_ms in touched:
        connection.execute(query, (now_ms, orjson.dumps(numbers).decode()))
    return [None] * len(touched)


def add_events(
    connection: sqlite3.Connection, added: list[tuple[str, str, Sequence[tuple[int, bytes]]]]
) -> list[None]:
    rows = [(tenant, response_id, *event) for tenant, response_id, events in added for event in events]
    _insert(connection, _ADD_EVENTS, rows, _OF_RESPONSE)
    return [None] * len(added)


@_one_by_one
def create_conversation(
    connection: sqlite3.Connection, created: tuple[ConversationRecord, Sequence[ItemRecord], int]
) -> None:
    record, items, now_ms = created
    connection.execute("DELETE FROM conversations WHERE tenant = ? AND id = ?", (record.tenant, record.id))
    row = (record.tenant, record.id, repr(record.created_at), now_ms, record.metadata)
    connection.execute(
        "INSERT INTO conversations (tenant, id, created_at, used_at, metadata) VALUES (?, ?, ?, ?, ?)", row
    )
    if items:
        _append(connection, record.tenant, record.id, items, now_ms)


@_one_by_one
def update_conversation(connection: sqlite3.Connection, updated: tuple[ConversationRecord, int]) -> bool:
    record, now_ms = updated
    query = "UPDATE conversations SET metadata = ?, used_at = ? WHERE tenant = ? AND id = ?"
    return connection.execute(query, (record.metadata, now_ms, record.tenant, record.id)).rowcount > 0


@_one_by_one
def delete_conversation(connection: sqlite3.Connection, key: tuple[str, str]) -> bool:
    return connection.execute("DELETE FROM conversations WHERE tenant = ? AND id = ?", key).rowcount > 0


@_one_by_one
def add_items(connection: sqlite3.Connection, added: tuple[str, str, Sequence[ItemRecord], int]) -> None:
    _append(connection, *added)


def _append(
    connection: sqlite3.Connection,
    tenant: str,
    conversation_id: str,
    items: Sequence[ItemRecord],
    now_ms: int,
) -> None:
    query = "UPDATE conversations SET used_at = ? WHERE tenant = ? AND id = ? RETURNING number"
    found = connection.execute(query, (now_ms, tenant, conversation_id)).fetchall()
    if not found:
        raise MissingError(conversation_id)
    rows = [(found[0][0], tenant, item.id, item.body) for item in items]
    _insert(connection, _ADD_ITEMS, rows, _REPLACE_ITEM)


@_one_by_one
def delete_item(connection: sqlite3.Connection, key: tuple[str, str, str]) -> bool:
    query = """DELETE FROM items WHERE tenant = ?1 AND id = ?3
        AND conversation = (SELECT number FROM conversations WHERE tenant = ?1 AND id = ?2)"""
    return connection.execute(query, key).rowcount > 0


@_one_by_one
def tell(connection: sqlite3.Connection, told: tuple[Sequence[HealthNote], float]) -> None:
    notes, now = told
    connection.execute("DELETE FROM health WHERE until <= ?", (now,))
    rows = [(note.source, note.target, note.until, note.reason) for note in notes]
    _insert(connection, "INSERT OR REPLACE INTO health (source, target, until, reason) VALUES ", rows, "")
