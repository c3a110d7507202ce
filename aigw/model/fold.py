"""Folding a stream's events into the whole answer.

Owns the one place where deltas are put together. Linear in the length of the stream, and bounded: a
provider that never stops cannot fill the memory. Knows no wire format.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from attrs import define, evolve, field

from aigw.errors import GatewayError, ProtocolError
from aigw.model.events import (
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
    PartAdded,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    UsageReported,
)
from aigw.model.extras import Extras, JsonObject
from aigw.model.items import FunctionCall, Item, Message, Reasoning
from aigw.model.parts import Annotation, AudioPart, Media, Part, RefusalPart, TextPart
from aigw.model.response import Choice, Response
from aigw.model.usage import Usage

MAX_FOLD_CHARS = 64 * 1024 * 1024


@define
class _PartDraft:
    """A part being put together. whole: it came in one piece."""

    make: Callable[[_PartDraft], Part]
    whole: Part | None = None
    texts: list[str] = field(factory=list)
    annotations: list[Annotation] = field(factory=list)
    logprobs: list[JsonObject] = field(factory=list)
    data: list[str] = field(factory=list)
    id: str | None = None
    expires_at: int | None = None


@define
class _ItemDraft:
    """An item being put together: its skeleton, and what has been added."""

    item: Item
    parts: dict[int, _PartDraft] = field(factory=dict)
    texts: dict[tuple[str, int], list[str]] = field(factory=dict)
    extras: Extras = field(factory=dict)


@define
class _ChoiceDraft:
    items: dict[int, _ItemDraft] = field(factory=dict)
    finish: ChoiceFinished | None = None
    extras: Extras = field(factory=dict)


class Fold:
    """Events in, one Response out.

    `error` is set once the stream has failed, `finished` once it has ended well. `response()` may be
    asked for at any time and gives what has come so far.
    """

    def __init__(self, max_chars: int = MAX_FOLD_CHARS) -> None:
        self.error: GatewayError | None = None
        self.finished = False
        self._room = max_chars
        self._max_chars = max_chars
        self._started = Started()
        self._usage: Usage | None = None
        self._extras: Extras = {}
        self._choices: dict[int, _ChoiceDraft] = {}

    def add(self, event: Event) -> None:
        """Take one event. Raises ProtocolError when the answer passes the limit."""
        self._table[type(event)](self, event)

    def response(self) -> Response:
        """Return the answer as far as it has come."""
        started = self._started
        return Response(
            id=started.id,
            model=started.model,
            created=started.created,
            choices=tuple(_choice(index, draft) for index, draft in sorted(self._choices.items())),
            usage=self._usage,
            service_tier=started.service_tier,
            extras={**started.extras, **self._extras},
        )

    def _spend(self, size: int) -> None:
        self._room -= size
        if self._room < 0:
            raise ProtocolError(f"the answer passes {self._max_chars} characters")

    def _choice(self, index: int) -> _ChoiceDraft:
        draft = self._choices.get(index)
        if draft is None:
            draft = self._choices[index] = _ChoiceDraft()
        return draft

    def _item(self, choice: int, index: int) -> _ItemDraft:
        try:
            return self._choices[choice].items[index]
        except KeyError:
            raise ProtocolError(
                f"event for item {index} of choice {choice}, which was never opened"
            ) from None

    def _part(self, choice: int, index: int, part: int, make: Callable[[_PartDraft], Part]) -> _PartDraft:
        parts = self._item(choice, index).parts
        draft = parts.get(part)
        if draft is None:
            draft = parts[part] = _PartDraft(make)
        return draft

    def _on_started(self, event: Started) -> None:
        self._started = event

    def _on_opened(self, event: ItemOpened) -> None:
        self._choice(event.choice).items[event.index] = _ItemDraft(event.item)

    def _on_text(self, event: TextDelta) -> None:
        self._spend(len(event.text))
        draft = self._part(event.choice, event.index, event.part, _text_part)
        draft.texts.append(event.text)
        draft.logprobs.extend(event.logprobs)

    def _on_refusal(self, event: RefusalDelta) -> None:
        self._spend(len(event.text))
        draft = self._part(event.choice, event.index, event.part, _refusal_part)
        draft.texts.append(event.text)
        draft.logprobs.extend(event.logprobs)

    def _on_audio(self, event: AudioDelta) -> None:
        self._spend(len(event.data) + len(event.transcript))
        draft = self._part(event.choice, event.index, event.part, _audio_part)
        draft.data.append(event.data)
        draft.texts.append(event.transcript)
        draft.id = event.id or draft.id
        draft.expires_at = event.expires_at or draft.expires_at

    def _on_part(self, event: PartAdded) -> None:
        self._spend(1)
        self._part(event.choice, event.index, event.part, _text_part).whole = event.added

    def _on_annotation(self, event: AnnotationAdded) -> None:
        self._spend(1)
        self._part(event.choice, event.index, event.part, _text_part).annotations.append(event.annotation)

    def _on_reasoning(self, event: ReasoningDelta) -> None:
        self._spend(len(event.text) + 1)
        draft = self._item(event.choice, event.index)
        if event.text:
            draft.texts.setdefault((event.kind, event.part), []).append(event.text)
        if event.extras:
            _join_extras(draft.extras, event.extras)

    def _on_arguments(self, event: ArgumentsDelta) -> None:
        self._spend(len(event.text))
        draft = self._item(event.choice, event.index)
        draft.texts.setdefault(("arguments", 0), []).append(event.text)

    def _on_closed(self, event: ItemClosed) -> None:
        draft = self._item(event.choice, event.index)
        if event.item is not None:
            self._choices[event.choice].items[event.index] = _ItemDraft(event.item, extras=draft.extras)

    def _on_extras(self, event: ExtrasAdded) -> None:
        self._spend(1)
        if event.choice is None:
            self._extras.update(event.extras)
        elif event.index is None:
            self._choice(event.choice).extras.update(event.extras)
        else:
            self._item(event.choice, event.index).extras.update(event.extras)

    def _on_choice_finished(self, event: ChoiceFinished) -> None:
        self._choice(event.choice).finish = event

    def _on_usage(self, event: UsageReported) -> None:
        self._usage = event.usage

    def _on_finished(self, _event: Finished) -> None:
        self.finished = True

    def _on_failed(self, event: Failed) -> None:
        self.error = event.error

    def _on_foreign(self, _event: Foreign) -> None:
        """Progress of a foreign item: its ItemClosed holds what counts."""

    _table: ClassVar[dict[type, Callable[[Any, Any], None]]] = {
        Started: _on_started,
        ItemOpened: _on_opened,
        TextDelta: _on_text,
        RefusalDelta: _on_refusal,
        AudioDelta: _on_audio,
        PartAdded: _on_part,
        AnnotationAdded: _on_annotation,
        ReasoningDelta: _on_reasoning,
        ArgumentsDelta: _on_arguments,
        ItemClosed: _on_closed,
        ExtrasAdded: _on_extras,
        ChoiceFinished: _on_choice_finished,
        UsageReported: _on_usage,
        Finished: _on_finished,
        Failed: _on_failed,
        Foreign: _on_foreign,
    }


def fold(events: Iterable[Event], max_chars: int = MAX_FOLD_CHARS) -> Response:
    """Fold a whole stream; raise the error it failed with, if it did."""
    folding = Fold(max_chars)
    for event in events:
        folding.add(event)
    if folding.error is not None:
        raise folding.error
    return folding.response()


def _text_part(draft: _PartDraft) -> Part:
    return TextPart("".join(draft.texts), tuple(draft.annotations), tuple(draft.logprobs))


def _refusal_part(draft: _PartDraft) -> Part:
    return RefusalPart("".join(draft.texts), tuple(draft.logprobs))


def _audio_part(draft: _PartDraft) -> Part:
    media = Media(data=_join_base64(draft.data))
    return AudioPart(media, "".join(draft.texts) or None, draft.id, draft.expires_at)


def _join_base64(pieces: list[str]) -> str | None:
    pieces = [piece for piece in pieces if piece]
    if len(pieces) < 2:
        return pieces[0] if pieces else None
    try:
        return base64.b64encode(b"".join([base64.b64decode(piece) for piece in pieces])).decode()
    except binascii.Error:
        # One text cut at random rather than whole pieces: then joining the text is right.
        return "".join(pieces)


def _join_extras(into: Extras, more: Extras) -> None:
    for key, value in more.items():
        known = into.get(key)
        if isinstance(known, list) and isinstance(value, list):
            known.extend(value)
        else:
            into[key] = list(value) if isinstance(value, list) else value


def _choice(index: int, draft: _ChoiceDraft) -> Choice:
    finish = draft.finish
    return Choice(
        items=tuple(_item(item) for _, item in sorted(draft.items.items())),
        finish_reason=finish.reason if finish else None,
        finish_raw=finish.raw if finish else None,
        stop_sequence=finish.stop_sequence if finish else None,
        index=index,
        extras=draft.extras,
    )


def _item(draft: _ItemDraft) -> Item:
    item = draft.item
    extras = {**item.extras, **draft.extras}
    match item:
        case Message():
            parts = tuple(part.whole or part.make(part) for _, part in sorted(draft.parts.items()))
            return evolve(item, parts=item.parts + parts, extras=extras)
        case FunctionCall():
            return evolve(item, arguments=item.arguments + _joined(draft, "arguments"), extras=extras)
        case Reasoning():
            return evolve(
                item,
                summary=item.summary + _texts(draft, "summary"),
                content=item.content + _texts(draft, "content"),
                signature=_joined(draft, "signature") or item.signature,
                encrypted_content=_joined(draft, "encrypted") or item.encrypted_content,
                redacted=_joined(draft, "redacted") or item.redacted,
                extras=extras,
            )
        case _:
            return evolve(item, extras=extras)


def _texts(draft: _ItemDraft, kind: str) -> tuple[str, ...]:
    numbers = sorted(part for known, part in draft.texts if known == kind)
    return tuple("".join(draft.texts[kind, part]) for part in numbers)


def _joined(draft: _ItemDraft, kind: str) -> str:
    return "".join(_texts(draft, kind))
