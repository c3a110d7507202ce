"""Outermost link: opens the exchange, turns every failure into an answer, closes everything exactly once.

Owns the beginning and the end of a request: its id, its record, the settling of reservations, and that
no stack trace ever reaches a client. Knows no step in between.
"""

from __future__ import annotations

import asyncio
import logging
from math import ceil
from random import getrandbits
from time import monotonic
from typing import TYPE_CHECKING

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler
from multidict import istr

from aigw.dialects.endpoints import Endpoint, errors_for
from aigw.errors import ClientError, ErrorKind, GatewayError, ServerError
from aigw.hooks.table import notify, retold
from aigw.pipeline.exchange import EXCHANGE, GATEWAY, Attempt, AttemptRecord, Exchange, Record
from aigw.pipeline.tried import fallback_header
from aigw.pipeline.watchdog import Verdict, Watch
from aigw.relay.delivery import WholeDelivery
from aigw.relay.ending import Ending
from aigw.relay.outlet import HTTP, Outlet
from aigw.wire.headers import sane_request_id, to_client

if TYPE_CHECKING:
    from aigw.gateway import Gateway

logger = logging.getLogger("aigw")

REQUEST_ID = istr("x-request-id")


@web.middleware
async def boundary(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Open an exchange for the URLs of the API, and close it whatever happens within."""
    gateway = request.app[GATEWAY]
    endpoint = gateway.endpoints.get(request.match_info.route)
    if endpoint is None:
        return await _page(request, handler)
    request = with_own_limit(request, gateway.config.server.max_body_bytes)
    return await exchanged(gateway, endpoint, request, handler)


async def exchanged(
    gateway: Gateway, endpoint: Endpoint, request: web.Request, handler: Handler, outlet: Outlet = HTTP
) -> web.StreamResponse:
    """Open an exchange for a request at an endpoint, let `handler` answer it, and close it in any case."""
    exchange = begin(gateway, request, endpoint)
    exchange.outlet = outlet
    request[EXCHANGE] = exchange
    try:
        return await answered(exchange, request, handler)
    except asyncio.CancelledError:
        if not exchange.detached:
            exchange.ending = exchange.ending or _cut_off(exchange)
        raise
    except ConnectionError:
        if not exchange.detached:
            exchange.ending = exchange.ending or (Ending.FAILED if exchange.error else Ending.HUNG_UP)
        raise
    finally:
        if not exchange.detached:
            close(exchange, request)


async def run(exchange: Exchange, request: web.Request, handler: Handler) -> None:
    """Answer an exchange that is no HTTP request of its own, to its outlet, and close it.

    A turn on a WebSocket, and a background response. Law: as for HTTP, `on_complete` runs exactly once.
    request: what `handler` is called with; must be no other exchange's. Raises ConnectionError when the
    outlet's client is gone, and lets a cancellation through that is nobody's verdict.
    """
    request[EXCHANGE] = exchange
    try:
        await answered(exchange, request, handler)
    except asyncio.CancelledError:
        exchange.ending = exchange.ending or _cut_off(exchange)
        raise
    except ConnectionError:
        exchange.ending = exchange.ending or (Ending.FAILED if exchange.error else Ending.HUNG_UP)
        raise
    finally:
        close(exchange, request)


def close(exchange: Exchange, request: web.Request) -> None:
    """Finish an exchange and part it from its request."""
    finish(exchange)
    # Request and exchange hold each other; left so, each would wait for the garbage collector,
    # which then costs as much as a sixth of all work.
    del request[EXCHANGE]


def _cut_off(exchange: Exchange) -> Ending:
    # A server that stops closes the connection itself: then a missing one says nothing of the client.
    watch = exchange.watch
    if watch.verdict is Verdict.CALLED_OFF:
        return Ending.CANCELLED
    if watch.verdict is Verdict.STALLED:
        return Ending.STALLED
    if exchange.gateway.draining and watch.verdict is not Verdict.GONE:
        return Ending.SHUT_DOWN
    return Ending.HUNG_UP if watch.client_is_gone else Ending.SHUT_DOWN


async def answered(exchange: Exchange, request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer, if need be with an error. Raises only where nobody is left to be told."""
    try:
        return await handler(request)
    except GatewayError as error:
        return await refuse(exchange, error)
    except ConnectionError:
        raise
    except web.HTTPException as error:
        return await refuse(exchange, from_http(error, request))
    except Exception as error:
        if exchange.watch.client_is_gone:
            raise ConnectionResetError("the client is gone") from error
        logger.exception("request %s failed on a mistake of ours", exchange.id)
        return await refuse(exchange, ServerError("the gateway failed; its log tells why"))


def with_own_limit(request: web.Request, limit: int) -> web.Request:
    """Return the request with our limit for its body; a mounted one comes with that of the parent."""
    if request.client_max_size == limit:
        return request
    try:
        return request.clone(client_max_size=limit)
    except RuntimeError:  # the other application's middlewares have read the body: it is in memory already
        return request


def begin(gateway: Gateway, request: web.Request, endpoint: Endpoint) -> Exchange:
    """Open an exchange and put it under watch."""
    task = asyncio.current_task(gateway.loop)  # to ask for the running loop costs a system call
    assert task is not None  # noqa: S101 - handlers run in tasks
    watch = Watch(request, task)
    gateway.watchdog.add(watch)
    return Exchange(gateway, request, endpoint, request_id(request), monotonic(), watch)


def request_id(request: web.BaseRequest) -> str:
    """Return the client's own request id if it is a sane one, else a new one."""
    given = request.headers.get(REQUEST_ID)
    if given is not None and sane_request_id(given):
        return given
    return f"req_{getrandbits(96):024x}"


async def refuse(exchange: Exchange, error: GatewayError) -> web.StreamResponse:
    """Answer with an error, as plugins want it told, in the caller's own format."""
    told = await retold(exchange.gateway.hooks.on_error, exchange, error)
    exchange.error = told
    dialect = exchange.endpoint.errors
    status, tree = dialect.encode_error(told)
    body = orjson.dumps(tree)
    if told.words is not None and told.words[0] == dialect.name:
        body = told.words[1]
    attempt = next((each for each in exchange.attempts if each.error is error), exchange.attempt)
    headers: dict[str, str] = {}
    if attempt is not None:
        if attempt.answer is not None:
            headers = {name.lower(): value for name, value in to_client(attempt.answer.headers).items()}
        headers["x-aigw-provider"] = attempt.target.provider.name
        headers["x-aigw-model"] = attempt.target.model
        headers["x-aigw-attempts"] = str(len(exchange.attempts))
        if len(exchange.attempts) > 1:
            headers["x-aigw-fallback"] = fallback_header(exchange.attempts)
    headers |= {"x-request-id": exchange.id, **error_headers(told)}
    try:
        response = await WholeDelivery(status, headers, body).send(exchange)
    except ConnectionError:
        exchange.ending = exchange.ending or Ending.HUNG_UP
        raise
    exchange.ending = exchange.ending or Ending.REFUSED  # an outlet may know better
    return response


def error_headers(error: GatewayError) -> dict[str, str]:
    """Return the headers that an error answer carries beside its body."""
    headers: dict[str, str] = {}
    if error.retry_after_s is not None:
        headers["retry-after"] = str(max(1, ceil(error.retry_after_s)))
        headers["retry-after-ms"] = str(round(error.retry_after_s * 1000))
    if error.kind is ErrorKind.AUTHENTICATION:
        headers["www-authenticate"] = "Bearer"
    if error.status == 426:
        headers |= {"upgrade": "websocket", "connection": "upgrade"}
    return headers


def finish(exchange: Exchange) -> None:
    """Close the exchange: settle what was reserved, tell plugins what remains. Never waits, never raises."""
    gateway = exchange.gateway
    gateway.watchdog.remove(exchange.watch)
    if exchange.ending is None:
        exchange.ending = Ending.FAILED if exchange.error else Ending.COMPLETE
    record = to_record(exchange)
    for reservation in exchange.reservations:
        try:
            reservation.settle(record)
        except Exception:
            logger.exception("request %s: a reservation could not be settled", exchange.id)
    notify(gateway.hooks.on_complete, record)


def to_record(exchange: Exchange) -> Record:
    """Sum up an exchange that has ended."""
    attempts, error = exchange.attempts, exchange.error
    identity = exchange.identity
    provider = upstream_model = None
    if attempts:
        last = attempts[-1]
        provider, upstream_model = last.target.provider.name, last.target.model
        if last.error is None:  # it broke after the commit point
            last.error = error
    ending = exchange.ending or Ending.COMPLETE
    return Record(
        exchange.id,
        identity.tenant,
        identity.name,
        exchange.api,
        exchange.endpoint.path,
        exchange.model,
        provider,
        upstream_model,
        exchange.stream,
        exchange.status or _UNSENT.get(ending, 200),
        ending,
        error.code if error else None,
        error.message if error else None,
        exchange.usage,
        tuple([_to_attempt_record(each) for each in attempts]),
        exchange.first_token_s,
        monotonic() - exchange.started_at,
        len(exchange.payload.raw),
        exchange.bytes_sent,
        exchange,
    )


_UNSENT = {Ending.HUNG_UP: 499, Ending.SHUT_DOWN: 503}
"""The status on record where none was sent."""


def _to_attempt_record(attempt: Attempt) -> AttemptRecord:
    target, error = attempt.target, attempt.error
    code = error.code if error else None
    return AttemptRecord(target.provider.name, target.model, attempt.status, code, attempt.first_byte_s)


async def _page(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Serve what reaches no model: health, metrics, plugins' pages, and every URL that does not exist."""
    try:
        response = await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        response = error_response(from_http(error, request), request)
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
    except GatewayError as error:
        response = error_response(error, request)
    except Exception:
        logger.exception("%s %s failed on a mistake of ours", request.method, request.path)
        response = error_response(ServerError("the gateway failed; its log tells why"), request)
    if not response.prepared:
        response.headers["x-request-id"] = request_id(request)
    return response


def error_response(error: GatewayError, request: web.BaseRequest) -> web.Response:
    """Return an error in the shape that belongs to the URL, though no endpoint does."""
    status, tree = errors_for(request.path).encode_error(error)
    return web.Response(
        status=status,
        body=orjson.dumps(tree),
        content_type="application/json",
        headers=error_headers(error),
    )


def from_http(error: web.HTTPException, request: web.BaseRequest) -> GatewayError:
    """Name what aiohttp's own exceptions mean."""
    if error.status == 404:
        return ClientError(
            f"{request.method} {request.path}: no such URL; the API is below /v1", kind=ErrorKind.UNKNOWN_URL
        )
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        return ClientError(
            f"{request.path} takes {allowed}, not {request.method}", kind=ErrorKind.METHOD_NOT_ALLOWED
        )
    return ClientError(error.reason or "the request was refused", status=error.status)
