"""Canonical events written as a message stream, in the frames Anthropic itself writes.

message_start; for each block its start, its deltas and its stop; message_delta with the reason and all
token counts; message_stop. Two frames are held back. message_start waits for the next event, which may
bring first token counts; the tail waits for the end, since other formats count after they have finished.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from aigw.dialects.anthropic.block_encoder import BlockEncoder, frame
from aigw.dialects.anthropic.fields import restore
from aigw.dialects.anthropic.finish import encode_finish
from aigw.dialects.anthropic.grammar import encode_error_frame
from aigw.dialects.anthropic.response import STOP_REASON, UNKNOWN_ID
from aigw.dialects.anthropic.usage import encode_tier, encode_usage
from aigw.dialects.base import Tree
from aigw.errors import GatewayError
from aigw.model import (
    ChoiceFinished,
    Event,
    ExtrasAdded,
    Failed,
    Finished,
    Request,
    Started,
    TextDelta,
    Usage,
    UsageReported,
)

# Facts of the message that become known at its end, and stand in message_delta's `delta`.
_LATE = frozenset(("stop_details", "container"))


class AnthropicStreamEncoder:
    """Events in, bytes of one client stream out, whole frames only. Only choice 0 has a place in it."""

    def __init__(self, request: Request | None) -> None:
        self._model = "" if request is None else request.model
        self._blocks = BlockEncoder()
        self._start = Started()
        self._begun = False
        self._ended = False
        self._usage: Usage | None = None
        self._finish: ChoiceFinished | None = None
        self._word: str | None = None
        self._late: Tree = {}
        self._beside: Tree = {}

    def encode(self, event: Event) -> bytes:
        """Return the frames this event completes, possibly none."""
        if event.__class__ is TextDelta and self._begun:
            return self._blocks.encode(event)
        act = self._table.get(event.__class__)
        if act is not None:
            return act(self, event)
        return self._begin() + self._blocks.encode(event)

    def close(self) -> bytes:
        """Return the frames that end a stream which finished; empty if it has already ended."""
        return self._on_finished(Finished())

    def fail(self, error: GatewayError) -> bytes:
        """Return the frame that tells a failure; empty if the stream has already ended."""
        if self._ended:
            return b""
        self._ended = True
        return encode_error_frame(error)

    def _begin(self) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        start = self._start
        extras = restore(start.extras)
        self._late |= {key: value for key, value in extras.items() if key in _LATE}
        message: Tree = {
            "id": start.id or UNKNOWN_ID,
            "type": "message",
            "role": "assistant",
            "model": start.model or self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": encode_usage(self._usage) | encode_tier(start.service_tier),
            **{key: value for key, value in extras.items() if key not in _LATE},
        }
        return frame("message_start", {"message": message})

    def _on_started(self, event: Started) -> bytes:
        self._start = event
        return b""

    def _on_usage(self, event: UsageReported) -> bytes:
        self._usage = event.usage
        return self._begin()

    def _on_extras(self, event: ExtrasAdded) -> bytes:
        fields = restore(event.extras)
        if event.choice is None:
            self._late |= {key: value for key, value in fields.items() if key in _LATE}
            self._beside |= {key: value for key, value in fields.items() if key not in _LATE}
        elif event.choice == 0 and isinstance(word := event.extras.get(STOP_REASON), str):
            self._word = word
        return b""

    def _on_choice_finished(self, event: ChoiceFinished) -> bytes:
        if event.choice != 0:
            return b""
        self._finish = event
        return self._begin() + self._blocks.close()

    def _on_finished(self, _event: Finished) -> bytes:
        if self._ended:
            return b""
        self._ended = True
        start = self._begin()
        finish, blocks = self._finish, self._blocks
        reason = None if finish is None else finish.reason
        word = self._word or encode_finish(reason, calls=blocks.has_calls, refused=blocks.has_refusal)
        delta: Tree = {
            "stop_reason": word,
            "stop_sequence": None if finish is None else finish.stop_sequence,
            **self._late,
        }
        tail = {"delta": delta, "usage": encode_usage(self._usage), **self._beside}
        return start + blocks.close() + frame("message_delta", tail) + frame("message_stop", {})

    def _on_failed(self, event: Failed) -> bytes:
        return self.fail(event.error)

    _table: ClassVar[dict[type, Callable[[Any, Any], bytes]]] = {
        Started: _on_started,
        UsageReported: _on_usage,
        ExtrasAdded: _on_extras,
        ChoiceFinished: _on_choice_finished,
        Finished: _on_finished,
        Failed: _on_failed,
    }
