"""Embeddings and token counting between Gemini's methods and OpenAI's shape."""

import json

import openai.types
import pytest
from google.genai import types

from aigw.dialects.gemini import GEMINI
from aigw.dialects.gemini.embeddings import (
    count_tree,
    decode_embed,
    decode_embeddings,
    encode_batch,
    encode_count,
    encode_embeddings,
    read_count,
    write_count,
)
from aigw.errors import ClientError, ErrorKind, ProtocolError
from aigw.model import Message, Request, TextPart


def test_texts_become_a_batch():
    encoded = encode_batch({"model": "e", "input": ["a", "b"], "dimensions": 8, "user": "u"})
    assert encoded.dropped == ("user",)
    assert encoded.tree == {
        "requests": [
            {"model": "models/e", "outputDimensionality": 8, "content": {"parts": [{"text": text}]}}
            for text in ("a", "b")
        ]
    }
    assert len(encode_batch({"model": "e", "input": "a"}).tree["requests"]) == 1


@pytest.mark.parametrize(
    ("value", "kind"), [(None, ErrorKind.MISSING_FIELD), ([1, 2], ErrorKind.UNSUPPORTED)]
)
def test_tokens_as_input_are_refused(value, kind):
    with pytest.raises(ClientError) as caught:
        encode_batch({"model": "e", "input": value})
    assert caught.value.kind is kind


def test_vectors_reach_an_openai_client_in_either_encoding():
    tree = {"embeddings": [{"values": [0.5, -1]}, {"values": [2]}], "usageMetadata": {"promptTokenCount": 7}}
    plain = decode_embeddings(tree, {"model": "e"})
    openai.types.CreateEmbeddingResponse.model_validate(plain)
    assert [item["embedding"] for item in plain["data"]] == [[0.5, -1], [2]]
    assert plain["usage"] == {"prompt_tokens": 7, "total_tokens": 7}
    packed = decode_embeddings(tree, {"model": "e", "encoding_format": "base64"})
    assert packed["data"][0]["embedding"] == "AAAAPwAAgL8="
    assert encode_embeddings(packed, batch=True)["embeddings"] == [{"values": [0.5, -1]}, {"values": [2]}]


def test_no_vectors_are_a_protocol_error():
    for tree in ({}, {"embeddings": 1}):
        with pytest.raises(ProtocolError):
            decode_embeddings(tree, {})
    with pytest.raises(ProtocolError):
        decode_embeddings({"embeddings": [{"values": ["x"]}]}, {"encoding_format": "base64"})


def test_a_gemini_client_asks_with_one_text_or_many():
    one = {"model": "e", "content": {"parts": [{"text": "a"}, {"text": "b"}]}, "output_dimensionality": 8}
    assert decode_embed(one) == {"model": "e", "input": ["a\nb"], "dimensions": 8}
    many = {"model": "e", "requests": [{"model": "models/e", "content": {"parts": [{"text": "a"}]}}]}
    assert decode_embed(many) == {"model": "e", "input": ["a"]}
    for empty in ({"model": "e"}, {"model": "e", "requests": []}, {"model": "e", "requests": [1]}):
        with pytest.raises(ClientError):
            decode_embed(empty)


def test_a_gemini_client_is_answered_with_one_vector_or_many():
    data = [{"object": "embedding", "index": 0, "embedding": [1.5]}]
    tree = {"data": data, "usage": {"prompt_tokens": 3, "total_tokens": 3}}
    many = encode_embeddings(tree, batch=True)
    assert many["embeddings"] == [{"values": [1.5]}]
    types.ContentEmbedding.model_validate_json(json.dumps(many["embeddings"][0]))
    assert encode_embeddings(tree, batch=False)["embedding"] == {"values": [1.5]}
    with pytest.raises(ProtocolError):
        encode_embeddings({"data": [{"embedding": "AAA="}]}, batch=True)


def test_counting_tokens_in_both_directions():
    request = Request("m", (Message("user", (TextPart("hi"),)),))
    tree = encode_count(request).tree
    assert tree["generateContentRequest"]["model"] == "models/m"
    assert GEMINI.decode_request(count_tree(tree)) == request
    contents = [{"role": "user", "parts": [{"text": "hi"}]}]
    assert GEMINI.decode_request(count_tree({"model": "m", "contents": contents})) == request
    assert read_count(write_count(7)) == 7
    with pytest.raises(ProtocolError):
        read_count({})
