"""What is read from the SQLite file. Each function takes (connection, argument) and returns what was asked.

Many rows come as one: their plain columns in a JSON array, their bytes behind each other. So a chain of
any length is one step of SQLite, and the thread asks for the interpreter lock once.
"""
# ruff: noqa: D103, S608 - what each does is said by the method of StateStore; queries are made of constants

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from aigw.stores.base import ConversationRecord, ItemPage, ItemRecord, MissingError, ResponseRecord
from aigw.stores.contents import items_inside
from aigw.stores.health import HealthNote
from aigw.stores.names import response_of

_PACKED = """SELECT json_group_array(json_array(
    r.number, r.used_at, r.tenant, r.id, json(r.created_at), r.status, r.previous_id, r.conversation_id,
    json(r.item_ids), json(r.lease_until), length(r.input), length(r.body))),
    CAST(group_concat(r.input || r.body, '') AS BLOB) FROM """
_ONE = _PACKED + "responses AS r WHERE r.id = ? AND r.tenant = ?"
_CHAIN = (
    """WITH RECURSIVE chain (number, previous_id) AS (
    SELECT number, previous_id FROM responses WHERE id = ?1 AND tenant = ?2
    UNION SELECT p.number, p.previous_id FROM chain JOIN responses AS p
    ON p.id = chain.previous_id AND p.tenant = ?2) """
    + _PACKED
    + "chain CROSS JOIN responses AS r ON r.number = chain.number"
)
_WITH_ITEMS = (
    _PACKED
    + """(SELECT i.response AS number FROM json_each(?1) AS k CROSS JOIN response_items AS i
    ON i.id = k.value AND i.tenant = ?2 UNION
    SELECT o.number FROM json_each(?3) AS k CROSS JOIN responses AS o ON o.id = k.value AND o.tenant = ?2
    ) AS held CROSS JOIN responses AS r ON r.number = held.number AND r.tenant = ?2"""
)

Used = tuple[int, float]
"""(number of a row, Unix seconds of its last use as it is written down)"""


def response(connection: sqlite3.Connection, key: tuple[str, str]) -> ResponseRecord | None:
    tenant, response_id = key
    return next((record for record, _ in _records(connection, _ONE, (response_id, tenant))), None)


def chain(connection: sqlite3.Connection, key: tuple[str, str]) -> tuple[list[ResponseRecord], list[Used]]:
    """Return the records of a chain, the first one first, and their use."""
    tenant, response_id = key
    found = [*_records(connection, _CHAIN, (response_id, tenant))]
    missing = found[-1][0].previous_id if found else response_id
    if missing is not None:
        raise MissingError(missing)
    found.reverse()
    return [record for record, _ in found], [used for _, used in found]


def find_items(connection: sqlite3.Connection, wanted: tuple[str, Sequence[str]]) -> dict[str, bytes]:
    tenant, item_ids = wanted
    ids = orjson.dumps(item_ids).decode()
    query = """SELECT i.id, i.body FROM json_each(?) AS k CROSS JOIN items AS i
        ON i.id = k.value AND i.tenant = ?"""
    found: dict[str, bytes] = dict(connection.execute(query, (ids, tenant)).fetchall())
    left = {*item_ids} - {*found}
    if left:
        told = {response_of(item_id) for item_id in left} - {None}
        parameters = (orjson.dumps([*left]).decode(), tenant, orjson.dumps([*told]).decode())
        for record, _ in _records(connection, _WITH_ITEMS, parameters):
            found |= {
                item_id: body for item_id, body in items_inside(record.input, record.body) if item_id in left
            }
    return found


def _records(
    connection: sqlite3.Connection, query: str, parameters: tuple[str, ...]
) -> Iterator[tuple[ResponseRecord, Used]]:
    packed, blob = connection.execute(query, parameters).fetchone()
    start = 0
    for number, used_ms, *columns, input_bytes, body_bytes in orjson.loads(packed):
        between, end = start + input_bytes, start + input_bytes + body_bytes
        yield _record(columns, blob[start:between], blob[between:end]), (number, used_ms / 1000)
        start = end


