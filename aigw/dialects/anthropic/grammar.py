"""How to watch a message stream go by without decoding it. Owns the look; never changes a byte."""

from __future__ import annotations

import orjson

from aigw.dialects.anthropic.errors import encode_error, error_from_tree
from aigw.dialects.anthropic.usage import read_usage
from aigw.dialects.base import Sighting, StreamGrammar, Tree
from aigw.dialects.fields import object_of
from aigw.errors import GatewayError, ProtocolError
from aigw.wire.sse import encode_frame

_CONTENT = frozenset(("content_block_start", "content_block_delta"))


def parse(data: bytes) -> Tree:
    """Parse a frame's data. Raises ProtocolError when it is not a JSON object."""
    try:
        tree = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise ProtocolError(f"a stream frame is not JSON: {_excerpt(data)}") from error
    if not isinstance(tree, dict):
        raise ProtocolError(f"a stream frame is no JSON object: {_excerpt(data)}")
    return tree


def name_of(event: str | None, tree: Tree) -> str:
    """Return what a frame is: its data says so, and the line before it repeats it."""
    kind = tree.get("type")
    if isinstance(kind, str):
        return kind
    return "error" if tree.get("error") else event or ""


def examine(event: str | None, data: bytes) -> Sighting:
    """Look at one frame of a message stream."""
    tree = parse(data)
    name = name_of(event, tree)
    if name == "error":
        return Sighting(error=error_from_tree(tree))
    return Sighting(
        content=name in _CONTENT,
        terminal=name == "message_stop",
        finished=name == "message_delta" and bool(object_of(tree.get("delta")).get("stop_reason")),
        usage=read_usage(tree) if name in {"message_start", "message_delta"} else None,
    )


def encode_error_frame(error: GatewayError) -> bytes:
    """Return the frame that ends a failed stream; no message_stop follows it, for that means success."""
    return encode_frame(orjson.dumps(encode_error(error)[1]), "error")


def _excerpt(data: bytes) -> str:
    return repr(data[:80].decode("utf-8", "replace"))


GRAMMAR = StreamGrammar(
    suspects=(b"message_stop", b"message_delta", b'"usage"', b'"error"', b"event: error", b"event:error"),
    examine=examine,
    encode_error=encode_error_frame,
)
