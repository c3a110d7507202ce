"""Embeddings and token counting: Gemini's methods, and OpenAI's embeddings as the common tongue.

The vocabulary has no embeddings, so trees are turned into trees: OpenAI's shape is what every other
provider of embeddings speaks. As with answers, the model stands in the path: callers put "model" into
a Gemini tree before it is read. Source: the Gemini API reference (v1beta), read 2026-11.
"""

from __future__ import annotations

import base64
import struct
from typing import Any

from aigw.dialects.base import Encoded, Tree
from aigw.dialects.fields import list_of, object_of, text_of
from aigw.dialects.gemini.fields import camel, int_or_none, object_at
from aigw.dialects.gemini.parts import parts_of
from aigw.dialects.gemini.request import encode_request
from aigw.errors import ClientError, ErrorKind, ProtocolError
from aigw.model import Request

_KNOWN = frozenset(("model", "input", "dimensions", "encoding_format"))
_HELD = frozenset(("model", "content", "outputDimensionality", "requests"))


def encode_batch(tree: Tree) -> Encoded:
    """Write an OpenAI embeddings request as batchEmbedContents. Raises ClientError on tokens as input."""
    texts = tree.get("input")
    texts = [texts] if isinstance(texts, str) else texts
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        kind = ErrorKind.MISSING_FIELD if texts is None else ErrorKind.UNSUPPORTED
        message = "input: expected a string or a list of strings; this model takes no tokens"
        raise ClientError(message, kind=kind, param="input")
    common: Tree = {"model": f"models/{text_of(tree.get('model'))}"}
    if (dimensions := int_or_none(tree.get("dimensions"))) is not None:
        common["outputDimensionality"] = dimensions
    requests = [{**common, "content": {"parts": [{"text": text}]}} for text in texts]
    return Encoded({"requests": requests}, tuple(key for key in tree if key not in _KNOWN))


def decode_embeddings(tree: Tree, request: Tree) -> Tree:
    """Read Gemini's answer as OpenAI's. request: OpenAI's, which says the model and the encoding.

    Raises ProtocolError on what holds no embeddings.
    """
    found = tree.get("embeddings")
    if found is None and isinstance(tree.get("embedding"), dict):
        found = [tree["embedding"]]
    if not isinstance(found, list):
        raise ProtocolError(f"embeddings: expected a list, got {type(found).__name__}")
    packed = request.get("encoding_format") == "base64"
    data = []
    for number, embedding in enumerate(found):
        values = list_of(object_of(embedding).get("values"))
        vector = _pack(values) if packed else values
        data.append({"object": "embedding", "index": number, "embedding": vector})
    # The first models that embedded told no counts.
    usage = object_of(tree.get("usageMetadata"))
    prompt = int_or_none(usage.get("promptTokenCount")) or 0
    total = int_or_none(usage.get("totalTokenCount")) or prompt
    return {
        "object": "list",
        "data": data,
        "model": text_of(request.get("model")),
        "usage": {"prompt_tokens": prompt, "total_tokens": total},
    }


def _pack(values: list[Any]) -> str:
    try:
        return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()
    except (struct.error, OverflowError) as error:
        raise ProtocolError("embeddings: expected numbers") from error


def decode_embed(tree: Tree) -> Tree:
    """Read embedContent or batchEmbedContents, with "model" put in, as OpenAI's request.

    Raises ClientError on what holds nothing to embed.
    """
    tree = camel(tree)
    requests = tree.get("requests")
    if not isinstance(requests, list):
        requests = [tree]
    inner = [camel(object_of(request)) for request in requests]
    texts = [_text(request, f"requests[{number}]") for number, request in enumerate(inner)]
    if not texts:
        raise ClientError("requests: expected at least one", kind=ErrorKind.MISSING_FIELD, param="requests")
    result: Tree = {"model": text_of(tree.get("model")), "input": texts}
    if (dimensions := int_or_none(inner[0].get("outputDimensionality"))) is not None:
        result["dimensions"] = dimensions
    return result


def decode_embed_request(tree: Tree) -> Encoded:
    """Read embedContent or batchEmbedContents as OpenAI's request, and say what that cannot hold.

    Raises ClientError on what holds nothing to embed, and on what is no text.
    """
    requests = camel(tree).get("requests")
    inner = [(f"requests[{number}].", each) for number, each in enumerate(list_of(requests))]
    dropped: list[str] = []
    asked = decode_embed(tree)
    for prefix, request in inner or [("", tree)]:
        for key, value in camel(object_of(request)).items():
            differs = key == "outputDimensionality" and int_or_none(value) != asked.get("dimensions")
            if value is not None and (differs or key not in _HELD):
                dropped.append(prefix + key)
    return Encoded(asked, tuple(dropped))


def _text(request: Tree, path: str) -> str:
    place = f"{path}.content"
    if not isinstance(request.get("content"), dict):
        raise ClientError(f"{place}: expected an object", kind=ErrorKind.MISSING_FIELD, param=place)
    parts = parts_of(object_at(request, "content"))
    if not all(isinstance(part.get("text"), str) for part in parts):
        message = f"{place}.parts: expected texts; this model embeds nothing else"
        raise ClientError(message, kind=ErrorKind.UNSUPPORTED, param=place)
    return "\n".join([part["text"] for part in parts])


def encode_embeddings(tree: Tree, *, batch: bool) -> Tree:
    """Write OpenAI's answer as Gemini's: of embedContent, or of batchEmbedContents."""
    found = [{"values": _unpack(object_of(item).get("embedding"))} for item in list_of(tree.get("data"))]
    result: Tree = {"embeddings": found} if batch else {"embedding": found[0] if found else {"values": []}}
    if (prompt := int_or_none(object_of(tree.get("usage")).get("prompt_tokens"))) is not None:
        result["usageMetadata"] = {"promptTokenCount": prompt, "totalTokenCount": prompt}
    return result


def _unpack(vector: Any) -> list[Any]:
    if not isinstance(vector, str):
        return list_of(vector)
    try:
        data = base64.b64decode(vector, validate=True)
        return list(struct.unpack(f"<{len(data) // 4}f", data))
    except (ValueError, struct.error) as error:
        raise ProtocolError("embedding: expected base64 of floats") from error


def encode_count(request: Request) -> Encoded:
    """Write the countTokens request that asks how long this request is."""
    encoded = encode_request(request)
    inner = {"model": f"models/{request.model}", **encoded.tree}
    return Encoded({"generateContentRequest": inner}, encoded.dropped)


def read_count(tree: Tree) -> int:
    """Return what countTokens answered. Raises ProtocolError when it holds no count."""
    count = int_or_none(tree.get("totalTokens"))
    if count is None:
        raise ProtocolError("totalTokens: expected a number")
    return count


def write_count(tokens: int) -> Tree:
    """Write the answer of countTokens."""
    return {"totalTokens": tokens}


def count_tree(tree: Tree) -> Tree:
    """Return the generateContent request inside a countTokens request, with its model, for decode_request."""
    tree = camel(tree)
    inner = object_at(tree, "generateContentRequest")
    if not inner:
        return {key: value for key, value in tree.items() if key in {"model", "contents"}}
    model = text_of(tree.get("model")) or text_of(inner.get("model")).removeprefix("models/")
    return {**inner, "model": model}
