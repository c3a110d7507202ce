"""A stream in a format nobody here can read: every frame is one `Foreign` event.

Lets event hooks see and change the streams of endpoints that have no codec. Pure. What ends such a
stream, well or badly, is what its grammar says.
"""

from __future__ import annotations

import contextlib

import orjson

from aigw.dialects.base import StreamGrammar
from aigw.errors import ErrorKind, GatewayError, ProtocolError, UpstreamError
from aigw.model import Event, Failed, Finished, Foreign, UsageReported
from aigw.wire.sse import SseFrame, SseFramer, encode_frame

ORIGIN = "opaque"


class OpaqueDecoder:
    """Frames to `Foreign` events.

    hide_usage: a frame of nothing but token counts is taken note of, and gives no event of its own.
    done_optional: a stream that has given a finish reason is whole even without its terminal mark.
    """

    def __init__(
        self, grammar: StreamGrammar, *, hide_usage: bool = False, done_optional: bool = False
    ) -> None:
        self._grammar = grammar
        self._hide_usage = hide_usage
        self._done_optional = done_optional
        self._framer = SseFramer()
        self._finished = False
        self._ended = False

    def feed(self, chunk: bytes) -> list[Event]:
        events: list[Event] = []
        for frame in self._framer.feed(chunk):
            if not self._ended:
                events += self._decode(frame)
        return events

    def close(self) -> list[Event]:
        events: list[Event] = []
        tail = self._framer.close()
        if tail and not self._ended:  # some servers leave out the blank line behind the terminal event
            with contextlib.suppress(ProtocolError):  # a frame that was cut short
                events = self._decode(tail[0])
        if self._ended:
            return events
        self._ended = True
        if self._done_optional and self._finished and not tail:
            return [Finished()]
        error = UpstreamError(
            "the provider's stream broke off before its end", kind=ErrorKind.UPSTREAM_TRUNCATED
        )
        return [Failed(error)]

    def _decode(self, frame: SseFrame) -> list[Event]:
        sighting = self._grammar.examine(frame.event, frame.data)
        events: list[Event] = []
        if sighting.error is not None:
            self._ended = True
            return [Failed(sighting.error)]
        if sighting.usage is not None:
            events.append(UsageReported(sighting.usage))
        self._finished = self._finished or sighting.finished
        hidden = self._hide_usage and sighting.usage_only
        if frame.data.strip().startswith(b"{") and not hidden:
            events.append(Foreign(origin=ORIGIN, name=frame.event or "", tree=_parse(frame.data)))
        if sighting.terminal:
            self._ended = True
            events.append(Finished())
        return events


class OpaqueEncoder:
    """`Foreign` events back to the frames they came from."""

    def __init__(self, grammar: StreamGrammar) -> None:
        self._grammar = grammar
        self._ended = False

    def encode(self, event: Event) -> bytes:
        if isinstance(event, Foreign):
            return encode_frame(orjson.dumps(event.tree), event.name or None)
        return b""

    def close(self) -> bytes:
        if self._ended:
            return b""
        self._ended = True
        return self._grammar.closing

    def fail(self, error: GatewayError) -> bytes:
        self._ended = True
        return self._grammar.encode_error(error)


def _parse(data: bytes) -> dict[str, object]:
    try:
        tree: dict[str, object] = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise ProtocolError("a stream frame is not JSON") from error
    return tree
