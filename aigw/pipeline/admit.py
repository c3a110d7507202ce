"""Second link: may this request come in. Reads the body, names the model, reserves what it will cost.

Owns body limits, media types, and the contract of reservations: what `admit` hooks take in advance is
settled exactly once, with the final record, when the exchange has ended however it ends. Picks no target.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from aigw.dialects.base import Dialect, Tree
from aigw.errors import ClientError, ErrorKind, GatewayError
from aigw.model import Request
from aigw.pipeline.exchange import Exchange, bound_for_model
from aigw.pipeline.payload import FormPayload, JsonPayload, Payload
from aigw.upstream.patterns import matches

MEDIA_TYPES = {"json": "application/json", "multipart": "multipart/form-data"}
MAX_MODEL_CHARS = 256


@web.middleware
async def admit(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Read the body, check that its model is allowed, and let every `admit` hook reserve."""
    exchange = bound_for_model(request)
    if exchange is None:
        return await handler(request)
    exchange.payload = await read_payload(exchange)
    read_model(exchange)
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


async def read_payload(exchange: Exchange) -> Payload[Request]:
    """Return the body, parsed on demand.

    Raises ClientError: too large (413), of another type (415), broken (400).
    """
    endpoint = exchange.endpoint
    if exchange.given is None:
        raw, content_type = await read_body(exchange)
    else:
        raw, content_type = exchange.given, MEDIA_TYPES["json"]
    if endpoint.body == "multipart":
        return FormPayload(raw, content_type)
    if endpoint.codec is None:
        return JsonPayload(raw)
    return JsonPayload(raw, decode=_decoder(exchange, endpoint.codec), encode=_tree_encoder(endpoint.codec))


async def read_body(exchange: Exchange) -> tuple[bytes, str]:
    """Read the body of an HTTP request; return it with its Content-Type."""
    request = exchange.request
    endpoint = exchange.endpoint
    wanted = MEDIA_TYPES[endpoint.body]
    header = request.headers.get("Content-Type", "")
    media_type = header.partition(";")[0].strip().lower()
    if media_type != wanted and not (endpoint.body == "json" and media_type.endswith("+json")):
        raise ClientError(
            f'Content-Type is "{media_type or "missing"}"; this endpoint takes {wanted}',
            kind=ErrorKind.UNSUPPORTED_MEDIA_TYPE,
        )
    limit = exchange.gateway.config.server.max_body_bytes
    if (request.content_length or 0) > limit:
        raise too_large(limit)
    try:
        raw = await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise too_large(limit) from None
    except web.RequestPayloadError as error:
        raise ClientError("the body breaks off, or is not encoded as its headers say") from error
    if len(raw) > limit:  # read by another application's middleware, under its own limit
        raise too_large(limit)
    return raw, header


def _decoder(exchange: Exchange, codec: Dialect) -> Callable[[Tree], Request]:
    """Return the codec's decoder; where the path tells model and stream, it is told them, too."""
    if not exchange.endpoint.has_model_in_path:
        return codec.decode_request
    told = {"model": exchange.request.match_info["model"], "stream": exchange.endpoint.stream}
    return lambda tree: codec.decode_request({**tree, **told})


def too_large(limit: int) -> ClientError:
    """Return the error for a body of more than `limit` bytes."""
    return ClientError(f"the body is larger than the {limit} bytes allowed here", kind=ErrorKind.TOO_LARGE)


def _tree_encoder(codec: Dialect) -> Any:
    # The same format on both sides holds everything it gave, so nothing can be dropped here.
    return lambda request: codec.encode_request(request).tree


def read_model(exchange: Exchange) -> None:
    """Find model and stream flag in the body. Raises ClientError naming the field that is wrong."""
    fields = exchange.payload.fields
    endpoint = exchange.endpoint
    if endpoint.has_model_in_path:
        # A plugin that put another request in place of the client's may have named another model in it.
        edited = exchange.payload.decoded() if exchange.payload.changed else None
        exchange.model = _sane(edited.model if edited else exchange.request.match_info["model"])
        exchange.stream = endpoint.stream is True
        return
    # Some servers take any spelling of a key, the last of two parts, or a file's content for a field's:
    # a caller could be checked for one model and served another.
    spellings = [name for name in exchange.payload.names if len(name) == 5 and name.lower() == "model"]
    if spellings and (spellings != ["model"] or "model" not in fields):
        raise ClientError(
            f'the model must be given once, as the field "model"; got {", ".join(spellings)}', param="model"
        )
    model = fields.get("model", endpoint.default_model)
    if model is None or model == "":
        raise ClientError(
            'the field "model" is missing; GET /v1/models lists what there is',
            kind=ErrorKind.MISSING_FIELD,
            param="model",
        )
    if not isinstance(model, str):
        raise ClientError(f'"model" must be one string, got {type(model).__name__}', param="model")
    exchange.model = _sane(model)
    stream = fields.get("stream")
    exchange.stream = stream is True or (endpoint.body == "multipart" and stream in {"true", "1"})


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
