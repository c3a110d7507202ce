"""An assistant's blocks as items, and items as an assistant's blocks: of requests and of responses.

Neighbouring text blocks are the parts of one Message; thinking and tool calls are items of their own;
a block that only this format has (a hosted tool's call or result) is a ForeignItem.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import evolve

from aigw.dialects.anthropic.blocks import decode_block, encode_document, encode_image
from aigw.dialects.anthropic.calls import decode_call, encode_call, encode_input
from aigw.dialects.anthropic.citations import encode_citations
from aigw.dialects.anthropic.fields import NAME, restore
from aigw.dialects.anthropic.opaque import carried, carrier
from aigw.dialects.anthropic.reasoning import decode_redacted, decode_thinking, encode_for_client
from aigw.dialects.base import Tree
from aigw.dialects.fields import text_of
from aigw.model import (
    AudioPart,
    FilePart,
    ForeignItem,
    ForeignPart,
    FunctionCall,
    ImagePart,
    Item,
    Message,
    Part,
    Reasoning,
    RefusalPart,
    TextPart,
)

# What a message is made of; any other block stands for itself.
PARTS = frozenset(("text", "image", "document"))


def decode_blocks(blocks: Iterable[Tree], path: str) -> list[Item]:
    """Read an assistant's blocks."""
    items: list[Item] = []
    parts: list[Part] = []
    signature: str | None = None
    for number, block in enumerate(blocks):
        if signature is not None and block.get("type") != "text":
            parts.append(TextPart("", signature=signature))
            signature = None
        if (found := carried(block)) is not None:
            signature = found
        elif text_of(block.get("type")) in PARTS:
            part = decode_block(block, f"{path}[{number}]")
            parts.append(evolve(part, signature=signature) if isinstance(part, TextPart) else part)
            signature = None
        else:
            if parts:
                items.append(Message("assistant", tuple(parts)))
                parts = []
            items.append(_decode_item(block))
    if signature is not None:
        parts.append(TextPart("", signature=signature))
    if parts:
        items.append(Message("assistant", tuple(parts)))
    return items


def _decode_item(block: Tree) -> Item:
    match block.get("type"):
        case "thinking":
            return decode_thinking(block)
        case "redacted_thinking":
            return decode_redacted(block)
        case "tool_use":
            return decode_call(block)
    return ForeignItem(NAME, block)


def encode_items(items: Iterable[Item]) -> list[Tree]:
    """Write an answer's items as the blocks a client is shown."""
    blocks: list[Tree] = []
    for item in items:
        match item:
            case Message():
                for part in item.parts:
                    blocks += encode_part(part)
            case FunctionCall():
                blocks.append(encode_call(item, encode_input(item), for_client=True))
            case Reasoning():
                blocks += encode_for_client(item)
            case ForeignItem(origin=origin, tree=tree) if origin == NAME:
                blocks.append(tree)
            case _:
                pass
    return blocks


def encode_part(part: Part) -> list[Tree]:
    """Write one part of an answer; a text may take a second block for its signature."""
    match part:
        case TextPart(text="", annotations=()):
            return [] if part.signature is None else [carrier(part.signature)]
        case TextPart(text=text):
            block: Tree = {"type": "text", "text": text}
            citations = encode_citations(part)
            if citations:
                block["citations"] = citations
            block |= restore(part.extras)
            return [block] if part.signature is None else [carrier(part.signature), block]
        case RefusalPart(text=text) if text:
            return [{"type": "text", "text": text}]
        case AudioPart(transcript=str(text)) if text:
            return [{"type": "text", "text": text}]
        case ImagePart():
            found = encode_image(part)
        case FilePart():
            found = encode_document(part)
        case ForeignPart(origin=origin, tree=tree) if origin == NAME:
            found = tree
        case _:
            found = None
    return [] if found is None else [found]
