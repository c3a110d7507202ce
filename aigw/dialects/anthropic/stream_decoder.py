"""A message stream decoded: bytes in, canonical events out. Pure state machine: no clock, no I/O.

Owns the message's frame, its token counts, errors in mid-stream and the end of the stream; what happens
inside the blocks is `block_decoder`'s. Source: Anthropic's streaming reference, and recorded traffic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from aigw.dialects.anthropic.block_decoder import BlockDecoder
from aigw.dialects.anthropic.errors import error_from_tree
from aigw.dialects.anthropic.fields import keep
from aigw.dialects.anthropic.finish import decode_finish
from aigw.dialects.anthropic.grammar import name_of, parse
from aigw.dialects.anthropic.response import KNOWN_MESSAGE, unknown_reason
from aigw.dialects.anthropic.usage import decode_tier, decode_usage
from aigw.dialects.base import Tree
from aigw.dialects.fields import object_of, text_of, text_or_none
from aigw.errors import ClientError, ErrorKind, GatewayError, ProtocolError, UpstreamError
from aigw.model import (
    ChoiceFinished,
    Event,
    ExtrasAdded,
    Failed,
    Finished,
    FinishReason,
    Started,
    UsageReported,
)
from aigw.wire.sse import SseFrame, SseFramer

_DELTA_FRAME = frozenset(("type", "delta", "usage"))
_DELTA = frozenset(("stop_reason", "stop_sequence"))


class AnthropicStreamDecoder:
    """Bytes of one upstream message stream in, events out.

    Token counts are told when the message starts, and again, whole, at its end: this format's last word
    on them may name only those that have changed.
    """

    def __init__(self) -> None:
        self._framer = SseFramer()
        self._out: list[Event] = []
        self._blocks = BlockDecoder(self._out)
        self._started = False
        self._ended = False
        self._usage: Tree = {}
        self._word = ""
        self._stop_sequence: str | None = None

    def feed(self, chunk: bytes) -> list[Event]:
        """Take whatever the socket gave; return the events it completed (often none).

        Raises ProtocolError when a frame is not JSON, stands where it may not, or is too long.
        """
        if self._ended:
            return []
        for frame in self._framer.feed(chunk):
            self._frame(frame)
        return self._take()

    def close(self) -> list[Event]:
        """The upstream has ended: return what is still owed, Finished or Failed at its end."""
        if not self._ended:
            for frame in self._framer.close():
                self._last_frame(frame)
        if not self._ended:
            message = "the provider closed the stream before its end"
            self._fail(UpstreamError(message, kind=ErrorKind.UPSTREAM_TRUNCATED))
        return self._take()

    def _take(self) -> list[Event]:
        # The blocks write to the same list: it is emptied, never replaced.
        events = self._out[:]
        self._out.clear()
        return events

    def _last_frame(self, frame: SseFrame) -> None:
        # Not ended by a blank line, so it may have been cut short.
        try:
            self._frame(frame)
        except ProtocolError:
            return

    def _frame(self, frame: SseFrame) -> None:
        if self._ended or not frame.data.strip():
            return
        tree = parse(frame.data)
        name = name_of(frame.event, tree)
        act = self._table.get(name)
        if act is None:  # ping, and what is yet to be born
            return
        if not self._started and name not in {"message_start", "error", "message_stop"}:
            raise ProtocolError(f"{name} before message_start")
        try:
            act(self, tree)
        except ClientError as error:  # from the block decoders, which requests share
            raise ProtocolError(error.message) from error

    def _on_start(self, tree: Tree) -> None:
        if self._started:
            return
        self._started = True
        message = object_of(tree.get("message"))
        self._out.append(
            Started(
                text_or_none(message.get("id")) or None,
                text_or_none(message.get("model")),
                service_tier=decode_tier(message.get("usage")),
                extras=keep(message, KNOWN_MESSAGE),
            )
        )
        self._take_usage(message)

    def _take_usage(self, tree: Tree) -> None:
        usage = tree.get("usage")
        if isinstance(usage, dict):
            self._usage |= {key: value for key, value in usage.items() if value is not None}
            self._out.append(UsageReported(decode_usage(self._usage)))

    def _on_block_start(self, tree: Tree) -> None:
        self._blocks.start(tree)

    def _on_block_delta(self, tree: Tree) -> None:
        self._blocks.delta(tree)

    def _on_block_stop(self, tree: Tree) -> None:
        self._blocks.stop(tree)

    def _on_delta(self, tree: Tree) -> None:
        self._take_usage(tree)
        delta = object_of(tree.get("delta"))
        self._word = text_of(delta.get("stop_reason")) or self._word
        self._stop_sequence = text_or_none(delta.get("stop_sequence")) or self._stop_sequence
        extras = keep(delta, _DELTA) | keep(tree, _DELTA_FRAME)
        if extras:
            self._out.append(ExtrasAdded(extras))

    def _on_stop(self, _tree: Tree) -> None:
        if not self._started:
            message = "the provider ended its answer before it had begun"
            self._fail(UpstreamError(message, kind=ErrorKind.UPSTREAM_TRUNCATED))
            return
        self._blocks.close()
        reason, word = self._reason(), self._word or None
        extras = unknown_reason(self._word, reason)
        if extras:
            self._out.append(ExtrasAdded(extras, choice=0))
        self._out.append(ChoiceFinished(reason, word, self._stop_sequence))
        self._out.append(Finished(reason, word))
        self._ended = True

    def _reason(self) -> FinishReason:
        if self._word:
            return decode_finish(self._word)
        return FinishReason.TOOL_CALLS if self._blocks.has_calls else FinishReason.STOP

    def _on_error(self, tree: Tree) -> None:
        self._fail(error_from_tree(tree))

    def _fail(self, error: GatewayError) -> None:
        self._out.append(Failed(error))
        self._ended = True

    _table: ClassVar[dict[str, Callable[[Any, Tree], None]]] = {
        "content_block_delta": _on_block_delta,
        "content_block_start": _on_block_start,
        "content_block_stop": _on_block_stop,
        "message_start": _on_start,
        "message_delta": _on_delta,
        "message_stop": _on_stop,
        "error": _on_error,
    }
