"""One WebSocket connection: a reader, a worker, and the memory they share.

Owns the order of turns, the life of the connection and its end. While a turn runs the reader goes on
reading, so that a client which leaves is noticed, and pings are answered; what it reads waits.

Law: `serve` returns when both are done, and every turn that began has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from functools import partial
from typing import TYPE_CHECKING

from aiohttp import WSCloseCode, WSMsgType, web
from aiohttp.typedefs import Handler
from multidict import CIMultiDict

from aigw.dialects.base import Tree
from aigw.dialects.endpoints import ENDPOINTS
from aigw.errors import ClientError, ErrorKind, GatewayError, ServerError
from aigw.pipeline.admit import admit
from aigw.pipeline.auth import auth
from aigw.pipeline.boundary import begin, run
from aigw.pipeline.exchange import Exchange
from aigw.pipeline.watchdog import Verdict, Watch
from aigw.responses.warmup import warm_up
from aigw.responses.websocket_inbox import MAX_WAITING, Inbox
from aigw.responses.websocket_outlet import WebSocketOutlet, refuse
from aigw.responses.websocket_turn import Turn, read_turn

if TYPE_CHECKING:
    from aigw.gateway import Gateway

logger = logging.getLogger("aigw.websocket")

CLOSE_S = 3.0
"""How long a client may take to answer when the connection is closed."""
REMEMBERED = 4
"""Responses that can be continued without the store. They share their items, so a few cost little."""
TURNS = next(endpoint for endpoint in ENDPOINTS if endpoint.path == "/v1/responses")
# What belongs to the upgrade and not to a turn, which has a request id of its own.
_OF_THE_UPGRADE = ("Connection", "Upgrade", "X-Request-ID")

Close = tuple[int, bytes]
"""The code and the reason a connection ends with."""


class Connection:
    """An open connection; `serve` once. request: the upgrade."""

    def __init__(self, gateway: Gateway, request: web.Request, socket: web.WebSocketResponse) -> None:
        self._gateway = gateway
        self._request = request
        self._socket = socket
        self._inbox = Inbox(gateway.config.server.max_body_bytes)
        self._recent: dict[str, list[Tree]] = {}
        self._watch: Watch | None = None
        max_s = gateway.config.responses.websocket_max_s
        self._ends_at = asyncio.get_running_loop().time() + max_s
        self._close: Close = (WSCloseCode.OK, b"")

    async def serve(self) -> None:
        """Serve turns until the client leaves, the time is up, or the gateway stops."""
        connections = self._gateway.responses.connections
        connections.add(self)
        reader = asyncio.create_task(self._read(), name="aigw websocket reader")
        worker = asyncio.create_task(self._work(), name="aigw websocket worker")
        try:
            await asyncio.wait((reader, worker), return_when=asyncio.FIRST_COMPLETED)
            if reader.done() and self._watch is not None:
                self._watch.verdict = Verdict.GONE
        except asyncio.CancelledError:
            self._close = (WSCloseCode.GOING_AWAY, b"")
            raise
        finally:
            connections.discard(self)
            await self._end(reader, worker)

    def drain(self) -> None:
        """Begin no more turns, and close when the present one has ended."""
        self._inbox.wake()

    async def _end(self, *tasks: asyncio.Task[None]) -> None:
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception) and not isinstance(outcome, ConnectionError):
                logger.error("a connection failed on a mistake of ours", exc_info=outcome)
                self._close = (WSCloseCode.INTERNAL_ERROR, b"")
        code, reason = self._close
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._socket.close(code=code, message=reason)
        except TimeoutError:  # it takes nothing, not even a farewell
            if self._request.transport is not None:
                self._request.transport.abort()

    async def _read(self) -> None:
        """Take messages until the client leaves. Sends pings, which keep proxies from losing patience.

        No answer to them is demanded, since some clients give none while they run a tool: a peer that is
        dead is noticed by TCP, which cannot deliver them.
        """
        ping_s = self._gateway.config.server.ping_interval_s
        while True:
            try:
                message = await self._socket.receive(timeout=ping_s)
            except TimeoutError:
                await self._socket.ping()
                continue
            if message.type not in {WSMsgType.TEXT, WSMsgType.BINARY}:
                return
            if not self._inbox.add(message.data):
                await refuse(self._socket, _no_room())

    async def _work(self) -> None:
        """Run one turn after the other until there are to be no more."""
        while not self._is_over():
            message: str | bytes | None = None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(self._ends_at):
                    message = await self._inbox.next()
            if self._is_late():
                await self._end_of_time()
                return
            if message is not None and not await self._turn(read_turn(message)):
                self._close = (WSCloseCode.POLICY_VIOLATION, b"the key is not accepted any more")
                return
        self._close = (WSCloseCode.GOING_AWAY, b"the gateway is shutting down")

    async def _end_of_time(self) -> None:
        self._close = (WSCloseCode.OK, b"websocket_connection_limit_reached")
        with contextlib.suppress(TimeoutError):  # one that takes nothing would stay for ever
            async with asyncio.timeout(CLOSE_S):
                await refuse(self._socket, self._limit_reached())

    def _is_over(self) -> bool:
        return self._gateway.draining and not self._inbox

    def _is_late(self) -> bool:
        return asyncio.get_running_loop().time() >= self._ends_at

    async def _turn(self, turn: Turn) -> bool:
        """Answer one turn; False when the connection's key is not accepted any more."""
        request = self._request.clone(method="POST", headers=self._headers())
        exchange = begin(self._gateway, request, TURNS)
        exchange.given = turn.body
        exchange.outlet = WebSocketOutlet(self._socket)
        exchange.recent = self._recent
        self._watch = exchange.watch
        try:
            await run(exchange, request, self._handler(turn))
        finally:
            self._watch = None
        self._remember(turn, exchange)
        error = exchange.error
        return error is None or error.kind is not ErrorKind.AUTHENTICATION or bool(exchange.attempts)

    def _remember(self, turn: Turn, exchange: Exchange) -> None:
        # What a failed turn was to continue is forgotten here, and kept in the store if it is there.
        if exchange.error is not None and turn.previous_id is not None:
            self._recent.pop(turn.previous_id, None)
        while len(self._recent) > REMEMBERED:
            del self._recent[next(iter(self._recent))]

    def _handler(self, turn: Turn) -> Handler:
        if self._gateway.draining:
            return partial(auth, handler=partial(_fail, _stopping()))
        if turn.error is not None:
            return partial(auth, handler=partial(_fail, turn.error))
        if not turn.generate:
            return partial(auth, handler=partial(admit, handler=warm_up))
        assert self._gateway.links is not None  # noqa: S101 - set with the application that serves this
        return self._gateway.links

    def _headers(self) -> CIMultiDict[str]:
        """Return the headers of a turn: those of the upgrade, without what made it one."""
        headers: CIMultiDict[str] = CIMultiDict(self._request.headers)
        for name in [name for name in headers if name.lower().startswith("sec-websocket-")]:
            headers.popall(name, None)
        for name in _OF_THE_UPGRADE:
            headers.popall(name, None)
        headers["Content-Type"] = "application/json"
        return headers

    def _limit_reached(self) -> ClientError:
        minutes = self._gateway.config.responses.websocket_max_s / 60
        return ClientError(
            f"this WebSocket connection has reached its limit of {minutes:g} minutes; open a new one",
            code="websocket_connection_limit_reached",
        )


async def _fail(error: GatewayError, _request: web.Request) -> web.StreamResponse:
    raise error


def _stopping() -> ServerError:
    return ServerError(
        "the gateway is shutting down; open a new connection", kind=ErrorKind.UNAVAILABLE, retry_after_s=1.0
    )


def _no_room() -> ClientError:
    return ClientError(
        f"too much is waiting on this connection already: at most {MAX_WAITING} messages may; "
        "wait for a response to end before you ask for more",
        kind=ErrorKind.RATE_LIMITED,
        code="websocket_queue_full",
    )
