"""Every text a person or a model reads, mapped by one function: the ground for redaction.

Owns the knowledge of where texts stand in a request and in a response. Opaque fields (signatures,
ids, base64) are no texts and stay. Knows no wire format.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from attrs import evolve

from aigw.model.extras import Extras, JsonObject
from aigw.model.items import ForeignItem, FunctionCall, FunctionCallOutput, Item, Message, Reasoning
from aigw.model.parts import AudioPart, FilePart, ForeignPart, Part, RefusalPart, TextPart
from aigw.model.request import Request
from aigw.model.response import Response

MapText = Callable[[str], str]

# Names under which formats keep text in what the vocabulary does not model; the rest of a foreign
# tree is types, ids and numbers.
_TEXT_KEYS = frozenset(
    [
        "text",
        "content",
        "input",
        "output",
        "arguments",
        "summary",
        "thinking",
        "transcript",
        "refusal",
        "query",
    ]
)


def map_request_text(request: Request, fn: MapText) -> Request:
    """Return the request with `fn` applied to each text of its conversation and instructions."""
    return evolve(
        request,
        instructions=None if request.instructions is None else fn(request.instructions),
        items=tuple(_item(item, fn) for item in request.items),
    )


def map_response_text(response: Response, fn: MapText) -> Response:
    """Return the response with `fn` applied to each text of every choice."""
    choices = tuple(
        evolve(choice, items=tuple(_item(item, fn) for item in choice.items)) for choice in response.choices
    )
    return evolve(response, choices=choices)


def _item(item: Item, fn: MapText) -> Item:
    match item:
        case Message():
            return evolve(item, parts=_parts(item.parts, fn))
        case FunctionCall():
            text = fn(item.arguments) if item.freeform else _arguments(item.arguments, fn)
            return evolve(item, arguments=text)
        case FunctionCallOutput():
            return evolve(item, parts=_parts(item.parts, fn))
        case Reasoning():
            return evolve(
                item,
                summary=tuple(map(fn, item.summary)),
                content=tuple(map(fn, item.content)),
                extras=_tree(item.extras, fn),
            )
        case ForeignItem():
            return evolve(item, tree=_tree(item.tree, fn))


def _parts(parts: tuple[Part, ...], fn: MapText) -> tuple[Part, ...]:
    return tuple(_part(part, fn) for part in parts)


def _part(part: Part, fn: MapText) -> Part:
    match part:
        case TextPart() | RefusalPart():
            text = fn(part.text)
            # Token by token the old text could still be read.
            return evolve(part, text=text, logprobs=part.logprobs if text == part.text else ())
        case AudioPart(transcript=str(transcript)):
            return evolve(part, transcript=fn(transcript))
        case FilePart():
            title = None if part.title is None else fn(part.title)
            return evolve(part, title=title, context=None if part.context is None else fn(part.context))
        case ForeignPart():
            return evolve(part, tree=_tree(part.tree, fn))
        case _:
            return part


def _arguments(text: str, fn: MapText) -> str:
    # Inside JSON a text is escaped, so that `fn` could miss it, and a replacement could break it.
    try:
        tree = json.loads(text)
    except ValueError:
        return fn(text)
    mapped = _leaves(tree, fn)
    return text if mapped == tree else json.dumps(mapped, ensure_ascii=False, separators=(",", ":"))


def _leaves(tree: Any, fn: MapText) -> Any:
    if isinstance(tree, str):
        return fn(tree)
    if isinstance(tree, list):
        return [_leaves(value, fn) for value in tree]
    if isinstance(tree, dict):
        return {key: _leaves(value, fn) for key, value in tree.items()}
    return tree


def _tree(tree: Extras | JsonObject, fn: MapText) -> JsonObject:
    return {key: _value(key, value, fn) for key, value in tree.items()}


def _value(key: str, value: Any, fn: MapText) -> Any:
    if isinstance(value, str):
        return fn(value) if key in _TEXT_KEYS else value
    if isinstance(value, list):
        return [_value(key, element, fn) for element in value]
    if isinstance(value, dict):
        return _tree(value, fn)
    return value
