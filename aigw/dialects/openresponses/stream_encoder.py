"""Canonical events written as a responses stream, event for event as the specification lays it down.

`response.created` and `response.in_progress`, the items, one terminal event that repeats all of them, and
`[DONE]`. A failure is an `error` event, `response.failed`, and `[DONE]`. Of several answers to one
request the first is told; the format has room for one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from aigw.dialects.base import Tree
from aigw.dialects.openresponses.echo import said_by_provider
from aigw.dialects.openresponses.failure import error_event, response_error
from aigw.dialects.openresponses.fields import NAME
from aigw.dialects.openresponses.finish import Ending, encode_finish
from aigw.dialects.openresponses.grammar import CLOSING
from aigw.dialects.openresponses.item_writer import CallWriter, ItemWriter, Numbering
from aigw.dialects.openresponses.message_writer import MessageWriter
from aigw.dialects.openresponses.reasoning_writer import ReasoningWriter
from aigw.dialects.openresponses.response import DEFAULT_ID, base_of, snapshot
from aigw.errors import GatewayError
from aigw.model import (
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
    Request,
    Started,
    TextDelta,
    Usage,
    UsageReported,
)

_RUNNING = Ending("in_progress")
# A state that has an event of its own; any other ends as an incomplete answer does.
_ENDS = {"completed": "response.completed", "failed": "response.failed"}


class ResponsesStreamEncoder:
    """Events in, bytes of one client stream out, whole frames only."""

    def __init__(self, request: Request | None) -> None:
        self._request = request
        self._numbering = Numbering()
        self._base: Tree = {}
        self._id = DEFAULT_ID
        self._extras: Extras = {}
        self._usage: Usage | None = None
        self._ending: Ending | None = None
        self._output: list[Tree] = []
        self._open: ItemWriter | None = None
        self._closed: ItemWriter | None = None
        self._ended = False

    def encode(self, event: Event) -> bytes:
        """Return the frames this event completes, possibly none."""
        return self._table[event.__class__](self, event)

    def close(self) -> bytes:
        """Return the frames that end a stream which finished; empty if it has already ended."""
        return self._on_finished(Finished())

    def fail(self, error: GatewayError) -> bytes:
        """Return the frames that tell a failure; empty if the stream has already ended."""
        if self._ended:
            return b""
        out = self._begin() + self._settle("completed")
        self._ended = True
        if self._open is not None:
            self._output.append(self._open.tree("incomplete"))
        tree = error_event(error, self._numbering.next)
        out += self._numbering.frame("error", tree)
        response = self._snapshot(Ending("failed"))
        response["error"] = response_error(error)
        return out + self._numbering.frame("response.failed", {"response": response}) + CLOSING

    # The answer.

    def _begin(self, event: Started | None = None) -> bytes:
        if self._base:
            return b""
        event = event or Started()
        self._id = event.id or DEFAULT_ID
        self._extras = dict(event.extras)
        self._base = base_of(event.id, event.model, event.created, event.service_tier, self._request)
        response = self._snapshot(_RUNNING)
        return self._numbering.frame("response.created", {"response": response}) + self._numbering.frame(
            "response.in_progress", {"response": response}
        )

    def _snapshot(self, ending: Ending) -> Tree:
        said = said_by_provider(self._extras, self._request)
        return snapshot(self._base, said, ending, self._output, self._usage)

    def _settle(self, status: str) -> bytes:
        """Repeat the item that was closed last: only now is it known whether the answer broke off in it."""
        if self._closed is None:
            return b""
        writer, self._closed = self._closed, None
        tree = writer.tree(status)
        self._output.append(tree)
        return writer.done(tree)

    def _on_started(self, event: Started) -> bytes:
        return self._begin(event)

    def _on_choice_finished(self, event: ChoiceFinished) -> bytes:
        if event.choice != 0:
            return b""
        self._ending = encode_finish(event.reason, event.raw)
        return self._settle("incomplete" if self._ending.incomplete else "completed")

    def _on_usage(self, event: UsageReported) -> bytes:
        self._usage = event.usage
        return b""

    def _on_finished(self, event: Finished) -> bytes:
        if self._ended:
            return b""
        out = self._begin() + self._settle("completed")
        self._ended = True
        ending = self._ending or encode_finish(event.reason, event.raw)
        name = _ENDS.get(ending.status, "response.incomplete")
        return out + self._numbering.frame(name, {"response": self._snapshot(ending)}) + CLOSING

    def _on_failed(self, event: Failed) -> bytes:
        return self.fail(event.error)

    # Items.

    def _on_opened(self, event: ItemOpened) -> bytes:
        if event.choice != 0:
            return b""
        out = self._begin() + self._settle("completed")
        self._open = self._writer(event.item)
        return out if self._open is None else out + self._open.open()

    def _writer(self, item: Item) -> ItemWriter | None:
        place = len(self._output)
        match item:
            case Message():
                return MessageWriter(item, self._id, place, self._numbering)
            case FunctionCall():
                return CallWriter(item, self._id, place, self._numbering)
            case Reasoning():
                return ReasoningWriter(item, self._id, place, self._numbering)
            case ForeignItem(origin=origin) if origin != NAME:
                return None
            case _:
                return ItemWriter(item, self._id, place, self._numbering)

    def _on_closed(self, event: ItemClosed) -> bytes:
        writer = self._open
        if event.choice != 0 or writer is None:
            return b""
        self._open, self._closed = None, writer
        out = writer.close(event.item)
        return out + self._settle("completed") if writer.says_status else out

    def _on_text(self, event: TextDelta) -> bytes:
        writer = self._open
        if event.choice == 0 and isinstance(writer, MessageWriter):
            return writer.add_text(event.part, event.text, event.logprobs)
        return b""

    def _on_refusal(self, event: RefusalDelta) -> bytes:
        writer = self._open
        if event.choice == 0 and isinstance(writer, MessageWriter):
            return writer.add_refusal(event.part, event.text, event.logprobs)
        return b""

    def _on_audio(self, event: AudioDelta) -> bytes:
        writer = self._open
        if event.choice == 0 and isinstance(writer, MessageWriter):
            return writer.add_sound(event)
        return b""

    def _on_part(self, event: PartAdded) -> bytes:
        writer = self._open
        if event.choice == 0 and isinstance(writer, MessageWriter):
            return writer.add_part(event.part, event.added)
        return b""

    def _on_annotation(self, event: AnnotationAdded) -> bytes:
        writer = self._open
        if event.choice == 0 and isinstance(writer, MessageWriter):
            return writer.add_annotation(event.part, event.annotation)
        return b""

    def _on_reasoning(self, event: ReasoningDelta) -> bytes:
        writer = self._open
        if event.choice == 0 and isinstance(writer, ReasoningWriter):
            return writer.add(event)
        return b""

    def _on_arguments(self, event: ArgumentsDelta) -> bytes:
        writer = self._open
        if event.choice == 0 and isinstance(writer, CallWriter):
            return writer.add_arguments(event.text)
        return b""

    def _on_extras(self, event: ExtrasAdded) -> bytes:
        if event.choice is None:
            self._extras |= event.extras
        elif event.choice == 0 and event.index is not None and self._open is not None:
            self._open.add_extras(event.extras)
        return b""

    def _on_foreign(self, event: Foreign) -> bytes:
        if event.origin != NAME or event.choice != 0 or not event.name:
            return b""
        tree = {key: value for key, value in event.tree.items() if key not in {"type", "sequence_number"}}
        if "output_index" in tree and self._open is not None:
            tree["output_index"] = self._open.place
        return self._begin() + self._numbering.frame(event.name, tree)

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
        Foreign: _on_foreign,
    }
