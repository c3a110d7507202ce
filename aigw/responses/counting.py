"""POST /v1/responses/input_tokens: how many tokens a request would bring, with all that it refers to.

Owns the estimate that stands in where no provider of the model counts: it says that it is one.
"""

from __future__ import annotations

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler

from aigw.dialects.base import Tree
from aigw.errors import GatewayError
from aigw.pipeline.exchange import Exchange
from aigw.pipeline.speak import spoken
from aigw.relay.delivery import WholeDelivery
from aigw.responses.compaction import SEALED, opened
from aigw.responses.context import expand, refers
from aigw.responses.session import items_of, read_session

COUNT_PATH = "/v1/responses/input_tokens"
BYTES_A_TOKEN = 4
IMAGE_TOKENS = 765
"""What a picture of middle size costs at most vendors."""
_UNKNOWN_THERE = frozenset({404, 405, 501})


async def counted(exchange: Exchange, request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer with the number of tokens, the provider's own where it counts."""
    session = read_session(exchange.identity.tenant, exchange.payload.fields)
    if session.continues or refers(session.input):
        await expand(exchange, session, exchange.gateway.responses.guard)
    elif SEALED in exchange.payload.raw:
        exchange.payload.edit()["input"] = opened(items_of(session.input))
    if not _is_counted(exchange):
        return await _estimated(exchange)
    try:
        return await handler(request)
    except GatewayError as error:
        if error.status not in _UNKNOWN_THERE or error.provider is None:
            raise
        return await _estimated(exchange)


def _is_counted(exchange: Exchange) -> bool:
    """Tell whether a provider of this model counts; one that is not known is the next link's to refuse."""
    route = exchange.gateway.models.resolve(exchange.model)
    if route is None:
        return True
    endpoint = exchange.endpoint
    return any(spoken(endpoint, False, target.provider.apis, None, target.model) for target in route.targets)


async def _estimated(exchange: Exchange) -> web.StreamResponse:
    count = estimate(exchange.payload.fields)
    body = orjson.dumps({"object": "response.input_tokens", "input_tokens": count})
    headers = {"x-request-id": exchange.id, "x-aigw-estimated": "true"}
    return await WholeDelivery(200, headers, body).send(exchange)


def estimate(fields: Tree) -> int:
    """Return about how many tokens a request brings: its texts by their bytes, its pictures by the piece."""
    said = [fields.get(name) for name in ("instructions", "input", "tools")]
    size, images = _size([part for part in said if part])
    return max(1, -(-size // BYTES_A_TOKEN)) + images * IMAGE_TOKENS


def _size(value: object) -> tuple[int, int]:
    """Return (bytes of text, pictures) in a tree."""
    size = images = 0
    stack = [value]
    while stack:
        each = stack.pop()
        if isinstance(each, str):
            size += len(each.encode("utf-8", "surrogatepass"))
        elif isinstance(each, dict):
            if each.get("type") in {"input_image", "input_file"}:
                images += 1
            else:
                stack += [inner for name, inner in each.items() if name not in {"type", "id", "role"}]
        elif isinstance(each, list):
            stack += each
    return size, images
