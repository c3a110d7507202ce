"""How to watch a chat stream go by without decoding it. Owns the look; never changes a byte."""

from __future__ import annotations

from typing import Any

import orjson

from aigw.dialects.base import Sighting, StreamGrammar, Tree
from aigw.dialects.fields import list_of, object_of
from aigw.dialects.openai_chat.errors import encode_error, error_from_tree
from aigw.dialects.openai_chat.usage import read_usage
from aigw.errors import GatewayError, ProtocolError
from aigw.wire.sse import encode_frame

DONE = b"[DONE]"
CLOSING = b"data: [DONE]\n\n"


def parse(data: bytes) -> Tree:
    """Parse a frame's data. Raises ProtocolError when it is not a JSON object."""
    try:
        tree = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise ProtocolError(f"a stream frame is not JSON: {_excerpt(data)}") from error
    if not isinstance(tree, dict):
        raise ProtocolError(f"a stream frame is no JSON object: {_excerpt(data)}")
    return tree


def examine(event: str | None, data: bytes) -> Sighting:
    """Look at one frame of a chat stream."""
    if data.strip() == DONE:
        return Sighting(terminal=True)
    tree = parse(data)
    if tree.get("error") or event == "error":
        return Sighting(error=error_from_tree(tree))
    choices = list_of(tree.get("choices"))
    usage = read_usage(tree)
    return Sighting(
        content=any(_has_content(choice) for choice in choices),
        finished=any(object_of(choice).get("finish_reason") for choice in choices),
        usage=usage,
        usage_only=not choices and isinstance(tree.get("usage"), dict),
    )


def encode_error_frame(error: GatewayError) -> bytes:
    """Return the frame that ends a failed stream; no [DONE] follows it, for that means success."""
    return encode_frame(orjson.dumps(encode_error(error)[1]))


def _has_content(choice: Any) -> bool:
    delta = object_of(object_of(choice).get("delta"))
    return any(value and field != "role" for field, value in delta.items())


def _excerpt(data: bytes) -> str:
    return repr(data[:80].decode("utf-8", "replace"))


GRAMMAR = StreamGrammar(
    suspects=(
        DONE,
        b'"usage":{',
        b'"usage": {',
        b'"error"',
        b'"finish_reason":"',
        b'"finish_reason": "',
    ),
    examine=examine,
    encode_error=encode_error_frame,
    closing=CLOSING,
)
