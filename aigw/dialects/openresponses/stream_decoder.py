"""A responses stream decoded: bytes in, canonical events out. Pure state machine: no clock, no I/O.

Owns the answer's beginning, its end, its failure and its token counts; what happens to items is
`item_decoder`'s. Sequence numbers, event names beside the data and `[DONE]` are read where they stand and
missed nowhere: not every server writes them. Source: the specification, and recorded traffic.
"""

from __future__ import annotations

from typing import Any

from aigw.dialects.base import Tree
from aigw.dialects.fields import list_of, object_of, text_of, text_or_none
from aigw.dialects.openai_chat.errors import error_from_tree
from aigw.dialects.openai_chat.grammar import DONE, parse
from aigw.dialects.openresponses.fields import NAME, seconds_or_none
from aigw.dialects.openresponses.finish import decode_finish
from aigw.dialects.openresponses.item_decoder import ItemDecoder
from aigw.dialects.openresponses.response import response_extras
from aigw.dialects.openresponses.usage import read_usage
from aigw.errors import ErrorKind, GatewayError, UpstreamError
from aigw.model import (
    ChoiceFinished,
    Event,
    Extras,
    ExtrasAdded,
    Failed,
    Finished,
    FinishReason,
    Started,
    TextDelta,
    UsageReported,
)
from aigw.wire.sse import SseFrame, SseFramer

_PREAMBLE = frozenset(("response.created", "response.queued", "response.in_progress"))
_END = frozenset(("response.completed", "response.incomplete", "response.cancelled"))
_TIER = f"{NAME}:service_tier"
_TEXT_DELTA = "response.output_text.delta"
_MORE_TEXT = f"event: {_TEXT_DELTA}\ndata: ".encode()


class ResponsesStreamDecoder:
    """Bytes of one upstream responses stream in, events out."""

    def __init__(self) -> None:
        self._framer = SseFramer()
        self._between_frames = True
        self._out: list[Event] = []
        self._items = ItemDecoder(self._out)
        self._started = False
        self._ended = False
        self._extras: Extras = {}
        self._tier: str | None = None

    def feed(self, chunk: bytes) -> list[Event]:
        """Take whatever the socket gave; return the events it completed (often none).

        Raises ProtocolError when a frame is not JSON, is out of place, or is too long.
        """
        if self._ended:
            return []
        if self._between_frames and _is_one_text(chunk):
            self._tree(_TEXT_DELTA, parse(chunk[len(_MORE_TEXT) : -2]))
            return self._take()
        for frame in self._framer.feed(chunk):
            self._frame(frame)
        if chunk:
            self._between_frames = chunk.endswith(b"\n\n")
        return self._take()

    def close(self) -> list[Event]:
        """The upstream has ended: return what is still owed, Failed if its terminal event never came."""
        # A frame without its blank line may have been cut short: the standard discards it.
        if not self._ended:
            message = "the provider closed the stream before its end"
            self._fail(UpstreamError(message, kind=ErrorKind.UPSTREAM_TRUNCATED))
        return self._take()

    def _take(self) -> list[Event]:
        # The item decoder writes to the same list: it is emptied, never replaced.
        events = self._out[:]
        self._out.clear()
        return events

    def _frame(self, frame: SseFrame) -> None:
        data = frame.data
        if self._ended or (data[:1] != b"{" and data.strip() in {b"", DONE}):
            return
        self._tree(frame.event, parse(data))

    def _tree(self, event: str | None, tree: Tree) -> None:
        name = tree.get("type")
        if name == _TEXT_DELTA and self._more_text(tree):
            return
        if not isinstance(name, str):
            name = event or ""
        self._event(name, tree)

    def _more_text(self, tree: Tree) -> bool:
        """Take the event nearly every frame is: more of the text that is open."""
        place = self._items.open_text
        if place is None or place[0] != tree.get("output_index") or place[1] != tree.get("content_index"):
            return False
        text = tree.get("delta")
        if text.__class__ is not str or not text or tree.get("logprobs"):
            return False
        self._items.count_text(place[0], place[1], len(text))  # type: ignore[arg-type]
        self._out.append(TextDelta(place[2], text, place[1]))  # type: ignore[arg-type]
        return True

    def _event(self, name: str, tree: Tree) -> None:
        response = object_of(tree.get("response"))
        if name == "error" or (not name and tree.get("error")):
            self._fail(error_from_tree(tree))
            return
        if not self._started:
            self._start(response)
        if name in _PREAMBLE:
            return
        if name in _END:
            self._finish(response)
        elif name == "response.failed":
            self._report_usage(response)
            self._fail(error_from_tree(response))
        elif name:
            self._items.feed(name, tree)

    def _start(self, response: Tree) -> None:
        self._started = True
        self._extras = response_extras(response)
        self._tier = text_or_none(response.get("service_tier")) or None
        self._out.append(
            Started(
                text_or_none(response.get("id")) or None,
                text_or_none(response.get("model")),
                seconds_or_none(response.get("created_at")),
                self._tier,
                dict(self._extras),
            )
        )

    def _finish(self, response: Tree) -> None:
        self._items.finish(list_of(response.get("output")))
        self._take_extras(response)
        self._report_usage(response)
        reason, raw = decode_finish(response, has_calls=self._items.has_calls)
        reason = reason or FinishReason.UNKNOWN
        self._out.append(ChoiceFinished(reason, raw))
        self._out.append(Finished(reason, raw))
        self._ended = True

    def _take_extras(self, response: Tree) -> None:
        extras = response_extras(response)
        tier: Any = text_of(response.get("service_tier"))
        if tier and tier != self._tier:  # "auto" has become the tier that was used
            extras[_TIER] = tier
        changed = {key: value for key, value in extras.items() if self._extras.get(key) != value}
        if changed:
            self._out.append(ExtrasAdded(changed))

    def _report_usage(self, response: Tree) -> None:
        usage = read_usage(response)
        if usage is not None:
            self._out.append(UsageReported(usage))

    def _fail(self, error: GatewayError) -> None:
        self._out.append(Failed(error))
        self._ended = True


def _is_one_text(chunk: bytes) -> bool:
    # Nearly every chunk is this one frame of two lines: taken apart here, it costs half of what it would.
    return (
        chunk.startswith(_MORE_TEXT)
        and chunk.endswith(b"\n\n")
        and chunk.find(b"\n", len(_MORE_TEXT)) == len(chunk) - 2
        and b"\r" not in chunk
    )
