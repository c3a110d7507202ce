"""Items of a stream written as blocks: numbered without gaps, one open at a time, none of them empty.

A text block opens with its first word and not before, for this format has no empty texts. Opaque values
are held until their item closes: a client takes the last signature_delta for the whole signature.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import orjson
from attrs import evolve

from aigw.dialects.anthropic.calls import encode_call, encode_input
from aigw.dialects.anthropic.citations import encode_citation
from aigw.dialects.anthropic.content import encode_items, encode_part
from aigw.dialects.anthropic.fields import NAME, restore
from aigw.dialects.anthropic.reasoning import TEXT_JOINT, client_signature, encode_for_client
from aigw.dialects.base import Tree
from aigw.model import (
    AnnotationAdded,
    ArgumentsDelta,
    AudioDelta,
    Event,
    Foreign,
    ForeignItem,
    FunctionCall,
    Item,
    ItemClosed,
    ItemOpened,
    Message,
    PartAdded,
    Reasoning,
    ReasoningDelta,
    RefusalDelta,
    RefusalPart,
    TextDelta,
)

_TEXT_HEAD = (
    b"event: content_block_delta\n"
    b'data: {"type":"content_block_delta","index":%d,"delta":{"type":"text_delta","text":'
)


def frame(name: str, tree: Tree) -> bytes:
    """Write one frame, whose data repeats its name as this format wants it."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), orjson.dumps({"type": name, **tree}))


