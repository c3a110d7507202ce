"""Items of an answer written, whole or as far as they have come: each with an id and a status."""

from __future__ import annotations

from aigw.dialects.base import Tree
from aigw.dialects.call_ids import pack_call_id
from aigw.dialects.fields import put
from aigw.dialects.openresponses.fields import NAME, restore
from aigw.dialects.openresponses.ids import synthetic_item_id
from aigw.dialects.openresponses.opaque import pack
from aigw.dialects.openresponses.parts import encode_input, encode_output
from aigw.model import (
    ForeignItem,
    FunctionCall,
    FunctionCallOutput,
    Item,
    Message,
    Reasoning,
    TextPart,
)

# States an item stays in. A server may forget to set one at the end.
FINAL = frozenset(("completed", "incomplete", "failed"))


def prefix_of(item: Item) -> str:
    """Return how OpenAI begins the ids of items of this type."""
    match item:
        case Message():
            return "msg"
        case FunctionCall():
            return "ctc" if item.freeform else "fc"
        case FunctionCallOutput():
            return "ctco" if item.freeform else "fco"
        case Reasoning():
            return "rs"
        case ForeignItem():
            return "item"


def encode_output_item(item: Item, response_id: str | None, index: int, status: str) -> Tree | None:
    """Write the item number `index` of an answer; None when this format cannot hold it.

    status: of an item that does not say its own, or is said to be in progress.
    """
    if isinstance(item, ForeignItem):
        return item.tree if item.origin == NAME else None
    item_id = item.id or synthetic_item_id(prefix_of(item), response_id, index)
    final = item.status if item.status in FINAL else status
    return _encode(item, item_id, final) | restore(item.extras)


def _encode(item: Message | FunctionCall | FunctionCallOutput | Reasoning, item_id: str, status: str) -> Tree:
    match item:
        case Message():
            content = [tree for part in item.parts if (tree := encode_output(part)) is not None]
            message: Tree = {"id": item_id, "type": "message", "status": status}
            put(message, "phase", item.phase)
            return message | {"role": item.role, "content": content}
        case FunctionCall():
            kind, field = ("custom_tool_call", "input") if item.freeform else ("function_call", "arguments")
            return {
                "id": item_id,
                "type": kind,
                "status": status,
                "call_id": pack_call_id(item.call_id, item.signature),
                "name": item.name,
                field: item.arguments,
            }
        case FunctionCallOutput():
            return {
                "id": item_id,
                "type": "custom_tool_call_output" if item.freeform else "function_call_output",
                "status": status,
                "call_id": item.call_id,
                "output": encode_tool_output(item)[0],
            }
        case Reasoning():
            return _encode_reasoning(item, item_id, status)


def _encode_reasoning(item: Reasoning, item_id: str, status: str) -> Tree:
    tree: Tree = {
        "id": item_id,
        "type": "reasoning",
        "status": status,
        "summary": [{"type": "summary_text", "text": text} for text in item.summary],
    }
    if item.content:
        tree["content"] = [{"type": "reasoning_text", "text": text} for text in item.content]
    put(tree, "encrypted_content", pack(item))
    return tree


def encode_tool_output(item: FunctionCallOutput) -> tuple[str | list[Tree], list[int]]:
    """Write what a tool answered; second, the numbers of the parts this format cannot hold."""
    parts = item.parts
    if not parts:
        return "", []
    if len(parts) == 1 and isinstance(parts[0], TextPart) and not restore(parts[0].extras):
        return parts[0].text, []
    trees = [encode_input(part) for part in parts]
    lost = [number for number, tree in enumerate(trees) if tree is None]
    return [tree for tree in trees if tree is not None], lost
