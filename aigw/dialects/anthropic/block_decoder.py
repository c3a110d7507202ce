"""The blocks of a message stream, decoded: which item is open, and what each delta adds to it.

The stream opens, fills and closes one block after another. Neighbouring text blocks are parts of one
Message, so a Message stays open until another kind of block begins or the answer ends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import orjson
from attrs import evolve

from aigw.dialects.anthropic.blocks import decode_block
from aigw.dialects.anthropic.calls import decode_call
from aigw.dialects.anthropic.citations import decode_citation, decode_citations
from aigw.dialects.anthropic.content import PARTS
from aigw.dialects.anthropic.fields import NAME
from aigw.dialects.anthropic.opaque import carried, unpack
from aigw.dialects.anthropic.reasoning import decode_redacted, decode_thinking
from aigw.dialects.base import Tree
from aigw.dialects.fields import text_of
from aigw.errors import ProtocolError
from aigw.model import (
    AnnotationAdded,
    ArgumentsDelta,
    Event,
    Foreign,
    ForeignItem,
    Item,
    ItemClosed,
    ItemOpened,
    Message,
    PartAdded,
    ReasoningDelta,
    TextDelta,
)

_MESSAGE = "message"


class BlockDecoder:
    """Block frames in, events out, in the order the laws of `aigw.model.events` ask for."""

    __slots__ = (
        "_block",
        "_index",
        "_item",
        "_kind",
        "_new_part",
        "_part",
        "_pieces",
        "_signature",
        "_tree",
        "has_calls",
        "out",
    )

    def __init__(self, out: list[Event]) -> None:
        self.out = out
        self.has_calls = False
        self._block: Any = None  # the wire's number of the open block
        self._kind = ""  # what the open block is
        self._item = ""  # what the open item is; a message outlives its blocks
        self._index = -1  # the open item's number
        self._part = -1
        self._new_part = True
        self._tree: Tree = {}  # the open block as it began
        self._pieces: list[str] = []  # its text or input, where it must be known at the end
        self._signature: list[str] = []

    def start(self, frame: Tree) -> None:
        """Take a content_block_start."""
        block = frame.get("content_block")
        if not isinstance(block, dict):
            raise ProtocolError("content_block_start without a content_block")
        if self._block is not None:  # some servers leave out the stop between two blocks
            self._end_block()
        self._block = frame.get("index", 0)
        self._kind = text_of(block.get("type"))
        self._tree = block
        self._pieces = []
        self._signature = []
        if self._kind == "text":
            self._new_part = True
            self._text(block)
            for annotation in decode_citations(block.get("citations")):
                self.out.append(AnnotationAdded(self._message(), annotation, self._part))
        elif self._kind in PARTS:
            self._new_part = True
            added = decode_block(block, "content_block")
            self.out.append(PartAdded(self._message(), added, self._part))
        elif carried(block) is not None:  # another gateway of ours; an event has no room for it
            self._kind = "carrier"
        else:
            self._open(self._skeleton(block))
            if self._kind == "thinking":
                self._thinking(block)
                self._sign(block)

    def delta(self, frame: Tree) -> None:
        """Take a content_block_delta."""
        delta = frame.get("delta")
        if delta.__class__ is not dict or self._block is None or frame.get("index", 0) != self._block:
            raise ProtocolError(f"content_block_delta for block {frame.get('index')!r}, which is not open")
        kind = delta.get("type")
        add = self._deltas.get((self._kind, kind)) if kind.__class__ is str else None
        if add is not None:
            add(self, delta)
        elif self._item:
            self._foreign(delta)

    def stop(self, _frame: Tree) -> None:
        """Take a content_block_stop."""
        if self._block is not None:
            self._end_block()

    def close(self) -> None:
        """No more blocks will come."""
        if self._block is not None:
            self._end_block()
        self._close_item()

    # Items.

    def _open(self, item: Item) -> None:
        self._close_item()
        self._index += 1
        self._item = type(item).__name__
        self.out.append(ItemOpened(self._index, item))

    def _close_item(self, item: Item | None = None) -> None:
        if self._item:
            self.out.append(ItemClosed(self._index, item))
        self._item = ""
        self._part = -1

    def _message(self) -> int:
        """Return the number of the open message with room for a part, opening what is missing."""
        if self._item != _MESSAGE:
            self._open(Message("assistant"))
            self._item = _MESSAGE
        if self._new_part:
            self._part += 1
            self._new_part = False
        return self._index

    def _skeleton(self, block: Tree) -> Item:
        match block.get("type"):
            case "tool_use":
                self.has_calls = True
                return evolve(decode_call(block), arguments="", freeform=False)
            case "thinking":
                return decode_thinking({**block, "thinking": "", "signature": ""})
            case "redacted_thinking":
                return evolve(decode_redacted(block), encrypted_content=None, redacted=None)
        return ForeignItem(NAME, block)

    def _end_block(self) -> None:
        end = self._ends.get(self._kind)
        if end is not None:
            end(self)
        elif self._item == ForeignItem.__name__:
            self._close_item(ForeignItem(NAME, self._whole_foreign()))
        self._block = None
        self._kind = ""

    # Deltas, by the kind of block they may stand in.

    def _text(self, delta: Tree) -> None:
        text = delta.get("text")
        if text.__class__ is str and text:
            if self._new_part or self._item != _MESSAGE:
                self._message()
            self.out.append(TextDelta(self._index, text, self._part))

    def _citation(self, delta: Tree) -> None:
        citation = delta.get("citation")
        if isinstance(citation, dict):
            self.out.append(AnnotationAdded(self._message(), decode_citation(citation), self._part))

    def _arguments(self, delta: Tree) -> None:
        text = text_of(delta.get("partial_json"))
        if text:
            self._pieces = [text]  # that there were some is all we need to know
            self.out.append(ArgumentsDelta(self._index, text))

    def _thinking(self, delta: Tree) -> None:
        text = text_of(delta.get("thinking"))
        if text:
            self._pieces.append(text)
            self.out.append(ReasoningDelta(self._index, text))

    def _sign(self, delta: Tree) -> None:
        if signature := text_of(delta.get("signature")):
            self._signature.append(signature)

    def _foreign(self, delta: Tree) -> None:
        self.out.append(Foreign(NAME, "content_block_delta", delta, index=self._index))
        if self._item != ForeignItem.__name__:
            return
        if delta.get("type") == "input_json_delta":
            self._pieces.append(text_of(delta.get("partial_json")))
            return
        for key, value in delta.items():
            if key == "type":
                continue
            known = self._tree.get(key)
            joins = isinstance(known, str) and isinstance(value, str)
            self._tree = {**self._tree, key: known + value if joins else value}

    _deltas: ClassVar[dict[tuple[str, Any], Callable[[Any, Tree], None]]] = {
        ("text", "text_delta"): _text,
        ("text", "citations_delta"): _citation,
        ("tool_use", "input_json_delta"): _arguments,
        ("thinking", "thinking_delta"): _thinking,
        ("thinking", "signature_delta"): _sign,
    }

    # Ends of blocks.

    def _end_text(self) -> None:
        """The message goes on if another text follows."""

    def _end_call(self) -> None:
        if not self._pieces:  # a tool without arguments, or one whose arguments came at once
            self.out.append(ArgumentsDelta(self._index, decode_call(self._tree).arguments))
        self._close_item()

    def _end_thinking(self) -> None:
        signature = "".join(self._signature)
        text = "".join(self._pieces)
        whole = decode_thinking({**self._tree, "thinking": text, "signature": signature})
        if unpack(signature) is not None:
            # Only now is it known what the text was: a summary, perhaps.
            self._close_item(whole)
            return
        if whole.signature is not None:
            self.out.append(ReasoningDelta(self._index, whole.signature, "signature"))
        self._close_item()

    def _end_redacted(self) -> None:
        whole = decode_redacted(self._tree)
        if whole.encrypted_content is not None:
            self.out.append(ReasoningDelta(self._index, whole.encrypted_content, "encrypted"))
        if whole.redacted is not None:
            self.out.append(ReasoningDelta(self._index, whole.redacted, "redacted"))
        self._close_item()

    _ends: ClassVar[dict[str, Callable[[Any], None]]] = {
        "text": _end_text,
        "image": _end_text,
        "document": _end_text,
        "carrier": _end_text,
        "tool_use": _end_call,
        "thinking": _end_thinking,
        "redacted_thinking": _end_redacted,
    }

    def _whole_foreign(self) -> Tree:
        if not self._pieces:
            return self._tree
        text = "".join(self._pieces)
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError:
            return self._tree
        return {**self._tree, "input": value}
