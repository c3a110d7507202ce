"""Sixth link: from the provider's answer to the client's, up to the commit point.

Owns the choice of relay and the wait for the first content: until that has come nothing is sent, so
every failure seen here can still become another target or a real status code. Sends nothing itself: the
innermost handler, `answer`, does.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import partial
from math import inf
from time import monotonic

from aiohttp import web
from aiohttp.typedefs import Handler
from multidict import istr

from aigw.dialects.base import StreamEncoder
from aigw.dialects.endpoints import Api
from aigw.dialects.opaque import OpaqueDecoder, OpaqueEncoder
from aigw.errors import ErrorKind, GatewayError, UpstreamError
from aigw.hooks.table import start
from aigw.pipeline.attempts import begun_well
from aigw.pipeline.carry_on import carrier, splice_of
from aigw.pipeline.continued import is_continued
from aigw.pipeline.exchange import EXCHANGE, Attempt, Exchange, bound_for_model
from aigw.pipeline.restrain import restraint_on
from aigw.pipeline.speak import is_translated
from aigw.pipeline.tried import fallback_header
from aigw.pipeline.whole import (
    Whole,
    as_stream,
    at_once,
    decoder_of,
    finish_whole,
    passed,
    read_folded,
    read_whole,
)
from aigw.relay.allowed import restrained
from aigw.relay.continuation import ContinuedRelay
from aigw.relay.delivery import Delivery, StreamDelivery, WholeDelivery
from aigw.relay.outlet import EVENTS
from aigw.relay.passthrough import BinaryRelay, PassthroughRelay
from aigw.relay.patching import PatchingRelay
from aigw.relay.stream import Relay
from aigw.relay.translate import TranslateRelay
from aigw.relay.watchers import Watchers
from aigw.upstream.provider import Answer, pull
from aigw.wire.headers import media_type_of, retry_after_s, to_client

BYTES_APIS = frozenset({Api.AUDIO})
"""APIs that may answer with bytes or plain text; from any other, what is no event stream must be JSON."""
MAX_ERROR_BYTES = 64 * 1024
MAX_DROPPED_CHARS = 2000
CONTENT_TYPE = istr("Content-Type")
_UNFIT = re.compile(r"[^\x20-\x7e]")


@web.middleware
async def deliver(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Prepare what the client is to get, or raise what makes another target necessary."""
    exchange = bound_for_model(request)
    if exchange is not None:
        attempt = exchange.attempts[-1]
        exchange.delivery = await prepared(exchange, attempt)
        if exchange.stream:
            begun_well(exchange, attempt, exchange.gateway.router.clock())
    return await handler(request)


async def prepared(exchange: Exchange, attempt: Attempt) -> Delivery:
    """Return the delivery for an attempt that has an answer, once there is certainly something to deliver.

    A client that wants a stream gets one, also from a provider that answered whole, and the reverse.
    Raises GatewayError where the answer is no good one.
    """
    answer = attempt.answer
    assert answer is not None  # noqa: S101 - the link before this one has set it
    if answer.status >= 300:
        raise await failure(exchange, attempt, answer)
    media_type = media_type_of(answer.headers.get(CONTENT_TYPE, ""))
    has_codec = exchange.endpoint.codec is not None
    if media_type == EVENTS and (attempt.endpoint.codec or attempt.endpoint.grammar):
        if has_codec and not exchange.stream:
            whole = await read_folded(exchange, attempt, answer)
            return whole_delivery(exchange, attempt, answer, whole)
        return await stream_delivery(exchange, attempt, answer, stream_relay(exchange, attempt))
    if media_type == "application/json" or attempt.endpoint.api not in BYTES_APIS:
        read = at_once(attempt, answer) or await read_whole(exchange, attempt, answer)
        if has_codec and exchange.stream:
            told = as_stream(exchange, attempt, read, encoder_of(exchange))
            return await stream_delivery(exchange, attempt, answer, told)
        whole = passed(exchange, attempt, read) or await finish_whole(exchange, attempt, read)
        return whole_delivery(exchange, attempt, answer, whole)
    return await stream_delivery(exchange, attempt, answer, BinaryRelay())


async def answer(request: web.Request) -> web.StreamResponse:
    """Send what `deliver` has prepared: the handler of every endpoint that reaches a model."""
    exchange = request[EXCHANGE]
    assert exchange.delivery is not None  # noqa: S101
    return await exchange.delivery.send(exchange)


def whole_delivery(exchange: Exchange, attempt: Attempt, answer: Answer, whole: Whole) -> WholeDelivery:
    """Return a whole answer, written: only now is it known what it could not hold, either."""
    return WholeDelivery(200, answer_headers(exchange, attempt, answer), whole.body, whole.tree)


async def stream_delivery(
    exchange: Exchange, attempt: Attempt, answer: Answer, relay: Relay
) -> StreamDelivery:
    """Wait for a stream's first content, and only then ask who wants to look on.

    So those who look on see what the client gets, and nothing of attempts that were given up.
    """
    carry_on = carrier(exchange, relay, failure) if isinstance(relay, ContinuedRelay) else None
    first = await until_content(exchange, attempt, answer, relay)
    is_events = not isinstance(relay, BinaryRelay)
    looking = start(exchange.gateway.hooks.watch_stream, exchange) if is_events else []
    headers = answer_headers(exchange, attempt, answer)
    if is_events:
        headers["Content-Type"] = "application/json" if wants_array(exchange) else EVENTS
    else:
        headers |= binary_headers(answer)
    return StreamDelivery(
        headers,
        relay,
        answer,
        first,
        attempt.target.provider.timeouts.read_s,
        Watchers(looking) if looking else None,
        carry_on,
    )


