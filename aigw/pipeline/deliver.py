"""Sixth link: from the provider's answer to the client's, up to the commit point.

Owns the choice of relay and the wait for the first content: until that has come nothing is sent, so
every failure seen here can still become another target or a real status code. Sends nothing itself: the
innermost handler, `answer`, does.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from aigw.dialects.base import Dialect
from aigw.dialects.endpoints import Api
from aigw.dialects.opaque import OpaqueDecoder, OpaqueEncoder
from aigw.errors import ErrorKind, GatewayError, UpstreamError
from aigw.hooks.table import run, start
from aigw.model import Request, Response
from aigw.pipeline.exchange import EXCHANGE, Attempt, Exchange, bound_for_model
from aigw.pipeline.payload import JsonPayload
from aigw.relay.delivery import Delivery, StreamDelivery, WholeDelivery
from aigw.relay.passthrough import BinaryRelay, PassthroughRelay
from aigw.relay.stream import Relay
from aigw.relay.translate import TranslateRelay
from aigw.relay.usage import find_usage
from aigw.relay.watchers import Watchers
from aigw.upstream.provider import Answer, pull
from aigw.wire.headers import retry_after_s, to_client

BYTES_APIS = frozenset({Api.AUDIO})
"""APIs that may answer with bytes or plain text; from any other, what is no event stream must be JSON."""
MAX_ERROR_BYTES = 64 * 1024
MAX_ANSWER_BYTES = 256 * 1024 * 1024


@web.middleware
async def deliver(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Prepare what the client is to get, or raise what makes another target necessary."""
    exchange = bound_for_model(request)
    if exchange is not None:
        attempt = exchange.attempts[-1]
        answer = attempt.answer
        assert answer is not None  # noqa: S101 - the link before this one has set it
        if answer.status >= 300:
            raise await failure(exchange, attempt, answer)
        exchange.delivery = await prepare(exchange, attempt, answer)
    return await handler(request)


async def answer(request: web.Request) -> web.StreamResponse:
    """Send what `deliver` has prepared: the handler of every endpoint that reaches a model."""
    exchange = request[EXCHANGE]
    assert exchange.delivery is not None  # noqa: S101
    return await exchange.delivery.send(exchange)


async def prepare(exchange: Exchange, attempt: Attempt, answer: Answer) -> Delivery:
    """Return the delivery for a good answer, once it is certain that there is something to deliver."""
    headers = answer_headers(exchange, attempt, answer)
    media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type == "text/event-stream" and exchange.endpoint.grammar is not None:
        relay: Relay = stream_relay(exchange, attempt)
    elif media_type == "application/json" or exchange.endpoint.api not in BYTES_APIS:
        body = await read_whole(exchange, attempt, answer)
        return WholeDelivery(200, headers, await finish_whole(exchange, body))
    else:
        relay = BinaryRelay()
        headers["Content-Type"] = answer.headers.get("Content-Type", "application/octet-stream")
        length = answer.headers.get("Content-Length")
        if length is not None and "Content-Encoding" not in answer.headers:
            headers["Content-Length"] = length
    first = await until_content(exchange, attempt, answer, relay)
    # Asked only now: those who look on see what the client gets, and nothing of attempts given up.
    looking = [] if isinstance(relay, BinaryRelay) else start(exchange.gateway.hooks.watch_stream, exchange)
    watchers = Watchers(looking) if looking else None
    return StreamDelivery(headers, relay, answer, first, attempt.target.provider.timeouts.read_s, watchers)


def stream_relay(exchange: Exchange, attempt: Attempt) -> Relay:
    """Choose the relay of an event stream: bytes through, unless somebody wants to edit events."""
    endpoint = exchange.endpoint
    grammar = endpoint.grammar
    assert grammar is not None  # noqa: S101
    hooks = exchange.gateway.hooks
    transforms = start(hooks.transform_stream, exchange)
    done_optional = attempt.target.provider.done_optional
    if not transforms:
        return PassthroughRelay(grammar, hide_usage=exchange.usage_hidden, done_optional=done_optional)
    if endpoint.codec is None:
        decoder = OpaqueDecoder(grammar, hide_usage=exchange.usage_hidden, done_optional=done_optional)
        return TranslateRelay(decoder, OpaqueEncoder(grammar), transforms)
    asked = exchange.payload.decoded()
    return TranslateRelay(
        endpoint.codec.stream_decoder(),
        endpoint.codec.stream_encoder(asked),
        transforms,
        hide_usage=exchange.usage_hidden,
    )


