"""A chat stream decoded: bytes in, canonical events out. Pure state machine: no clock, no I/O.

Owns chunks, token counts, errors in mid-stream and the end of the stream; what happens inside one
choice is `choice_decoder`'s. Source: OpenAI's streaming reference, and recorded traffic.
"""

from __future__ import annotations

from typing import Any

from aigw.dialects.base import Tree
from aigw.dialects.fields import int_or_none, text_or_none
from aigw.dialects.openai_chat.choice_decoder import ChoiceDecoder
from aigw.dialects.openai_chat.errors import error_from_tree
from aigw.dialects.openai_chat.fields import NAME, keep, restore
from aigw.dialects.openai_chat.grammar import DONE, parse
from aigw.dialects.openai_chat.usage import read_usage
from aigw.errors import ClientError, ErrorKind, GatewayError, ProtocolError, UpstreamError
from aigw.model import (
    Event,
    Extras,
    ExtrasAdded,
    Failed,
    Finished,
    Started,
    Usage,
    UsageReported,
)
from aigw.wire.sse import SseFrame, SseFramer

# `obfuscation` is padding against listeners: noise, and different in each chunk.
_KNOWN = frozenset(("id", "object", "created", "model", "choices", "usage", "service_tier", "obfuscation"))
_TIER = f"{NAME}:service_tier"


class ChatStreamDecoder:
    """Bytes of one upstream chat stream in, events out.

    done_required: an end without `[DONE]` is a failure. Where a provider is known to leave it out, a
    finish reason for every choice is enough.

    Closing items, finish reasons and token counts are told together at the end: this format lets text,
    a second finish reason and token counts come after the first finish reason.
    """

    def __init__(self, *, done_required: bool = True) -> None:
        self._done_required = done_required
        self._framer = SseFramer()
        self._out: list[Event] = []
        self._choices: dict[int, ChoiceDecoder] = {}
        self._started = False
        self._ended = False
        self._usage: Usage | None = None
        self._id: str | None = None
        self._extras: Extras = {}
        # What a chunk may hold without telling anything new: looked at first, for it is the common case.
        self._expected = _KNOWN
        self._stable: list[tuple[str, Any]] = []

    def feed(self, chunk: bytes) -> list[Event]:
        """Take whatever the socket gave; return the events it completed (often none).

        Raises ProtocolError when a frame is not JSON, is no chunk, or is too long.
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
            self._end_without_done()
        return self._take()

    def _take(self) -> list[Event]:
        # Choices write to the same list: it is emptied, never replaced.
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
        if self._ended:
            return
        data = frame.data
        if data[:1] == b"{":
            self._chunk(parse(data), frame.event)
        elif data.strip() == DONE:
            self._done()
        elif data.strip():
            self._chunk(parse(data), frame.event)

    def _chunk(self, tree: Tree, event: str | None) -> None:
        if event == "error" or tree.get("error"):
            self._fail(error_from_tree(tree))
            return
        if not self._started:
            self._start(tree)
        elif self._has_news(tree):
            self._take_extras(tree)
        if tree.get("usage") or "x_groq" in tree:
            self._usage = read_usage(tree) or self._usage
        choices = tree.get("choices")
        if isinstance(choices, list):
            for choice in choices:
                self._choice(choice)
        elif choices is not None:
            raise ProtocolError(f"choices: expected a list, got {type(choices).__name__}")

    def _start(self, tree: Tree) -> None:
        self._started = True
        self._id = text_or_none(tree.get("id")) or None
        self._extras = keep(tree, _KNOWN)
        tier = text_or_none(tree.get("service_tier")) or None
        model, created = text_or_none(tree.get("model")), int_or_none(tree.get("created"))
        self._out.append(Started(self._id, model, created, tier, dict(self._extras)))
        if tier is not None:
            self._extras[_TIER] = tier
        self._expect()

    def _expect(self) -> None:
        self._stable = list(restore(self._extras).items())
        self._expected = _KNOWN.union(key for key, _ in self._stable)

    def _has_news(self, tree: Tree) -> bool:
        for name, value in self._stable:
            if tree.get(name) != value:
                return True
        return not tree.keys() <= self._expected

    def _take_extras(self, tree: Tree) -> None:
        extras = keep(tree, _KNOWN - {"service_tier"})
        changed = {key: value for key, value in extras.items() if self._extras.get(key) != value}
        if changed:
            self._extras |= changed
            self._out.append(ExtrasAdded(changed))
            self._expect()

    def _choice(self, tree: Any) -> None:
        if not isinstance(tree, dict):
            raise ProtocolError(f"choices: expected objects, got {type(tree).__name__}")
        number = tree.get("index")
        if number.__class__ is not int:
            number = int_or_none(number) or 0
        choice = self._choices.get(number)
        if choice is None:
            choice = self._choices[number] = ChoiceDecoder(number, self._id, self._out)
        try:
            choice.feed(tree)
        except ClientError as error:  # from the parts decoder, which requests share
            raise ProtocolError(error.message) from error

    def _done(self) -> None:
        if not self._choices:
            message = "the provider ended its answer before it had begun"
            self._fail(UpstreamError(message, kind=ErrorKind.UPSTREAM_TRUNCATED))
            return
        for choice in self._choices.values():
            choice.close()
        if self._usage is not None:
            self._out.append(UsageReported(self._usage))
        first = self._choices[min(self._choices)]
        self._out.append(Finished(first.finish, first.word))
        self._ended = True

    def _end_without_done(self) -> None:
        finished = bool(self._choices) and all(c.reason is not None for c in self._choices.values())
        if finished and not self._done_required:
            self._done()
            return
        message = "the provider closed the stream before its end"
        self._fail(UpstreamError(message, kind=ErrorKind.UPSTREAM_TRUNCATED))

    def _fail(self, error: GatewayError) -> None:
        if self._usage is not None:
            self._out.append(UsageReported(self._usage))
        self._out.append(Failed(error))
        self._ended = True
