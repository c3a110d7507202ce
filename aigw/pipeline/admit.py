"""Second link: may this request come in. Reads the body, names the model, reserves what it will cost.

Owns body limits, media types, and the contract of reservations: what `admit` hooks take in advance is
settled exactly once, with the final record, when the exchange has ended however it ends. Picks no target.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from aigw.dialects.base import Tree
from aigw.dialects.endpoints import Endpoint
from aigw.errors import ClientError, ErrorKind, GatewayError
from aigw.model import Request
from aigw.pipeline.exchange import Exchange, bound_for_model
from aigw.pipeline.payload import FormPayload, JsonPayload, Payload
from aigw.upstream.patterns import matches
from aigw.wire.headers import media_type_of

MEDIA_TYPES = {"json": "application/json", "multipart": "multipart/form-data"}
MAX_MODEL_CHARS = 256
_ONCE = ["model"]


@web.middleware
async def admit(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Read the body, check that its model is allowed, and let every `admit` hook reserve."""
    exchange = bound_for_model(request)
    if exchange is None:
        return await handler(request)
    exchange.payload = payload_at_once(exchange) or await read_payload(exchange)
    read_model(exchange)
    if "*" not in exchange.identity.models:
        check_permission(exchange)
    for hook in exchange.gateway.hooks.admit:
        try:
            reservation = await hook.call(exchange)
        except GatewayError:
            raise
        except Exception as error:  # noqa: BLE001 - failed() decides whether the request goes on
            hook.failed(error)
        else:
            if reservation is not None:
                exchange.reservations.append(reservation)
    return await handler(request)


def payload_at_once(exchange: Exchange) -> Payload[Request] | None:
    """Return a JSON body if all of it came with the head, as nearly all do; None where more is to be done."""
    endpoint, request = exchange.endpoint, exchange.request
    if exchange.given is not None or endpoint.body != "json":
        return None
    if media_type_of(request.headers.get(hdrs.CONTENT_TYPE, "")) != MEDIA_TYPES["json"]:
        return None
    raw = at_once(request)
    if raw is None or len(raw) > exchange.gateway.config.server.max_body_bytes:
        return None
    return _json_payload(exchange, raw)


async def read_payload(exchange: Exchange) -> Payload[Request]:
    """Return the body, parsed on demand.

    Raises ClientError: too large (413), of another type (415), broken (400).
    """
    endpoint = exchange.endpoint
    if exchange.given is None:
        content_type = exchange.request.headers.get(hdrs.CONTENT_TYPE, "")
        check_media_type(endpoint, content_type)
        limit = exchange.gateway.config.server.max_body_bytes
        raw = await read_body(exchange.request, limit)
        if len(raw) > limit:  # another application's middleware may have read it, under its own limit
            raise too_large(limit)
    else:
        raw, content_type = exchange.given, MEDIA_TYPES["json"]
    if endpoint.body == "multipart":
        return FormPayload(raw, content_type)
    return _json_payload(exchange, raw)


def _json_payload(exchange: Exchange, raw: bytes) -> JsonPayload[Request]:
    endpoint = exchange.endpoint
    decode, encode = _codec_calls(endpoint)
    if decode is not None and endpoint.has_model_in_path:
        decode = _told_decoder(decode, exchange)
    return JsonPayload(raw, decode=decode, encode=encode)


def check_media_type(endpoint: Endpoint, content_type: str) -> None:
    """Raise ClientError (415) unless this is the media type that an endpoint takes."""
    wanted = MEDIA_TYPES[endpoint.body]
    media_type = media_type_of(content_type)
    if media_type == wanted or (endpoint.body == "json" and media_type.endswith("+json")):
        return
    raise ClientError(
        f'Content-Type is "{media_type or "missing"}"; this endpoint takes {wanted}',
        kind=ErrorKind.UNSUPPORTED_MEDIA_TYPE,
    )


def at_once(request: web.Request) -> bytes | None:
    """Return the body if all of it came with the head, as nearly all do; None where it is waited for."""
    content = request.content
    # To look at what is there, and leave it there for whoever reads, has no public way. Reading it costs a
    # tenth of all that is ours. A test tells when aiohttp keeps it elsewhere.
    buffer = getattr(content, "_buffer", None)
    if not buffer or len(buffer) > 1 or not content.is_eof() or content.exception() is not None:
        return None
    if content._buffer_offset:  # noqa: SLF001 - somebody has read a part
        return None
    raw: bytes = buffer[0]
    return raw


