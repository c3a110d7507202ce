"""Items of a responses stream written: announced, told piece by piece, and repeated whole at the end.

Owns the frames' numbering, what all items share, tool calls, and items of this format alone. The format
repeats each text at its end, so all of it is kept: pieces in lists, joined when they are asked for.
"""

from __future__ import annotations

from typing import Any

import orjson
from attrs import evolve

from aigw.dialects.base import Tree
from aigw.dialects.openresponses.ids import synthetic_item_id
from aigw.dialects.openresponses.output import FINAL, encode_output_item, prefix_of
from aigw.model import Extras, ForeignItem, FunctionCall, FunctionCallOutput, Item, Message, Reasoning


class Numbering:
    """Writes frames, each with the next number, from 0 without a gap."""

    __slots__ = ("next",)

    def __init__(self) -> None:
        self.next = 0

    def frame(self, name: str, fields: Tree) -> bytes:
        """Return one whole frame. Its `event` is always the `type` of its data."""
        body = orjson.dumps({"type": name, "sequence_number": self.next, **fields})
        self.next += 1
        return b"event: " + name.encode() + b"\ndata: " + body + b"\n\n"


class ItemWriter:
    """One item of an answer: `open`, what is told of it, `close`, and `done`, which repeats it whole.

    place: its index in the output. item: all that is known of it but its texts.
    """

    def __init__(self, item: Item, response_id: str, place: int, numbering: Numbering) -> None:
        self.place = place
        self.item = item
        self.numbering = numbering
        self._response_id = response_id
        known = item.tree.get("id") if isinstance(item, ForeignItem) else item.id
        self.id = str(known or synthetic_item_id(prefix_of(item), response_id, place))
        self.at: Tree = {"item_id": self.id, "output_index": place}

    def frame(self, name: str, /, **fields: Any) -> bytes:
        """Return a frame about this item."""
        return self.numbering.frame(name, {**self.at, **fields})

    def open(self) -> bytes:
        """Return the frame that announces the item."""
        tree = self.tree("in_progress")
        if not isinstance(self.item, ForeignItem):
            tree["status"] = "in_progress"
        return self._about("response.output_item.added", tree)

    def close(self, item: Item | None) -> bytes:
        """Return the frames that end its texts. item: all of it, where that is known; it adds fields."""
        out = self.end_texts()
        self._learn(item)
        return out

    def done(self, tree: Tree) -> bytes:
        """Return the frame that repeats the item whole."""
        return self._about("response.output_item.done", tree)

    def _about(self, name: str, tree: Tree) -> bytes:
        return self.numbering.frame(name, {"output_index": self.place, "item": tree})

    def tree(self, status: str) -> Tree:
        """Return the item as far as it has come. status: unless it says its own."""
        return encode_output_item(self.whole(), self._response_id, self.place, status) or {}

    @property
    def says_status(self) -> bool:
        """Whether its status is known, however the answer goes on."""
        return isinstance(self.item, ForeignItem) or self.item.status in FINAL

    def whole(self) -> Item:
        """Return the item with its texts as far as they have come."""
        return self.item

    def end_texts(self) -> bytes:
        """Return the frames that end whatever text is open."""
        return b""

    def add_extras(self, extras: Extras) -> None:
        """Take fields of the item that came apart from it."""
        self.item = evolve(self.item, extras={**self.item.extras, **extras})

    def _learn(self, item: Item | None) -> None:
        match self.item, item:
            case (Message() as known, Message()):
                phase = item.phase or known.phase
                self.item = evolve(known, status=item.status, phase=phase, extras=known.extras | item.extras)
            case (FunctionCall() | Reasoning() | FunctionCallOutput() as known, _) if type(known) is type(
                item
            ):
                status, extras = getattr(item, "status", None), getattr(item, "extras", {})
                self.item = evolve(known, status=status, extras=known.extras | extras)
            case (ForeignItem(), ForeignItem()):
                self.item = item
            case _:
                return


class CallWriter(ItemWriter):
    """A call of a function or of a custom tool."""

    def __init__(self, item: FunctionCall, response_id: str, place: int, numbering: Numbering) -> None:
        super().__init__(item, response_id, place, numbering)
        self._freeform = item.freeform
        self._name = item.name
        self._pieces = [item.arguments] if item.arguments else []

    def add_arguments(self, text: str) -> bytes:
        """Tell more of the arguments."""
        self._pieces.append(text)
        kind = "custom_tool_call_input" if self._freeform else "function_call_arguments"
        return self.frame(f"response.{kind}.delta", delta=text)

    def end_texts(self) -> bytes:
        text = "".join(self._pieces)
        if self._freeform:
            return self.frame("response.custom_tool_call_input.done", input=text)
        return self.frame("response.function_call_arguments.done", name=self._name, arguments=text)

    def whole(self) -> Item:
        return evolve(self.item, arguments="".join(self._pieces))  # type: ignore[arg-type]
