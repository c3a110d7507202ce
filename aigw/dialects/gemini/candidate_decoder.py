"""One candidate decoded, whole or chunk by chunk: which item is open, and what is told at its end.

Gemini's parts have no names and no numbers: text goes on where the last part was text, a call comes
whole, and anything else is a part of its own.
"""

from __future__ import annotations

from typing import Any

from attrs import evolve

from aigw.dialects.base import Tree
from aigw.dialects.fields import object_of, synthetic_call_id, text_of
from aigw.dialects.gemini.calls import decode_call
from aigw.dialects.gemini.fields import NAME, keep
from aigw.dialects.gemini.finish import UNSPECIFIED, decode_finish
from aigw.dialects.gemini.grounding import CITATIONS, GROUNDING, decode_annotations
from aigw.dialects.gemini.logprobs import decode_logprobs
from aigw.dialects.gemini.partial_args import PartialCall
from aigw.dialects.gemini.parts import decode_part, decode_text
from aigw.dialects.gemini.signatures import from_provider
from aigw.model import (
    Annotation,
    AnnotationAdded,
    ArgumentsDelta,
    ChoiceFinished,
    Event,
    Extras,
    ExtrasAdded,
    FinishReason,
    ItemClosed,
    ItemOpened,
    JsonObject,
    Message,
    Part,
    PartAdded,
    Reasoning,
    ReasoningDelta,
    TextDelta,
)

_COMMON = frozenset(("content", "index", "finishReason"))
_KNOWN = _COMMON | {"logprobsResult"}
_TEXT = frozenset(("text", "thoughtSignature"))
_THOUGHT = frozenset(("text", "thought", "thoughtSignature"))
_LOGPROBS = f"{NAME}:logprobsResult"
_MESSAGE = "message"
_REASONING = "reasoning"
_CALL = "call"