async def read_body(request: web.Request, limit: int) -> bytes:
    """Wait for the body of a request. Raises ClientError: 413 past `limit` bytes, 400 where it breaks off."""
    if (request.content_length or 0) > limit:
        raise too_large(limit)
    content = request.content
    if content.at_eof():
        return await request.read()
    content.set_read_chunk_size(limit)  # not to stop and go: the limit holds for all of it
    parts: list[bytes] = []
    size = 0
    try:
        while chunk := await content.readany():
            parts.append(chunk)
            size += len(chunk)
            if size > limit:
                raise too_large(limit)
    except web.RequestPayloadError as error:
        raise ClientError("the body breaks off, or is not encoded as its headers say") from error
    request._read_bytes = raw = b"".join(parts)  # noqa: SLF001 - aiohttp's `read` copies it twice
    return raw


@cache
def _codec_calls(
    endpoint: Endpoint,
) -> tuple[Callable[[Tree], Request] | None, Callable[[Request], Tree] | None]:
    """Return what reads and what writes the canonical form of an endpoint's requests, where it has one."""
    codec = endpoint.codec
    if codec is None:
        return None, None
    # The same format on both sides holds everything it gave, so nothing can be dropped here.
    return codec.decode_request, lambda request: codec.encode_request(request).tree


def _told_decoder(decode: Callable[[Tree], Request], exchange: Exchange) -> Callable[[Tree], Request]:
    """Return a decoder that is told what the path says: model and stream."""
    told = {"model": exchange.request.match_info["model"], "stream": exchange.endpoint.stream}
    return lambda tree: decode({**tree, **told})


def too_large(limit: int) -> ClientError:
    """Return the error for a body of more than `limit` bytes."""
    return ClientError(f"the body is larger than the {limit} bytes allowed here", kind=ErrorKind.TOO_LARGE)


def read_model(exchange: Exchange) -> None:
    """Find model and stream flag in the body. Raises ClientError naming the field that is wrong."""
    endpoint = exchange.endpoint
    if endpoint.has_model_in_path:
        # A plugin that put another request in place of the client's may have named another model in it.
        edited = exchange.payload.decoded() if exchange.payload.changed else None
        exchange.model = _sane(edited.model if edited else exchange.request.match_info["model"])
        exchange.stream = endpoint.stream is True
        return
    payload = exchange.payload
    told = payload.told
    model, stream = told.get("model"), told.get("stream")
    if type(model) is not str or not model or not _is_said_once(exchange):
        model = _odd_model(exchange)
    exchange.model = _sane(model)
    exchange.stream = stream is True or (endpoint.body == "multipart" and stream in {"true", "1"})


def _is_said_once(exchange: Exchange) -> bool:
    """Tell whether nothing else in the body could be taken for the field "model", which it has."""
    if exchange.endpoint.body != "json":
        return exchange.payload.spellings("model") == _ONCE
    for name in exchange.payload.told:
        if len(name) == 5 and name != "model" and name.lower() == "model":
            return False
    return True


def _odd_model(exchange: Exchange) -> str:
    """Return the model of a request that does not name one plainly. Raises ClientError unless it need not."""
    fields, spellings = exchange.payload.told, exchange.payload.spellings("model")
    # Some servers take any spelling of a key, the last of two parts, or a file's content for a field's:
    # a caller could be checked for one model and served another.
    if spellings and (spellings != _ONCE or "model" not in fields):
        raise ClientError(
            f'the model must be given once, as the field "model"; got {", ".join(spellings)}', param="model"
        )
    model = fields.get("model", exchange.endpoint.default_model)
    if model is None or model == "":
        raise ClientError(
            'the field "model" is missing; GET /v1/models lists what there is',
            kind=ErrorKind.MISSING_FIELD,
            param="model",
        )
    if not isinstance(model, str):
        raise ClientError(f'"model" must be one string, got {type(model).__name__}', param="model")
    return model


def _sane(model: str) -> str:
    if len(model) > MAX_MODEL_CHARS or not model.isprintable():  # it will stand in headers and logs
        raise ClientError(
            f'"model" must be at most {MAX_MODEL_CHARS} printable characters, got {model[:80]!r}',
            param="model",
        )
    return model


def check_permission(exchange: Exchange) -> None:
    """Raise ClientError (403) unless the caller may use the model it asks for."""
    patterns = exchange.identity.models
    if "*" in patterns or is_allowed(exchange.model, patterns):
        return
    raise ClientError(
        f'model "{exchange.model}": not allowed for this key; allowed: {", ".join(patterns)}',
        kind=ErrorKind.MODEL_NOT_ALLOWED,
        param="model",
    )


def is_allowed(model: str, patterns: tuple[str, ...]) -> bool:
    """Tell whether a model's name matches one of the names or patterns."""
    return any(matches(pattern, model) for pattern in patterns)
