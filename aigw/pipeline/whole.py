"""Whole answers: read, understood as far as it is needed, in the client's format.

Owns what makes a whole answer a good one, its token counts, its translation and its editing, and the two
crossings: a stream folded for a client that wants it whole, and a whole answer told as a stream.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from time import monotonic
from typing import Any

import orjson
from attrs import define, evolve

from aigw.dialects.base import Dialect, StreamDecoder, StreamEncoder, Tree
from aigw.dialects.bodies import body_codec
from aigw.errors import ErrorKind, UpstreamError
from aigw.hooks.table import run, start
from aigw.model import Event, Failed, Fold, Request, Response, unfold
from aigw.pipeline.exchange import Attempt, Exchange
from aigw.pipeline.payload import JsonPayload
from aigw.pipeline.restrain import restraint_on
from aigw.pipeline.speak import is_translated
from aigw.relay.allowed import restrained, without_refused_calls
from aigw.relay.stream import Relay
from aigw.relay.told import ToldRelay
from aigw.relay.translate import apply
from aigw.relay.usage import find_usage
from aigw.upstream.provider import Answer, pull

MAX_ANSWER_BYTES = 256 * 1024 * 1024
PARSED_BYTES = 4096
"""Up to this size an answer is parsed to see that it is well-formed; it costs less than asking whether to."""

# What a good answer of any API has; an object with "error" and none of these is a failure in disguise.
_GOOD = frozenset({"id", "object", "choices", "output", "data", "candidates", "content", "results", "text"})


@define
class Whole:
    """A whole answer. tree: what it says, where it was parsed already."""

    body: bytes
    tree: Tree | None = None


def at_once(attempt: Attempt, answer: Answer) -> Whole | None:
    """Return a whole JSON answer if all of it is there already. Raises UpstreamError when it is no object."""
    body = answer.at_once()
    return None if body is None else Whole(body, check_whole(attempt, body))


async def read_whole(exchange: Exchange, attempt: Attempt, answer: Answer) -> Whole:
    """Read a whole JSON answer. Raises UpstreamError when it is too large, breaks off, or is no object."""
    whole = at_once(attempt, answer)
    if whole is not None:
        return whole
    body = await _read_all(exchange, attempt, answer)
    return Whole(body, check_whole(attempt, body))


async def _read_all(exchange: Exchange, attempt: Attempt, answer: Answer) -> bytes:
    read_s = attempt.target.provider.timeouts.read_s
    parts: list[bytes] = []
    size = 0
    while True:
        exchange.watch.deadline_at = monotonic() + read_s
        chunk = await pull(answer)
        if not chunk:
            break
        parts.append(chunk)
        size += len(chunk)
        if size > MAX_ANSWER_BYTES:
            raise protocol_error(attempt, f"an answer of more than {MAX_ANSWER_BYTES} bytes")
    return parts[0] if len(parts) == 1 else b"".join(parts)


def check_whole(attempt: Attempt, body: bytes) -> Tree | None:
    """Raise UpstreamError unless this is a JSON object, and one that does not tell of a failure.

    Of a large one only the ends are looked at: HTTP has vouched for its length, and what is left to
    catch is a page that calls itself JSON. Returns what a small one says.
    """
    if len(body) > PARSED_BYTES:
        if not (body.lstrip()[:1] == b"{" and body.rstrip()[-1:] == b"}"):
            raise protocol_error(attempt, "an answer that is not a JSON object")
        return None
    tree = parse(attempt, body)
    if tree.get("error") and not _GOOD & tree.keys():
        error = attempt.endpoint.errors.decode_error(502, body)
        error.status = None  # "200" was the provider's mistake
        raise error
    return tree


def parse(attempt: Attempt, body: bytes) -> Tree:
    """Parse a whole answer. Raises UpstreamError when it is no JSON object."""
    try:
        tree = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise protocol_error(attempt, "an answer that is not valid JSON") from None
    if not isinstance(tree, dict):
        raise protocol_error(attempt, "an answer that is not a JSON object")
    return tree


def protocol_error(attempt: Attempt, what: str) -> UpstreamError:
    """Return the error for an answer that is not what the API promises."""
    name = attempt.target.provider.name
    return UpstreamError(f'provider "{name}" sent {what}', kind=ErrorKind.UPSTREAM_PROTOCOL, provider=name)


def passed(exchange: Exchange, attempt: Attempt, whole: Whole) -> Whole | None:
    """Return a whole answer that goes to the client as it came, and take its token counts; else None."""
    endpoint = attempt.endpoint
    if (
        whole.tree is None
        or endpoint.api is not exchange.endpoint.api
        or exchange.gateway.hooks.rewrite_response
        or exchange.patch_for(attempt.target.provider) is not None
        or restraint_on(exchange, attempt) is not None
    ):
        return None
    exchange.usage = endpoint.read_usage(whole.tree)
    return whole


async def finish_whole(exchange: Exchange, attempt: Attempt, whole: Whole) -> Whole:
    """Return a whole answer in the client's format, as plugins want it; take its token counts."""
    body = whole.body
    restraint = restraint_on(exchange, attempt)
    if restraint is not None or is_translated(exchange, attempt):
        tree = whole.tree or parse(attempt, body)
        if exchange.endpoint.codec is None:
            return Whole(await write_body(exchange, attempt, tree))
        codec = attempt.endpoint.codec
        assert codec is not None  # noqa: S101
        return await write_whole(exchange, without_refused_calls(codec.decode_response(tree), restraint))
    read = attempt.endpoint.read_usage
    exchange.usage = find_usage(body, read) if whole.tree is None else read(whole.tree)
    patch = exchange.patch_for(attempt.target.provider)
    if patch is not None:
        tree = {**(whole.tree or parse(attempt, body)), **patch}
        whole = Whole(orjson.dumps(tree), tree)
    if not exchange.gateway.hooks.rewrite_response:
        return whole
    return Whole(await _edited(exchange, whole.body))


