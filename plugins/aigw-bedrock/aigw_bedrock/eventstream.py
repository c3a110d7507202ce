"""Amazon's event streams, read as they come and told again as server-sent events.

A message is: total length and length of the headers (4 bytes each), their CRC, headers, payload, the CRC of
it all. Owns the cutting into messages, whatever the pieces in which they arrive, and what each becomes for a
reader of Anthropic's streams. Checks and headers are botocore's. Source: Smithy's "Amazon Event Stream
Specification", and botocore's model of bedrock-runtime, read 2026-11.
"""

from __future__ import annotations

import struct
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterator
from typing import Any
from zlib import crc32

import orjson
from botocore.eventstream import EventStreamBuffer, ParserError  # type: ignore[import-untyped]
from multidict import CIMultiDict

from aigw.errors import ErrorKind, UpstreamError
from aigw.upstream.provider import Answer
from aigw.wire.sse import encode_frame
from aigw_bedrock.errors import anthropic_body, name_failure

MEDIA_TYPE = "application/vnd.amazon.eventstream"
MAX_MESSAGE_BYTES = 24 * 1024 * 1024
_PRELUDE_BYTES = 12
_SMALLEST_BYTES = _PRELUDE_BYTES + 4


class MessageReader:
    """Cuts bytes into messages. Linear however finely they come; holds one message at most."""

    def __init__(self) -> None:
        self._held = bytearray()

    @property
    def is_empty(self) -> bool:
        """Whether the bytes so far end where a message does."""
        return not self._held

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the messages that are whole now. Raises ValueError behind them on what cannot be one."""
        self._held += chunk
        at = 0
        try:
            while len(self._held) - at >= _PRELUDE_BYTES:
                size = self._size_at(at)
                if len(self._held) - at < size:
                    break
                at += size
                yield bytes(self._held[at - size : at])
        finally:
            del self._held[:at]

    def _size_at(self, at: int) -> int:
        prelude = bytes(self._held[at : at + _PRELUDE_BYTES])
        size, _headers, check = struct.unpack("!III", prelude)
        # Looked at before the rest is waited for: a broken length would be waited for until the end.
        if crc32(prelude[:8]) != check:
            raise ValueError("the check sum of a message's length is wrong")
        if not _SMALLEST_BYTES <= size <= MAX_MESSAGE_BYTES:
            raise ValueError(f"a message of {size} bytes, wanted {MAX_MESSAGE_BYTES} at most")
        return int(size)


class EventTranslator:
    """Turns messages into Anthropic's frames. `ended`: Bedrock has told a failure, and nothing follows."""

    def __init__(self) -> None:
        self.ended = False

    def frame(self, message: bytes) -> bytes:
        """Return the frame of one whole message, b"" for what is none. Raises ValueError on damage."""
        buffer = EventStreamBuffer()
        buffer.add_data(message)
        try:
            event = buffer.next()
        except (ParserError, struct.error, KeyError, ValueError, StopIteration) as error:
            raise ValueError(f"a message is damaged: {error}") from error
        headers: dict[str, Any] = event.headers
        match headers.get(":message-type"):
            case "event" if headers.get(":event-type") == "chunk":
                return _chunk(event.payload)
            case "exception":
                return self._failure(str(headers.get(":exception-type", "")), _parse(event.payload))
            case "error":
                tree = {"message": str(headers.get(":error-message", ""))}
                return self._failure(str(headers.get(":error-code", "")), tree)
            case _:
                return b""

    def _failure(self, name: str, tree: dict[str, Any]) -> bytes:
        self.ended = True
        message = tree.get("message") or tree.get("originalMessage")
        told = name_failure(name, message if isinstance(message, str) else "")
        return encode_frame(orjson.dumps(anthropic_body(told)), "error")


def _chunk(payload: bytes) -> bytes:
    """Return the frame of Anthropic's event that stands in a chunk as base64."""
    try:
        data = b64decode(_parse(payload).get("bytes", ""), validate=True)
    except (Base64Error, TypeError) as error:
        raise ValueError("a chunk is not base64") from error
    kind = _parse(data).get("type")
    return encode_frame(data, kind if isinstance(kind, str) and kind.isidentifier() else None)


def _parse(data: bytes) -> dict[str, Any]:
    tree = orjson.loads(data)  # JSONDecodeError is a ValueError
    if not isinstance(tree, dict):
        raise ValueError("an event is no JSON object")  # noqa: TRY004 - damage, like all else here
    return tree


class EventStreamAnswer(Answer):
    """An answer of `invoke-with-response-stream`, as server-sent events."""

    def __init__(self, inner: Answer, provider: str) -> None:
        self.status = inner.status
        self.headers = CIMultiDict(
            (name, value)
            for name, value in inner.headers.items()
            if name.lower() not in {"content-type", "content-length"}
        )
        self.headers["Content-Type"] = "text/event-stream"
        self._inner = inner
        self._provider = provider
        self._reader = MessageReader()
        self._translator = EventTranslator()
        self._broken: UpstreamError | None = None

    async def chunk(self) -> bytes:
        while not self._translator.ended:
            if self._broken is not None:
                raise self._broken
            piece = await self._inner.chunk()
            if not piece:
                return self._end()
            if frames := self._feed(piece):
                return frames
        return b""

    async def close(self) -> None:
        await self._inner.close()

    def _feed(self, piece: bytes) -> bytes:
        """Return the frames that a piece completes; damage behind them is raised when they are out."""
        frames: list[bytes] = []
        try:
            for message in self._reader.feed(piece):
                frames.append(self._translator.frame(message))
                if self._translator.ended:
                    break
        except ValueError as error:
            self._broken = self._failure(
                f"its event stream is not valid: {error}", ErrorKind.UPSTREAM_PROTOCOL
            )
            self._broken.__cause__ = error
        return b"".join(frames)

    def _end(self) -> bytes:
        if not self._reader.is_empty:
            raise self._failure("its answer breaks off", ErrorKind.UPSTREAM_TRUNCATED)
        return b""

    def _failure(self, what: str, kind: ErrorKind) -> UpstreamError:
        return UpstreamError(f'provider "{self._provider}": {what}', kind=kind, provider=self._provider)
