"""What a response has put out so far, read off its events. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from aigw.dialects.base import Tree

# Of an event that tells a piece: where the piece belongs in its item, as (list, its index, field).
_PIECES = {
    "response.output_text.delta": ("content", "content_index", "text"),
    "response.refusal.delta": ("content", "content_index", "refusal"),
    "response.reasoning_text.delta": ("content", "content_index", "text"),
    "response.reasoning.delta": ("content", "content_index", "text"),
    "response.reasoning_summary_text.delta": ("summary", "summary_index", "text"),
}
_PARTS = {
    "response.content_part.added": ("content", "content_index"),
    "response.content_part.done": ("content", "content_index"),
    "response.reasoning_summary_part.added": ("summary", "summary_index"),
    "response.reasoning_summary_part.done": ("summary", "summary_index"),
}
_FIELDS = {
    "response.function_call_arguments.delta": "arguments",
    "response.mcp_call_arguments.delta": "arguments",
    "response.custom_tool_call_input.delta": "input",
    "response.code_interpreter_call_code.delta": "code",
}
_ITEMS = frozenset(("response.output_item.added", "response.output_item.done"))

Place = tuple[int, str, int, str]
"""Where a text stands: number of its item, list in it (or ""), index there, field."""


def partial_output(events: Iterable[bytes]) -> list[Tree]:
    """Return the output that these events have told; what was cut short in it is incomplete."""
    draft = _Draft()
    for body in events:
        draft.take(orjson.loads(body))
    return draft.output()


class _Draft:
    def __init__(self) -> None:
        self._items: dict[int, Tree] = {}
        self._pieces: dict[Place, list[str]] = {}

    def take(self, tree: Tree) -> None:
        number, kind = tree.get("output_index"), tree.get("type")
        if not isinstance(number, int):
            return
        if kind in _ITEMS and isinstance(tree.get("item"), dict):
            self._items[number] = dict(tree["item"])
            self._forget(number)
        elif number not in self._items:
            return
        elif kind in _PARTS and isinstance(tree.get("part"), dict):
            name, index = _PARTS[kind]
            self._part(number, name, tree.get(index, 0)).update(tree["part"])
            self._forget(number, name, tree.get(index, 0))
        elif kind in _PIECES:
            name, index, field = _PIECES[kind]
            self._add((number, name, tree.get(index, 0), field), tree)
        elif kind in _FIELDS:
            self._add((number, "", 0, _FIELDS[kind]), tree)

    def _add(self, place: Place, tree: Tree) -> None:
        self._pieces.setdefault(place, []).append(str(tree.get("delta", "")))

    def output(self) -> list[Tree]:
        for (number, name, index, field), pieces in self._pieces.items():
            holder = self._part(number, name, index) if name else self._items[number]
            holder[field] = "".join([holder.get(field) or "", *pieces])
        return [_settled(item) for _, item in sorted(self._items.items())]

    def _part(self, number: int, name: str, index: int) -> dict[str, Any]:
        item = self._items[number]
        parts: list[Tree] = [dict(part) for part in item.get(name) or []]
        item[name] = parts
        while len(parts) <= index:
            parts.append({})
        return parts[index]

    def _forget(self, *place: Any) -> None:
        """What was told in pieces has been told whole, or anew."""
        for known in [known for known in self._pieces if known[: len(place)] == place]:
            del self._pieces[known]


def _settled(item: Tree) -> Tree:
    return {**item, "status": "incomplete"} if item.get("status") == "in_progress" else item
