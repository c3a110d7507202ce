"""How to watch a Gemini stream go by without decoding it. Owns the look; never changes a byte.

There is no mark that the answer is whole: it is when a finish reason has been seen and then the bytes
end. Token counts stand in every chunk and the last ones count, which come with the finish reason.
"""

from __future__ import annotations

from typing import Any

import orjson

from aigw.dialects.base import Sighting, StreamGrammar, Tree
from aigw.dialects.fields import list_of, object_of
from aigw.dialects.gemini.errors import encode_error, error_from_tree
from aigw.dialects.gemini.finish import UNSPECIFIED
from aigw.dialects.gemini.usage import read_usage
from aigw.errors import GatewayError, ProtocolError
from aigw.wire.sse import encode_frame


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
    """Look at one frame of a stream."""
    tree = parse(data)
    if tree.get("error") or event == "error":
        return Sighting(error=error_from_tree(tree))
    candidates = list_of(tree.get("candidates"))
    usage = read_usage(tree)
    blocked = bool(object_of(tree.get("promptFeedback")).get("blockReason"))
    return Sighting(
        content=blocked or any(_has_content(candidate) for candidate in candidates),
        finished=blocked or any(_is_finished(candidate) for candidate in candidates),
        usage=usage,
        usage_only=usage is not None and not candidates and not blocked,
    )


def encode_error_frame(error: GatewayError) -> bytes:
    """Return the frame that ends a failed stream."""
    return encode_frame(orjson.dumps(encode_error(error)[1]))


def _has_content(candidate: Any) -> bool:
    parts = list_of(object_of(object_of(candidate).get("content")).get("parts"))
    return any(part and part != {"text": ""} for part in parts)


def _is_finished(candidate: Any) -> bool:
    return object_of(candidate).get("finishReason") not in (None, "", UNSPECIFIED)


def _excerpt(data: bytes) -> str:
    return repr(data[:80].decode("utf-8", "replace"))


GRAMMAR = StreamGrammar(
    suspects=(b'"finishReason"', b'"error"', b'"promptFeedback"'),
    examine=examine,
    encode_error=encode_error_frame,
    terminal_mark=False,
)