def _record(columns: list[Any], kept_input: bytes, body: bytes) -> ResponseRecord:
    tenant, response_id, created_at, status, previous_id, conversation_id, item_ids, lease_until = columns
    return ResponseRecord(
        tenant,
        response_id,
        created_at,
        status,
        body,
        kept_input,
        previous_id,
        conversation_id,
        tuple(item_ids),
        lease_until,
    )


def events(connection: sqlite3.Connection, wanted: tuple[str, str, int]) -> list[tuple[int, bytes]]:
    tenant, response_id, after = wanted
    query = """SELECT json_group_array(json_array(number, length(body))), CAST(group_concat(body, '') AS BLOB)
        FROM (SELECT e.number, e.body FROM responses AS r CROSS JOIN events AS e ON e.response = r.number
        WHERE r.id = ? AND r.tenant = ? AND e.number > ? ORDER BY e.number)"""
    packed, blob = connection.execute(query, (response_id, tenant, after)).fetchone()
    return _cut(orjson.loads(packed), blob)


def conversation(connection: sqlite3.Connection, key: tuple[str, str]) -> ConversationRecord | None:
    query = "SELECT created_at, metadata FROM conversations WHERE tenant = ? AND id = ?"
    row = connection.execute(query, key).fetchone()
    return ConversationRecord(*key, float(row[0]), row[1]) if row else None


def items(
    connection: sqlite3.Connection, wanted: tuple[str, str, str | None, int | None, bool]
) -> tuple[ItemPage, Used]:
    """Return a page of a conversation, and its use."""
    tenant, conversation_id, after, limit, descending = wanted
    query = "SELECT number, used_at FROM conversations WHERE tenant = ? AND id = ?"
    row = connection.execute(query, (tenant, conversation_id)).fetchone()
    if row is None:
        raise MissingError(conversation_id)
    start = None if after is None else _number_of(connection, tenant, row[0], after)
    side, order = ("<", "DESC") if descending else (">", "ASC")
    query = f"""SELECT json_group_array(json_array(id, length(body))), CAST(group_concat(body, '') AS BLOB)
        FROM (SELECT id, body FROM items WHERE conversation = ?1 AND (?2 IS NULL OR number {side} ?2)
        ORDER BY number {order} LIMIT ?3)"""
    packed, blob = connection.execute(query, (row[0], start, -1 if limit is None else limit + 1)).fetchone()
    found = tuple(ItemRecord(item_id, body) for item_id, body in _cut(orjson.loads(packed), blob))
    has_more = limit is not None and len(found) > limit
    return ItemPage(found[:limit], has_more), (row[0], row[1] / 1000)


def _cut(lengths: list[tuple[Any, int]], blob: bytes) -> list[tuple[Any, bytes]]:
    cut, start = [], 0
    for key, length in lengths:
        cut.append((key, blob[start : start + length]))
        start += length
    return cut


def _number_of(connection: sqlite3.Connection, tenant: str, conversation: int, item_id: str) -> int:
    query = "SELECT number FROM items WHERE id = ? AND tenant = ? AND conversation = ?"
    row = connection.execute(query, (item_id, tenant, conversation)).fetchone()
    if row is None:
        raise MissingError(item_id)
    number: int = row[0]
    return number


def item(connection: sqlite3.Connection, key: tuple[str, str, str]) -> ItemRecord | None:
    tenant, conversation_id, item_id = key
    query = """SELECT i.body FROM conversations AS c CROSS JOIN items AS i
        ON i.conversation = c.number AND i.id = ?3 AND i.tenant = ?1 WHERE c.tenant = ?1 AND c.id = ?2"""
    row = connection.execute(query, (tenant, conversation_id, item_id)).fetchone()
    return ItemRecord(item_id, row[0]) if row else None


def hear(connection: sqlite3.Connection, heard: tuple[str, float]) -> list[HealthNote]:
    query = "SELECT target, until, reason, source FROM health WHERE source <> ? AND until > ?"
    return [HealthNote(*row) for row in connection.execute(query, heard).fetchall()]
