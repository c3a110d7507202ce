"""One conversation: which one a path names, and how it is shown."""

from __future__ import annotations

import orjson

from aigw.dialects.base import Tree
from aigw.pipeline.exchange import Exchange
from aigw.responses.page import not_there
from aigw.stores.base import ConversationRecord


def conversation_name(exchange: Exchange) -> str:
    """Return the id in the path."""
    return exchange.request.match_info["conversation_id"]


async def kept(exchange: Exchange) -> ConversationRecord:
    """Return the conversation that the path names. Raises ClientError (404) when it is not there."""
    name = conversation_name(exchange)
    guard = exchange.gateway.responses.guard
    record = await guard.ask(guard.store.conversation(exchange.identity.tenant, name))
    if record is None:
        raise not_there("Conversation", name)
    return record


def resource(record: ConversationRecord) -> Tree:
    """Return the conversation object."""
    return {
        "id": record.id,
        "object": "conversation",
        "created_at": int(record.created_at),
        "metadata": orjson.loads(record.metadata),
    }