async def write_whole(exchange: Exchange, response: Response) -> Whole:
    """Write a canonical answer in the client's format, as plugins want it."""
    codec = exchange.endpoint.codec
    assert codec is not None  # noqa: S101
    exchange.usage = response.usage
    tree = codec.encode_response(dated(exchange, response), exchange.asked())
    body = orjson.dumps(tree)
    return (
        Whole(await _edited(exchange, body)) if exchange.gateway.hooks.rewrite_response else Whole(body, tree)
    )


async def write_body(exchange: Exchange, attempt: Attempt, tree: Tree) -> bytes:
    """Write an answer that has no canonical form in the client's format, as plugins want it."""
    codec = body_codec(exchange.endpoint, (attempt.endpoint.api,), attempt.target.model)
    assert codec is not None  # noqa: S101 - the request was written by it
    exchange.usage = attempt.endpoint.read_usage(tree)
    if exchange.usage is None and codec.counted:
        exchange.dropped += ("usage",)  # this format has no way to leave the counts out: they say 0
    told = codec.decode_response(tree, {**exchange.payload.fields, "model": attempt.target.model})
    if codec.dated:
        told = {"created": int(time.time()), **told}
    body = orjson.dumps(told)
    return await _edited(exchange, body) if exchange.gateway.hooks.rewrite_response else body


async def _edited(exchange: Exchange, body: bytes) -> bytes:
    codec = exchange.endpoint.codec
    payload: JsonPayload[Response] = JsonPayload(body)
    if codec is not None:
        payload = JsonPayload(body, decode=codec.decode_response, encode=_encoder(codec, exchange.asked()))
    await run(exchange.gateway.hooks.rewrite_response, exchange, payload)
    return payload.body()


def _encoder(codec: Dialect, asked: Request | None) -> Any:
    return lambda response: codec.encode_response(response, asked)


async def read_folded(exchange: Exchange, attempt: Attempt, answer: Answer) -> Whole:
    """Read a stream to its end for a client that wants the whole. Raises UpstreamError if it has none."""
    decoder, fold = restrained(decoder_of(attempt), restraint_on(exchange, attempt)), Fold()
    read_s = attempt.target.provider.timeouts.read_s
    chunk = b" "
    while chunk and not fold.finished:
        exchange.watch.deadline_at = monotonic() + read_s
        chunk = await pull(answer)
        for event in decoder.feed(chunk) if chunk else decoder.close():
            if isinstance(event, Failed):
                event.error.provider = attempt.target.provider.name
                raise event.error
            fold.add(event)
    return await write_whole(exchange, fold.response())


def decoder_of(attempt: Attempt) -> StreamDecoder:
    """Return a decoder of what the provider streams; a lenient one where its end mark may be missing."""
    codec = attempt.endpoint.codec
    assert codec is not None  # noqa: S101
    lenient = codec.lenient_stream_decoder
    return lenient() if attempt.target.provider.done_optional and lenient else codec.stream_decoder()


def as_stream(exchange: Exchange, attempt: Attempt, whole: Whole, encoder: StreamEncoder) -> Relay:
    """Tell a provider's whole answer as a stream of the client's format."""
    codec = attempt.endpoint.codec
    assert codec is not None  # noqa: S101
    told = codec.decode_response(whole.tree or parse(attempt, whole.body))
    response = dated(exchange, without_refused_calls(told, restraint_on(exchange, attempt)))
    events: Iterable[Event] = unfold(response)
    for hook, transform in start(exchange.gateway.hooks.transform_stream, exchange):
        events = apply(hook, transform, events)
    frames = b"".join([*(encoder.encode(event) for event in events), encoder.close()])
    return ToldRelay(frames, response.usage)


def dated(exchange: Exchange, response: Response) -> Response:
    """Give an answer the name and the time that its provider's format has none of."""
    return evolve(
        response,
        id=exchange.answer_id or response.id or exchange.id,
        created=response.created if response.created is not None else int(time.time()),
    )
