"""Function calls and their answers, as parts.

Arguments are objects here and text in the vocabulary. Text that is no JSON object travels as
{"INVALID_JSON": text}: a model that wrote it is shown what it wrote.
"""

from __future__ import annotations

from typing import Any

import orjson

from aigw.dialects.base import Tree
from aigw.dialects.fields import object_of, text_of
from aigw.dialects.gemini.fields import CALL_SCOPE, NAME, NO_ID, keep, object_at, restore
from aigw.dialects.gemini.parts import decode_part, encode_part, parts_of, put_signature
from aigw.dialects.gemini.signatures import Sign
from aigw.errors import ProtocolError
from aigw.model import FunctionCall, FunctionCallOutput, Part, TextPart

_PART = frozenset(("functionCall", "functionResponse", "thoughtSignature"))
_CALL = frozenset(("id", "name", "args"))
_RESPONSE = frozenset(("id", "name", "response", "parts"))
_INVALID = "INVALID_JSON"
_FREEFORM = "input"
_TEXT_KEYS = frozenset(("result", "error", "output"))
# The key a caller put a plain text under, where it was not "result" or "error".
_KEY = f"{NAME}:@key"


def decode_call(tree: Tree, signature: str | None, default_id: str) -> FunctionCall:
    """Read a part with a functionCall. default_id: its name if it has none of its own.

    Raises ProtocolError on arguments nested beyond reason.
    """
    call = object_at(tree, "functionCall")
    extras = keep(tree, _PART) | keep(call, _CALL, CALL_SCOPE)
    call_id = text_of(call.get("id"))
    if not call_id:
        extras[NO_ID] = True
    return FunctionCall(
        call_id or default_id,
        text_of(call.get("name")),
        arguments_text(call),
        signature=signature,
        extras=extras,
    )


def arguments_text(call: Tree) -> str:
    """Return the arguments of a call as JSON text; none at all is an empty object."""
    args = call.get("args")
    if args is None:
        return "{}"
    if isinstance(args, dict) and len(args) == 1 and isinstance(text := args.get(_INVALID), str):
        return text
    return _json_text(args)


def _json_text(tree: Any) -> str:
    try:
        return orjson.dumps(tree).decode()
    except orjson.JSONEncodeError as error:  # it reads deeper nesting than it writes
        raise ProtocolError(f"an object cannot be written as JSON again: {error}") from error


def encode_call(call: FunctionCall, sign: Sign, path: str) -> Tree:
    """Write a call as a part."""
    inner: Tree = {"id": call.call_id} if call.call_id and NO_ID not in call.extras else {}
    inner |= {"name": call.name, "args": _arguments(call)}
    tree: Tree = {"functionCall": inner | restore(call.extras, CALL_SCOPE)}
    put_signature(tree, call.signature, "signature", sign, path)
    return tree | restore(call.extras)


def _arguments(call: FunctionCall) -> Tree:
    if call.freeform:
        return {_FREEFORM: call.arguments}
    if not call.arguments.strip():
        return {}
    try:
        args = orjson.loads(call.arguments)
    except orjson.JSONDecodeError:
        args = None
    return args if isinstance(args, dict) else {_INVALID: call.arguments}


def decode_output(tree: Tree, call_id: str, name: str | None) -> FunctionCallOutput:
    """Read a part with a functionResponse; call_id and name: as they were paired with a call."""
    inner = object_at(tree, "functionResponse")
    extras = keep(tree, _PART) | keep(inner, _RESPONSE, CALL_SCOPE)
    if not inner.get("id"):
        extras[NO_ID] = True
    response = object_of(inner.get("response"))
    key = _wrapped_key(response)
    parts: list[Part] = []
    if key:
        parts.append(TextPart(response[key]))
        if key == "output":
            extras[_KEY] = key
    elif response or not inner.get("parts"):
        parts.append(TextPart(_json_text(response)))
    else:
        extras[_KEY] = ""
    parts += [decode_part(part) for part in parts_of(inner)]
    return FunctionCallOutput(call_id, tuple(parts), key == "error", name=name, extras=extras)


def encode_output(item: FunctionCallOutput, name: str, sign: Sign, path: str, dropped: list[str]) -> Tree:
    """Write a tool's answer as a part; name: the tool's."""
    texts = [part.text for part in item.parts if isinstance(part, TextPart)]
    inner: Tree = {"id": item.call_id} if item.call_id and NO_ID not in item.extras else {}
    inner |= {"name": name, "response": _response("\n".join(texts), item)}
    media = []
    for number, part in enumerate(item.parts):
        if isinstance(part, TextPart):
            continue
        encoded = encode_part(part, sign, f"{path}.parts[{number}]")
        if encoded is None:
            dropped.append(f"{path}.parts[{number}]")
        else:
            media.append(encoded)
    if media:
        inner["parts"] = media
    return {"functionResponse": inner | restore(item.extras, CALL_SCOPE), **restore(item.extras)}


def _response(text: str, item: FunctionCallOutput) -> Tree:
    key = item.extras.get(_KEY)
    if key == "" and not text:
        return {}
    if item.is_error:
        return {"error": text}
    if key:
        return {key: text}
    try:
        tree = orjson.loads(text)
    except orjson.JSONDecodeError:
        tree = None
    # An object that looks like a wrapped text would be unwrapped by the reader.
    return tree if isinstance(tree, dict) and not _wrapped_key(tree) else {"result": text}


def _wrapped_key(response: Tree) -> str:
    """Return the key under which a response holds a plain text and nothing else; empty if it does not."""
    key = next(iter(response), "")
    plain = len(response) == 1 and key in _TEXT_KEYS and isinstance(response[key], str)
    return key if plain else ""
