"""Redaction of streams that have a codec: canonical events in, canonical events out.

Owns the state of one streamed answer: one held-back text for each kind of text of each item. What is
held goes out before the event that says the text is whole, so that the order of events is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from attrs import define, evolve, field

from aigw.model import (
    AnnotationAdded,
    ArgumentsDelta,
    AudioDelta,
    ChoiceFinished,
    Event,
    ExtrasAdded,
    Failed,
    Finished,
    Foreign,
    FunctionCall,
    ItemClosed,
    ItemOpened,
    PartAdded,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
)
from aigw_redact.json_text import JsonStream, Stream
from aigw_redact.redactor import Count, Redactor
from aigw_redact.texts import Whole

_OPAQUE = frozenset(("signature", "encrypted", "redacted"))
_READABLE = ("text", "summary")

Delta = TextDelta | RefusalDelta | ReasoningDelta | ArgumentsDelta | AudioDelta


@define
class _Held:
    """One text under way. remainder: makes the event that brings what was held back."""

    stream: Stream
    remainder: Callable[[str], Event]


@define
class _Item:
    """An item under way, by what its texts are called."""

    freeform: bool = False
    texts: dict[tuple[object, ...], _Held] = field(factory=dict)


class EventRedactor:
    """The `transform_stream` of one answer."""

    def __init__(self, redactor: Redactor, count: Count) -> None:
        self._redactor = redactor
        self._count = count
        self._whole = Whole(redactor, count)
        self._items: dict[tuple[int, int], _Item] = {}

    def __call__(self, event: Event) -> Iterable[Event]:
        """Take one event of the stream, return what stands in its place."""
        handler = self._HANDLERS.get(type(event))
        return (event,) if handler is None else handler(self, event)

    def _text(self, event: TextDelta | RefusalDelta) -> list[Event]:
        key = (type(event), event.part)
        before = self._flush_others(event, key)
        held = self._held(event, key, lambda text: evolve(event, text=text, logprobs=()))
        was_holding = held.stream.holding
        text = held.stream.feed(event.text)
        if text == event.text and not was_holding:
            return [*before, event]
        # Token by token the held or redacted text could still be read.
        return [*before, evolve(event, text=text, logprobs=())] if text else before

    def _arguments(self, event: ArgumentsDelta) -> list[Event]:
        key = (ArgumentsDelta,)
        held = self._held(event, key, lambda text: evolve(event, text=text))
        text = held.stream.feed(event.text)
        return [evolve(event, text=text)] if text else []

    def _audio(self, event: AudioDelta) -> list[Event]:
        key = (AudioDelta, event.part)
        before = self._flush_others(event, key)
        held = self._held(event, key, lambda text: evolve(event, data="", transcript=text))
        text = held.stream.feed(event.transcript)
        keep = text or event.data or event.id or event.expires_at
        return [*before, evolve(event, transcript=text)] if keep else before

    def _reasoning(self, event: ReasoningDelta) -> list[Event]:
        if event.kind in _OPAQUE:
            return [*self._flush(event.choice, event.index), event]
        key = (ReasoningDelta, event.kind, event.part)
        before: list[Event] = []
        text = event.text
        if text:
            before = self._flush_others(event, key)
            held = self._held(event, key, lambda rest: evolve(event, text=rest, extras=None))
            text = held.stream.feed(text)
        extras = self._reasoning_extras(event)
        return [*before, evolve(event, text=text, extras=extras)] if text or extras else before

    def _reasoning_extras(self, event: ReasoningDelta) -> dict[str, Any] | None:
        """Redact what one format says of the reasoning beside its text: lists of details, text again."""
        if not event.extras:
            return event.extras
        return {name: self._details(event, name, value) for name, value in event.extras.items()}

    def _details(self, event: ReasoningDelta, name: str, value: Any) -> Any:
        if not isinstance(value, list):
            return self._whole.tree(value)
        return [self._detail(event, name, detail) for detail in value]

    def _detail(self, event: ReasoningDelta, name: str, detail: Any) -> Any:
        readable = [key for key in _READABLE if isinstance(detail, dict) and isinstance(detail.get(key), str)]
        if not readable:
            return self._whole.tree(detail)
        made = dict(detail)
        for key in readable:
            held = self._held(
                event,
                (ReasoningDelta, name, key, detail.get("type"), detail.get("index")),
                lambda rest, key=key: evolve(event, text="", extras={name: [{**detail, key: rest}]}),  # type: ignore[misc]
                uncounted=True,
            )
            made[key] = held.stream.feed(detail[key])
        return made

    def _part(self, event: PartAdded) -> list[Event]:
        return [*self._flush(event.choice, event.index), evolve(event, added=self._whole.part(event.added))]

    def _choice_finished(self, event: ChoiceFinished) -> list[Event]:
        return [*self._flush(event.choice), event]

    def _finished(self, event: Finished | Failed) -> list[Event]:
        return [*self._flush(), event]

    def _opened(self, event: ItemOpened) -> list[Event]:
        freeform = isinstance(event.item, FunctionCall) and event.item.freeform
        self._items[event.choice, event.index] = _Item(freeform)
        return [evolve(event, item=self._whole.item(event.item))]

    def _closed(self, event: ItemClosed) -> list[Event]:
        before = self._flush(event.choice, event.index)
        self._items.pop((event.choice, event.index), None)
        if event.item is None:
            return [*before, event]
        # It repeats what the deltas have told, and what was counted there.
        item = Whole(self._redactor, _uncounted).item(event.item)
        return [*before, evolve(event, item=item)]

    def _annotation(self, event: AnnotationAdded) -> list[Event]:
        quoted, title = event.annotation.quoted_text, event.annotation.title
        made = evolve(
            event.annotation,
            quoted_text=None if quoted is None else self._whole.text(quoted),
            title=None if title is None else self._whole.text(title),
        )
        return [evolve(event, annotation=made)]

    def _extras(self, event: ExtrasAdded) -> list[Event]:
        kept = {key: value for key, value in event.extras.items() if not key.endswith("logprobs")}
        return [evolve(event, extras=self._whole.tree(kept))] if kept else []

    def _foreign(self, event: Foreign) -> list[Event]:
        return [evolve(event, tree=self._whole.tree(event.tree))]

    def _held(
        self,
        event: Delta,
        key: tuple[object, ...],
        remainder: Callable[[str], Event],
        *,
        uncounted: bool = False,
    ) -> _Held:
        item = self._items.setdefault((event.choice, event.index), _Item())
        held = item.texts.get(key)
        if held is None:
            count = _uncounted if uncounted else self._count
            is_json = isinstance(event, ArgumentsDelta) and not item.freeform
            stream: Stream = JsonStream(self._redactor, count) if is_json else self._redactor.stream(count)
            held = item.texts[key] = _Held(stream, remainder)
        held.remainder = remainder
        return held

    def _flush_others(self, event: Delta, key: tuple[object, ...]) -> list[Event]:
        """End the texts of this item that a new one follows; kinds of reasoning may run side by side."""
        item = self._items.get((event.choice, event.index))
        if item is None or not item.texts or (len(item.texts) == 1 and key in item.texts):
            return []
        over = [other for other in item.texts if other != key and not _side_by_side(other, key)]
        return [ending for other in over for ending in _end(item.texts.pop(other))]

    def _flush(self, choice: int | None = None, index: int | None = None) -> list[Event]:
        """Return what is held back: of everything, of a choice, or of an item."""
        out: list[Event] = []
        for (in_choice, at), item in self._items.items():
            if choice in {None, in_choice} and index in {None, at}:
                out += [ending for held in item.texts.values() for ending in _end(held)]
                item.texts.clear()
        return out

    _HANDLERS: Final[Mapping[type, Callable[[Any, Any], Iterable[Event]]]] = {
        TextDelta: _text,
        RefusalDelta: _text,
        ArgumentsDelta: _arguments,
        ReasoningDelta: _reasoning,
        AudioDelta: _audio,
        PartAdded: _part,
        ItemOpened: _opened,
        ItemClosed: _closed,
        AnnotationAdded: _annotation,
        ExtrasAdded: _extras,
        Foreign: _foreign,
        ChoiceFinished: _choice_finished,
        Finished: _finished,
        Failed: _finished,
    }


def _side_by_side(one: tuple[object, ...], other: tuple[object, ...]) -> bool:
    return one[0] is other[0] is ReasoningDelta and one[1] != other[1]


def _end(held: _Held) -> list[Event]:
    text = held.stream.close()
    return [held.remainder(text)] if text else []


def _uncounted(_name: str) -> None:
    return None
