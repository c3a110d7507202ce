"""Canonical events written as a Gemini stream: each chunk a GenerateContentResponse.

Text goes out as it comes, a call when it is whole. Finish reasons and token counts come in the last
chunk alone, so it waits for the end of the stream. A failure is one frame with `error`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import orjson
from attrs import define, evolve, field

from aigw.dialects.base import Tree
from aigw.dialects.gemini.calls import encode_call
from aigw.dialects.gemini.errors import encode_error
from aigw.dialects.gemini.fields import PROMPT_BLOCKED, restore
from aigw.dialects.gemini.finish import encode_finish
from aigw.dialects.gemini.grounding import encode_annotations
from aigw.dialects.gemini.logprobs import encode_logprobs
from aigw.dialects.gemini.parts import DEFAULT_AUDIO, encode_part
from aigw.dialects.gemini.reasoning import encode_reasoning
from aigw.dialects.gemini.response import head
from aigw.dialects.gemini.signatures import for_gemini_client
from aigw.dialects.gemini.usage import encode_usage
from aigw.errors import GatewayError
from aigw.model import (
    Annotation,
    AnnotationAdded,
    ArgumentsDelta,
    AudioDelta,
    ChoiceFinished,
    Event,
    Extras,
    ExtrasAdded,
    Failed,
    Finished,
    Foreign,
    FunctionCall,
    Item,
    ItemClosed,
    ItemOpened,
    JsonObject,
    PartAdded,
    Reasoning,
    ReasoningDelta,
    RefusalDelta,
    Request,
    Response,
    Started,
    TextDelta,
    TextPart,
    Usage,
    UsageReported,
)
from aigw.wire.json_array import JsonArrayWriter
from aigw.wire.sse import encode_frame


@define(eq=False)
class _Choice:
    """What must be remembered of one choice. begin, end: the bytes around the text of a chunk.

    texts, annotations: each with the numbers of its item and of its part.
    """

    begin: bytes
    end: bytes
    item: Item | None = None
    arguments: list[str] = field(factory=list)
    opaque: dict[str, list[str]] = field(factory=dict)
    texts: list[tuple[int, int, str]] = field(factory=list)
    annotations: list[tuple[int, int, Annotation]] = field(factory=list)
    extras: Extras = field(factory=dict)
    finish: str | None = None


class GeminiStreamEncoder:
    """Events in, bytes of one client stream out, whole frames only.

    array: write one JSON array, as Google does without `alt=sse`; the media type is application/json then.
    """

    def __init__(self, request: Request | None, *, array: bool = False) -> None:
        self._request = request
        self._array = JsonArrayWriter() if array else None
        self._usage: Usage | None = None
        self._choices: dict[int, _Choice] = {}
        self._pending: Tree = {}
        self._ended = False
        self._head: Tree = {}
        self._set_head(Started())

    def encode(self, event: Event) -> bytes:
        """Return the frames this event completes, possibly none."""
        return self._table[event.__class__](self, event)

    def close(self) -> bytes:
        """Return the frames that end a stream which finished; empty if it has already ended."""
        if self._ended:
            return b""
        self._ended = True
        tree: Tree = {"candidates": [self._last(number) for number in self._to_finish()]}
        if not tree["candidates"]:
            del tree["candidates"]
        if self._usage is not None:
            tree["usageMetadata"] = encode_usage(self._usage)
        return self._chunk(tree) + (b"" if self._array is None else self._array.close())

    def fail(self, error: GatewayError) -> bytes:
        """Return the frame that tells a failure; empty if the stream has already ended."""
        if self._ended:
            return b""
        self._ended = True
        data = orjson.dumps(encode_error(error)[1])
        return self._write(data) + (b"" if self._array is None else self._array.close())

    # Frames.

    def _set_head(self, event: Started) -> None:
        named = Response(event.id, event.model, event.created, extras=event.extras)
        self._head = head(named, self._request)
        self._pending |= restore(event.extras)

    def _write(self, data: bytes) -> bytes:
        return encode_frame(data) if self._array is None else self._array.write(data)

    def _chunk(self, tree: Tree) -> bytes:
        pending, self._pending = self._pending, {}
        return self._write(orjson.dumps({**tree, **self._head, **pending}))

    def _choice(self, number: int) -> _Choice:
        choice = self._choices.get(number)
        if choice is None:
            begin = b'{"candidates":[{"content":{"parts":[{"text":'
            end = b'}],"role":"model"},"index":%d}],' % number + orjson.dumps(self._head)[1:]
            if self._array is None:
                begin, end = b"data: " + begin, end + b"\n\n"
            choice = self._choices[number] = _Choice(begin, end)
        return choice

    def _parts(self, number: int, parts: list[Tree], **fields: Any) -> bytes:
        if not parts:
            return b""
        content = {"parts": parts, "role": "model"}
        return self._chunk({"candidates": [{"content": content, "index": number, **fields}]})

    def _to_finish(self) -> list[int]:
        if not self._choices:
            self._choice(0)  # an answer of nothing still has to end
        found = self._choices.items()
        return sorted(number for number, choice in found if PROMPT_BLOCKED not in choice.extras)

    def _last(self, number: int) -> Tree:
        choice = self._choices[number]
        tree: Tree = {"content": {"parts": [{"text": ""}], "role": "model"}, "index": number}
        tree["finishReason"] = choice.finish or "STOP"
        if choice.annotations:
            tree |= encode_annotations(_told(choice), choice.extras)
        return tree | restore(choice.extras)

    # Events.

    def _on_started(self, event: Started) -> bytes:
        self._set_head(event)
        return b""

    def _on_opened(self, event: ItemOpened) -> bytes:
        choice = self._choices.get(event.choice) or self._choice(event.choice)
        choice.item = event.item
        return b""

    def _on_text(self, event: TextDelta) -> bytes:
        choice = self._choices.get(event.choice) or self._choice(event.choice)
        choice.texts.append((event.index, event.part, event.text))
        if event.logprobs or self._pending:
            return self._text(event.choice, event.text, event.logprobs)
        data = choice.begin + orjson.dumps(event.text) + choice.end
        return data if self._array is None else self._array.write(data)

    def _text(self, number: int, text: str, logprobs: tuple[JsonObject, ...]) -> bytes:
        fields = {"logprobsResult": encode_logprobs(logprobs)} if logprobs else {}
        return self._parts(number, [{"text": text}], **fields)

    def _on_refusal(self, event: RefusalDelta) -> bytes:
        self._choice(event.choice)
        return self._text(event.choice, event.text, event.logprobs)

    def _on_reasoning(self, event: ReasoningDelta) -> bytes:
        choice = self._choice(event.choice)
        if not event.text:
            return b""
        if event.kind in {"content", "summary"}:
            return self._parts(event.choice, [{"text": event.text, "thought": True}])
        choice.opaque.setdefault(event.kind, []).append(event.text)
        return b""

    def _on_arguments(self, event: ArgumentsDelta) -> bytes:
        self._choice(event.choice).arguments.append(event.text)
        return b""

    def _on_audio(self, event: AudioDelta) -> bytes:
        self._choice(event.choice)
        blob = {"mimeType": DEFAULT_AUDIO, "data": event.data}
        return self._parts(event.choice, [{"inlineData": blob}] if event.data else [])

    def _on_part(self, event: PartAdded) -> bytes:
        choice = self._choice(event.choice)
        if isinstance(event.added, TextPart):
            choice.texts.append((event.index, event.part, event.added.text))
            choice.annotations += [(event.index, event.part, note) for note in event.added.annotations]
        part = encode_part(event.added, for_gemini_client, "")
        logprobs = event.added.logprobs if isinstance(event.added, TextPart) else ()
        fields = {"logprobsResult": encode_logprobs(logprobs)} if logprobs else {}
        return self._parts(event.choice, [] if part is None else [part], **fields)

    def _on_annotation(self, event: AnnotationAdded) -> bytes:
        self._choice(event.choice).annotations.append((event.index, event.part, event.annotation))
        return b""

    def _on_closed(self, event: ItemClosed) -> bytes:
        choice = self._choice(event.choice)
        item, choice.item = choice.item, None
        parts: list[Tree] = []
        if isinstance(item, FunctionCall):
            whole = event.item if isinstance(event.item, FunctionCall) else None
            call = whole or evolve(item, arguments=item.arguments + "".join(choice.arguments))
            parts = [encode_call(call, for_gemini_client, "")]
        elif isinstance(item, Reasoning):
            opaque = {kind: "".join(texts) for kind, texts in choice.opaque.items()}
            closed = _opaque_alone(event.item if isinstance(event.item, Reasoning) else item, opaque)
            parts = encode_reasoning(closed, for_gemini_client, "")
        choice.arguments, choice.opaque = [], {}
        return self._parts(event.choice, parts)

    def _on_extras(self, event: ExtrasAdded) -> bytes:
        if event.choice is None:
            self._pending |= restore(event.extras)
        elif event.index is None:
            self._choice(event.choice).extras |= event.extras
        return b""

    def _on_choice_finished(self, event: ChoiceFinished) -> bytes:
        self._choice(event.choice).finish = encode_finish(event.reason, event.raw)
        return b""

    def _on_usage(self, event: UsageReported) -> bytes:
        self._usage = event.usage
        return b""

    def _on_finished(self, _event: Finished) -> bytes:
        return self.close()

    def _on_failed(self, event: Failed) -> bytes:
        return self.fail(event.error)

    def _nothing(self, _event: Foreign) -> bytes:
        return b""

    _table: ClassVar[dict[type, Callable[[Any, Any], bytes]]] = {
        Started: _on_started,
        ItemOpened: _on_opened,
        TextDelta: _on_text,
        RefusalDelta: _on_refusal,
        ReasoningDelta: _on_reasoning,
        ArgumentsDelta: _on_arguments,
        AudioDelta: _on_audio,
        PartAdded: _on_part,
        AnnotationAdded: _on_annotation,
        ItemClosed: _on_closed,
        ExtrasAdded: _on_extras,
        ChoiceFinished: _on_choice_finished,
        UsageReported: _on_usage,
        Finished: _on_finished,
        Failed: _on_failed,
        Foreign: _nothing,
    }


def _told(choice: _Choice) -> list[tuple[str, list[Annotation]]]:
    """Return each text part and its annotations, in order."""
    texts: dict[tuple[int, int], list[str]] = {}
    for index, part, text in choice.texts:
        texts.setdefault((index, part), []).append(text)
    for index, part, _ in choice.annotations:
        texts.setdefault((index, part), [])
    notes: dict[tuple[int, int], list[Annotation]] = {key: [] for key in texts}
    for index, part, note in choice.annotations:
        notes[index, part].append(note)
    return [("".join(texts[key]), notes[key]) for key in sorted(texts)]


def _opaque_alone(item: Reasoning, told: dict[str, str]) -> Reasoning:
    """Return what no text has told yet: the opaque values, of the deltas or of the whole item."""
    return Reasoning(
        signature=told.get("signature") or item.signature,
        encrypted_content=told.get("encrypted") or item.encrypted_content,
        redacted=told.get("redacted") or item.redacted,
    )
