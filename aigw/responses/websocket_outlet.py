"""Answers over a WebSocket: a message for each event, an envelope for each error.

Owns what becomes of what HTTP says around the events: the status, the headers, `event:` lines and the
`[DONE]`. Changes no event but `error`, which has to tell a status, and the first one of a lossy answer.
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from aiohttp import WSMsgType, web

from aigw.dialects.base import Tree
from aigw.dialects.openai_chat.errors import encode_error
from aigw.errors import GatewayError
from aigw.pipeline.exchange import Exchange
from aigw.relay.outlet import Carry
from aigw.wire.sse import SseFrame, split_frames

DONE = b"[DONE]"
DROPPED = "aigw:dropped"
"""Added to a stream's first event: what of the request the provider's format could not hold."""
# What says how a body travels, or belongs to a connection that has been opened long ago.
_SILENT = frozenset({"content-type", "content-length", "www-authenticate"})


class WebSocketOutlet:
    """Takes the answer of one turn."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket

    async def send_whole(
        self, exchange: Exchange, status: int, headers: Mapping[str, str], body: bytes
    ) -> web.StreamResponse:
        if exchange.begun:  # a client would take a second answer for that of its next turn
            raise ConnectionResetError("an answer had begun already")
        exchange.begun = True
        told = {name: value for name, value in headers.items() if name.lower() not in _SILENT}
        await send(self._socket, envelope(status, {**_error_in(body, exchange.error), "headers": told}))
        return self._socket

    async def send_stream(
        self, exchange: Exchange, headers: Mapping[str, str], carry: Carry
    ) -> web.StreamResponse:
        exchange.begun = True
        await carry(EventSink(self._socket, exchange, headers.get("x-aigw-dropped")))
        return self._socket


class EventSink:
    """Takes the frames of an event stream. dropped: what its first event is to say is lost."""

    def __init__(self, socket: web.WebSocketResponse, exchange: Exchange, dropped: str | None) -> None:
        self._socket = socket
        self._exchange = exchange
        self._dropped = dropped

    async def write(self, data: bytes) -> None:
        for frame in split_frames(data):
            if frame.data != DONE:
                await self._socket.send_frame(self._message(frame), WSMsgType.TEXT)

    async def write_eof(self) -> None:
        """Do nothing: the terminal event has said it."""

    def _message(self, frame: SseFrame) -> bytes:
        data = frame.data
        if not data.isascii():  # a text message that is not UTF-8 would end the connection
            data = data.decode("utf-8", "replace").encode()
        if frame.event == "error":
            return with_status(data, self._exchange.error)
        if self._dropped is not None and data.endswith(b"}"):
            told = b"%s:%s" % (orjson.dumps(DROPPED), orjson.dumps(self._dropped))
            data, self._dropped = b"%s,%s}" % (data[:-1], told), None
        return data


async def refuse(socket: web.WebSocketResponse, error: GatewayError) -> None:
    """Tell of a failure that belongs to no turn. Raises ConnectionError when the client is gone."""
    status, tree = encode_error(error)
    await send(socket, envelope(status, tree["error"]))


def envelope(status: int, error: Tree) -> Tree:
    """Return the message that tells of a failure."""
    return {"type": "error", "status": status, "error": error}


async def send(socket: web.WebSocketResponse, tree: Tree) -> None:
    """Send one message. Waits while the client takes nothing; raises ConnectionError when it is gone."""
    await socket.send_frame(orjson.dumps(tree), WSMsgType.TEXT)


def with_status(event: bytes, error: GatewayError | None) -> bytes:
    """Return an `error` event with the status it would have had; without an `error`, the provider failed."""
    status = 502 if error is None else encode_error(error)[0]
    return orjson.dumps({**orjson.loads(event), "status": status})


def _error_in(body: bytes, error: GatewayError | None) -> Tree:
    """Return the error in the body that HTTP would have; it may be the provider's own, and say less."""
    known: Tree = {} if error is None else encode_error(error)[1]["error"]
    told = orjson.loads(body).get("error")
    said = told if isinstance(told, dict) else {}
    return {**known, **{name: value for name, value in said.items() if value is not None}}
