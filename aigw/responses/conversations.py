"""The Conversations API: what a tenant keeps under a name of its own.

Owns creating, showing, changing and deleting conversations. Their items have a file of their own.
Source: OpenAI's published OpenAPI description, 2026-08.
"""

from __future__ import annotations

import time

import orjson
from aiohttp import web

from aigw.dialects.endpoints import Endpoint
from aigw.errors import ClientError, ErrorKind
from aigw.pipeline.exchange import EXCHANGE
from aigw.responses.conversation import conversation_name, kept, resource
from aigw.responses.conversation_items import (
    create_items,
    delete_item,
    list_items,
    read_items,
    show_item,
)
from aigw.responses.ids import new_conversation_id
from aigw.responses.metadata import read_metadata
from aigw.responses.page import Page, not_there, read_fields, send
from aigw.stores.base import ConversationRecord

PATH = "/v1/conversations"
ONE = PATH + "/{conversation_id}"
ITEMS = ONE + "/items"
ITEM = ITEMS + "/{item_id}"


async def create_conversation(request: web.Request) -> web.StreamResponse:
    """POST: a new conversation, with its first items if there are any."""
    exchange = request[EXCHANGE]
    fields = await read_fields(exchange)
    metadata = read_metadata(fields.get("metadata"))
    items = await read_items(exchange, fields.get("items") or [])
    record = ConversationRecord(
        exchange.identity.tenant, new_conversation_id(), int(time.time()), orjson.dumps(metadata)
    )
    guard = exchange.gateway.responses.guard
    await guard.ask(guard.store.create_conversation(record, items))
    return await send(exchange, resource(record))


async def show_conversation(request: web.Request) -> web.StreamResponse:
    """GET: one conversation."""
    exchange = request[EXCHANGE]
    return await send(exchange, resource(await kept(exchange)))


async def update_conversation(request: web.Request) -> web.StreamResponse:
    """POST: other metadata in the place of the old."""
    exchange = request[EXCHANGE]
    fields = await read_fields(exchange)
    if "metadata" not in fields:
        raise ClientError('the field "metadata" is missing', kind=ErrorKind.MISSING_FIELD, param="metadata")
    metadata = orjson.dumps(read_metadata(fields["metadata"]))
    found = await kept(exchange)
    record = ConversationRecord(found.tenant, found.id, found.created_at, metadata)
    guard = exchange.gateway.responses.guard
    if not await guard.ask(guard.store.update_conversation(record)):
        raise not_there("Conversation", record.id)
    return await send(exchange, resource(record))


async def delete_conversation(request: web.Request) -> web.StreamResponse:
    """DELETE: gone with its items; responses that were made in it stay."""
    exchange = request[EXCHANGE]
    name = conversation_name(exchange)
    guard = exchange.gateway.responses.guard
    if not await guard.ask(guard.store.delete_conversation(exchange.identity.tenant, name)):
        raise not_there("Conversation", name)
    return await send(exchange, {"id": name, "object": "conversation.deleted", "deleted": True})


def _row(method: str, path: str) -> Endpoint:
    return Endpoint(path, None, method=method, own="conversations")


CONVERSATION_PAGES: tuple[Page, ...] = (
    (_row("POST", PATH), create_conversation),
    (_row("GET", ONE), show_conversation),
    (_row("POST", ONE), update_conversation),
    (_row("DELETE", ONE), delete_conversation),
    (_row("POST", ITEMS), create_items),
    (_row("GET", ITEMS), list_items),
    (_row("GET", ITEM), show_item),
    (_row("DELETE", ITEM), delete_item),
)
