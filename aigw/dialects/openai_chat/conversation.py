"""The `messages` of a request, read into items and written from them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from attrs import evolve

from aigw.dialects.base import Tree
from aigw.dialects.call_ids import unpack_call_id
from aigw.dialects.dropped import lost_extras
from aigw.dialects.fields import synthetic_call_id, text_of, text_or_none
from aigw.dialects.openai_chat.fields import LEGACY, MESSAGE_SCOPE, NAME, STARTS_MESSAGE, keep, restore
from aigw.dialects.openai_chat.messages import decode_assistant, encode_assistant, from_this_format, joins
from aigw.dialects.openai_chat.opaque import OPAQUE_FIELDS, TO_PROVIDER
from aigw.dialects.openai_chat.parts import decode_content, encode_part
from aigw.errors import ClientError, ErrorKind
from aigw.model import (
    ForeignItem,
    FunctionCall,
    FunctionCallOutput,
    Item,
    Message,
    Part,
    Reasoning,
    Request,
    TextPart,
)
from aigw.model.seal import unseal

_PLAIN = frozenset(("role", "content", "name"))
_TOOL = frozenset(("role", "content", "name", "tool_call_id"))


def decode_messages(messages: Any) -> tuple[Item, ...]:
    """Read the conversation. Raises ClientError naming the place, as `messages[0].content`."""
    if not isinstance(messages, list):
        kind = ErrorKind.MISSING_FIELD if messages is None else None
        raise ClientError("messages: expected a list", kind=kind, param="messages")
    items: list[Item] = []
    after_assistant = False
    for number, message in enumerate(messages):
        path = f"messages[{number}]"
        role = _role(message, path)
        if role == "assistant":
            own = decode_assistant(message, path, f"request/{number}")
            if after_assistant:
                own[0] = evolve(own[0], extras=own[0].extras | {STARTS_MESSAGE: True})
            items += own
        else:
            items.append(_decode_other(role, message, path, items))
        after_assistant = role == "assistant"
    return tuple(items)


def _role(message: Any, path: str) -> str:
    if not isinstance(message, dict):
        raise ClientError(f"{path}: expected an object, got {type(message).__name__}", param=path)
    role = message.get("role")
    if not isinstance(role, str):
        kind = ErrorKind.MISSING_FIELD if role is None else None
        raise ClientError(f"{path}.role: expected a string", kind=kind, param=f"{path}.role")
    return role


def _decode_other(role: str, tree: Tree, path: str, before: list[Item]) -> Item:
    parts = decode_content(tree.get("content"), f"{path}.content")
    name = text_or_none(tree.get("name"))
    if role == "tool":
        call_id, _ = unpack_call_id(text_of(tree.get("tool_call_id")))
        extras = keep(tree, _TOOL, MESSAGE_SCOPE)
        return FunctionCallOutput(call_id, parts, name=name, extras=extras)
    if role == "function":
        extras = keep(tree, _PLAIN, MESSAGE_SCOPE) | {LEGACY: True}
        return FunctionCallOutput(_legacy_call_id(name, before), parts, name=name, extras=extras)
    return Message(role, parts, name=name, extras=keep(tree, _PLAIN, MESSAGE_SCOPE))


def _legacy_call_id(name: str | None, before: list[Item]) -> str:
    for item in reversed(before):
        if isinstance(item, FunctionCall) and LEGACY in item.extras and item.name == name:
            return item.call_id
    return synthetic_call_id("request", 0, len(before))


def encode_messages(request: Request, dropped: list[str]) -> list[Tree]:
    """Write the conversation; items an assistant's message can hold together are put together."""
    messages: list[Tree] = []
    if request.instructions is not None:
        messages.append({"role": "system", "content": request.instructions})
    group: dict[str, Item] = {}
    for number, item in enumerate(request.items):
        path = f"items[{number}]"
        if isinstance(item, Reasoning) and not from_this_format(item):
            # A provider that never showed its thinking in this format refuses to take any back.
            dropped.append(path)
            continue
        if group and (not joins(item) or _starts(item, group.values())):
            messages.append(_encode_group(group, dropped))
            group = {}
        if joins(item):
            group[path] = item
        else:
            _append_other(messages, item, path, dropped)
    if group:
        messages.append(_encode_group(group, dropped))
    return messages


def _encode_group(group: dict[str, Item], dropped: list[str]) -> Tree:
    for path, item in group.items():
        dropped += lost_extras(NAME, item.extras, path)
        if isinstance(item, FunctionCall) and item.signature is not None:
            dropped.append(f"{path}.signature")
        if isinstance(item, Message) and item.phase is not None:
            dropped.append(f"{path}.phase")
        if isinstance(item, Reasoning):
            values = {field: getattr(item, field) for field in OPAQUE_FIELDS}
            foreign = [field for field, value in values.items() if value and unseal(NAME, value) is None]
            dropped += [f"{path}.{field}" for field in foreign]
    return encode_assistant(list(group.values()), TO_PROVIDER, dropped, list(group))


def _starts(item: Item, group: Collection[Item]) -> bool:
    if STARTS_MESSAGE in item.extras:
        return True
    # A message may not part tool calls from their outputs.
    if any(isinstance(known, FunctionCall) for known in group):
        return False
    if isinstance(item, Message | Reasoning):
        return any(isinstance(known, Message) for known in group)
    return False


def _append_other(messages: list[Tree], item: Item, path: str, dropped: list[str]) -> None:
    dropped += lost_extras(NAME, item.extras, path)
    match item:
        case Message():
            messages.append(_encode_message(item, path, dropped))
        case FunctionCallOutput():
            messages.append(_encode_output(item, path, dropped))
        case ForeignItem(origin=origin, tree=tree) if origin == NAME:
            messages.append(tree)
        case _:
            dropped.append(path)


def _encode_message(item: Message, path: str, dropped: list[str]) -> Tree:
    tree: Tree = {"role": item.role, "content": _encode_content(item.parts, path, dropped)}
    if item.name is not None:
        tree["name"] = item.name
    return tree | restore(item.extras, MESSAGE_SCOPE)


def _encode_output(item: FunctionCallOutput, path: str, dropped: list[str]) -> Tree:
    content = _encode_content(item.parts, path, dropped)
    if item.is_error:
        dropped.append(f"{path}.is_error")
    extras = restore(item.extras, MESSAGE_SCOPE)
    if LEGACY in item.extras:
        return {"role": "function", "name": item.name or "", "content": content, **extras}
    tree: Tree = {"role": "tool", "tool_call_id": item.call_id, "content": content}
    if item.name is not None:
        tree["name"] = item.name
    return tree | extras


def _encode_content(parts: tuple[Part, ...], path: str, dropped: list[str]) -> str | list[Tree]:
    if not parts:
        return ""
    for number, part in enumerate(parts):
        dropped += lost_extras(NAME, part.extras, f"{path}.parts[{number}]")
    if len(parts) == 1 and isinstance(parts[0], TextPart) and not restore(parts[0].extras):
        return parts[0].text
    content = []
    for number, part in enumerate(parts):
        encoded = encode_part(part)
        if encoded is None:
            dropped.append(f"{path}.parts[{number}]")
        else:
            content.append(encoded)
    return content
