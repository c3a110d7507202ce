"""Canonical events written as a chat stream, in the frames OpenAI itself writes.

A chunk with the role, chunks with deltas, one with the finish reason, one with the token counts if the
caller asked for them, `[DONE]`. A failure is one frame with `error`, and no `[DONE]`: that means success.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import orjson
from attrs import define, field

from aigw.dialects.base import Tree
from aigw.dialects.openai_chat.annotations import encode_annotation
from aigw.dialects.openai_chat.fields import (
    LEGACY,
    LOGPROBS,
    REASONING_DETAILS,
    REASONING_FIELDS,
    THINKING_PART,
    restore,
)
from aigw.dialects.openai_chat.finish import encode_finish
from aigw.dialects.openai_chat.grammar import CLOSING, encode_error_frame
from aigw.dialects.openai_chat.messages import encode_audio, encode_call
from aigw.dialects.openai_chat.opaque import TO_CLIENT
from aigw.dialects.openai_chat.parts import encode_part
from aigw.dialects.openai_chat.reasoning import DEFAULT_FIELD, ReasoningDraft
from aigw.dialects.openai_chat.response import CHOICE_MESSAGE
from aigw.dialects.openai_chat.usage import encode_usage
from aigw.errors import GatewayError
from aigw.model import (
    AnnotationAdded,
    ArgumentsDelta,
    AudioDelta,
    AudioPart,
    ChoiceFinished,
    Event,
    ExtrasAdded,
    Failed,
    Finished,
    Foreign,
    FunctionCall,
    ImagePart,
    ItemClosed,
    ItemOpened,
    Message,
    PartAdded,
    Reasoning,
    ReasoningDelta,
    RefusalDelta,
    RefusalPart,
    Request,
    Started,
    TextDelta,
    TextPart,
    Usage,
    UsageReported,
)


@define(eq=False)
class _Choice:
    """What must be remembered of one choice. pending_*: fields that go out with its next chunk."""

    head: bytes
    begun: bool = False
    calls: int = -1
    freeform: bool = False
    legacy: bool = False
    thinking_fields: tuple[str, ...] = (DEFAULT_FIELD,)
    thinking_part: bool = False
    thoughts: int = -1
    thinking: ReasoningDraft | None = None
    pending_delta: Tree = field(factory=dict)
    pending: Tree = field(factory=dict)


class ChatStreamEncoder:
    """Events in, bytes of one client stream out, whole frames only."""

    def __init__(self, request: Request | None) -> None:
        self._model = "" if request is None else request.model
        self._with_usage = request is None or request.include_usage
        self._usage: Usage | None = None
        self._choices: dict[int, _Choice] = {}
        self._pending: Tree = {}
        self._ended = False
        self._head = b""
        self._tail = b""
        self._set_head(Started())

    def encode(self, event: Event) -> bytes:
        """Return the frames this event completes, possibly none."""
        return self._table[event.__class__](self, event)

    def close(self) -> bytes:
        """Return the frames that end a stream which finished; empty if it has already ended."""
        return self._on_finished(Finished())

    def fail(self, error: GatewayError) -> bytes:
        """Return the frame that tells a failure; empty if the stream has already ended."""
        if self._ended:
            return b""
        self._ended = True
        return encode_error_frame(error)

    # Frames.

    def _set_head(self, event: Started) -> None:
        head: Tree = {
            "id": event.id or "chatcmpl-0",
            "object": "chat.completion.chunk",
            "created": event.created or 0,
            "model": event.model or self._model,
        }
        if event.service_tier is not None:
            head["service_tier"] = event.service_tier
        extras = restore(event.extras)
        # Short facts of the whole answer stand in every chunk; anything else is said once.
        head |= {key: value for key, value in extras.items() if isinstance(value, str)}
        self._pending |= {key: value for key, value in extras.items() if not isinstance(value, str)}
        self._head = b"data: " + orjson.dumps(head)[:-1] + b',"choices":['
        self._tail = b'],"usage":null}\n\n' if self._with_usage else b"]}\n\n"

    def _choice(self, number: int) -> _Choice:
        choice = self._choices.get(number)
        if choice is None:
            head = self._head + b'{"index":%d,"delta":' % number
            choice = self._choices[number] = _Choice(head)
        return choice

    def _delta(self, number: int, delta: Tree, logprobs: Tree | None = None) -> bytes:
        choice = self._choice(number)
        start = b""
        if not choice.begun:
            start = self._begin(choice, number, with_content="tool_calls" not in delta)
        return start + self._chunk(choice, number, delta, logprobs)

    def _begin(self, choice: _Choice, number: int, *, with_content: bool) -> bytes:
        choice.begun = True
        delta = {"role": "assistant", "content": "" if with_content else None}
        return self._chunk(choice, number, delta, None)

    def _chunk(
        self, choice: _Choice, number: int, delta: Tree, logprobs: Tree | None, finish: str | None = None
    ) -> bytes:
        if choice.pending_delta:
            delta, choice.pending_delta = {**choice.pending_delta, **delta}, {}
        body: Tree = {"index": number, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        if choice.pending:
            body, choice.pending = {**body, **choice.pending}, {}
        return self._head + orjson.dumps(body) + self._end_of_chunk()

    def _end_of_chunk(self) -> bytes:
        if not self._pending:
            return self._tail
        fields, self._pending = orjson.dumps(self._pending), {}
        return b"]," + fields[1:-1] + self._tail[1:]

    # Events.

    def _on_started(self, event: Started) -> bytes:
        self._set_head(event)
        return b""

    def _on_opened(self, event: ItemOpened) -> bytes:
        choice = self._choice(event.choice)
        match event.item:
            case FunctionCall() as item:
                return self._open_call(choice, item, event.choice)
            case Reasoning() as item:
                fields = item.extras.get(REASONING_FIELDS, DEFAULT_FIELD)
                choice.thinking_fields = tuple(filter(None, fields.split(",")))
                choice.thinking_part = THINKING_PART in item.extras
                choice.pending_delta |= restore(item.extras, CHOICE_MESSAGE)
                details = item.extras.get(REASONING_DETAILS)
                choice.thoughts += 1
                choice.thinking = None if details else ReasoningDraft(item)
                if details:
                    return self._delta(event.choice, {"reasoning_details": details})
            case Message() as item:
                choice.pending_delta |= restore(item.extras, CHOICE_MESSAGE)
            case _:
                pass
        return b""

    def _open_call(self, choice: _Choice, item: FunctionCall, number: int) -> bytes:
        choice.freeform = item.freeform
        choice.legacy = LEGACY in item.extras
        if choice.legacy:
            return self._delta(number, {"function_call": {"name": item.name, "arguments": ""}})
        choice.calls += 1
        tree = {"index": choice.calls, **encode_call(item, TO_CLIENT)}
        return self._delta(number, {"tool_calls": [tree]})

    def _on_text(self, event: TextDelta) -> bytes:
        choice = self._choices.get(event.choice) or self._choice(event.choice)
        plain = choice.begun and not (
            event.logprobs or choice.pending or choice.pending_delta or self._pending
        )
        if plain:
            text = orjson.dumps(event.text)
            return (
                choice.head + b'{"content":' + text + b'},"logprobs":null,"finish_reason":null}' + self._tail
            )
        logprobs = {"content": list(event.logprobs), "refusal": None} if event.logprobs else None
        return self._delta(event.choice, {"content": event.text}, logprobs)

    def _on_refusal(self, event: RefusalDelta) -> bytes:
        logprobs = {"content": None, "refusal": list(event.logprobs)} if event.logprobs else None
        return self._delta(event.choice, {"refusal": event.text}, logprobs)

    def _on_reasoning(self, event: ReasoningDelta) -> bytes:
        choice = self._choice(event.choice)
        delta: Tree = {}
        if event.kind in {"content", "summary"} and event.text:
            if choice.thinking_part:
                piece = {"type": "text", "text": event.text}
                delta["content"] = [{"type": "thinking", "thinking": [piece]}]
            else:
                delta = dict.fromkeys(choice.thinking_fields, event.text)
        details = (event.extras or {}).get(REASONING_DETAILS)
        if details:
            delta["reasoning_details"] = details
        if details is not None:
            choice.thinking = None
        elif choice.thinking is not None:
            choice.thinking.add(event)
        return self._delta(event.choice, delta) if delta else b""

    def _on_arguments(self, event: ArgumentsDelta) -> bytes:
        choice = self._choice(event.choice)
        if choice.legacy:
            return self._delta(event.choice, {"function_call": {"arguments": event.text}})
        inner: Tree = {"custom": {"input": event.text}} if choice.freeform else {}
        inner = inner or {"function": {"arguments": event.text}}
        return self._delta(event.choice, {"tool_calls": [{"index": choice.calls, **inner}]})

    def _on_audio(self, event: AudioDelta) -> bytes:
        audio: Tree = {"id": event.id} if event.id is not None else {}
        if event.data:
            audio["data"] = event.data
        if event.transcript:
            audio["transcript"] = event.transcript
        if event.expires_at is not None:
            audio["expires_at"] = event.expires_at
        return self._delta(event.choice, {"audio": audio})

    def _on_part(self, event: PartAdded) -> bytes:
        match event.added:
            case ImagePart() as part:
                image = encode_part(part)
                return self._delta(event.choice, {"images": [image]}) if image else b""
            case AudioPart() as part:
                return self._delta(event.choice, {"audio": encode_audio(part)})
            case RefusalPart() as part:
                return self._delta(event.choice, {"refusal": part.text})
            case TextPart(extras={}) as part if not restore(part.extras):
                return self._delta(event.choice, {"content": part.text})
            case part:
                tree = encode_part(part)
                return self._delta(event.choice, {"content": [tree]}) if tree else b""

    def _on_annotation(self, event: AnnotationAdded) -> bytes:
        return self._delta(event.choice, {"annotations": [encode_annotation(event.annotation)]})

    def _on_extras(self, event: ExtrasAdded) -> bytes:
        if event.choice is None:
            self._pending |= restore(event.extras)
            return b""
        choice = self._choice(event.choice)
        if event.index is not None:
            if fields := event.extras.get(REASONING_FIELDS):
                choice.thinking_fields = tuple(fields.split(","))
            return b""
        choice.pending_delta |= restore(event.extras, CHOICE_MESSAGE)
        choice.pending |= restore(event.extras)
        if LOGPROBS in event.extras and not choice.begun:
            return self._begin(choice, event.choice, with_content=False)
        return b""

    def _on_choice_finished(self, event: ChoiceFinished) -> bytes:
        choice = self._choice(event.choice)
        start = b"" if choice.begun else self._begin(choice, event.choice, with_content=True)
        finish = encode_finish(event.reason, event.raw)
        return start + self._chunk(choice, event.choice, {}, None, finish)

    def _on_usage(self, event: UsageReported) -> bytes:
        self._usage = event.usage
        return b""

    def _on_finished(self, _event: Finished) -> bytes:
        if self._ended:
            return b""
        self._ended = True
        if self._usage is None or not self._with_usage:
            return CLOSING
        usage = orjson.dumps(encode_usage(self._usage))
        return self._head + b'],"usage":' + usage + b"}\n\n" + CLOSING

    def _on_failed(self, event: Failed) -> bytes:
        return self.fail(event.error)

    def _on_closed(self, event: ItemClosed) -> bytes:
        choice = self._choice(event.choice)
        if choice.thinking is None:
            return b""
        item, choice.thinking = choice.thinking.item(), None
        # What a client must keep is known only now, and told in one piece.
        details = TO_CLIENT.details(item, choice.thoughts)
        return self._delta(event.choice, {"reasoning_details": details}) if details else b""

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
