"""Redaction of whole things: texts, JSON texts, canonical items, and trees without a codec.

Owns that a thing with nothing in it to redact stays the very same, so that its bytes do too.
"""

from __future__ import annotations

from typing import Any

from attrs import evolve, frozen

from aigw.model import (
    Choice,
    FunctionCall,
    Item,
    Message,
    Part,
    Request,
    Response,
    map_request_text,
    map_response_text,
)
from aigw_redact.json_text import redact_json
from aigw_redact.redactor import Count, Redactor
from aigw_redact.walk import walk


@frozen
class Whole:
    """A redactor for whole things. count: told of every redaction."""

    redactor: Redactor
    count: Count

    def text(self, text: str) -> str:
        return self.redactor.redact(text, self.count)

    def json(self, text: str) -> str:
        return redact_json(self.redactor, text, self.count)

    def tree(self, tree: Any) -> Any:
        """Redact the strings of a JSON tree, less those that are structure."""
        return walk(tree, self.text, self.json)

    def request(self, request: Request) -> Request:
        rest = map_request_text(evolve(request, items=()), self.text)
        return evolve(rest, items=tuple(map(self.item, request.items)))

    def response(self, response: Response) -> Response:
        choices = [evolve(choice, items=tuple(map(self.item, choice.items))) for choice in response.choices]
        return evolve(response, choices=tuple(choices))

    def item(self, item: Item) -> Item:
        """Redact one item; a call's arguments as the stream does it, numbers included."""
        if isinstance(item, FunctionCall) and not item.freeform:
            return evolve(item, arguments=self.json(item.arguments))
        return map_response_text(Response(choices=(Choice(items=(item,)),)), self.text).items[0]

    def part(self, part: Part) -> Part:
        """Redact one part of a message."""
        message = self.item(Message("assistant", (part,)))
        return message.parts[0] if isinstance(message, Message) else part
