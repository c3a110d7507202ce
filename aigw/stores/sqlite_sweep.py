"""What leaves the SQLite file, old or too much: in steps, so that writers get their turn."""

from __future__ import annotations

import sqlite3

import orjson
from attrs import frozen

from aigw.stores.retention import last_use

STEP_ROWS = 200
STEP_PAGES = 500


@frozen
class Swept:
    """What one step did. is_done: nothing is left to do."""

    removed: int
    is_done: bool


def sweep(connection: sqlite3.Connection, limits: list[tuple[int | None, int | None]]) -> list[Swept]:
    """Remove some of what was used last before a time (Unix milliseconds), or is above a size (bytes)."""
    return [_step(connection, cutoff_ms, max_bytes) for cutoff_ms, max_bytes in limits]


def _step(connection: sqlite3.Connection, cutoff_ms: int | None, max_bytes: int | None) -> Swept:
    removed = looked_at = 0
    while looked_at < STEP_ROWS:
        oldest = connection.execute(_OLDEST).fetchone()
        if oldest is None:
            return Swept(removed, True)
        used_ms, number, is_response = oldest
        is_old = cutoff_ms is not None and used_ms < cutoff_ms
        if not is_old and (max_bytes is None or _size(connection) <= max_bytes):
            return Swept(removed, True)
        if not is_response:
            connection.execute("DELETE FROM conversations WHERE number = ?", (number,))
            removed, looked_at = removed + 1, looked_at + 1
            continue
        tree = _tree(connection, number)
        removed += _remove_unless_used(connection, tree)
        looked_at += len(tree)
    return Swept(removed, False)


_OLDEST = """SELECT * FROM (SELECT used_at, number, 1 FROM responses ORDER BY used_at, number LIMIT 1)
    UNION ALL SELECT * FROM (SELECT used_at, number, 0 FROM conversations ORDER BY used_at, number LIMIT 1)
    ORDER BY 1 LIMIT 1"""
_TREE = """WITH RECURSIVE tree (number, parent, used_at) AS (
    SELECT number, NULL, used_at FROM responses WHERE number = ?
    UNION SELECT c.number, tree.number, c.used_at FROM tree
    CROSS JOIN responses AS p ON p.number = tree.number
    CROSS JOIN responses AS c ON c.previous_id = p.id AND c.tenant = p.tenant)
    SELECT json_group_array(json_array(number, parent, used_at)) FROM tree"""

_Tree = list[tuple[int, int | None, int]]


def _tree(connection: sqlite3.Connection, number: int) -> _Tree:
    """Return a response and what continues it: (number, that of the one it continues, its use in ms)."""
    tree: _Tree = orjson.loads(connection.execute(_TREE, (number,)).fetchone()[0])
    return tree


def _remove_unless_used(connection: sqlite3.Connection, tree: _Tree) -> int:
    """Remove the tree if its root is as old as it looks; else put the times right, and remove none."""
    used = last_use(tree)
    root, _, looks_ms = tree[0]
    if used[root] == looks_ms:
        query = "DELETE FROM responses WHERE number IN (SELECT value FROM json_each(?))"
        return connection.execute(query, (orjson.dumps([*used]).decode(),)).rowcount
    newer = [(number, used[number]) for number, _, own_ms in tree if used[number] > own_ms]
    query = """UPDATE responses SET used_at = n.value ->> 1 FROM json_each(?) AS n
        WHERE responses.number = n.value ->> 0"""
    connection.execute(query, (orjson.dumps(newer).decode(),))
    return 0


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    value: int = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return value


def _size(connection: sqlite3.Connection) -> int:
    """Return the bytes in use; free pages do not count."""
    used = _pragma(connection, "page_count") - _pragma(connection, "freelist_count")
    return used * _pragma(connection, "page_size")


def give_back(connection: sqlite3.Connection, arguments: list[None]) -> list[bool]:
    """Return some free pages to the file system, unless few are: the next writes use those. True: enough."""
    is_enough = _pragma(connection, "freelist_count") * 8 <= _pragma(connection, "page_count")
    if not is_enough:
        connection.execute(f"PRAGMA incremental_vacuum({STEP_PAGES})").fetchall()
    return [is_enough] * len(arguments)
