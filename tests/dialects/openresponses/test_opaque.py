"""What a provider wants back unchanged survives a client of this format, whoever the provider is."""

import json

import pytest
from support.openresponses_wire import events_of

from aigw.dialects.base import join_frames
from aigw.dialects.openresponses import OPENRESPONSES
from aigw.model import (
    Choice,
    FinishReason,
    FunctionCall,
    FunctionCallOutput,
    Message,
    Reasoning,
    Request,
    Response,
    TextPart,
    unfold,
)
from aigw.model.seal import seal

TEXT = Message("assistant", (TextPart("Done."),), status="completed")
ITEMS = [
    Reasoning(content=("Let me see.",), signature=seal("anthropic", "EqQB+/==")),
    Reasoning(redacted=seal("anthropic", "cmVk")),
    Reasoning(summary=("A", "B"), encrypted_content=seal("openresponses", "gAAA")),
    Reasoning(summary=("A",), encrypted_content=seal("openai_chat", "enc")),
    Reasoning(
        summary=("A",),
        content=("B", "C"),
        signature=seal("gemini", "s"),
        encrypted_content=seal("openresponses", "e"),
        redacted=seal("gemini", "r"),
    ),
    FunctionCall("call_1", "f", "{}", signature=seal("gemini", "CiQ+thought/signature==")),
    FunctionCall("call_1", "f", "x", freeform=True, signature=seal("gemini", "s")),
]


def whole(items):
    return OPENRESPONSES.encode_response(Response("r", "m", 1, (Choice(items, FinishReason.STOP),)), None)


def streamed(items):
    encoder = OPENRESPONSES.stream_encoder(None)
    response = Response("r", "m", 1, (Choice(items, FinishReason.STOP),))
    return events_of(join_frames(encoder, unfold(response)) + encoder.close())[-1]["response"]


def read_back(*trees):
    return OPENRESPONSES.decode_request({"model": "m", "input": json.loads(json.dumps(trees))}).items


def without_status(item):
    tree = dict(item)
    tree.pop("status", None)
    return tree


@pytest.mark.parametrize("told", [whole, streamed])
@pytest.mark.parametrize("item", ITEMS)
def test_a_client_brings_back_what_any_provider_made(item, told):
    back = read_back(*map(without_status, told((item,))["output"]))
    assert back == (item,)


@pytest.mark.parametrize("told", [whole, streamed])
def test_a_client_that_sends_calls_alone_still_brings_back_their_signature(told):
    call = FunctionCall("call_1", "f", "{}", signature=seal("gemini", "s"))
    (tree,) = told((call,))["output"]
    bare = {field: tree[field] for field in ("type", "call_id", "name", "arguments")}
    output = {"type": "function_call_output", "call_id": tree["call_id"], "output": "1"}
    assert read_back(bare, output) == (call, FunctionCallOutput("call_1", (TextPart("1"),)))


def test_a_client_sees_its_own_providers_value_bare():
    (tree,) = whole((ITEMS[2],))["output"]
    assert tree["encrypted_content"] == "gAAA"


def test_a_provider_gets_its_own_value_bare_and_no_other():
    encoded = OPENRESPONSES.encode_request(Request("m", (*ITEMS, TEXT)))
    own, mixed = [item for item in encoded.tree["input"] if item["type"] == "reasoning"]
    assert (own["encrypted_content"], mixed["encrypted_content"]) == ("gAAA", "e")
    assert "aigw1" not in json.dumps(encoded.tree)
    assert encoded.dropped == (
        "items[0]",
        "items[1]",
        "items[3]",
        "items[4].signature",
        "items[4].redacted",
        "items[5].signature",
        "items[6].signature",
    )


@pytest.mark.parametrize("value", ["aigw1+", "aigw1+{", "aigw1+[]"])
def test_a_value_that_only_looks_packed_is_its_own_providers(value):
    tree = {"type": "reasoning", "summary": [], "encrypted_content": value}
    (item,) = read_back(tree)
    assert item.encrypted_content == seal("openresponses", value)
    (again,) = OPENRESPONSES.encode_request(Request("m", (item,))).tree["input"]
    assert again == tree


def test_a_streamed_value_comes_from_the_end_of_its_item():
    early = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "early"}
    trees = [
        {"type": "response.output_item.added", "output_index": 0, "item": early},
        {
            "type": "response.output_item.done",
            "output_index": 0,
            "item": early | {"encrypted_content": "late"},
        },
    ]
    decoder = OPENRESPONSES.stream_decoder()
    events = [e for t in trees for e in decoder.feed(b"data: " + json.dumps(t).encode() + b"\n\n")]
    told = [event.text for event in events if getattr(event, "kind", None) == "encrypted"]
    assert told == [seal("openresponses", "late")]
