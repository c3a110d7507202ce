"""GET `/v1/responses`: the upgrade to a WebSocket, over which turns come one after the other.

Owns who may open a connection, and what those are told who may not. Source: OpenResponses 2026-04-24,
section "WebSocket Transport".
"""

from __future__ import annotations

from urllib.parse import urlsplit

from aiohttp import web

from aigw.dialects.endpoints import Endpoint
from aigw.errors import ClientError, ErrorKind, ServerError
from aigw.pipeline.auth import is_foreign_page
from aigw.pipeline.boundary import close
from aigw.pipeline.exchange import EXCHANGE, Exchange
from aigw.responses.page import Page


async def open_connection(request: web.Request) -> web.StreamResponse:
    """Upgrade, and serve the turns of the connection until it ends.

    The exchange of the upgrade ends with it: each turn is an exchange of its own.
    """
    from aigw.responses.websocket_connection import (  # noqa: PLC0415 - its parts wait for the first upgrade
        CLOSE_S,
        Connection,
    )

    exchange = request[EXCHANGE]
    gateway = exchange.gateway
    # No compression: events are small, and each connection would hold a quarter of a megabyte for it.
    socket = web.WebSocketResponse(
        max_msg_size=gateway.config.server.max_body_bytes, compress=False, timeout=CLOSE_S
    )
    check(exchange, socket)
    socket.headers["x-request-id"] = exchange.id
    await socket.prepare(request)
    exchange.begun = True
    exchange.status = socket.status
    exchange.detached = True
    close(exchange, request)
    await Connection(gateway, request, socket).serve()
    return socket


def check(exchange: Exchange, socket: web.WebSocketResponse) -> None:
    """Raise GatewayError unless this request may become a WebSocket."""
    request = exchange.request
    if request.headers.get("Upgrade", "").strip().lower() != "websocket":
        raise ClientError(
            "GET /v1/responses is a WebSocket: connect with ws:// or wss://, or send a POST for HTTP",
            status=426,
            code="upgrade_required",
        )
    if not socket.can_prepare(request):
        raise ClientError(
            "the WebSocket handshake is not valid: it takes `Connection: Upgrade`, "
            "`Sec-WebSocket-Version: 13` and a `Sec-WebSocket-Key` of 16 bytes",
            code="invalid_handshake",
        )
    if exchange.credential is None and is_other_site(request, exchange.gateway.config.server.cors_origins):
        raise ClientError(
            f'web pages of "{request.headers["Origin"][:80]}" may not open a WebSocket here without a key; '
            "list the page in server.cors_origins",
            kind=ErrorKind.PERMISSION,
        )
    if exchange.gateway.draining:
        raise ServerError("the gateway is shutting down", kind=ErrorKind.UNAVAILABLE)


def is_other_site(request: web.BaseRequest, allowed: list[str] | tuple[str, ...]) -> bool:
    """Tell whether a page of another site asks. Browsers let every page open any WebSocket: no CORS here."""
    if not is_foreign_page(request, allowed):
        return False
    return urlsplit(request.headers["Origin"]).netloc.lower() != request.headers.get("Host", "").lower()


WEBSOCKET_PAGES: tuple[Page, ...] = (
    (Endpoint("/v1/responses", None, method="GET", own="websocket"), open_connection),
)
