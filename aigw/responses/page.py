"""What a page of this room is: an endpoint that the gateway answers by itself, and its handler.

Owns how such pages read a JSON body, how they answer, and the error for what is not there. What another
tenant keeps is not there either: it is told in the same words.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import orjson
from aiohttp import web

from aigw.dialects.base import Tree
from aigw.dialects.endpoints import Endpoint
from aigw.errors import ClientError, ErrorKind
from aigw.pipeline.admit import read_payload
from aigw.pipeline.exchange import Exchange
from aigw.relay.delivery import WholeDelivery

Page = tuple[Endpoint, Callable[[web.Request], Awaitable[web.StreamResponse]]]


async def send(exchange: Exchange, body: Tree | bytes) -> web.StreamResponse:
    """Answer with a JSON object."""
    written = body if isinstance(body, bytes) else orjson.dumps(body)
    return await WholeDelivery(200, {"x-request-id": exchange.id}, written).send(exchange)


async def read_fields(exchange: Exchange) -> Tree:
    """Return the fields of the request's JSON body; of none at all, no fields."""
    if exchange.request.body_exists:
        exchange.payload = await read_payload(exchange)
    return exchange.payload.fields


def not_there(what: str, name: str, *, param: str | None = None) -> ClientError:
    """Return the error for something that is not kept. what: `Response`, `Conversation` or `Item`."""
    return ClientError(f"{what} with id '{name}' not found.", kind=ErrorKind.NOT_FOUND, param=param)
