"""Items read: messages, tool calls and their outputs, thinking. What is none of these stays as it came."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from aigw.dialects.base import Tree
from aigw.dialects.call_ids import unpack_call_id
from aigw.dialects.fields import list_of, object_of, synthetic_call_id, text_of, text_or_none
from aigw.dialects.openresponses.fields import NAME, OWN_REASONING, keep
from aigw.dialects.openresponses.ids import own_id
from aigw.dialects.openresponses.opaque import unpack
from aigw.dialects.openresponses.parts import decode_content
from aigw.errors import ClientError, ErrorKind
from aigw.model import ForeignItem, FunctionCall, FunctionCallOutput, Item, Message, Reasoning
from aigw.model.seal import seal

_MESSAGE = frozenset(("type", "id", "status", "role", "content", "phase"))
_CALL = frozenset(("type", "id", "status", "call_id", "name", "arguments"))
_CUSTOM_CALL = frozenset(("type", "id", "status", "call_id", "name", "input"))
_OUTPUT = frozenset(("type", "id", "status", "call_id", "output", "name"))
_REASONING = frozenset(("type", "id", "status", "summary", "content", "encrypted_content"))


def decode_item(tree: Any, path: str) -> Item:
    """Read one item. Raises ClientError naming the place, as `input[0].content`."""
    if not isinstance(tree, dict):
        raise ClientError(f"{path}: expected an object, got {type(tree).__name__}", param=path)
    kind = tree.get("type")
    decode = _DECODE.get(str(kind)) if kind is not None else None
    if decode is None and kind is None and "role" in tree:
        decode = _message
    return ForeignItem(NAME, tree) if decode is None else decode(tree, path)


def _message(tree: Tree, path: str) -> Item:
    role = tree.get("role")
    if not isinstance(role, str):
        kind = ErrorKind.MISSING_FIELD if role is None else None
        raise ClientError(f"{path}.role: expected a string", kind=kind, param=f"{path}.role")
    return Message(
        role,
        decode_content(tree.get("content"), f"{path}.content"),
        own_id(tree.get("id")),
        text_or_none(tree.get("status")),
        text_or_none(tree.get("phase")),
        extras=keep(tree, _MESSAGE),
    )


def _call(tree: Tree, path: str) -> Item:
    arguments = tree.get("arguments")
    if not isinstance(arguments, str):  # some servers send the object itself
        arguments = "" if arguments is None else orjson.dumps(arguments).decode()
    return _any_call(tree, path, arguments, _CALL, freeform=False)


def _custom_call(tree: Tree, path: str) -> Item:
    return _any_call(tree, path, text_of(tree.get("input")), _CUSTOM_CALL, freeform=True)


def _any_call(tree: Tree, path: str, text: str, known: frozenset[str], *, freeform: bool) -> Item:
    written = text_of(tree.get("call_id")) or text_of(tree.get("id"))
    call_id, signature = unpack_call_id(written or synthetic_call_id(path, 0, 0))
    return FunctionCall(
        call_id,
        text_of(tree.get("name")),
        text,
        own_id(tree.get("id")),
        text_or_none(tree.get("status")),
        freeform=freeform,
        signature=None if signature is None else seal(NAME, signature),
        extras=keep(tree, known),
    )


def _output(tree: Tree, path: str) -> Item:
    call_id = tree.get("call_id")
    if not isinstance(call_id, str):
        kind = ErrorKind.MISSING_FIELD if call_id is None else None
        raise ClientError(f"{path}.call_id: expected a string", kind=kind, param=f"{path}.call_id")
    return FunctionCallOutput(
        unpack_call_id(call_id)[0],
        decode_content(tree.get("output"), f"{path}.output"),
        id=own_id(tree.get("id")),
        status=text_or_none(tree.get("status")),
        name=text_or_none(tree.get("name")),
        freeform=tree.get("type") == "custom_tool_call_output",
        extras=keep(tree, _OUTPUT),
    )


def _reasoning(tree: Tree, _path: str) -> Item:
    extras = keep(tree, _REASONING)
    if not tree.get("id"):
        extras |= {OWN_REASONING: True}
    item = Reasoning(
        summary=_texts(tree.get("summary")),
        content=_texts(tree.get("content")),
        id=own_id(tree.get("id")),
        status=text_or_none(tree.get("status")),
        extras=extras,
    )
    return unpack(item, tree.get("encrypted_content"))


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(text_of(object_of(part).get("text")) for part in list_of(value))


_DECODE: dict[str, Callable[[Tree, str], Item]] = {
    "message": _message,
    "function_call": _call,
    "custom_tool_call": _custom_call,
    "function_call_output": _output,
    "custom_tool_call_output": _output,
    "reasoning": _reasoning,
}
