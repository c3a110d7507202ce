"""Items of a responses stream decoded: which one is open, and what must wait for its turn.

Events name items by number and some servers speak of two at once, or end an item long after the next
has begun; canonical events keep one item open at a time. So an item is closed when the next one begins,
unless it is a tool call whose arguments may go on: then what follows is held until it has ended.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from attrs import define, evolve, field

from aigw.dialects.base import Tree
from aigw.dialects.fields import int_or_none, object_of, text_of
from aigw.dialects.openresponses.annotations import decode_annotation
from aigw.dialects.openresponses.fields import NAME
from aigw.dialects.openresponses.parts import decode_logprobs, decode_part
from aigw.dialects.openresponses.response import decode_output_item
from aigw.errors import ClientError, ProtocolError
from aigw.model import (
    Annotation,
    AnnotationAdded,
    ArgumentsDelta,
    Event,
    Foreign,
    FunctionCall,
    Item,
    ItemClosed,
    ItemOpened,
    JsonObject,
    Message,
    Part,
    PartAdded,
    Reasoning,
    ReasoningDelta,
    RefusalDelta,
    RefusalPart,
    TextDelta,
    TextPart,
)


@define(eq=False)
class _Open:
    """An item as far as it has been told. told: characters of each text, annotations of each part."""

    item: Item
    index: int
    told: dict[tuple[str, int], int] = field(factory=dict)
    closed: bool = False
    again: bool = False


class ItemDecoder:
    """Item events in, canonical events out, in the order the laws of `aigw.model.events` ask for.

    open_text: (key, part, index) of the text that is open, for those who want to add to it quickly.
    """

    def __init__(self, out: list[Event]) -> None:
        self.out = out
        self.has_calls = False
        self.open_text: tuple[object, object, int] | None = None
        self._items: dict[object, _Open] = {}
        self._ids: dict[str, object] = {}
        self._key: object = None
        self._current: _Open | None = None
        self._count = 0
        self._held: dict[object, list[tuple[str, Tree]]] = {}

    def feed(self, name: str, tree: Tree) -> None:
        """Take one event about an item. Raises ProtocolError on what cannot be put in its place."""
        key = self._key_of(name, tree)
        if key != self._key and (self._held or self._in_call()):
            self._held.setdefault(key, []).append((name, tree))
            return
        self._handle(key, name, tree)
        if self._held and self._current is None:
            self._release()

    def finish(self, output: list[Any]) -> None:
        """The answer is whole: close what is open, and tell the items that only its last event holds."""
        self._close()
        while self._held:
            self._release()
            self._close()
        for number, tree in enumerate(output):
            if number >= len(self._items):
                self._handle(number, "response.output_item.done", {"item": tree})

    def _release(self) -> None:
        while self._held and self._current is None:
            key = next(iter(self._held))
            for name, tree in self._held.pop(key):
                self._handle(key, name, tree)
            if self._held and not self._in_call():
                self._close()

    def _in_call(self) -> bool:
        return self._current is not None and isinstance(self._current.item, FunctionCall)

    def _key_of(self, name: str, tree: Tree) -> object:
        number = tree.get("output_index")
        if number.__class__ is int:
            return number
        item_id = text_of(tree.get("item_id") or object_of(tree.get("item")).get("id"))
        if item_id in self._ids:
            return self._ids[item_id]
        fresh = name == "response.output_item.added" or self._current is None
        key = len(self._items) + len(self._held) if fresh else self._key
        if item_id:
            self._ids[item_id] = key
        return key

    def _handle(self, key: object, name: str, tree: Tree) -> None:
        step = self._table.get(name)
        if step is not None:
            step(self, key, tree)
            return
        current = self._items.get(key)
        index = current.index if current is not None and not current.closed else None
        self.out.append(Foreign(NAME, name, tree, 0, index))

    # One item open at a time.

    def _open(self, key: object, item: Item, told: dict[tuple[str, int], int] | None = None) -> _Open:
        self._close()
        again = key in self._items
        opened = _Open(item, self._count, told or {}, again=again)
        self._items[key] = self._current = opened
        self._key = key
        self._count += 1
        self.has_calls = self.has_calls or isinstance(item, FunctionCall)
        self.out.append(ItemOpened(opened.index, item))
        return opened

    def _close(self, item: Item | None = None) -> None:
        current = self._current
        if current is not None:
            # Opened a second time, its parts stand in two items: neither is all of it.
            self.out.append(ItemClosed(current.index, None if current.again else item))
            current.closed = True
            self._current = None
            self.open_text = None

    def _ready(self, key: object, default: Item | None) -> _Open:
        """Return the item, open; one that had to give way is opened again."""
        known = self._items.get(key)
        if known is not None and not known.closed:
            return known
        if known is None:
            if default is None:
                raise ProtocolError("arguments for a tool call that was never announced")
            return self._open(key, default)
        if isinstance(known.item, FunctionCall):
            raise ProtocolError(f"arguments for tool call {known.item.name!r}, which had ended")
        return self._open(key, _anonymous(known.item), known.told)

    # Steps.

    def _on_added(self, key: object, tree: Tree) -> None:
        if key not in self._items:
            self._open(key, _skeleton(decode_output_item(tree.get("item"), self._count)))

    def _on_done(self, key: object, tree: Tree) -> None:
        whole = decode_output_item(tree.get("item"), self._count)
        known = self._items.get(key)
        if known is None:
            known = self._open(key, _skeleton(whole))
        elif known.closed and isinstance(known.item, FunctionCall):
            return
        self._tell_rest(key, whole)
        if self._current is self._items[key]:
            self._close(whole)

    def _tell_rest(self, key: object, whole: Item) -> None:
        match whole:
            case Message():
                for number, part in enumerate(whole.parts):
                    self._tell_part(key, number, part)
            case FunctionCall():
                self._rest(key, "arguments", 0, whole.arguments)
            case Reasoning():
                for number, text in enumerate(whole.summary):
                    self._rest(key, "summary", number, text)
                for number, text in enumerate(whole.content):
                    self._rest(key, "content", number, text)
                self._rest(key, "encrypted", 0, whole.encrypted_content or "")
                self._rest(key, "signature", 0, whole.signature or "")
                self._rest(key, "redacted", 0, whole.redacted or "")
            case _:
                return

    def _tell_part(self, key: object, number: int, part: Part) -> None:
        match part:
            case TextPart():
                self._rest(key, "text", number, part.text, part.logprobs)
                told = self._items[key].told.get(("annotations", number), 0)
                for annotation in part.annotations[told:]:
                    self._annotate(key, number, annotation)
            case RefusalPart():
                self._rest(key, "refusal", number, part.text)
            case _ if ("whole", number) not in self._items[key].told:
                self._add(key, "whole", number, "*")
                self.out.append(PartAdded(self._items[key].index, part, number))

    def _rest(
        self, key: object, kind: str, number: int, text: str, logprobs: tuple[JsonObject, ...] = ()
    ) -> None:
        known = self._items.get(key)
        told = 0 if known is None else known.told.get((kind, number), 0)
        if len(text) > told:
            self._tell(key, kind, number, text[told:], () if told else logprobs)

    def _tell(
        self, key: object, kind: str, number: int, text: str, logprobs: tuple[JsonObject, ...] = ()
    ) -> None:
        opened = self._add(key, kind, number, text)
        match kind:
            case "text":
                self.out.append(TextDelta(opened.index, text, number, 0, logprobs))
                self.open_text = (key, number, opened.index)
            case "refusal":
                self.out.append(RefusalDelta(opened.index, text, number))
            case "arguments":
                self.out.append(ArgumentsDelta(opened.index, text))
            case _:
                self.out.append(ReasoningDelta(opened.index, text, kind, number))  # type: ignore[arg-type]

    def _add(self, key: object, kind: str, number: int, text: str) -> _Open:
        opened = self._ready(key, _DEFAULTS.get(kind))
        place = (kind, number)
        opened.told[place] = opened.told.get(place, 0) + len(text)
        return opened

    def count_text(self, key: object, number: int, size: int) -> None:
        """Remember text that was told beside this machine."""
        told = self._items[key].told
        told["text", number] = told.get(("text", number), 0) + size

    def _on_text(self, key: object, tree: Tree) -> None:
        logprobs = decode_logprobs(tree.get("logprobs"))
        text = text_of(tree.get("delta"))
        if text or logprobs:
            self._tell(key, "text", _number(tree, "content_index"), text, logprobs)

    def _on_text_done(self, key: object, tree: Tree) -> None:
        self._rest(key, "text", _number(tree, "content_index"), text_of(tree.get("text")))

    def _on_refusal(self, key: object, tree: Tree) -> None:
        if text := text_of(tree.get("delta")):
            self._tell(key, "refusal", _number(tree, "content_index"), text)

    def _on_refusal_done(self, key: object, tree: Tree) -> None:
        self._rest(key, "refusal", _number(tree, "content_index"), text_of(tree.get("refusal")))

    def _on_thought(self, key: object, tree: Tree) -> None:
        if text := text_of(tree.get("delta")):
            self._tell(key, "content", _number(tree, "content_index"), text)

    def _on_thought_done(self, key: object, tree: Tree) -> None:
        self._rest(key, "content", _number(tree, "content_index"), text_of(tree.get("text")))

    def _on_summary(self, key: object, tree: Tree) -> None:
        if text := text_of(tree.get("delta")):
            self._tell(key, "summary", _number(tree, "summary_index"), text)

    def _on_summary_done(self, key: object, tree: Tree) -> None:
        self._rest(key, "summary", _number(tree, "summary_index"), text_of(tree.get("text")))

    def _on_arguments(self, key: object, tree: Tree) -> None:
        if text := text_of(tree.get("delta")):
            self._tell(key, "arguments", 0, text)

    def _on_arguments_done(self, key: object, tree: Tree) -> None:
        text = text_of(tree.get("arguments")) or text_of(tree.get("input"))
        if key in self._items:
            self._rest(key, "arguments", 0, text)

    def _on_annotation(self, key: object, tree: Tree) -> None:
        annotation = tree.get("annotation")
        if isinstance(annotation, dict):
            self._annotate(key, _number(tree, "content_index"), decode_annotation(annotation))

    def _annotate(self, key: object, number: int, annotation: Annotation) -> None:
        opened = self._add(key, "annotations", number, "*")
        self.out.append(AnnotationAdded(opened.index, annotation, number))

    def _on_part_done(self, key: object, tree: Tree) -> None:
        part = object_of(tree.get("part"))
        if text_of(part.get("type")) in {"reasoning_text", "summary_text"} or not part:
            return
        try:
            decoded = decode_part(part, "part")
        except ClientError as error:
            raise ProtocolError(error.message) from error
        self._ready(key, Message("assistant"))
        self._tell_part(key, _number(tree, "content_index"), decoded)

    def _nothing(self, key: object, tree: Tree) -> None:
        """What it announces is told by what follows it."""

    _table: ClassVar[dict[str, Callable[[Any, object, Tree], None]]] = {
        "response.output_item.added": _on_added,
        "response.output_item.done": _on_done,
        "response.content_part.added": _nothing,
        "response.content_part.done": _on_part_done,
        "response.output_text.delta": _on_text,
        "response.output_text.done": _on_text_done,
        "response.output_text.annotation.added": _on_annotation,
        "response.refusal.delta": _on_refusal,
        "response.refusal.done": _on_refusal_done,
        # The specification's name, and OpenAI's.
        "response.reasoning.delta": _on_thought,
        "response.reasoning.done": _on_thought_done,
        "response.reasoning_text.delta": _on_thought,
        "response.reasoning_text.done": _on_thought_done,
        "response.reasoning_summary_part.added": _nothing,
        "response.reasoning_summary_part.done": _nothing,
        "response.reasoning_summary_text.delta": _on_summary,
        "response.reasoning_summary_text.done": _on_summary_done,
        "response.function_call_arguments.delta": _on_arguments,
        "response.function_call_arguments.done": _on_arguments_done,
        "response.custom_tool_call_input.delta": _on_arguments,
        "response.custom_tool_call_input.done": _on_arguments_done,
    }


_DEFAULTS: dict[str, Item] = {
    "text": Message("assistant"),
    "refusal": Message("assistant"),
    "annotations": Message("assistant"),
    "whole": Message("assistant"),
    "content": Reasoning(),
    "summary": Reasoning(),
    "encrypted": Reasoning(),
}


def _number(tree: Tree, field: str) -> int:
    value = tree.get(field)
    if value.__class__ is int:
        return max(0, value)
    return max(0, int_or_none(value) or 0)


def _anonymous(item: Item) -> Item:
    return evolve(item, id=None) if isinstance(item, Message | Reasoning) else item


def _skeleton(item: Item) -> Item:
    match item:
        case Message():
            return evolve(item, parts=(), status=None)
        case FunctionCall():
            return evolve(item, arguments="", status=None)
        case Reasoning():
            return evolve(
                item,
                summary=(),
                content=(),
                encrypted_content=None,
                signature=None,
                redacted=None,
                status=None,
            )
        case _:
            return item
