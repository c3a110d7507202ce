"""A message of a responses stream written, part by part: one part is open at a time."""

from __future__ import annotations

import base64
import binascii

import orjson
from attrs import define, evolve, field

from aigw.dialects.base import Tree
from aigw.dialects.openresponses.annotations import encode_annotation
from aigw.dialects.openresponses.item_writer import ItemWriter, Numbering
from aigw.dialects.openresponses.parts import encode_logprobs, encode_output
from aigw.model import (
    Annotation,
    AudioDelta,
    AudioPart,
    Item,
    JsonObject,
    Media,
    Message,
    Part,
    RefusalPart,
    TextPart,
)

_MORE = b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta",'


@define(eq=False)
class _Draft:
    """A part as far as it has come. number: the canonical one; place: its index in `content`."""

    kind: str
    number: int
    place: int
    head: bytes = b""
    texts: list[str] = field(factory=list)
    logprobs: list[JsonObject] = field(factory=list)
    annotations: list[Annotation] = field(factory=list)
    data: list[str] = field(factory=list)
    sound: AudioPart = field(factory=lambda: AudioPart(Media()))
    whole: Part | None = None

    def part(self) -> Part:
        if self.whole is not None:
            return self.whole
        text = "".join(self.texts)
        if self.kind == "refusal":
            return RefusalPart(text, tuple(self.logprobs))
        if self.kind == "audio":
            return evolve(self.sound, media=Media(data=_join_base64(self.data)), transcript=text)
        return TextPart(text, tuple(self.annotations), tuple(self.logprobs))


class MessageWriter(ItemWriter):
    """A message: texts, refusals, citations, and what else an answer may be made of."""

    def __init__(self, item: Message, response_id: str, place: int, numbering: Numbering) -> None:
        super().__init__(evolve(item, parts=()), response_id, place, numbering)
        self._drafts: list[_Draft] = []
        self._open: _Draft | None = None

    def add_text(self, number: int, text: str, logprobs: tuple[JsonObject, ...]) -> bytes:
        """Tell more of a text."""
        draft = self._open
        start = b""
        if draft is None or draft.number != number or draft.kind != "text":
            draft, start = self._begin("text", number)
        draft.texts.append(text)
        end = b',"logprobs":[]}\n\n'
        if logprobs:
            draft.logprobs.extend(logprobs)
            end = b',"logprobs":' + orjson.dumps(encode_logprobs(logprobs)) + b"}\n\n"
        numbering = self.numbering
        sequence = numbering.next
        numbering.next = sequence + 1
        return start + draft.head + b"%d" % sequence + b',"delta":' + orjson.dumps(text) + end

    def add_refusal(self, number: int, text: str, logprobs: tuple[JsonObject, ...]) -> bytes:
        """Tell more of a refusal."""
        draft, start = self._in("refusal", number)
        draft.texts.append(text)
        draft.logprobs.extend(logprobs)
        return start + self.frame("response.refusal.delta", content_index=draft.place, delta=text)

    def add_sound(self, event: AudioDelta) -> bytes:
        """Keep more of a sound: no event of the format tells it, so it is told once it is whole."""
        draft, start = self._in("audio", event.part)
        draft.data.append(event.data)
        draft.texts.append(event.transcript)
        sound = draft.sound
        expires_at = event.expires_at or sound.expires_at
        draft.sound = evolve(sound, id=event.id or sound.id, expires_at=expires_at)
        return start

    def add_part(self, number: int, added: Part) -> bytes:
        """Tell a part that came whole."""
        if isinstance(added, TextPart):
            out = self.add_text(number, added.text, added.logprobs)
            return out + b"".join([self.add_annotation(number, citation) for citation in added.annotations])
        if isinstance(added, RefusalPart):
            return self.add_refusal(number, added.text, added.logprobs)
        if encode_output(added) is None:
            return b""
        draft, start = self._begin("whole", number, added)
        return start + self._end(draft)

    def add_annotation(self, number: int, annotation: Annotation) -> bytes:
        """Tell a citation, of the text that is open or of one that has ended."""
        known = [draft for draft in self._drafts if draft.number == number and draft.kind == "text"]
        draft, start = (known[-1], b"") if known else self._begin("text", number)
        draft.annotations.append(annotation)
        return start + self.frame(
            "response.output_text.annotation.added",
            content_index=draft.place,
            annotation_index=len(draft.annotations) - 1,
            annotation=encode_annotation(annotation),
        )

    def _in(self, kind: str, number: int) -> tuple[_Draft, bytes]:
        draft = self._open
        if draft is not None and draft.kind == kind and draft.number == number:
            return draft, b""
        return self._begin(kind, number)

    def _begin(self, kind: str, number: int, whole: Part | None = None) -> tuple[_Draft, bytes]:
        out = self.end_texts()
        draft = self._open = _Draft(kind, number, len(self._drafts), whole=whole)
        self._drafts.append(draft)
        if kind == "text":
            at = orjson.dumps({**self.at, "content_index": draft.place})
            draft.head = _MORE + at[1:-1] + b',"sequence_number":'
        part = _tree(draft.part())
        return draft, out + self.frame("response.content_part.added", content_index=draft.place, part=part)

    def end_texts(self) -> bytes:
        return b"" if self._open is None else self._end(self._open)

    def _end(self, draft: _Draft) -> bytes:
        self._open = None
        tree = _tree(draft.part())
        at: Tree = {"content_index": draft.place}
        out = b""
        if draft.kind == "text":
            told = {"text": tree["text"], "logprobs": tree["logprobs"]}
            out = self.frame("response.output_text.done", **at, **told)
        elif draft.kind == "refusal":
            out = self.frame("response.refusal.done", **at, refusal=tree["refusal"])
        return out + self.frame("response.content_part.done", **at, part=tree)

    def whole(self) -> Item:
        parts = tuple(draft.part() for draft in self._drafts)
        return evolve(self.item, parts=parts)  # type: ignore[arg-type]


def _tree(part: Part) -> Tree:
    return encode_output(part) or {}


def _join_base64(pieces: list[str]) -> str:
    try:
        return base64.b64encode(b"".join([base64.b64decode(piece) for piece in pieces])).decode()
    except binascii.Error:
        return "".join(pieces)  # one text cut at random
