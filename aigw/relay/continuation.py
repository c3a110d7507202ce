"""Several providers' streams told as one: where one has broken off amid a text, another goes on with it.

Owns whether a broken stream may be gone on with, and how the next one's events are joined to what the client
has been told: one start, one message, one end. Only a text that is open may be gone on with, never a tool
call, a reasoning block or a refusal. Pure: canonical events alone; who goes on, and how it is asked, is
`aigw.pipeline.carry_on`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any, ClassVar

from attrs import evolve

from aigw.dialects.base import StreamDecoder
from aigw.errors import ErrorKind, GatewayError, ProtocolError
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
    ItemClosed,
    ItemOpened,
    Message,
    PartAdded,
    Reasoning,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    Usage,
    UsageReported,
)
from aigw.relay.legs import Leg
from aigw.relay.translate import TranslateRelay

MAX_SAID_CHARS = 1024 * 1024
"""A text that is longer is not gone on with: it is kept in memory, and would be sent again."""

_ABOUT_ITEMS = (ItemClosed, TextDelta, RefusalDelta, ReasoningDelta, ArgumentsDelta, AudioDelta, PartAdded,
                AnnotationAdded, ExtrasAdded, Foreign)  # fmt: skip


class Splice:
    """Decodes one stream after the other as if they were one; a `StreamDecoder` like any other.

    faults: kinds of errors that say nothing of the request, so that another provider may do better.
    armed: something has gone to the client, so that a broken stream is to be gone on with, not begun again.
    broken: what the present stream has broken off with, when another may go on; nothing is decoded until
        `go_on`.
    """

    def __init__(self, decoder: StreamDecoder, leg: Leg, faults: Collection[ErrorKind]) -> None:
        self.armed = False
        self.broken: GatewayError | None = None
        self.leg = leg
        self._decoder = decoder
        self._faults = faults
        self._spent: Usage | None = None  # of the streams before this one
        self._pending: list[Event] = []
        self._held: ItemClosed | None = None
        self._texts: list[str] = []
        self._size = 0
        self._has_words = False
        self._can_go_on = True  # nothing has been told that only its own provider could go on with
        self._open: int | None = None  # the open item's number, if it is a message
        self._next = 0  # the number of the next item
        self._part = -1  # the number of the open message's last part
        self._part_chars = 0
        self._places: dict[int, int] = {}
        self._parts: dict[int, int] = {}
        self._offsets: dict[int, int] = {}
        self._hidden: set[int] = set()
        self._joined: int | None = None  # the message that the present stream goes on with
        self._trim = ""

    @property
    def said(self) -> str:
        """The text that the client has been told so far."""
        return "".join(self._texts)

    @property
    def usage(self) -> Usage:
        """The token counts of all streams so far, estimated where a provider did not tell them."""
        own = self.leg.counted()
        return own if self._spent is None else self._spent + own

    def feed(self, chunk: bytes) -> list[Event]:
        """Take bytes of the present stream; return what the client is to be told."""
        events, self._pending = self._pending, []
        if self.broken is None:
            try:
                decoded = self._decoder.feed(chunk)
            except ProtocolError as error:
                self.break_off(error)
            else:
                events += self._told(decoded)
        return events

    def close(self) -> list[Event]:
        """The bytes have ended: return what is owed, unless the stream is `broken` then."""
        events, self._pending = self._pending, []
        if self.broken is None and not self.leg.ended:
            events += self._told(self._decoder.close())
        return events

    def drain(self) -> None:
        """Find out whether the present stream's end is a good one; what it owes is kept for `close`."""
        self._pending = self.close()

    def break_off(self, error: GatewayError) -> None:
        """Say that the present stream is broken. Raises the error where no other one may go on."""
        if not self.may_go_on(error):
            raise error
        self.broken = error

    def may_go_on(self, error: GatewayError) -> bool:
        """Tell whether another provider may go on where this one has failed."""
        is_text = self._open is not None and self._has_words
        return self.armed and is_text and self._can_go_on and error.kind in self._faults

    def go_on(self, decoder: StreamDecoder, leg: Leg) -> None:
        """Go on with another stream; what it thinks before it says more is not told."""
        self._spent = self.usage
        self._pending.append(UsageReported(self._spent))
        self._decoder, self.leg = decoder, leg
        self.broken = self._held = None
        self._places, self._parts, self._offsets, self._hidden = {}, {}, {}, set()
        self._joined = self._open
        said = self.said
        self._trim = said[len(said.rstrip()) :]

    # What becomes of the decoder's events.

    def _told(self, events: Iterable[Event]) -> list[Event]:
        told: list[Event] = []
        for event in events:
            if isinstance(event, Failed) and self.may_go_on(event.error):
                self.broken = event.error
                break
            if getattr(event, "choice", None):
                self._can_go_on = False  # several answers at a time: there is no one text
            self._one(event, told)
        return told

    def _one(self, event: Event, told: list[Event]) -> None:
        if self._held is not None and not isinstance(event, UsageReported | Failed):
            self._release(told)
        if self._spent is not None and isinstance(event, _ABOUT_ITEMS):
            placed = self._placed(event)
            if placed is None:
                return
            event = placed
        act = self._table.get(type(event))
        if act is None:
            told.append(event)
        else:
            act(self, event, told)

    def _placed(self, event: Any) -> Event | None:
        """Return an event of a later stream with the numbers the client knows; None to leave it out."""
        if event.index is None:
            return event  # type: ignore[no-any-return]
        if event.index in self._hidden:
            self.leg.chars += len(getattr(event, "text", ""))
            return None
        event.index = self._places.get(event.index, event.index)
        if isinstance(event, ItemClosed):
            event.item = None  # it would hold the end of the message alone
        elif hasattr(event, "part") and event.index == self._joined:
            return self._in_part(event)
        return event  # type: ignore[no-any-return]

    def _in_part(self, event: Any) -> Event | None:
        """Put a delta into the open text, or behind it where it is of another kind or of a later part."""
        known = self._parts.get(event.part)
        if known is None:
            goes_on = isinstance(event, TextDelta) and not self._parts
            last = max(self._part, *self._parts.values()) if self._parts else self._part
            known = self._parts[event.part] = last if goes_on else last + 1
            self._offsets[known] = self._part_chars if goes_on else 0
        event.part = known
        if isinstance(event, TextDelta) and self._trim:
            return self._trimmed(event)
        if isinstance(event, AnnotationAdded):
            event.annotation = _moved(event.annotation, self._offsets[known])
        return event  # type: ignore[no-any-return]

    def _trimmed(self, event: TextDelta) -> Event | None:
        """Leave white space out that has been told already: a model is given the text without it."""
        text = event.text
        while text and self._trim.startswith(text[0]):
            text, self._trim = text[1:], self._trim[1:]
        if text:
            self._trim = ""
        event.text = text
        return event if text else None

    def _release(self, told: list[Event]) -> None:
        held, self._held = self._held, None
        if held is not None:
            self._open = None
            told.append(held)

    def _on_started(self, event: Started, told: list[Event]) -> None:
        if self._spent is None:
            told.append(event)

    def _on_opened(self, event: ItemOpened, told: list[Event]) -> None:
        is_message = isinstance(event.item, Message)
        if self._spent is not None and self._open is not None:
            if is_message and not self._places:
                self._places[event.index] = self._open
                return
            if isinstance(event.item, Reasoning) and not self._places:
                self._hidden.add(event.index)
                return
            told.append(ItemClosed(self._open))
        if self._spent is not None:
            self._places[event.index] = event.index = self._next
        self._next = max(self._next, event.index + 1)
        self._open = event.index if is_message else None
        self._part, self._part_chars = -1, 0
        self._can_go_on = self._can_go_on and isinstance(event.item, Message | Reasoning)
        told.append(event)

    def _on_text(self, event: TextDelta, told: list[Event]) -> None:
        if event.part != self._part:
            self._part, self._part_chars = event.part, 0
        self._part_chars += len(event.text)
        self.leg.chars += len(event.text)
        self._size += len(event.text)
        self._has_words = self._has_words or not event.text.isspace()
        if self._size > MAX_SAID_CHARS:
            self._can_go_on = False
            self._texts.clear()
        if self._can_go_on:
            self._texts.append(event.text)
        told.append(event)

    def _on_other(self, event: Any, told: list[Event]) -> None:
        self._can_go_on = False
        self.leg.chars += len(getattr(event, "text", "")) or 1
        told.append(event)

    def _on_reasoning(self, event: ReasoningDelta, told: list[Event]) -> None:
        self.leg.chars += len(event.text)
        told.append(event)

    def _on_closed(self, event: ItemClosed, told: list[Event]) -> None:
        if event.index == self._open:
            self._held = event  # until there is more: a stream that breaks here may be gone on with
        else:
            told.append(event)

    def _on_choice_finished(self, event: ChoiceFinished, told: list[Event]) -> None:
        if self._open is not None:  # a later stream that has added nothing
            told.append(ItemClosed(self._open))
            self._open = None
        self._can_go_on = False
        told.append(event)

    def _on_usage(self, event: UsageReported, told: list[Event]) -> None:
        self.leg.told = event.usage
        told.append(event if self._spent is None else UsageReported(self._spent + event.usage))

    def _on_finished(self, event: Finished, told: list[Event]) -> None:
        self.leg.ended = True
        if self._spent is not None and self.leg.told is None:
            told.append(UsageReported(self.usage))
        told.append(event)

    def _on_failed(self, event: Failed, told: list[Event]) -> None:
        if self._spent is not None:
            told.append(UsageReported(self.usage))
        self.leg.ended = True
        told.append(event)

    _table: ClassVar[dict[type, Callable[[Any, Any, list[Event]], None]]] = {
        Started: _on_started,
        ItemOpened: _on_opened,
        TextDelta: _on_text,
        RefusalDelta: _on_other,
        AudioDelta: _on_other,
        PartAdded: _on_other,
        Foreign: _on_other,
        ArgumentsDelta: _on_other,
        ReasoningDelta: _on_reasoning,
        ItemClosed: _on_closed,
        ChoiceFinished: _on_choice_finished,
        UsageReported: _on_usage,
        Finished: _on_finished,
        Failed: _on_failed,
    }


class ContinuedRelay(TranslateRelay):
    """A relay whose stream may be gone on with. splice: the decoder it was made with."""

    def __init__(self, splice: Splice, *more: Any, **options: Any) -> None:
        super().__init__(splice, *more, **options)
        self.splice = splice


def _moved(annotation: Any, offset: int) -> Any:
    """Return an annotation whose indices count from where the whole text begins."""
    start, end = annotation.start_index, annotation.end_index
    return evolve(
        annotation,
        start_index=None if start is None else start + offset,
        end_index=None if end is None else end + offset,
    )
