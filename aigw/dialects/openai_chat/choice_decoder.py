"""One choice of a chat stream, decoded: which item is open, and what must wait for its turn.

A chunk names tool calls by number and may speak of two at once, or go back to an earlier one; events
keep one item open at a time. So a call is closed when the next thing begins, unless its arguments are
plainly unfinished: then what follows is held until the choice has finished.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aigw.dialects.base import Tree
from aigw.dialects.call_ids import unpack_call_id
from aigw.dialects.fields import int_or_none, list_of, object_of, synthetic_call_id, text_of, text_or_none
from aigw.dialects.openai_chat.annotations import decode_annotations
from aigw.dialects.openai_chat.call_tracker import Call, CallTracker
from aigw.dialects.openai_chat.fields import (
    LOGPROBS,
    NAME,
    REASONING_DETAILS,
    REASONING_FIELDS,
    THINKING_PART,
    keep,
    logprobs_of,
)
from aigw.dialects.openai_chat.finish import decode_finish
from aigw.dialects.openai_chat.messages import KNOWN_MESSAGE, decode_image
from aigw.dialects.openai_chat.parts import decode_content
from aigw.dialects.openai_chat.reasoning import read_texts
from aigw.dialects.openai_chat.response import CHOICE_MESSAGE
from aigw.errors import ProtocolError
from aigw.model import (
    AnnotationAdded,
    ArgumentsDelta,
    AudioDelta,
    ChoiceFinished,
    Event,
    Extras,
    ExtrasAdded,
    FinishReason,
    ForeignPart,
    FunctionCall,
    ItemClosed,
    ItemOpened,
    JsonObject,
    Message,
    PartAdded,
    Reasoning,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    TextPart,
)
from aigw.model.seal import seal

_CHOICE = frozenset(("index", "delta", "finish_reason", "logprobs"))
_MESSAGE = "message"
_REASONING = "reasoning"


class ChoiceDecoder:
    """Deltas of one choice in, events out, in the order the laws of `aigw.model.events` ask for."""

    __slots__ = (
        "_calls",
        "_held",
        "_index",
        "_key",
        "_last_extras",
        "_part",
        "_part_kind",
        "_sealed",
        "_seed",
        "_thinking_fields",
        "choice",
        "out",
        "reason",
        "word",
    )

    def __init__(self, choice: int, seed: str | None, out: list[Event]) -> None:
        self.choice = choice
        self.out = out
        self.reason: FinishReason | None = None
        self.word: str | None = None
        self._seed = seed
        self._key: object = None
        self._index = -1
        self._part = -1
        self._part_kind = ""
        self._calls = CallTracker()
        self._held: dict[object, list[Callable[[], None]]] | None = None
        self._last_extras: Extras = {}
        self._thinking_fields: str | None = None
        self._sealed: set[str] = set()

    def feed(self, tree: Tree) -> None:
        """Take one element of a chunk's `choices`."""
        if not tree.keys() <= _CHOICE:
            self._take_extras(keep(tree, _CHOICE))
        delta = tree.get("delta")
        if delta.__class__ is dict:
            self._feed_delta(delta, tree.get("logprobs"))
        word = tree.get("finish_reason")
        # OpenRouter says it twice; the second time it may be wrong.
        if isinstance(word, str) and word and self.reason is None:
            self.word = word
            self.reason = decode_finish(word)
            self._release()

    def _feed_delta(self, delta: Tree, logprobs: Any) -> None:
        content = delta.get("content")
        if len(delta) == 1 and content.__class__ is str and self._part_kind == "text" and not logprobs:
            # Nearly every chunk of every stream: more text of the text that is open.
            if content:
                self.out.append(TextDelta(self._index, content, self._part, self.choice))
            return
        if not delta.keys() <= KNOWN_MESSAGE:
            self._take_extras(keep(delta, KNOWN_MESSAGE, CHOICE_MESSAGE))
        if delta.get("reasoning_content") or delta.get("reasoning") or delta.get("reasoning_details"):
            self._feed_reasoning(delta)
        probs = logprobs if isinstance(logprobs, dict) else None
        if content.__class__ is str:
            if content:
                self._feed_text(content, _probs(probs, "content"))
                probs = None
        elif content:
            self._feed_parts(content)
        if len(delta) > 2 or content is None:
            self._feed_rest(delta, probs)

    def _feed_rest(self, delta: Tree, probs: Tree | None) -> None:
        if refusal := text_of(delta.get("refusal")):
            self._in_message(self._refusal, refusal, _probs(probs, "refusal"))
            probs = None
        if isinstance(delta.get("audio"), dict):
            self._in_message(self._audio, delta["audio"])
        for image in list_of(delta.get("images")):
            self._in_message(self._whole_part, decode_image(image))
        for annotation in decode_annotations(delta.get("annotations")):
            self._in_message(self._annotation, annotation)
        for call in list_of(delta.get("tool_calls")):
            if isinstance(call, dict):
                self._feed_call(call)
        if isinstance(delta.get("function_call"), dict):
            self._feed_legacy(delta["function_call"])
        if probs:
            self._take_extras({LOGPROBS: probs})

    def _take_extras(self, extras: Extras) -> None:
        changed = {key: value for key, value in extras.items() if self._last_extras.get(key) != value}
        if changed:
            self._last_extras |= changed
            self.out.append(ExtrasAdded(changed, self.choice))

    # Items: one open at a time.

    def _turn(self, key: object, step: Callable[[], None]) -> None:
        """Do this step of the item `key` now if it may be open now, else when the choice has finished."""
        if self._held is None and self._key is not key and isinstance(self._key, Call):
            call = self._key
            if call.opened and self.reason is None and not call.complete():
                self._held = {}
        if self._held is not None and self._key is not key:
            self._held.setdefault(key, []).append(step)
        else:
            step()

    def _release(self) -> None:
        held, self._held = self._held, None
        for steps in (held or {}).values():
            for step in steps:
                step()

    def _open(self, key: object, item: Message | Reasoning | FunctionCall) -> None:
        self._close()
        self._key = key
        self._index += 1
        self._part = -1
        self._part_kind = ""
        self.out.append(ItemOpened(self._index, item, self.choice))

    def _close(self) -> None:
        if self._key is not None:
            self.out.append(ItemClosed(self._index, choice=self.choice))
            self._key = None
            self._part_kind = ""

    def _next_part(self, kind: str) -> int:
        if self._part_kind != kind:
            self._part += 1
            self._part_kind = kind
        return self._part

    # A message.

    def _in_message(self, step: Callable[..., None], *values: Any) -> None:
        self._turn(_MESSAGE, lambda: step(*values))

    def _open_message(self) -> None:
        if self._key is not _MESSAGE:
            self._open(_MESSAGE, Message("assistant"))

    def _feed_text(self, text: str, logprobs: tuple[JsonObject, ...]) -> None:
        if self._key is _MESSAGE:
            self._text(text, logprobs)
        else:
            self._turn(_MESSAGE, lambda: self._text(text, logprobs))

    def _text(self, text: str, logprobs: tuple[JsonObject, ...]) -> None:
        self._open_message()
        part = self._part if self._part_kind == "text" else self._next_part("text")
        self.out.append(TextDelta(self._index, text, part, self.choice, logprobs))

    def _refusal(self, text: str, logprobs: tuple[JsonObject, ...]) -> None:
        self._open_message()
        part = self._next_part("refusal")
        self.out.append(RefusalDelta(self._index, text, part, self.choice, logprobs))

    def _audio(self, tree: Tree) -> None:
        self._open_message()
        self.out.append(
            AudioDelta(
                self._index,
                text_of(tree.get("data")),
                text_of(tree.get("transcript")),
                self._next_part("audio"),
                self.choice,
                text_or_none(tree.get("id")),
                int_or_none(tree.get("expires_at")),
            )
        )

    def _whole_part(self, part: Any) -> None:
        self._open_message()
        number = self._next_part("whole")
        self._part_kind = ""
        self.out.append(PartAdded(self._index, part, number, self.choice))

    def _annotation(self, annotation: Any) -> None:
        self._open_message()
        if self._part < 0:
            self._next_part("text")
        self.out.append(AnnotationAdded(self._index, annotation, max(0, self._part), self.choice))

    def _feed_parts(self, content: Any) -> None:
        # Mistral streams a list where it has more than text to say.
        for part in decode_content(content if isinstance(content, list) else None, "delta.content"):
            if isinstance(part, TextPart) and not part.extras:
                if part.text:
                    self._feed_text(part.text, ())
            elif isinstance(part, ForeignPart) and part.tree.get("type") == "thinking":
                for piece in list_of(part.tree.get("thinking")):
                    self._think(text_of(object_of(piece).get("text")), {THINKING_PART: True})
            else:
                self._in_message(self._whole_part, part)

    # Thinking.

    def _feed_reasoning(self, delta: Tree) -> None:
        text, fields = read_texts(delta)
        details = [detail for detail in list_of(delta.get("reasoning_details")) if detail]
        if text or details:
            self._turn(_REASONING, lambda: self._reasoning(text, {REASONING_FIELDS: fields}, details))

    def _think(self, text: str, marks: Extras) -> None:
        if text:
            self._turn(_REASONING, lambda: self._reasoning(text, marks, []))

    def _reasoning(self, text: str, marks: Extras, details: list[Any]) -> None:
        if self._key is not _REASONING:
            self._open(_REASONING, Reasoning(extras=marks))
            self._sealed = set()
            self._thinking_fields = marks.get(REASONING_FIELDS)
        elif text and self._thinking_fields == "":
            # It began with details alone; only now is known where its text stands.
            self._thinking_fields = marks.get(REASONING_FIELDS)
            self.out.append(ExtrasAdded(marks, self.choice, self._index))
        extras = {REASONING_DETAILS: details} if details else None
        summary = not text
        for detail in details:
            self._opaque(object_of(detail))
            if summary and object_of(detail).get("type") == "reasoning.summary":
                words = text_of(object_of(detail).get("summary"))
                self.out.append(ReasoningDelta(self._index, words, "summary", 0, self.choice))
        if text or extras:
            self.out.append(ReasoningDelta(self._index, text, "content", 0, self.choice, extras))

    def _opaque(self, detail: Tree) -> None:
        # No details of its own to say: they follow, as they came.
        none: Extras = {REASONING_DETAILS: []}
        if signature := text_of(detail.get("signature")):
            signature = self._seal("signature", signature)
            self.out.append(ReasoningDelta(self._index, signature, "signature", 0, self.choice, none))
        if data := text_of(detail.get("data")):
            kind: Any = "redacted" if detail.get("redacted") is True else "encrypted"
            data = self._seal(kind, data)
            self.out.append(ReasoningDelta(self._index, data, kind, 0, self.choice, none))

    def _seal(self, kind: str, value: str) -> str:
        # Pieces of one value: what is put together of them is sealed once.
        if kind in self._sealed:
            return value
        self._sealed.add(kind)
        return seal(NAME, value)

    # Tool calls.

    def _feed_call(self, tree: Tree) -> None:
        call, text = self._calls.find(tree)
        self._step_call(call, text)

    def _feed_legacy(self, tree: Tree) -> None:
        call, text = self._calls.find_legacy(tree)
        self._step_call(call, text)

    def _step_call(self, call: Call, text: str) -> None:
        if call.name or text:
            self._turn(call, lambda: self._call(call, text))

    def _call(self, call: Call, text: str) -> None:
        if not call.opened:
            call.opened = True
            written = call.id or synthetic_call_id(self._seed, self.choice, call.number)
            call_id, signature = unpack_call_id(written)
            extras = dict(call.extras)
            skeleton = FunctionCall(
                call_id, call.name, freeform=call.freeform, signature=signature, extras=extras
            )
            self._open(call, skeleton)
        elif self._key is not call:
            if text.strip():
                raise ProtocolError(f"arguments for tool call {call.name!r}, which had ended")
            return
        if text:
            call.pieces.append(text)
            self.out.append(ArgumentsDelta(self._index, text, self.choice))

    def close(self) -> None:
        """The answer is whole: close what is open and say why this choice ended."""
        self._release()
        self._close()
        self.out.append(ChoiceFinished(self.finish, self.word, choice=self.choice))

    @property
    def finish(self) -> FinishReason:
        """Why this choice ended; where the provider gave no reason, the likely one."""
        return self.reason or (FinishReason.TOOL_CALLS if self._calls else FinishReason.UNKNOWN)


def _probs(logprobs: Tree | None, field: str) -> tuple[JsonObject, ...]:
    return logprobs_of(logprobs.get(field)) if logprobs else ()
