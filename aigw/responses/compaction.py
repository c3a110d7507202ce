"""Compacted conversations: what the gateway seals into a `compaction` item, and reads back.

Owns the content of such items where the gateway has made them, and the request that asks a model for the
summary. Pure: trees in, trees out. What another side has sealed stays as it is: only that side can read it.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from aigw.dialects.base import Tree
from aigw.errors import ClientError
from aigw.model.seal import seal, unseal
from aigw.responses.ids import new_item_id

COMPACTION = "compaction"
ORIGIN = "compaction"
SEALED = b"aigw1.compaction."
MAX_SUMMARY_BYTES = 4 * 1024 * 1024

CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
OUTPUTS = frozenset({"function_call_output", "custom_tool_call_output"})

ASK = """\
Summarize the conversation above, so that it can be continued by somebody who has only your summary and the
user's own messages. Keep: what the user wants and has asked for; decisions and their reasons; facts, names,
numbers, file paths, identifiers and code that will be needed; what the tools were asked and what they
answered, as far as it matters; what is done, what is open, and what was to come next. Write plain text, and
nothing beside the summary."""

INTRODUCTION = "Summary of the conversation up to here, in the place of its messages:\n\n"


def compact(items: Sequence[Tree], summary: str) -> list[Tree]:
    """Return the window that stands for these items: the user's own messages, the summary, open calls."""
    own = [_written(item) for item in items if item.get("role") == "user"]
    sealed = {
        "id": new_item_id(COMPACTION),
        "type": COMPACTION,
        "encrypted_content": seal(ORIGIN, _pack({"summary": summary})),
    }
    return [*own, sealed, *open_calls(items)]


def opened(items: Iterable[Tree]) -> list[Tree]:
    """Return items with what the gateway has compacted told in words, so that any model can read it.

    Raises ClientError on one of ours that was cut or changed on its way.
    """
    return [_open(item, number) if is_own(item) else item for number, item in enumerate(items)]


def is_own(item: Tree) -> bool:
    """Tell whether the gateway has sealed this item."""
    sealed = item.get("encrypted_content")
    return item.get("type") == COMPACTION and isinstance(sealed, str) and sealed.startswith(SEALED.decode())


def open_calls(items: Sequence[Tree]) -> list[Tree]:
    """Return the tool calls that have no output yet: they must stay what they are, to be answered."""
    answered = {item.get("call_id") for item in items if item.get("type") in OUTPUTS}
    return [item for item in items if item.get("type") in CALLS and item.get("call_id") not in answered]


def summary_request(model: str, items: Sequence[Tree], instructions: object) -> Tree:
    """Return the request that asks a model for the summary of these items.

    Calls of tools are told as text: no provider then wants the tools' declarations, or the calls in pairs.
    """
    pending = {id(item) for item in open_calls(items)}
    told = [tree for item in items if id(item) not in pending and (tree := _told(item)) is not None]
    request: Tree = {"model": model, "input": [*told, _message("user", ASK)], "store": False}
    request["truncation"] = "auto"  # the newer half of too long a conversation is worth more than none
    if isinstance(instructions, str):
        request["instructions"] = instructions
    return request


def _told(item: Tree) -> Tree | None:
    kind = item.get("type") or "message"
    if kind in ("message", COMPACTION):
        return item
    if kind == "reasoning":
        return None
    if kind in CALLS:
        return _message("assistant", f"[called the tool {item.get('name')}: {item.get(CALLS[kind])}]")
    if kind in OUTPUTS:
        return _message("user", f"[the tool answered: {_text(item.get('output'))}]")
    return _message("assistant", f"[{kind}: {_text(item)}]")


def _written(item: Tree) -> Tree:
    """Return a message as answers spell it: its content in parts."""
    content = item.get("content")
    if not isinstance(content, str):
        return {"type": "message", "status": "completed", **item}
    return {"status": "completed", **item, **_message(str(item["role"]), content)}


def _message(role: str, text: str) -> Tree:
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(part, dict) for part in value):
        return "\n".join(str(part.get("text") or f"({part.get('type')})") for part in value)
    return orjson.dumps(value).decode()


def _open(item: Tree, number: int) -> Tree:
    try:
        tree = _unpack(unseal(ORIGIN, item["encrypted_content"]) or "")
    except (ValueError, zlib.error) as error:  # what is ours and whole holds what _pack was given
        param = f"input[{number}].encrypted_content"
        raise ClientError(
            f"{param}: not what /v1/responses/compact gave; send it back unchanged", param=param
        ) from error
    return _message("developer", INTRODUCTION + tree["summary"])


def _pack(tree: Tree) -> str:
    return base64.urlsafe_b64encode(zlib.compress(orjson.dumps(tree))).decode()


def _unpack(text: str) -> Tree:
    """Read what `_pack` wrote. Raises ValueError or zlib.error on anything else."""
    try:
        packed = base64.b64decode(text, altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error
    reader = zlib.decompressobj()
    plain = reader.decompress(packed, MAX_SUMMARY_BYTES)  # a small text may unfold to a very large one
    if not reader.eof:
        raise ValueError("too large, or cut")
    tree: Tree = orjson.loads(plain)
    return tree
