"""GET, DELETE and the rest of what is asked about a response that is kept.

Owns these answers. A response shows as its own client was told of it; its input shows with all that it
continues, as OpenAI lists it.
"""

from __future__ import annotations

import orjson
from aiohttp import web

from aigw.dialects.base import Tree
from aigw.dialects.endpoints import Endpoint
from aigw.pipeline.exchange import EXCHANGE, Exchange
from aigw.responses.context import items_in
from aigw.responses.leases import settled
from aigw.responses.listing import cut, read_paging
from aigw.responses.page import Page, not_there, send
from aigw.responses.resume import resumed
from aigw.responses.session import items_of
from aigw.stores.base import MissingError, ResponseRecord

RESPONSE_PATH = "/v1/responses/{response_id}"


async def show_response(request: web.Request) -> web.StreamResponse:
    """GET: the response object as it stands now, or with `stream=true` its events."""
    exchange = request[EXCHANGE]
    record = await kept(exchange)
    if request.query.get("stream", "").lower() == "true":
        return await resumed(request, exchange, record)
    return await send(exchange, record.body)


async def delete_response(request: web.Request) -> web.StreamResponse:
    """DELETE: gone at once, and with it the way to continue it, or what continues it."""
    exchange = request[EXCHANGE]
    name = request.match_info["response_id"]
    responses, tenant = exchange.gateway.responses, exchange.identity.tenant
    guard = responses.guard
    if not await guard.ask(guard.store.delete_response(tenant, name)):
        raise not_there("Response", name)
    if (job := responses.jobs.find(tenant, name)) is not None:
        job.lose()
    return await send(exchange, {"id": name, "object": "response.deleted", "deleted": True})


async def list_input_items(request: web.Request) -> web.StreamResponse:
    """GET .../input_items: what the model was given, the newest first."""
    exchange = request[EXCHANGE]
    paging = read_paging(request.query)
    record = await kept(exchange)
    items = [*await given_before(exchange, record), *items_of(orjson.loads(record.input))]
    return await send(exchange, cut(items, paging))


async def kept(exchange: Exchange) -> ResponseRecord:
    """Return the response that the path names. Raises ClientError (404) when it is not there."""
    name = exchange.request.match_info["response_id"]
    guard = exchange.gateway.responses.guard
    record = await guard.ask(guard.store.response(exchange.identity.tenant, name))
    if record is None:
        raise not_there("Response", name)
    return await settled(exchange.gateway.responses, record)


async def given_before(exchange: Exchange, record: ResponseRecord) -> list[Tree]:
    """Return the items that came before those of the request itself, as far as they are still there."""
    guard = exchange.gateway.responses.guard
    try:
        if record.previous_id is not None:
            chain = await guard.ask(guard.store.chain(record.tenant, record.previous_id))
            return [item for before in chain for item in items_in(before)]
        if record.conversation_id is not None:
            page = await guard.ask(guard.store.items(record.tenant, record.conversation_id))
            return _until(record, [orjson.loads(item.body) for item in page.items])
    except MissingError:
        pass  # somebody has deleted what it continued
    return []


def _until(record: ResponseRecord, items: list[Tree]) -> list[Tree]:
    """Return the items of a conversation that were there before a response: those up to its own first one."""
    own = set(record.item_ids)
    place = next((place for place, item in enumerate(items) if item["id"] in own), len(items))
    return items[:place]


RESPONSE_PAGES: tuple[Page, ...] = (
    (Endpoint(RESPONSE_PATH, None, method="GET", own="responses"), show_response),
    (Endpoint(RESPONSE_PATH, None, method="DELETE", own="responses"), delete_response),
    (Endpoint(RESPONSE_PATH + "/input_items", None, method="GET", own="responses"), list_input_items),
)
