"""Items of a conversation: adding, listing, showing and deleting them.

Owns reading the items that a client brings, each with a name that no other item of the conversation has.
"""

from __future__ import annotations

import orjson
from aiohttp import web

from aigw.dialects.openresponses.items import decode_item
from aigw.errors import ClientError, ErrorKind
from aigw.pipeline.exchange import EXCHANGE, Exchange
from aigw.responses.context import resolved
from aigw.responses.conversation import conversation_name, kept, resource
from aigw.responses.listing import listed, no_such_place, read_paging, shown
from aigw.responses.page import not_there, read_fields, send
from aigw.responses.session import check_items, named
from aigw.stores.base import ItemRecord, MissingError

MAX_ITEMS = 20
"""How many may be added at a time."""


async def create_items(request: web.Request) -> web.StreamResponse:
    """POST: items at the end of the conversation, all or none."""
    exchange = request[EXCHANGE]
    fields = await read_fields(exchange)
    if "items" not in fields:
        raise ClientError('the field "items" is missing', kind=ErrorKind.MISSING_FIELD, param="items")
    name = conversation_name(exchange)
    items = await read_items(exchange, fields["items"])
    await _check_new(exchange, name, items)
    guard = exchange.gateway.responses.guard
    try:
        await guard.ask(guard.store.add_items(exchange.identity.tenant, name, items))
    except MissingError:
        raise not_there("Conversation", name) from None
    return await send(exchange, listed([orjson.loads(item.body) for item in items]))


async def list_items(request: web.Request) -> web.StreamResponse:
    """GET: items, the newest first."""
    exchange = request[EXCHANGE]
    paging = read_paging(request.query)
    name = conversation_name(exchange)
    guard = exchange.gateway.responses.guard
    try:
        page = await guard.ask(
            guard.store.items(
                exchange.identity.tenant,
                name,
                after=paging.after,
                limit=paging.limit,
                descending=paging.descending,
            )
        )
    except MissingError as error:
        raise not_there("Conversation", name) if error.id == name else no_such_place(error.id) from None
    return await send(
        exchange, listed([orjson.loads(item.body) for item in page.items], has_more=page.has_more)
    )


async def show_item(request: web.Request) -> web.StreamResponse:
    """GET: one item."""
    exchange = request[EXCHANGE]
    name, item_id = conversation_name(exchange), request.match_info["item_id"]
    guard = exchange.gateway.responses.guard
    item = await guard.ask(guard.store.item(exchange.identity.tenant, name, item_id))
    if item is None:
        await kept(exchange)  # says so if it is the conversation that is not there
        raise not_there("Item", item_id)
    return await send(exchange, shown(orjson.loads(item.body)))


async def delete_item(request: web.Request) -> web.StreamResponse:
    """DELETE: the item is gone; the answer is the conversation that it was taken from."""
    exchange = request[EXCHANGE]
    conversation = await kept(exchange)
    item_id = request.match_info["item_id"]
    guard = exchange.gateway.responses.guard
    if not await guard.ask(guard.store.delete_item(conversation.tenant, conversation.id, item_id)):
        raise not_there("Item", item_id)
    return await send(exchange, resource(conversation))


async def read_items(exchange: Exchange, given: object) -> list[ItemRecord]:
    """Return the items that a client brings, named, with what references stand for in their place.

    Raises ClientError naming the place of what is no item, or refers to one that is not there.
    """
    check_items(given, "items")
    assert isinstance(given, list)  # noqa: S101 - checked
    if len(given) > MAX_ITEMS:
        raise ClientError(
            f"items: at most {MAX_ITEMS} may be added at a time, got {len(given)}", param="items"
        )
    tenant, guard = exchange.identity.tenant, exchange.gateway.responses.guard
    items = await resolved(tenant, named(given), guard, "items")
    for number, item in enumerate(items):
        decode_item(item, f"items[{number}]")
    ids = [item["id"] for item in items]
    for number, item_id in enumerate(ids):
        if item_id in ids[:number]:
            raise _duplicate(item_id, number)
    return [ItemRecord(item["id"], orjson.dumps(item)) for item in items]


async def _check_new(exchange: Exchange, name: str, items: list[ItemRecord]) -> None:
    """Raise ClientError when the conversation holds an item of the same id: that one would be lost."""
    tenant, guard = exchange.identity.tenant, exchange.gateway.responses.guard
    known = await guard.ask(guard.store.find_items(tenant, [item.id for item in items]))
    for number, item in enumerate(items):
        if item.id in known and await guard.ask(guard.store.item(tenant, name, item.id)) is not None:
            raise _duplicate(item.id, number)


def _duplicate(item_id: str, number: int) -> ClientError:
    return ClientError(
        f"Duplicate item found with id {item_id}.", param=f"items[{number}].id", code="duplicate_item"
    )
