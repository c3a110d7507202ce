"""Thought signatures: Gemini's own come back to it, and a Gemini client keeps any other's."""

import base64
import json

import pytest
from attrs import evolve
from google.genai import types

from aigw.dialects.gemini import GEMINI
from aigw.dialects.gemini.signatures import DUMMY, for_gemini_client
from aigw.model import (
    FunctionCall,
    Message,
    Reasoning,
    Request,
    TextPart,
)
from aigw.model.seal import seal


def decode(tree, **fields):
    return GEMINI.decode_request({"model": "gemini-2.5-flash", "stream": False, **tree, **fields})


def encode(request):
    return GEMINI.encode_request(request)


def contents(*items, model="gemini-2.5-flash"):
    return encode(Request(model, items)).tree["contents"]


def call(name, **fields):
    return {"functionCall": {"name": name, "args": {}, **fields}}


def test_geminis_own_signatures_come_back_to_it_bare():
    request = Request(
        "gemini-3-pro",
        (
            Reasoning(content=("Hm",), signature=seal("gemini", "AAAA")),
            Message("assistant", (TextPart("hi", signature=seal("gemini", "BBBB")),)),
            FunctionCall("c", "f", "{}", signature=seal("gemini", "CCCC")),
        ),
    )
    encoded = encode(request)
    assert encoded.dropped == ()
    parts = encoded.tree["contents"][0]["parts"]
    assert [part["thoughtSignature"] for part in parts] == ["AAAA", "BBBB", "CCCC"]


def test_another_providers_signature_never_reaches_gemini_and_is_reported():
    items = (
        Reasoning(
            content=("Hm",), signature=seal("anthropic", "x"), encrypted_content=seal("openresponses", "y")
        ),
        FunctionCall("c", "f", "{}", signature=seal("anthropic", "z")),
    )
    encoded = encode(Request("gemini-2.5-pro", items))
    assert encoded.dropped == ("items[0].signature", "items[0].encrypted_content", "items[1].signature")
    assert "thoughtSignature" not in json.dumps(encoded.tree)
    assert encoded.tree["contents"][0]["parts"][0] == {"text": "Hm", "thought": True}


@pytest.mark.parametrize("kind", ["signature", "encrypted", "redacted"])
@pytest.mark.parametrize("value", [seal("anthropic", "Eq+/=="), seal("openresponses", "žluť"), "no base64"])
def test_a_gemini_client_keeps_any_value_as_base64_and_brings_it_back(kind, value):
    written = for_gemini_client(value, kind)
    part = types.Part.model_validate_json(json.dumps({"text": "", "thoughtSignature": written}))
    sent = json.loads(part.model_dump_json(by_alias=True, exclude_none=True))["thoughtSignature"]
    for back in (written, sent):
        tree = {"text": "Hm", "thought": True, "thoughtSignature": back}
        thought = decode({"contents": [{"role": "model", "parts": [tree]}]}).items[0]
        field = "encrypted_content" if kind == "encrypted" else kind
        assert getattr(thought, field) == value


def test_geminis_own_signature_is_shown_to_its_clients_bare():
    assert for_gemini_client(seal("gemini", "AAAA"), "signature") == "AAAA"


def test_several_opaque_values_of_one_thought_come_back_as_one_thought_with_them():
    thought = Reasoning(
        content=("Hm",),
        signature=seal("anthropic", "a"),
        encrypted_content=seal("openresponses", "b"),
        redacted=seal("anthropic", "c"),
    )
    response = GEMINI.encode_response(answer_of(thought), None)
    parts = response["candidates"][0]["content"]["parts"]
    assert len(parts) == 3
    items = decode({"contents": [{"role": "model", "parts": parts}]}).items
    assert items[0] == evolve(thought, redacted=None)
    assert items[1] == Reasoning(redacted=thought.redacted)


def answer_of(*items):
    from aigw.model import Choice, FinishReason, Response

    return Response("r", "m", choices=(Choice(items, FinishReason.STOP),))


@pytest.mark.parametrize(
    ("model", "signed"),
    [
        ("gemini-3-flash-preview", True),
        ("publishers/google/models/gemini-3-pro", True),
        ("gemini-flash-latest", True),
        ("gemini-2.5-pro", False),
        ("gemini-1.5-pro", False),
        ("gemma-3", False),
    ],
)
def test_gemini_3_is_given_the_documented_value_for_calls_that_none_of_it_made(model, signed):
    found = contents(FunctionCall("a", "f", "{}"), FunctionCall("b", "g", "{}"), model=model)
    assert [part.get("thoughtSignature") for part in found[0]["parts"]] == [DUMMY if signed else None, None]
    assert [item.signature for item in decode({"contents": found}).items] == [None, None]


def test_the_documented_value_is_known_as_base64_too():
    written = base64.b64encode(DUMMY.encode()).decode()
    tree = {"contents": [{"role": "model", "parts": [{**call("f"), "thoughtSignature": written}]}]}
    assert decode(tree).items[0].signature is None


def test_a_signed_call_is_left_alone():
    signed = FunctionCall("a", "f", "{}", signature=seal("gemini", "AAAA"))
    found = contents(signed, FunctionCall("b", "g", "{}"), model="gemini-3-pro")
    assert [part.get("thoughtSignature") for part in found[0]["parts"]] == ["AAAA", None]
