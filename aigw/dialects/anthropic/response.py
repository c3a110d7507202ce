"""A whole message: tree to `Response` and back."""

from __future__ import annotations

from typing import Any

from aigw.dialects.anthropic.blocks import blocks_of
from aigw.dialects.anthropic.content import decode_blocks, encode_items
from aigw.dialects.anthropic.errors import error_from_tree
from aigw.dialects.anthropic.fields import NAME, keep, restore
from aigw.dialects.anthropic.finish import decode_finish, encode_finish
from aigw.dialects.anthropic.usage import decode_tier, encode_tier, encode_usage, read_usage
from aigw.dialects.base import Tree
from aigw.dialects.fields import text_of, text_or_none
from aigw.errors import ClientError, ProtocolError
from aigw.model import (
    Choice,
    Extras,
    FinishReason,
    Item,
    Message,
    RefusalPart,
    Request,
    Response,
    TextPart,
)

KNOWN_MESSAGE = frozenset(("id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"))
UNKNOWN_ID = "msg_0"
# A reason that this format has learnt since.
STOP_REASON = f"{NAME}:@stop_reason"


def decode_response(tree: Tree) -> Response:
    """Read a message. Raises ProtocolError on what is none, and the error it tells if it tells one."""
    content = tree.get("content")
    if not isinstance(content, list):
        if tree.get("error"):
            raise error_from_tree(tree)
        raise ProtocolError(f"content: expected a list, got {type(content).__name__}")
    return Response(
        id=text_or_none(tree.get("id")) or None,
        model=text_or_none(tree.get("model")),
        choices=(_decode_choice(tree, content),),
        usage=read_usage(tree),
        service_tier=decode_tier(tree.get("usage")),
        extras=keep(tree, KNOWN_MESSAGE),
    )


def _decode_choice(tree: Tree, content: list[Any]) -> Choice:
    try:
        items = decode_blocks(blocks_of(content, "content"), "content")
    except ClientError as error:  # from the block decoders, which requests share
        raise ProtocolError(error.message) from error
    word = text_of(tree.get("stop_reason"))
    reason = decode_finish(word)
    return Choice(
        items=tuple(item for item in map(_without_empty_texts, items) if item is not None),
        finish_reason=reason if word else None,
        finish_raw=word or None,
        stop_sequence=text_or_none(tree.get("stop_sequence")),
        extras=unknown_reason(word, reason),
    )


def unknown_reason(word: str, reason: FinishReason) -> Extras:
    """Return the note that keeps a reason nobody knows yet for this format's own clients."""
    return {STOP_REASON: word} if word and reason is FinishReason.UNKNOWN else {}


def _without_empty_texts(item: Item) -> Item | None:
    # A stream cannot tell them at all.
    if not isinstance(item, Message):
        return item
    parts = tuple(part for part in item.parts if part != TextPart(""))
    return Message(item.role, parts) if parts else None


def encode_response(response: Response, request: Request | None) -> Tree:
    """Write a message in the shape Anthropic's own clients parse. It has room for one choice: the first."""
    choice = response.choices[0] if response.choices else Choice()
    refused = any(
        isinstance(part, RefusalPart)
        for item in choice.items
        if isinstance(item, Message)
        for part in item.parts
    )
    word = choice.extras.get(STOP_REASON)
    if not isinstance(word, str):
        word = encode_finish(choice.finish_reason, calls=bool(choice.calls), refused=refused)
    return {
        "id": response.id or UNKNOWN_ID,
        "type": "message",
        "role": "assistant",
        "model": response.model or (request.model if request is not None else ""),
        "content": encode_items(choice.items),
        "stop_reason": word,
        "stop_sequence": choice.stop_sequence,
        "usage": encode_usage(response.usage) | encode_tier(response.service_tier),
        **restore(response.extras),
    }
