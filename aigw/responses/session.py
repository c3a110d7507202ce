"""What one request for a response has to do with others: what it continues, and whether it is kept.

Owns reading and checking those fields of the request, its own items with a name for each, and what answers
repeat of it. Asks no store.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from attrs import define, evolve, field

from aigw.dialects.base import Tree
from aigw.errors import ClientError, ErrorKind
from aigw.model import Request
from aigw.responses.ids import given_item_id, new_item_id, new_response_id
from aigw.responses.metadata import read_metadata
from aigw.stores.base import ItemRecord, ResponseRecord

REFERENCE = "item_reference"
NUMBER = (int, float)
CONTINUABLE = frozenset({"completed", "incomplete"})
"""States of a response that leave something to go on from."""


@define(eq=False)
class Session:
    """One request's place among others.

    id: the response's name where the gateway makes it. stored: it is to be kept.
    input: what the request itself brings. context: the items before them, from the store.
    """

    tenant: str
    id: str = field(factory=new_response_id)
    stored: bool = True
    background: bool = False
    previous_id: str | None = None
    conversation_id: str | None = None
    input: object = None
    context: list[Tree] = field(factory=list)
    _items: list[Tree] | None = None

    @property
    def continues(self) -> bool:
        return self.previous_id is not None or self.conversation_id is not None

    @property
    def items(self) -> list[Tree]:
        """The request's own items, each with an id; the same ones at every asking."""
        if self._items is None:
            items = items_of(self.input)
            if isinstance(self.input, str):  # the usual case, and a fresh item: it is named in its place
                items[0]["id"] = given_item_id(self.id, "message", 0)
            self._items = named(items, self.id)
        return self._items

    def resolve(self, items: list[Tree]) -> None:
        """Take these in the place of the request's own items: what their references stand for."""
        self._items = items

    @property
    def patch(self) -> Tree:
        """The fields of the response object that only the gateway knows the truth of."""
        tree: Tree = {
            "previous_response_id": self.previous_id,
            "store": self.stored,
            "background": self.background,
        }
        if self.conversation_id is not None:
            tree["conversation"] = {"id": self.conversation_id}
        return tree

    def echo(self, request: Request) -> Request:
        """Return the request as its answer repeats it: what the client has said, not what became of it."""
        extras = dict(request.extras)
        extras["openresponses:background"] = self.background
        if self.conversation_id is not None:
            extras["openresponses:conversation"] = {"id": self.conversation_id}
        return evolve(request, previous_response_id=self.previous_id, store=self.stored, extras=extras)

    def record(self, response: Tree, body: bytes | None = None) -> ResponseRecord:
        """Return what is kept of this request and its response. body: the response, if it is written yet."""
        output = output_of(response)
        created = response.get("created_at")
        items = self.items
        ids = [item["id"] for item in (*items, *output) if isinstance(item.get("id"), str)]
        return ResponseRecord(
            tenant=self.tenant,
            id=response["id"],
            created_at=float(created) if isinstance(created, NUMBER) else 0.0,
            status=status_of(response),
            body=orjson.dumps(response) if body is None else body,
            input=orjson.dumps(items),
            previous_id=self.previous_id,
            conversation_id=self.conversation_id,
            item_ids=tuple(ids),
        )

    def added(self, response: Tree) -> list[ItemRecord]:
        """Return what this request adds to its conversation: of one that has failed, nothing."""
        if self.conversation_id is None or status_of(response) not in CONTINUABLE:
            return []
        taken = {item.get("id") for item in self.context}
        items = [*self.items, *named(output_of(response))]
        for place, item in enumerate(items):
            if item["id"] in taken:  # some providers name every answer the same
                items[place] = {**item, "id": new_item_id(item["type"])}
            taken.add(item["id"])
        return [ItemRecord(item["id"], orjson.dumps(item)) for item in items]


