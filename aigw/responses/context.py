"""From what a request refers to, to the items themselves.

Owns putting a chain of responses, a conversation and single references in the place of their names: what
came before, in its order, then what the request brings. Instructions are not carried over.
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from aigw.dialects.base import Tree
from aigw.dialects.openresponses.items import decode_item
from aigw.errors import ClientError
from aigw.pipeline.exchange import Exchange
from aigw.responses.compaction import COMPACTION, OUTPUTS, opened
from aigw.responses.compaction import is_own as is_readable
from aigw.responses.guard import Guard
from aigw.responses.ids import is_own
from aigw.responses.leases import settled
from aigw.responses.mcp.items import is_mcp_item
from aigw.responses.session import (
    CONTINUABLE,
    REFERENCE,
    Session,
    check_input,
    is_reference,
    items_of,
    output_of,
)
from aigw.stores.base import MissingError, ResponseRecord


async def expand(exchange: Exchange, session: Session, guard: Guard) -> None:
    """Write into the request what it refers to. Raises ClientError where that is not there."""
    check_input(session.input)
    session.context = await before(exchange, session, guard)
    session.resolve(await resolved(session.tenant, session.items, guard))
    check_new(session)
    fields = exchange.payload.edit()
    fields["input"] = [unnamed(item) for item in opened([*session.context, *session.items])]
    for name in ("previous_response_id", "conversation"):
        fields.pop(name, None)


async def before(exchange: Exchange, session: Session, guard: Guard) -> list[Tree]:
    """Return the items that come before those of the request itself."""
    if session.conversation_id is not None:
        return await _of_conversation(session, guard)
    if session.previous_id is None:
        return []
    if exchange.recent is not None and session.previous_id in exchange.recent:
        return exchange.recent[session.previous_id]
    try:
        chain = await guard.ask(guard.store.chain(session.tenant, session.previous_id))
    except MissingError as error:
        raise not_found(session.previous_id, error.id) from error
    chain[-1] = last = await settled(exchange.gateway.responses, chain[-1])
    if last.is_running:
        raise ClientError(
            f"Previous response with id '{session.previous_id}' is still {last.status}.",
            param="previous_response_id",
            code="previous_response_not_ready",
        )
    return [item for record in chain for item in items_in(record)]


def items_in(record: ResponseRecord) -> list[Tree]:
    """Return what a response was given by its own request, and what it put out.

    Of one that has failed, was cancelled or is still running only the former: the rest may be half an item.
    """
    given = items_of(orjson.loads(record.input))
    return [*given, *output_of(orjson.loads(record.body))] if record.status in CONTINUABLE else given


async def _of_conversation(session: Session, guard: Guard) -> list[Tree]:
    assert session.conversation_id is not None  # noqa: S101
    try:
        page = await guard.ask(guard.store.items(session.tenant, session.conversation_id))
    except MissingError as error:
        raise ClientError(
            f"Conversation with id '{session.conversation_id}' not found.",
            param="conversation",
            code="conversation_not_found",
            status=404,
        ) from error
    return [orjson.loads(item.body) for item in page.items]


async def resolved(tenant: str, items: list[Tree], guard: Guard, field: str = "input") -> list[Tree]:
    """Return these items with what they refer to in the place of references. field: where they stand."""
    wanted = [item["id"] for item in items if item["type"] == REFERENCE]
    if not wanted:
        return items
    kept = await guard.ask(guard.store.find_items(tenant, wanted))
    return [_resolve(item, f"{field}[{number}].id", kept) for number, item in enumerate(items)]


def _resolve(item: Tree, path: str, kept: Mapping[str, bytes]) -> Tree:
    if item["type"] != REFERENCE:
        return item
    if item["id"] not in kept:
        raise ClientError(
            f"Item with id '{item['id']}' not found.", param=path, code="item_not_found", status=404
        )
    tree: Tree = orjson.loads(kept[item["id"]])
    return tree


def check_new(session: Session) -> None:
    """Raise ClientError when the request brings what is no item, or one that is there already.

    The latter as OpenAI does; the former here, because once they stand behind others their numbers are wrong.
    """
    known = {item.get("id") for item in session.context}
    for number, item in enumerate(session.items):
        decode_item(item, f"input[{number}]")
        if item["id"] in known:
            raise ClientError(
                f"Duplicate item found with id {item['id']}. Remove duplicate items from your input and try "
                "again.",
                param=f"input[{number}]",
                code="duplicate_item",
            )
        known.add(item["id"])
    check_outputs(session)


def check_outputs(session: Session) -> None:
    """Raise ClientError when the request brings the output of a call that nobody has made.

    What another side has compacted may hold any call: then there is no telling.
    """
    items = [*session.context, *session.items]
    if any(item.get("type") == COMPACTION and not is_readable(item) for item in items):
        return
    made = {item.get("call_id") for item in items if item.get("type") not in OUTPUTS}
    for number, item in enumerate(session.items):
        name = item.get("call_id")
        if item["type"] in OUTPUTS and name not in made:
            raise ClientError(
                f'input[{number}]: no tool call was found with call_id "{name}"; an output answers a call '
                "that came before it",
                param=f"input[{number}].call_id",
                code="tool_call_not_found",
            )


def refers(given: object) -> bool:
    """Tell whether an input holds a reference to an item that is kept."""
    return isinstance(given, list) and any(isinstance(item, dict) and is_reference(item) for item in given)


def unnamed(item: Tree) -> Tree:
    """Return an item as providers are to see it: without a name that the gateway has made.

    What the model has said has a name at OpenAI; one without is written as a client would write it.
    """
    if not is_own(item.get("id")) or is_mcp_item(item):  # those no provider is shown, and they need theirs
        return item
    tree = {name: value for name, value in item.items() if name != "id"}
    match tree:
        case {"type": "message", "role": "assistant", "content": [{"type": "output_text"} as part]}:
            tree.pop("status", None)
            if not part.get("annotations"):
                tree["content"] = part.get("text", "")
    return tree


def not_found(asked: str, missing: str) -> ClientError:
    """Return the error for a response that is to be continued and cannot be."""
    because = "" if missing == asked else f": '{missing}', which it continues, is not there any more"
    return ClientError(
        f"Previous response with id '{asked}' not found{because}.",
        param="previous_response_id",
        code="previous_response_not_found",
        status=400,
    )
