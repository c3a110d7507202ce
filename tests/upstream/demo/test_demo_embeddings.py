"""Embeddings: unit vectors that depend on the text alone."""

from __future__ import annotations

import struct
from base64 import b64decode
from math import hypot

import pytest
from openai.types import (
    CreateEmbeddingResponse,
)
from support.demo import ask_json


async def test_embeddings_are_unit_vectors_that_depend_on_the_text_alone():
    body = {"model": "e", "input": ["a b", "c", "a b"], "dimensions": 32}
    whole = CreateEmbeddingResponse.model_validate(await ask_json("/v1/embeddings", body))
    one, two, again = [row.embedding for row in whole.data]
    assert one == again != two
    assert len(one) == 32
    assert hypot(*one) == pytest.approx(1, abs=1e-6)
    assert whole.usage.total_tokens == 5


async def test_embeddings_in_base64_are_the_same_numbers():
    body = {"input": "a b", "dimensions": 8}
    floats = await ask_json("/v1/embeddings", body)
    packed = await ask_json("/v1/embeddings", {**body, "encoding_format": "base64"})
    numbers = struct.unpack("<8f", b64decode(packed["data"][0]["embedding"]))
    assert list(numbers) == floats["data"][0]["embedding"]


@pytest.mark.parametrize(
    ("given_input", "rows", "tokens"), [("a b", 1, 2), ([1, 2], 1, 2), ([[1], [2, 3]], 2, 3)]
)
async def test_embeddings_take_texts_and_tokens(given_input, rows, tokens):
    tree = await ask_json("/v1/embeddings", {"input": given_input})
    assert len(tree["data"]) == rows
    assert tree["usage"]["prompt_tokens"] == tokens


@pytest.mark.parametrize(
    "body",
    [{}, {"input": ""}, {"input": []}, {"input": [[]]}, {"input": [5, "a"]}, {"input": "a", "dimensions": 0},
     {"input": "a", "encoding_format": "int8"}, {"input": ["a"] * 2000, "dimensions": 4096}],
)  # fmt: skip
async def test_bad_embeddings_requests_are_refused(body):
    await ask_json("/v1/embeddings", body, status=400)