def read_session(tenant: str, fields: Mapping[str, Any]) -> Session:
    """Read what a request says of others. Raises ClientError naming the field that cannot be used."""
    session = Session(
        tenant,
        stored=_flag(fields, "store", default=True),
        background=_flag(fields, "background", default=False),
        previous_id=_name(fields.get("previous_response_id"), "previous_response_id"),
        conversation_id=_conversation(fields.get("conversation")),
        input=fields.get("input"),
    )
    if session.previous_id is not None and session.conversation_id is not None:
        raise ClientError(
            "previous_response_id and conversation exclude each other; send one of them",
            param="previous_response_id",
        )
    if "metadata" in fields:
        read_metadata(fields["metadata"])
    if session.background and not session.stored:
        raise ClientError("background needs store; leave store out, or set it to true", param="store")
    return session


def status_of(response: Tree) -> str:
    """Return the state of a response; one that does not say has ended well."""
    return str(response.get("status") or "completed")


def check_input(given: object) -> None:
    """Raise ClientError unless `given` can be an `input`: nothing at all, a text, or a list of objects."""
    if given is not None and not isinstance(given, str):
        check_items(given, "input")


def check_items(given: object, field: str) -> None:
    """Raise ClientError unless `given`, which stands in the field of this name, is a list of objects."""
    if not isinstance(given, list):
        raise ClientError(f"{field}: expected a list of items, got {_seen(given)}", param=field)
    for number, item in enumerate(given):
        path = f"{field}[{number}]"
        if not isinstance(item, dict):
            raise ClientError(f"{path}: expected an object, got {_seen(item)}", param=path)
        if is_reference(item) and not isinstance(item.get("id"), str):
            raise ClientError(
                f"{path}.id: expected the id of an item", kind=ErrorKind.MISSING_FIELD, param=f"{path}.id"
            )


def is_reference(item: Tree) -> bool:
    """Tell whether an item only names another one. Its type may be left out: then it is nothing but an id."""
    kind = item.get("type")
    return kind == REFERENCE or (kind is None and "id" in item and "role" not in item)


def items_of(given: object) -> list[Tree]:
    """Return the items that an `input` stands for; what is no item stays out, a codec has words for it."""
    if isinstance(given, str):
        text = {"type": "input_text", "text": given}
        return [{"type": "message", "role": "user", "content": [text]}]
    return [item for item in given if isinstance(item, dict)] if isinstance(given, list) else []


def output_of(response: Tree) -> list[Tree]:
    """Return the items a response put out."""
    return items_of(response.get("output") or [])


def named(items: list[Tree], response_id: str | None = None) -> list[Tree]:
    """Return these items, each with a type and an id; one that has both stays the very same.

    response_id: the response whose request brings them; new ids then hold its name.
    """
    return [
        item if item.get("type") and _has_name(item) else _named(item, response_id, place)
        for place, item in enumerate(items)
    ]


def _has_name(item: Tree) -> bool:
    return isinstance(item.get("id"), str) and item["id"] != ""


def _named(item: Tree, response_id: str | None, place: int) -> Tree:
    kind = item.get("type") or (REFERENCE if is_reference(item) else "message")
    if _has_name(item):
        return {**item, "type": kind}
    name = new_item_id(kind) if response_id is None else given_item_id(response_id, kind, place)
    return {**item, "type": kind, "id": name}


def _flag(fields: Mapping[str, Any], name: str, *, default: bool) -> bool:
    value = fields.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise ClientError(f"{name} must be true or false, got {_seen(value)}", param=name)
    return value


def _name(value: object, param: str) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value:
        raise ClientError(f"{param} must be a text that is not empty, got {_seen(value)}", param=param)
    return value


def _conversation(value: object) -> str | None:
    if isinstance(value, dict):
        return _name(value.get("id") or "", "conversation.id")
    return _name(value, "conversation")


def _seen(value: object) -> str:
    return orjson.dumps(value).decode()[:40]
