"""A Gemini stream decoded: bytes in, canonical events out. Pure state machine: no clock, no I/O.

Reads both of Google's framings, told apart by the first byte: events (`alt=sse`), and one JSON array
whose elements come one by one.
"""

from __future__ import annotations

from aigw.dialects.gemini.answer import AnswerDecoder
from aigw.dialects.gemini.errors import error_from_tree
from aigw.dialects.gemini.grammar import parse
from aigw.errors import ErrorKind, ProtocolError, UpstreamError
from aigw.model import Event
from aigw.wire.json_array import JsonArrayReader
from aigw.wire.sse import SseFrame, SseFramer

_BLANK = b" \t\r\n\xef\xbb\xbf"


class GeminiStreamDecoder:
    """Bytes of one upstream stream in, events out.

    Closing items, finish reasons and token counts are told together at the end: this format has no mark
    for it, so only the end of the bytes tells that nothing more comes.
    """

    def __init__(self) -> None:
        self._answer = AnswerDecoder()
        self._sse: SseFramer | None = None
        self._array: JsonArrayReader | None = None

    def feed(self, chunk: bytes) -> list[Event]:
        """Take whatever the socket gave; return the events it completed (often none).

        Raises ProtocolError when a frame is not JSON, is no chunk, or is too long.
        """
        answer = self._answer
        if answer.ended:
            return []
        if self._sse is not None:
            # Google ends lines with CRLF; without, a frame of one line takes the framer's short way.
            for frame in self._sse.feed(chunk.replace(b"\r\n", b"\n")):
                self._frame(frame)
        elif self._array is not None:
            self._elements(self._array.feed(chunk))
        else:
            return self._begin(chunk)
        return answer.take()

    def _begin(self, chunk: bytes) -> list[Event]:
        if not chunk.strip(_BLANK):
            return []  # neither framing gives a blank beginning a meaning
        if chunk.lstrip(_BLANK).startswith(b"["):
            self._array = JsonArrayReader()
        else:
            self._sse = SseFramer()
        return self.feed(chunk)

    def close(self) -> list[Event]:
        """The upstream has ended: return what is still owed, Finished or Failed at its end."""
        answer = self._answer
        cut_short = False
        if not answer.ended and self._sse is not None:
            for frame in self._sse.close():
                try:
                    self._frame(frame)
                except ProtocolError:  # not ended by a blank line, and cut short
                    cut_short = True
        if self._array is not None:
            cut_short = self._array.unfinished
        if not answer.ended:
            if answer.whole and not cut_short:
                answer.finish()
            else:
                message = "the provider closed the stream before its end"
                answer.fail(UpstreamError(message, kind=ErrorKind.UPSTREAM_TRUNCATED))
        return answer.take()

    def _frame(self, frame: SseFrame) -> None:
        if self._answer.ended or not frame.data.strip() or frame.data == b"[DONE]":
            return  # some gateways put OpenAI's mark behind every stream
        tree = parse(frame.data)
        if frame.event == "error":
            self._answer.fail(error_from_tree(tree))
        else:
            self._answer.feed(tree)

    def _elements(self, elements: list[bytes]) -> None:
        for element in elements:
            if not self._answer.ended:
                self._answer.feed(parse(element))
