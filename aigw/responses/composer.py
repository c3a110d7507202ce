"""One response out of several: one numbering, one list of items, one sum of tokens, one end.

Owns the events that a client gets while the gateway asks a model several times. Pure: trees in, bytes out.
What is told before the model has begun to answer is held until it has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from attrs import define, field

from aigw.dialects.base import Tree
from aigw.dialects.openresponses.failure import error_event, response_error
from aigw.dialects.openresponses.grammar import CLOSING
from aigw.errors import GatewayError
from aigw.wire.sse import encode_frame

_ENDS = {"completed": "response.completed", "failed": "response.failed"}
_BEGUN = 2  # the numbers of `response.created` and `response.in_progress` are always the first two


@define(eq=False)
class Composer:
    """The response as it grows.

    patch: fields of the response object that are the same in all its snapshots, whatever a provider says.
    output: its items, in the state last told of each. response: the end, once there is one.
    """

    patch: Mapping[str, Any]
    output: list[Tree] = field(factory=list)
    usage: Tree | None = None
    response: Tree | None = None
    begun: bool = False
    _base: Tree = field(factory=dict)
    _number: int = _BEGUN
    _held: list[bytes] = field(factory=list)
    _open: set[int] = field(factory=set)

    def begin(self, response: Tree) -> bytes:
        """Tell that the response has begun, with what a provider says of it; only the first counts."""
        if self.begun:
            return b""
        self.begun = True
        self._base = {**response, **self.patch, "status": "in_progress", "output": []}
        tree = {"response": self._base}
        names = ("response.created", "response.in_progress")
        told = [_frame(name, number, tree) for number, name in enumerate(names)]
        held, self._held = self._held, []
        return b"".join([*told, *held])

    def event(self, name: str, tree: Tree) -> bytes:
        """Tell an event, in whose `tree` neither type nor number is looked at."""
        frame = _frame(name, self._number, tree)
        self._number += 1
        if self.begun:
            return frame
        self._held.append(frame)
        return b""

    def add(self, item: Tree) -> tuple[int, bytes]:
        """Tell a new item; return its place, too."""
        place = len(self.output)
        self.output.append(item)
        self._open.add(place)
        return place, self.event("response.output_item.added", {"output_index": place, "item": item})

    def about(self, name: str, place: int, **fields: object) -> bytes:
        """Tell an event about an item that has been added."""
        tree: Tree = {"output_index": place, "item_id": self.output[place].get("id"), **fields}
        return self.event(name, tree)

    def done(self, place: int, item: Tree) -> bytes:
        """Tell an item in its last state."""
        self.output[place] = item
        self._open.discard(place)
        return self.event("response.output_item.done", {"output_index": place, "item": item})

    def whole(self, item: Tree) -> bytes:
        """Tell an item that comes all at once."""
        place, added = self.add(item)
        return added + self.done(place, item)

    def count(self, usage: object) -> None:
        """Add what one call of the model has cost."""
        if isinstance(usage, dict):
            self.usage = usage if self.usage is None else _sum(self.usage, usage)

    def end(self, response: Tree) -> bytes:
        """Tell the end; items that are not done go no further.

        response: what the last call of the model says; the whole was created with the first.
        """
        for place in self._open:
            self.output[place] = _broken_off(self.output[place])
        since = {"created_at": self._base["created_at"]} if "created_at" in self._base else {}
        self.response = {**response, **since, **self.patch, "output": self.output, "usage": self.usage}
        name = _ENDS.get(str(response.get("status")), "response.incomplete")
        return self.event(name, {"response": self.response}) + CLOSING

    def incomplete(self, response: Tree, reason: str) -> bytes:
        """Tell an end that comes too early, and why."""
        details = {"status": "incomplete", "completed_at": None, "incomplete_details": {"reason": reason}}
        return self.end({**response, **details})

    def fail(self, error: GatewayError) -> bytes:
        """Tell a failure: the stream's end."""
        told = self.event("error", error_event(error, 0))
        failed = {"status": "failed", "completed_at": None, "error": response_error(error)}
        return told + self.end({**self._base, **failed})


def _broken_off(item: Tree) -> Tree:
    return {**item, "status": "incomplete"} if "status" in item else item


def _sum(one: Tree, other: Tree) -> Tree:
    """Add counts, also those inside objects; of what is no count the later one holds."""
    total = dict(one)
    for name, value in other.items():
        known = total.get(name)
        if isinstance(value, dict) and isinstance(known, dict):
            total[name] = _sum(known, value)
        elif _is_count(value) and _is_count(known):
            total[name] = known + value
        elif value is not None:
            total[name] = value
    return total


def _is_count(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _frame(name: str, number: int, tree: Tree) -> bytes:
    return encode_frame(orjson.dumps({**tree, "type": name, "sequence_number": number}), name)
