"""HTTP/1.1 answers in our own bytes: the head leaves with what comes first, and a chunk costs one write.

Owns how heads and chunks are written. Where anybody else has a say in it (an application's
`on_response_prepare`, HTTP/1.0, HEAD) aiohttp writes as ever. Overrides public methods of aiohttp's responses
only, but for `_send_headers_immediately`; a test tells when that has another meaning.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp_sse import EventSourceResponse
from multidict import CIMultiDict

SERVER = "aigw"
PUSH_LIMIT_BYTES = 64 * 1024
"""So much may wait for a client before it is behind."""
_REASONS = {status.value: status.phrase for status in HTTPStatus}


def may_write(request: web.Request) -> bool:
    """Tell whether an answer to this request may be written by us: nobody else wants to see its head."""
    if request.version != HttpVersion11 or request.method == "HEAD":
        return False
    for app in request.match_info.apps:  # noqa: SIM110 - `any` costs three times as much
        if app.on_response_prepare:
            return False
    return True


def whole_head(status: int, headers: Mapping[str, str], length: int, *, keep_alive: bool) -> bytes:
    """Return the head of an answer of `length` bytes. Raises ValueError where a header would begin a line."""
    fields = "\r\n".join([f"{name}: {value}" for name, value in headers.items()])
    breaks = len(headers) - 1
    if fields.count("\n") != breaks or fields.count("\r") != breaks or "\0" in fields:
        raise ValueError("a header of the answer holds a line break")
    end = "\r\n\r\n" if keep_alive else "\r\nConnection: close\r\n\r\n"
    return f"{_begin(status, int(time.time()))}{fields}\r\nContent-Length: {length}{end}".encode()


@lru_cache(maxsize=16)
def _begin(status: int, second: int) -> str:
    """Return what every answer of this status begins with in this second."""
    date = formatdate(second, usegmt=True)
    return f"HTTP/1.1 {status} {_REASONS.get(status, '')}\r\nDate: {date}\r\nServer: {SERVER}\r\n"


def put(request: web.BaseRequest, head: bytes, body: bytes) -> bool:
    """Write a whole answer; tell whether the client has taken it. Raises ConnectionResetError if it left."""
    transport = request.transport
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the client is gone")
    request.writer.output_size = len(head) + len(body)  # so aiohttp sends no other
    if len(body) > PUSH_LIMIT_BYTES:
        transport.write(head)
        transport.write(body)
    else:
        transport.write(head + body)
    return not transport.get_write_buffer_size()


class WrittenAnswer(web.StreamResponse):
    """What aiohttp, and those who look on, want of a whole answer that has been written."""

    def __init__(self, status: int, headers: Mapping[str, str], length: int, *, keep_alive: bool) -> None:
        super().__init__(status=status)
        self._sent = headers
        self._length = length
        self._kept = keep_alive

    @property
    def headers(self) -> CIMultiDict[str]:
        """What was sent; a copy, since it is on its way."""
        return CIMultiDict(self._sent)

    @property
    def prepared(self) -> bool:
        return True

    @property
    def keep_alive(self) -> bool:
        return self._kept

    @property
    def body_length(self) -> int:
        return self._length

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:  # noqa: ARG002
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to be written."""


KEPT = WrittenAnswer(200, {}, 0, keep_alive=True)
CLOSED = WrittenAnswer(200, {}, 0, keep_alive=False)
"""For aiohttp's server alone: an answer has been written, and the connection is kept, or not."""


class EventStream(EventSourceResponse):
    """An event stream whose head leaves with its first frames, and that takes more without being awaited."""

    _send_headers_immediately = False

    def push(self, data: bytes) -> bool:
        """Write some frames now; return whether the client keeps up, so that more may come at once.

        To be called after a first `write`. Raises ConnectionResetError when the client is gone.
        """
        request = self._req
        transport = None if request is None else request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client is gone")
        transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        return transport.get_write_buffer_size() <= PUSH_LIMIT_BYTES

    async def caught_up(self) -> None:
        """Wait until the client has taken most of what was pushed."""
        if self._req is not None:
            await self._req.writer.drain()
