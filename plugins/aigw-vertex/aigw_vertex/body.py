"""Bodies as Vertex wants them, where they differ from those of the vendors' own APIs.

Pure. Source: Vertex AI's reference of generateContent, countTokens and rawPredict, recorded traffic, read
2026-11.
"""

from __future__ import annotations

from typing import Any

import orjson

from aigw.dialects.base import Tree
from aigw.errors import ClientError, ErrorKind

ANTHROPIC_VERSION = "vertex-2023-10-16"


def to_predict(body: bytes) -> bytes:
    """Return the body of Anthropic's Messages API for `rawPredict`: the model is in the path."""
    tree = parse(body)
    tree.pop("model", None)
    return _with_version(tree)


def to_count(body: bytes, model: str) -> bytes:
    """Return the body for the counting of Anthropic's tokens: there the path names no model."""
    return _with_version({**parse(body), "model": model})


def to_chat(body: bytes, model: str) -> bytes:
    """Return the body of a chat request with the model as `publisher/name`."""
    tree = parse(body)
    if tree.get("model") == model:
        return body
    return orjson.dumps({**tree, "model": model})


def to_gemini(body: bytes) -> bytes:
    """Return the body of one of Gemini's methods; the bytes themselves wherever nothing has to change."""
    tree = parse(body)
    wrapped = tree.get("generateContentRequest")
    if isinstance(wrapped, dict):  # countTokens of Google's other API
        wrapped.pop("model", None)
        tree = wrapped
    contents = tree.get("contents")
    items = contents if isinstance(contents, list) else []
    bare = [item for item in items if isinstance(item, dict) and "role" not in item]
    for item in bare:
        item["role"] = "user"  # which Google's other API takes for granted
    return orjson.dumps(tree) if bare or wrapped is tree else body


def parse(body: bytes) -> Tree:
    """Parse a request's body. Raises ClientError on what is no JSON object."""
    try:
        tree: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ClientError("the body is not JSON", kind=ErrorKind.INVALID_JSON) from error
    if not isinstance(tree, dict):
        raise ClientError("the body is not a JSON object", kind=ErrorKind.INVALID_REQUEST)
    return tree


def _with_version(tree: Tree) -> bytes:
    tree.setdefault("anthropic_version", ANTHROPIC_VERSION)
    return orjson.dumps(tree)
