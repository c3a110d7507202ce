"""Embeddings: unit vectors from a hash of the text, the same for the same text. Meaning has no part in it."""

from __future__ import annotations

import struct
from base64 import b64encode
from hashlib import shake_256
from math import hypot

from aigw.upstream.demo.completions import read_inputs
from aigw.upstream.demo.fields import one_of, whole_number
from aigw.upstream.demo.question import Question, Tree
from aigw.upstream.demo.refusal import Refusal
from aigw.upstream.demo.script import Whole
from aigw.upstream.demo.steering import Steering

DEFAULT_DIMENSIONS = 256
MAX_DIMENSIONS = 4096
MAX_FLOATS = 2_000_000


def answer(question: Question, _steering: Steering) -> Whole:
    """Answer one request. Raises Refusal."""
    inputs = read_inputs(question.tree, "input")
    dimensions = whole_number(question.tree, "dimensions", 1, MAX_DIMENSIONS) or DEFAULT_DIMENSIONS
    encoding = one_of(question.tree, "encoding_format", ("float", "base64"))
    if any(not text for text, _ in inputs):
        raise Refusal(
            "Invalid 'input': input cannot be an empty string.", param="input", code="invalid_value"
        )
    if len(inputs) * dimensions > MAX_FLOATS:
        raise Refusal(f"The aigw demo makes at most {MAX_FLOATS} numbers a request.", param="input")
    vectors = [vector(text, dimensions) for text, _ in inputs]
    tokens = sum(size for _, size in inputs)
    return Whole.json(
        {
            "object": "list",
            "data": [_row(at, found, encoding) for at, found in enumerate(vectors)],
            "model": question.model,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }
    )


def vector(text: str, dimensions: int) -> list[float]:
    """Return a vector of length 1 whose numbers fit 32-bit floats exactly."""
    whole = struct.unpack(f"<{dimensions}i", shake_256(text.encode()).digest(4 * dimensions))
    length = hypot(*whole) or 1.0
    return list(struct.unpack(f"<{dimensions}f", _pack([number / length for number in whole])))


def _row(at: int, found: list[float], encoding: str) -> Tree:
    written = b64encode(_pack(found)).decode() if encoding == "base64" else found
    return {"object": "embedding", "index": at, "embedding": written}


def _pack(numbers: list[float]) -> bytes:
    return struct.pack(f"<{len(numbers)}f", *numbers)
