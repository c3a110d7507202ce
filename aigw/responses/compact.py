"""POST /v1/responses/compact: passed on where the provider has it, else made with the same model.

Owns the turn of such a request into one for a summary, and of its answer into the compacted window.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler
from attrs import frozen

from aigw.dialects.base import Tree
from aigw.dialects.endpoints import Api, generation
from aigw.dialects.openresponses import OPENRESPONSES
from aigw.errors import ErrorKind, UpstreamError
from aigw.pipeline.exchange import Exchange
from aigw.pipeline.payload import JsonPayload
from aigw.relay.outlet import Carry, Outlet
from aigw.responses.compaction import compact, opened, summary_request
from aigw.responses.context import expand, refers
from aigw.responses.ids import new_response_id
from aigw.responses.session import items_of, named, output_of, read_session
from aigw.responses.truncation import shortened

COMPACT_PATH = "/v1/responses/compact"


async def compacted(exchange: Exchange, request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer with the compacted window of what the request says and refers to."""
    session = read_session(exchange.identity.tenant, exchange.payload.fields)
    if session.continues or refers(session.input):
        await expand(exchange, session, exchange.gateway.responses.guard)
    if is_native(exchange):
        return await handler(request)
    items = named(items_of(exchange.payload.fields.get("input")))
    fields = summary_request(exchange.model, opened(items), exchange.payload.fields.get("instructions"))
    asked, outlet = exchange.endpoint, exchange.outlet
    endpoint = generation(Api.RESPONSES, stream=False)
    assert endpoint is not None  # noqa: S101 - a row of the table
    exchange.endpoint = endpoint
    exchange.outlet = CompactionOutlet(outlet, items)
    exchange.payload = JsonPayload(
        orjson.dumps(fields),
        fields,
        decode=OPENRESPONSES.decode_request,
        encode=lambda canonical: OPENRESPONSES.encode_request(canonical).tree,
    )
    try:
        return await shortened(exchange, handler, request)
    finally:
        exchange.endpoint, exchange.outlet = asked, outlet


def is_native(exchange: Exchange) -> bool:
    """Tell whether every provider of this model compacts by itself: what one seals, only it can read."""
    route = exchange.gateway.models.resolve(exchange.model)
    return route is not None and all(target.provider.compacts for target in route.targets)


@frozen
class CompactionOutlet:
    """Takes the summary, and sends the window that it makes of these items."""

    outlet: Outlet
    items: list[Tree]

    async def send_whole(
        self, exchange: Exchange, status: int, headers: Mapping[str, str], body: bytes
    ) -> web.StreamResponse:
        if status < 300:
            body = orjson.dumps(window(self.items, orjson.loads(body)))
        return await self.outlet.send_whole(exchange, status, headers, body)

    async def send_stream(
        self, exchange: Exchange, headers: Mapping[str, str], carry: Carry
    ) -> web.StreamResponse:
        return await self.outlet.send_stream(exchange, headers, carry)


def window(items: list[Tree], response: Tree) -> Tree:
    """Return what the endpoint answers. Raises UpstreamError when the model gave no summary."""
    summary = "\n".join(
        part["text"]
        for item in output_of(response)
        if item.get("type") == "message"
        for part in item.get("content") or ()
        if part.get("type") == "output_text" and part.get("text")
    )
    if response.get("status") != "completed" or not summary:
        raise UpstreamError(
            "the model gave no whole summary of the conversation", kind=ErrorKind.UPSTREAM_ERROR
        )
    return {
        "id": new_response_id(),
        "object": "response.compaction",
        "created_at": int(time.time()),
        "output": compact(items, summary),
        "usage": response.get("usage"),
    }