class CandidateDecoder:
    """Pieces of one candidate in, events out, in the order the laws of `aigw.model.events` ask for."""

    __slots__ = (
        "_calls",
        "_extras",
        "_index",
        "_key",
        "_logprobs",
        "_open_text",
        "_part",
        "_partial",
        "_seed",
        "_texts",
        "choice",
        "out",
        "word",
    )

    def __init__(self, choice: int, seed: str, out: list[Event]) -> None:
        self.choice = choice
        self.out = out
        self.word: str | None = None
        self._seed = seed
        self._key: str | None = None
        self._index = -1
        self._part = -1
        self._open_text = False
        self._calls = 0
        self._partial: PartialCall | None = None
        self._extras: Extras = {}
        self._logprobs: tuple[JsonObject, ...] = ()
        # Of each text part of the open message: its number, and what it says.
        self._texts: list[tuple[int, list[str]]] = []

    def feed(self, tree: Tree) -> None:
        """Take one element of a chunk's `candidates`."""
        if not tree.keys() <= _COMMON:
            self._take_fields(tree)
        content = tree.get("content")
        if content.__class__ is dict:
            parts = content.get("parts")
            if parts.__class__ is list:
                for part in parts:
                    if part.__class__ is dict:
                        self._take(part)
        word = tree.get("finishReason")
        if word.__class__ is str and word and word != UNSPECIFIED:
            self.word = word
        if self._logprobs:
            self._add_extras({_LOGPROBS: tree.get("logprobsResult")})
            self._logprobs = ()

    def _take_fields(self, tree: Tree) -> None:
        if isinstance(result := tree.get("logprobsResult"), dict):
            self._logprobs = decode_logprobs(result)
        found = keep(tree, _KNOWN)
        # Chunks before the last bring it empty.
        if found.get(GROUNDING) == {} and GROUNDING in self._extras:
            del found[GROUNDING]
        self._add_extras(found)

    def _add_extras(self, found: Extras) -> None:
        changed = {key: value for key, value in found.items() if self._extras.get(key) != value}
        if changed:
            self._extras |= changed
            self.out.append(ExtrasAdded(changed, self.choice))

    def _take(self, part: Tree) -> None:
        text = part.get("text")
        if text.__class__ is str and len(part) == 1:
            # Nearly every chunk of every stream.
            if text:
                self._text(text)
        elif "functionCall" in part:
            self._call(part)
        elif text.__class__ is str and part.get("thought") is True and part.keys() <= _THOUGHT:
            self._think(part)
        elif text.__class__ is str and (part.get("thought") or part.keys() <= _TEXT):
            self._signed_text(part)
        elif text.__class__ is str:
            self._whole_part(decode_text(part, from_provider(part.get("thoughtSignature"))))
        elif part:
            self._whole_part(decode_part(part))

    # Items: one open at a time.

    def _open(self, key: str | None, item: Any) -> None:
        self._close()
        self._key = key
        self._index += 1
        self._part = -1
        self._open_text = False
        self.out.append(ItemOpened(self._index, item, self.choice))

    def _close(self) -> None:
        if self._partial is not None:
            part, self._partial = self._partial.whole(), None
            self._whole_call(part)
        if self._key is not None:
            self.out.append(ItemClosed(self._index, choice=self.choice))
            self._key = None
            self._open_text = False
            self._texts = []

    def _open_message(self) -> None:
        if self._key is not _MESSAGE or self._partial is not None:
            self._open(_MESSAGE, Message("assistant"))

    # A message.

    def _text(self, text: str) -> None:
        if not self._open_text or self._partial is not None:
            self._open_message()
            self._part += 1
            self._open_text = True
            self._texts.append((self._part, []))
        self._texts[-1][1].append(text)
        logprobs, self._logprobs = self._logprobs, ()
        self.out.append(TextDelta(self._index, text, self._part, self.choice, logprobs))

    def _signed_text(self, part: Tree) -> None:
        signature = from_provider(part.get("thoughtSignature"))
        if signature is None and part.keys() <= _TEXT:
            if part["text"]:
                self._text(part["text"])
            return
        # The signature belongs to this part alone: joined with others it would be refused.
        self._whole_part(decode_text(part, signature))

    def _whole_part(self, part: Part) -> None:
        self._open_message()
        self._part += 1
        self._open_text = False
        self._texts.append((self._part, [text_of(getattr(part, "text", ""))]))
        self.out.append(PartAdded(self._index, part, self._part, self.choice))

    # Thinking.

    def _think(self, part: Tree) -> None:
        text, signature = part["text"], from_provider(part.get("thoughtSignature"))
        if not text and signature is None:
            return
        if self._key is not _REASONING or self._partial is not None:
            self._open(_REASONING, Reasoning())
        if text:
            self.out.append(ReasoningDelta(self._index, text, "content", 0, self.choice))
        if signature is not None:
            self.out.append(ReasoningDelta(self._index, signature, "signature", 0, self.choice))
            # A second signature would run into the first.
            self._close()

    # Calls.

    def _call(self, part: Tree) -> None:
        call = object_of(part["functionCall"])
        if self._partial is not None and not call.get("name"):
            self._partial.add(call)
            if not call.get("willContinue"):
                self._close()
        elif not call.get("name"):
            return
        elif call.get("willContinue") or "partialArgs" in call:
            self._close()
            self._partial = PartialCall(part)
            self._partial.add(call)
            if not call.get("willContinue"):
                self._close()
        else:
            self._whole_call(part)

    def _whole_call(self, part: Tree) -> None:
        name = text_of(object_of(part["functionCall"]).get("name"))
        default = synthetic_call_id(f"{self._seed}/{self.choice}", self._calls, name)
        call = decode_call(part, from_provider(part.get("thoughtSignature")), default)
        self._calls += 1
        self._open(_CALL, evolve(call, arguments=""))
        self.out.append(ArgumentsDelta(self._index, call.arguments, self.choice))
        self._close()

    # The end.

    @property
    def finish(self) -> FinishReason:
        """Why this candidate ended."""
        return decode_finish(self.word or "", with_calls=self._calls > 0)

    def close(self) -> None:
        """The answer is whole: close what is open, and say why it ended if that was told."""
        grounding, citations = object_of(self._extras.get(GROUNDING)), object_of(self._extras.get(CITATIONS))
        if self._texts and (grounding or citations):
            self._annotate(grounding, citations)
        self._close()
        if self.word is not None:
            self.out.append(ChoiceFinished(self.finish, self.word, choice=self.choice))

    def _annotate(self, grounding: Tree, citations: Tree) -> None:
        texts = [(number, "".join(pieces)) for number, pieces in self._texts]
        for annotation in decode_annotations(grounding, citations, "".join([text for _, text in texts])):
            self._place(annotation, texts)

    def _place(self, annotation: Annotation, texts: list[tuple[int, str]]) -> None:
        """Tell an annotation of the part its start lies in, counting from that part's own start."""
        offset = 0
        start, end = annotation.start_index or 0, annotation.end_index
        for number, text in texts:
            if start < offset + len(text) or number == texts[-1][0]:
                last = None if end is None else end - offset
                placed = evolve(annotation, start_index=start - offset, end_index=last)
                self.out.append(AnnotationAdded(self._index, placed, number, self.choice))
                return
            offset += len(text)