class BlockEncoder:
    """Events of one choice in, frames of its blocks out.

    has_calls, has_refusal: what the reason to stop may depend on.
    """

    def __init__(self) -> None:
        self.has_calls = False
        self.has_refusal = False
        self._number = -1
        self._text_head = b""
        self._text_key: tuple[int, int, bool] | None = None  # item, part and kind of the open text block
        self._is_open = False
        self._item: Item | None = None
        self._told = False  # whether anything of the open item has been written
        self._pieces: list[str] = []  # free text of a call, to be made JSON
        self._opaque: dict[str, list[str]] = {}
        self._shown: tuple[str, int] | None = None  # which texts of the reasoning are shown

    def encode(self, event: Event) -> bytes:
        """Return the frames this event completes, possibly none."""
        if event.__class__ is TextDelta and (event.index, event.part, False) == self._text_key:
            if event.choice == 0 and event.text:
                return self._text_head + orjson.dumps(event.text) + b"}}\n\n"
            return b""
        act = self._table.get(event.__class__)
        return b"" if act is None or getattr(event, "choice", 0) != 0 else act(self, event)

    def close(self) -> bytes:
        """Return the frames that end an item which is still open."""
        return b"" if self._item is None else self._on_closed(ItemClosed(0))

    # Frames.

    def _start(self, block: Tree) -> bytes:
        ending = self._stop()
        self._number += 1
        self._is_open = True
        self._told = True
        return ending + frame("content_block_start", {"index": self._number, "content_block": block})

    def _delta(self, delta: Tree) -> bytes:
        return frame("content_block_delta", {"index": self._number, "delta": delta})

    def _stop(self) -> bytes:
        self._text_key = None
        if not self._is_open:
            return b""
        self._is_open = False
        return frame("content_block_stop", {"index": self._number})

    def _whole(self, block: Tree) -> bytes:
        """Write a block that came whole in the frames it would have been streamed in."""
        kind = block.get("type")
        deltas: list[Tree] = []
        if kind == "text":
            deltas = [{"type": "text_delta", "text": block["text"]}] if block.get("text") else []
            citations = block.get("citations") or ()
            deltas += [{"type": "citations_delta", "citation": citation} for citation in citations]
            block = {key: value for key, value in block.items() if key != "citations"} | {"text": ""}
        elif kind == "thinking":
            thinking, signature = block.get("thinking"), block.get("signature")
            deltas += [{"type": "thinking_delta", "thinking": thinking}] if thinking else []
            deltas += [{"type": "signature_delta", "signature": signature}] if signature else []
            block = {**block, "thinking": "", "signature": ""}
        elif isinstance(block.get("input"), dict):
            text = orjson.dumps(block["input"]).decode()
            deltas = [{"type": "input_json_delta", "partial_json": text}] if block["input"] else []
            block = {**block, "input": {}}
        return b"".join((self._start(block), *map(self._delta, deltas), self._stop()))

    # Events.

    def _on_opened(self, event: ItemOpened) -> bytes:
        ending = self.close()
        self._item = event.item
        self._told = False
        self._pieces = []
        self._opaque = {}
        self._shown = None
        if not isinstance(event.item, FunctionCall):
            return ending
        self.has_calls = True
        start = self._start(encode_call(event.item, {}, for_client=True))
        self._told = False  # its arguments are not
        return ending + start

    def _text_block(self, key: tuple[int, int, bool]) -> bytes:
        if key == self._text_key:
            return b""
        start = self._start({"type": "text", "text": ""})
        self._text_key = key
        self._text_head = _TEXT_HEAD % self._number
        return start

    def _text(self, index: int, part: int, text: str, *, refusal: bool = False) -> bytes:
        if not text:
            return b""
        start = self._text_block((index, part, refusal))
        return start + self._text_head + orjson.dumps(text) + b"}}\n\n"

    def _on_text(self, event: TextDelta) -> bytes:
        return self._text(event.index, event.part, event.text)

    def _on_refusal(self, event: RefusalDelta) -> bytes:
        self.has_refusal = True
        return self._text(event.index, event.part, event.text, refusal=True)

    def _on_audio(self, event: AudioDelta) -> bytes:
        return self._text(event.index, event.part, event.transcript)

    def _on_annotation(self, event: AnnotationAdded) -> bytes:
        citation = encode_citation(event.annotation)
        if citation is None:
            return b""
        start = self._text_block((event.index, event.part, False))
        return start + self._delta({"type": "citations_delta", "citation": citation})

    def _on_part(self, event: PartAdded) -> bytes:
        self.has_refusal = self.has_refusal or isinstance(event.added, RefusalPart)
        return b"".join([self._whole(block) for block in encode_part(event.added)])

    def _on_arguments(self, event: ArgumentsDelta) -> bytes:
        if isinstance(self._item, FunctionCall) and self._item.freeform:
            self._pieces.append(event.text)
            return b""
        return self._arguments(event.text)

    def _arguments(self, text: str) -> bytes:
        if not text:
            return b""
        self._told = True
        return self._delta({"type": "input_json_delta", "partial_json": text})

    def _on_reasoning(self, event: ReasoningDelta) -> bytes:
        if event.kind not in {"content", "summary"}:
            self._opaque.setdefault(event.kind, []).append(event.text)
            return b""
        if not event.text or (self._shown is not None and self._shown[0] != event.kind):
            return b""
        start, text = b"", event.text
        if self._shown is None:
            extras = {} if self._item is None else restore(self._item.extras)
            start = self._start({"type": "thinking", "thinking": "", "signature": "", **extras})
        elif self._shown[1] != event.part:
            text = TEXT_JOINT + text
        self._shown = (event.kind, event.part)
        return start + self._delta({"type": "thinking_delta", "thinking": text})

    def _on_foreign(self, event: Foreign) -> bytes:
        if event.origin != NAME or self._item is None:
            return b""
        start = b""
        if isinstance(self._item, ForeignItem) and not self._told:
            start = self._start(self._item.tree)
        return start + self._delta(event.tree) if self._is_open else b""

    def _on_closed(self, event: ItemClosed) -> bytes:
        item, opened = event.item, self._item
        self._item = None
        whole = item if item is not None else opened
        match opened:
            case Reasoning():
                return self._close_reasoning(item if isinstance(item, Reasoning) else opened)
            case FunctionCall() if not self._told and isinstance(whole, FunctionCall):
                return self._close_call(whole)
            case ForeignItem() | Message() if not self._told and whole is not None:
                return b"".join([self._whole(block) for block in encode_items((whole,))])
        return self._stop()

    def _close_call(self, call: FunctionCall) -> bytes:
        if self._pieces:
            call = evolve(call, arguments="".join(self._pieces))
        arguments = encode_input(call)
        text = orjson.dumps(arguments).decode() if arguments else ""
        return self._arguments(text) + self._stop()

    def _close_reasoning(self, item: Reasoning) -> bytes:
        values = {kind: "".join(pieces) for kind, pieces in self._opaque.items()}
        item = evolve(
            item,
            signature=values.get("signature") or item.signature,
            encrypted_content=values.get("encrypted") or item.encrypted_content,
            redacted=values.get("redacted") or item.redacted,
        )
        if self._shown is None:
            return b"".join([self._whole(block) for block in encode_for_client(item)])
        is_summary = self._shown[0] == "summary"
        item = evolve(item, summary=("",) if is_summary else (), content=() if is_summary else ("",))
        signature = client_signature(item)
        signed = self._delta({"type": "signature_delta", "signature": signature}) if signature else b""
        withheld = encode_for_client(Reasoning(redacted=item.redacted))
        return b"".join((signed, self._stop(), *map(self._whole, withheld)))

    _table: ClassVar[dict[type, Callable[[Any, Any], bytes]]] = {
        ItemOpened: _on_opened,
        TextDelta: _on_text,
        RefusalDelta: _on_refusal,
        ReasoningDelta: _on_reasoning,
        ArgumentsDelta: _on_arguments,
        AudioDelta: _on_audio,
        PartAdded: _on_part,
        AnnotationAdded: _on_annotation,
        ItemClosed: _on_closed,
        Foreign: _on_foreign,
    }
