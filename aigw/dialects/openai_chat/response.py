"""A whole chat completion: tree to `Response` and back."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from aigw.dialects.base import Tree
from aigw.dialects.fields import int_or_none, object_of, text_of, text_or_none
from aigw.dialects.openai_chat.errors import error_from_tree
from aigw.dialects.openai_chat.fields import LOGPROBS, REASONING_DETAILS, keep, logprobs_of, restore
from aigw.dialects.openai_chat.finish import decode_finish, encode_finish
from aigw.dialects.openai_chat.messages import KNOWN_MESSAGE, decode_assistant, encode_assistant
from aigw.dialects.openai_chat.opaque import TO_CLIENT
from aigw.dialects.openai_chat.usage import encode_usage, read_usage
from aigw.errors import ClientError, ProtocolError
from aigw.model import (
    Choice,
    Extras,
    FinishReason,
    Item,
    Message,
    Reasoning,
    RefusalPart,
    Request,
    Response,
    TextPart,
)

_KNOWN = frozenset(("id", "object", "created", "model", "choices", "usage", "service_tier"))
_CHOICE = frozenset(("index", "message", "finish_reason", "logprobs"))
CHOICE_MESSAGE = "@message/"


def decode_response(tree: Tree) -> Response:
    """Read a completion. Raises ProtocolError on what is none, and the error it tells if it tells one."""
    choices = tree.get("choices")
    if not isinstance(choices, list):
        if tree.get("error"):
            raise error_from_tree(tree)
        raise ProtocolError(f"choices: expected a list, got {type(choices).__name__}")
    response_id = text_or_none(tree.get("id")) or None
    return Response(
        id=response_id,
        model=text_or_none(tree.get("model")),
        created=int_or_none(tree.get("created")),
        choices=tuple(_decode_choice(choice, number, response_id) for number, choice in enumerate(choices)),
        usage=read_usage(tree),
        service_tier=text_or_none(tree.get("service_tier")) or None,
        extras=keep(tree, _KNOWN),
    )


def _decode_choice(tree: Any, number: int, seed: str | None) -> Choice:
    if not isinstance(tree, dict) or not isinstance(tree.get("message"), dict):
        raise ProtocolError(f"choices[{number}].message: expected an object")
    message = tree["message"]
    index = int_or_none(tree.get("index"))
    index = number if index is None else index
    extras = keep(tree, _CHOICE) | keep(message, KNOWN_MESSAGE, CHOICE_MESSAGE)
    known = {key: value for key, value in message.items() if key in KNOWN_MESSAGE}
    try:
        items = decode_assistant(known, f"choices[{number}].message", seed, index)
    except ClientError as error:
        raise ProtocolError(str(error)) from error
    items = _with_logprobs(items, object_of(tree.get("logprobs")), extras)
    word = text_of(tree.get("finish_reason"))
    return Choice(
        items=tuple(item for item in items if not _says_nothing(item)),
        finish_reason=decode_finish(word) if word else None,
        finish_raw=word or None,
        index=index,
        extras=extras,
    )


def _says_nothing(item: Item) -> bool:
    if isinstance(item, Reasoning):
        return item.content == ("",) and REASONING_DETAILS not in item.extras
    return isinstance(item, Message) and item.parts in ((), (TextPart(""),)) and item.name is None


def _with_logprobs(items: list[Item], logprobs: Tree, extras: Extras) -> list[Item]:
    content = logprobs_of(logprobs.get("content"))
    refusal = logprobs_of(logprobs.get("refusal"))
    result: list[Item] = []
    for item in items:
        if not isinstance(item, Message):
            result.append(item)
            continue
        parts = list(item.parts)
        for number, part in enumerate(parts):
            if isinstance(part, TextPart) and part.text and content:
                parts[number], content = evolve(part, logprobs=content), ()
            elif isinstance(part, RefusalPart) and refusal:
                parts[number], refusal = evolve(part, logprobs=refusal), ()
        result.append(evolve(item, parts=tuple(parts)))
    if content or refusal:  # of tool calls, say: they have no text to belong to
        extras[LOGPROBS] = {"content": list(content) or None, "refusal": list(refusal) or None}
    return result


def encode_response(response: Response, request: Request | None) -> Tree:
    """Write a completion in the shape OpenAI's own clients parse."""
    tree: Tree = {
        "id": response.id or "",
        "object": "chat.completion",
        "created": response.created or 0,
        "model": response.model or (request.model if request is not None else ""),
        "choices": [_encode_choice(choice) for choice in response.choices],
    }
    if response.usage is not None:
        tree["usage"] = encode_usage(response.usage)
    if response.service_tier is not None:
        tree["service_tier"] = response.service_tier
    return tree | restore(response.extras)


def _encode_choice(choice: Choice) -> Tree:
    message = encode_assistant(choice.items, TO_CLIENT, [])
    message.setdefault("refusal", None)
    message |= restore(choice.extras, CHOICE_MESSAGE)
    return {
        "index": choice.index,
        "message": message,
        "logprobs": _encode_logprobs(choice),
        "finish_reason": encode_finish(choice.finish_reason or _likely_finish(choice), choice.finish_raw),
        **restore(choice.extras),
    }


def _likely_finish(choice: Choice) -> FinishReason:
    # Snowflake leaves the reason empty; a caller's loop looks there for tool calls to make.
    return FinishReason.TOOL_CALLS if choice.calls else FinishReason.STOP


def _encode_logprobs(choice: Choice) -> Tree | None:
    parts = [part for item in choice.items if isinstance(item, Message) for part in item.parts]
    content = [prob for part in parts if isinstance(part, TextPart) for prob in part.logprobs]
    refusal = [prob for part in parts if isinstance(part, RefusalPart) for prob in part.logprobs]
    if not content and not refusal:
        return None
    return {"content": content or None, "refusal": refusal or None}