def binary_headers(answer: Answer) -> dict[str, str]:
    """Return what is to be said of bytes that pass as they are."""
    headers = {"Content-Type": answer.headers.get("Content-Type", "application/octet-stream")}
    length = answer.headers.get("Content-Length")
    if length is not None and "Content-Encoding" not in answer.headers:
        headers["Content-Length"] = length
    return headers


def wants_array(exchange: Exchange) -> bool:
    """Tell whether the client wants its stream as one JSON array: Google's do unless their query says no."""
    query = exchange.endpoint.query
    return bool(query) and query not in exchange.request.rel_url.raw_query_string.split("&")


def stream_relay(exchange: Exchange, attempt: Attempt) -> Relay:
    """Choose the relay of an event stream: bytes through, unless it has to be translated or is edited."""
    grammar = attempt.endpoint.grammar
    assert grammar is not None  # noqa: S101
    transforms = start(exchange.gateway.hooks.transform_stream, exchange)
    done_optional = attempt.target.provider.done_optional or not grammar.terminal_mark
    translated = is_translated(exchange, attempt)
    restraint = restraint_on(exchange, attempt)
    continued = is_continued(exchange)
    plain = not transforms and not translated and restraint is None and not continued
    if plain and not wants_array(exchange):
        passing = PassthroughRelay(grammar, hide_usage=exchange.usage_hidden, done_optional=done_optional)
        patch = exchange.patch_for(attempt.target.provider)
        return passing if patch is None else PatchingRelay(passing, patch)
    codec = attempt.endpoint.codec
    if codec is None:
        decoder = OpaqueDecoder(grammar, hide_usage=exchange.usage_hidden, done_optional=done_optional)
        return TranslateRelay(decoder, OpaqueEncoder(grammar), transforms)
    decoded = restrained(decoder_of(attempt), restraint)
    translating: Callable[..., TranslateRelay] = partial(TranslateRelay, decoded)
    if continued:
        translating = partial(ContinuedRelay, splice_of(exchange, decoded))
    return translating(
        encoder_of(exchange),
        transforms,
        hide_usage=exchange.usage_hidden,
        own_id=exchange.answer_id,
        defaults=(exchange.id, int(time.time())),
    )


def encoder_of(exchange: Exchange) -> StreamEncoder:
    """Return the encoder of the client's format, in the framing the client wants."""
    codec = exchange.endpoint.codec
    assert codec is not None  # noqa: S101
    asked = exchange.asked()
    if wants_array(exchange) and codec.array_stream_encoder is not None:
        return codec.array_stream_encoder(asked)
    return codec.stream_encoder(asked)


async def until_content(exchange: Exchange, attempt: Attempt, answer: Answer, relay: Relay) -> bytes:
    """Feed the relay until it has seen content; return what is to be sent first.

    Raises UpstreamError when the stream fails, or ends, before it has said anything.
    """
    watch = exchange.watch
    patience_s = attempt.target.provider.timeouts.first_byte_s
    watch.deadline_at = min(monotonic() + patience_s, attempt.first_token_by)
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
    exchange.first_token_s = monotonic() - exchange.started_at
    watch.answer_by = inf
    return b"".join(parts)


async def failure(exchange: Exchange, attempt: Attempt, answer: Answer) -> GatewayError:
    """Read an error answer and name it.

    An upstream's 401 means that our credential failed: never a 401 to the client.
    """
    exchange.watch.deadline_at = monotonic() + attempt.target.provider.timeouts.read_s
    body = await answer.read(MAX_ERROR_BYTES)
    dialect = attempt.endpoint.errors
    forwarded_key = attempt.target.provider.forward_client_key and exchange.credential is not None
    error = dialect.decode_error(answer.status, body[:MAX_ERROR_BYTES])
    if error.kind is ErrorKind.UPSTREAM_CREDENTIAL:
        if forwarded_key:
            error.kind, error.status = ErrorKind.AUTHENTICATION, answer.status
            error.code = error.kind.value if error.code == ErrorKind.UPSTREAM_CREDENTIAL.value else error.code
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
        error.retry_after_s = retry_after_s(answer.headers, time.time())
    return error


def answer_headers(exchange: Exchange, attempt: Attempt, answer: Answer) -> dict[str, str]:
    """Return the headers of the client's answer: who answered, after how many attempts, and its limits."""
    headers = to_client(answer.headers)
    headers["x-request-id"] = exchange.id
    headers["x-aigw-provider"] = attempt.target.provider.name
    headers["x-aigw-model"] = attempt.target.model
    headers["x-aigw-attempts"] = str(attempt.number)
    if attempt.number > 1:
        headers["x-aigw-fallback"] = fallback_header(exchange.attempts)
    if exchange.headers:
        headers |= exchange.headers
    if exchange.dropped:
        # Clients name fields, and a line break in one would begin a header of their own.
        headers["x-aigw-dropped"] = _UNFIT.sub("?", ", ".join(exchange.dropped))[:MAX_DROPPED_CHARS]
    return headers
