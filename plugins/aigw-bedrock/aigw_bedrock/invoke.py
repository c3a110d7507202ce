"""Anthropic's Messages API as Bedrock has it: the model in the path, betas in the body.

Pure: trees in, trees out. Source: Bedrock's user guide, "Anthropic Claude Messages API", and the reference
of CountTokens, read 2026-11.
"""

from __future__ import annotations

from base64 import b64encode

import orjson
from multidict import CIMultiDict

from aigw.dialects.base import Tree
from aigw.errors import ClientError, ErrorKind

ANTHROPIC_VERSION = "bedrock-2023-05-31"


def to_invoke(body: bytes, headers: CIMultiDict[str]) -> bytes:
    """Return the body for `invoke`; takes the betas out of the headers. Raises ClientError on bad JSON."""
    tree = _parse(body)
    tree.pop("model", None)
    tree.pop("stream", None)  # the path says it
    tree.setdefault("anthropic_version", ANTHROPIC_VERSION)
    betas = tree.get("anthropic_beta")
    betas = list(betas) if isinstance(betas, list) else []
    for header in headers.popall("anthropic-beta", ()):
        betas += [beta for name in header.split(",") if (beta := name.strip())]
    if betas:
        tree["anthropic_beta"] = list(dict.fromkeys(betas))
    headers.popall("anthropic-version", None)
    return orjson.dumps(tree)


def to_count(body: bytes, headers: CIMultiDict[str]) -> bytes:
    """Return the body for `count-tokens`, which wants the whole body of an `invoke` in base64."""
    tree = _parse(to_invoke(body, headers))
    tree.setdefault("max_tokens", 1)  # clients that count leave it out, and `invoke` asks for it
    return orjson.dumps({"input": {"invokeModel": {"body": b64encode(orjson.dumps(tree)).decode()}}})


def from_count(tree: Tree) -> Tree:
    """Return Bedrock's count in Anthropic's words."""
    return {"input_tokens": tree.get("inputTokens", 0)}


def _parse(body: bytes) -> Tree:
    try:
        tree = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ClientError("the body is not JSON", kind=ErrorKind.INVALID_JSON) from error
    if not isinstance(tree, dict):
        raise ClientError("the body is not a JSON object", kind=ErrorKind.INVALID_REQUEST)
    return tree
