"""Tool calls: `tool_use` blocks, read and written.

This format wants arguments as an object, and ids of letters, digits, "_" and "-". What is neither is
mapped so that it can be mapped back: the caller's own names must hold through a whole conversation.
A call's signature has no field: a client keeps it in the id, see `aigw.dialects.call_ids`.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from aigw.dialects.anthropic.fields import keep, restore
from aigw.dialects.base import Tree
from aigw.dialects.call_ids import pack_call_id, unpack_call_id
from aigw.dialects.fields import text_of
from aigw.model import FunctionCall

_CALL = frozenset(("type", "id", "name", "input"))
_PLAIN_ID = re.compile(r"[a-zA-Z0-9_-]+")
_ODD_BYTE = re.compile(rb"[^a-zA-Z0-9-]")
_ESCAPE = re.compile(rb"_([0-9a-f]{2})")
_MAPPED_ID = "aigw-id_"
_UNPARSED = "aigw_unparsed"
_FREEFORM = "aigw_freeform"


def encode_id(call_id: str) -> str:
    """Return the id in letters this format allows: most stay as they are."""
    if _PLAIN_ID.fullmatch(call_id) and not call_id.startswith(_MAPPED_ID):
        return call_id
    escaped = _ODD_BYTE.sub(lambda match: b"_%02x" % match[0][0], call_id.encode("utf-8", "surrogatepass"))
    return _MAPPED_ID + escaped.decode()


def decode_id(wire_id: object) -> str:
    """Return the id that `encode_id` was given."""
    wire_id = text_of(wire_id)
    if not wire_id.startswith(_MAPPED_ID):
        return wire_id
    escaped = wire_id[len(_MAPPED_ID) :].encode()
    try:
        raw = _ESCAPE.sub(lambda match: bytes.fromhex(match[1].decode()), escaped)
        return raw.decode("utf-8", "surrogatepass")
    except ValueError:
        return wire_id


def encode_input(call: FunctionCall) -> Tree:
    """Return the arguments as an object. Text that is none is put into one."""
    if call.freeform:
        return {_FREEFORM: call.arguments}
    if not call.arguments.strip():
        return {}
    try:
        tree = orjson.loads(call.arguments)
    except orjson.JSONDecodeError:
        tree = None
    return tree if isinstance(tree, dict) else {_UNPARSED: call.arguments}


def decode_input(value: Any) -> tuple[str, bool]:
    """Return the arguments as text, and whether they are free text."""
    match value:
        case {"aigw_freeform": str(text)} if len(value) == 1:
            return text, True
        case {"aigw_unparsed": str(text)} if len(value) == 1:
            return text, False
    return orjson.dumps({} if value is None else value).decode(), False


def decode_call(tree: Tree) -> FunctionCall:
    """Read one tool_use block."""
    arguments, freeform = decode_input(tree.get("input"))
    call_id, signature = unpack_call_id(decode_id(tree.get("id")))
    return FunctionCall(
        call_id,
        text_of(tree.get("name")),
        arguments,
        freeform=freeform,
        signature=signature,
        extras=keep(tree, _CALL),
    )


def encode_call(call: FunctionCall, arguments: Tree, *, for_client: bool) -> Tree:
    """Write one tool_use block. for_client: the id holds the signature, too, for it to come back."""
    call_id = pack_call_id(call.call_id, call.signature) if for_client else call.call_id
    return {
        "type": "tool_use",
        "id": encode_id(call_id),
        "name": call.name,
        "input": arguments,
        **restore(call.extras),
    }