async def until_content(exchange: Exchange, attempt: Attempt, answer: Answer, relay: Relay) -> bytes:
    """Feed the relay until it has seen content; return what is to be sent first.

    Raises UpstreamError when the stream fails, or ends, before it has said anything.
    """
    loop = asyncio.get_running_loop()
    watch = exchange.watch
    patience_s = attempt.target.provider.timeouts.first_byte_s
    watch.deadline_at = loop.time() + patience_s
    parts: list[bytes] = []
    while not relay.has_content and not relay.ended:
        chunk = await pull(answer)
        parts.append(relay.feed(chunk) if chunk else relay.close())
        if not chunk:
            break
    if relay.error is not None:
        raise with_provider(relay.error, attempt, answer)
    if not relay.has_content and not relay.may_be_empty:
        raise UpstreamError(
            f'provider "{attempt.target.provider.name}" sent a stream with nothing in it',
            kind=ErrorKind.UPSTREAM_PROTOCOL,
            provider=attempt.target.provider.name,
        )
    exchange.first_token_s = loop.time() - exchange.started_at
    return b"".join(parts)


async def read_whole(exchange: Exchange, attempt: Attempt, answer: Answer) -> bytes:
    """Read a whole JSON answer. Raises UpstreamError when it is too large, breaks off, or is no object."""
    loop = asyncio.get_running_loop()
    read_s = attempt.target.provider.timeouts.read_s
    parts: list[bytes] = []
    size = 0
    while True:
        exchange.watch.deadline_at = loop.time() + read_s
        chunk = await pull(answer)
        if not chunk:
            break
        parts.append(chunk)
        size += len(chunk)
        if size > MAX_ANSWER_BYTES:
            raise protocol_error(attempt, f"an answer of more than {MAX_ANSWER_BYTES} bytes")
    body = parts[0] if len(parts) == 1 else b"".join(parts)
    # HTTP has vouched for the length; what is left to catch is a page that calls itself JSON.
    if not (body.lstrip()[:1] == b"{" and body.rstrip()[-1:] == b"}"):
        raise protocol_error(attempt, "an answer that is not a JSON object")
    return body


def protocol_error(attempt: Attempt, what: str) -> UpstreamError:
    """Return the error for an answer that is not what the API promises."""
    name = attempt.target.provider.name
    return UpstreamError(f'provider "{name}" sent {what}', kind=ErrorKind.UPSTREAM_PROTOCOL, provider=name)


async def finish_whole(exchange: Exchange, body: bytes) -> bytes:
    """Take the token counts from a whole answer, and let plugins change it."""
    codec = exchange.endpoint.codec
    exchange.usage = find_usage(body, exchange.endpoint.read_usage)
    hooks = exchange.gateway.hooks.rewrite_response
    if not hooks:
        return body
    payload: JsonPayload[Response] = JsonPayload(body)
    if codec is not None:
        payload = JsonPayload(
            body, decode=codec.decode_response, encode=_response_encoder(codec, exchange.payload.decoded())
        )
    await run(hooks, exchange, payload)
    return payload.body()


def _response_encoder(codec: Dialect, asked: Request | None) -> Any:
    return lambda response: codec.encode_response(response, asked)


async def failure(exchange: Exchange, attempt: Attempt, answer: Answer) -> GatewayError:
    """Read an error answer and name it.

    An upstream's 401 means that our credential failed: never a 401 to the client.
    """
    exchange.watch.deadline_at = asyncio.get_running_loop().time() + attempt.target.provider.timeouts.read_s
    body = await answer.read(MAX_ERROR_BYTES)
    dialect = exchange.endpoint.errors
    forwarded_key = attempt.target.provider.forward_client_key and exchange.credential is not None
    error = dialect.decode_error(answer.status, body[:MAX_ERROR_BYTES])
    if error.kind is ErrorKind.UPSTREAM_CREDENTIAL:
        if forwarded_key:
            error.kind, error.status = ErrorKind.AUTHENTICATION, answer.status
        else:
            error.message = (
                f'the gateway\'s credential for provider "{attempt.target.provider.name}" was refused '
                f"(HTTP {answer.status}); its operator has to set a valid key"
            )
            error.code = error.kind.value
    elif 400 <= answer.status < 500 and body.lstrip()[:1] == b"{" and len(body) <= MAX_ERROR_BYTES:
        error.words = (dialect.name, body)
        error.status = answer.status
    return with_provider(error, attempt, answer)


def with_provider(error: GatewayError, attempt: Attempt, answer: Answer) -> GatewayError:
    """Add who failed, and when it wants to be asked again."""
    error.provider = attempt.target.provider.name
    if error.retry_after_s is None:
        error.retry_after_s = retry_after_s(answer.headers)
    return error


def answer_headers(exchange: Exchange, attempt: Attempt, answer: Answer) -> dict[str, str]:
    """Return the headers of the client's answer: who answered, after how many attempts, and its limits."""
    headers = to_client(answer.headers)
    headers["x-request-id"] = exchange.id
    headers["x-aigw-provider"] = attempt.target.provider.name
    headers["x-aigw-model"] = attempt.target.model
    headers["x-aigw-attempts"] = str(attempt.number)
    return headers
