"""What a provider wants back unchanged survives a chat client, whatever format the provider speaks."""

import json
import re

import pytest

from aigw.dialects.base import join_frames
from aigw.dialects.openai_chat import OPENAI_CHAT
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
    fold,
    unfold,
)
from aigw.model.seal import seal
from aigw.wire.sse import split_frames

SIGNED = Reasoning(content=("Let me see.",), signature=seal("anthropic", "EqQB+/=="))
REDACTED = Reasoning(redacted=seal("anthropic", "cmVk"))
ENCRYPTED = Reasoning(summary=("First", "Second"), encrypted_content=seal("openresponses", "gAAA"))
BOTH = Reasoning(
    summary=("In short",),
    content=("At", "length"),
    signature=seal("gemini", "s"),
    redacted=seal("gemini", "r"),
)
TEXT = Message("assistant", (TextPart("Done."),))
CALL = FunctionCall("call_1", "f", '{"a":1}', signature=seal("gemini", "CiQ+thought/signature=="))

CONVERSATIONS = [
    (SIGNED, TEXT),
    (SIGNED, REDACTED, SIGNED, TEXT),
    (ENCRYPTED, TEXT),
    (ENCRYPTED, REDACTED, BOTH, TEXT, CALL),
    (CALL,),
]


def answer(*items):
    return Response("r", "m", 1, (Choice(items, FinishReason.STOP),))


def from_whole(items):
    return OPENAI_CHAT.encode_response(answer(*items), None)["choices"][0]["message"]


def from_stream(items):
    """Put the message together as a client does: texts joined, details and calls collected."""
    encoder = OPENAI_CHAT.stream_encoder(None)
    data = join_frames(encoder, unfold(answer(*items))) + encoder.close()
    message = {"role": "assistant", "content": "", "reasoning_content": ""}
    for frame in split_frames(data)[:-1]:
        for choice in json.loads(frame.data)["choices"]:
            delta = choice["delta"]
            for field in ("content", "reasoning_content"):
                message[field] += delta.get(field) or ""
            message.setdefault("reasoning_details", []).extend(delta.get("reasoning_details", []))
            for call in delta.get("tool_calls", []):
                calls = message.setdefault("tool_calls", [])
                if call["index"] == len(calls):
                    calls.append(call)
                else:
                    calls[-1]["function"]["arguments"] += call["function"]["arguments"]
    return {field: value for field, value in message.items() if value}


def read_back(*messages):
    return OPENAI_CHAT.decode_request({"model": "m", "messages": list(messages)}).items


@pytest.mark.parametrize("told", [from_whole, from_stream])
@pytest.mark.parametrize("items", CONVERSATIONS)
def test_a_client_brings_back_the_thinking_of_any_provider_as_it_was(items, told):
    message = json.loads(json.dumps(told(items)))
    assert read_back(message) == items
    message.pop("reasoning_content", None)
    kept = tuple(item for item in read_back(message) if isinstance(item, Reasoning))
    assert kept == tuple(item for item in items if isinstance(item, Reasoning))


@pytest.mark.parametrize("told", [from_whole, from_stream])
def test_a_client_that_drops_unknown_fields_still_brings_back_a_calls_signature(told):
    message = told((CALL,))
    (call,) = message["tool_calls"]
    assert re.fullmatch(r"[A-Za-z0-9_.=-]+", call["id"])
    bare = {"role": "assistant", "content": None, "tool_calls": [call]}
    output = {"role": "tool", "tool_call_id": call["id"], "content": "1"}
    assert read_back(bare, output) == (CALL, FunctionCallOutput("call_1", (TextPart("1"),)))


def test_the_id_of_a_call_without_a_signature_stays_as_it_is():
    (call,) = from_whole((FunctionCall("call.1/ü", "f"),))["tool_calls"]
    assert call["id"] == "call.1/ü"


@pytest.mark.parametrize("call_id", ["aigw1sig.", "aigw1sig.YQ==.", "aigw1sig.a.b", "aigw1sig.YQ==._w=="])
def test_an_id_that_only_looks_like_ours_stays_as_it_is(call_id):
    output = {"role": "tool", "tool_call_id": call_id, "content": "1"}
    assert read_back(output)[0].call_id == call_id


def test_a_provider_is_never_sent_what_another_one_made():
    encoded = OPENAI_CHAT.encode_request(Request("m", (SIGNED, TEXT, CALL)))
    assert b"aigw1" not in json.dumps(encoded.tree).encode()
    assert encoded.dropped == ("items[0]", "items[2].signature")


DETAILS = [
    {
        "type": "reasoning.text",
        "text": "Hm",
        "signature": "c2ln",
        "format": "anthropic-claude-v1",
        "index": 0,
    },
    {
        "type": "reasoning.encrypted",
        "data": "ZW5j",
        "id": "rs_1",
        "format": "openai-responses-v1",
        "index": 1,
    },
]


def test_a_provider_of_this_format_gets_its_own_details_back_byte_for_byte():
    message = {"role": "assistant", "content": "ok", "reasoning": "Hm", "reasoning_details": DETAILS}
    tree = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    response = OPENAI_CHAT.decode_response(tree)
    assert response.items[0].signature == seal("openai_chat", "c2ln")
    assert response.items[0].encrypted_content == seal("openai_chat", "ZW5j")
    told = OPENAI_CHAT.encode_response(response, None)["choices"][0]["message"]
    encoded = OPENAI_CHAT.encode_request(Request("m", read_back(told)))
    assert encoded.tree["messages"][0]["reasoning_details"] == DETAILS
    assert encoded.dropped == ()


def test_a_provider_of_this_format_gets_its_own_values_back_bare_from_a_client_of_another():
    item = Reasoning(content=("Hm",), signature=seal("openai_chat", "c2ln"))
    (message,) = OPENAI_CHAT.encode_request(Request("m", (item, TEXT))).tree["messages"]
    assert message["reasoning_details"] == [{"type": "reasoning.text", "text": "Hm", "signature": "c2ln"}]


def test_pieces_of_a_streamed_value_are_sealed_once():
    details = [{"type": "reasoning.encrypted", "data": data, "index": 0} for data in ("one", "two")]
    chunks = [{"choices": [{"index": 0, "delta": {"reasoning_details": [detail]}}]} for detail in details]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    decoder = OPENAI_CHAT.stream_decoder()
    data = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks)
    (item,) = fold(decoder.feed(data + b"data: [DONE]\n\n") + decoder.close()).items
    assert item.encrypted_content == seal("openai_chat", "onetwo")


def test_fields_of_another_format_are_named_with_their_place():
    extras = {"anthropic:cache_control": {"type": "ephemeral"}, "anthropic:@note": True}
    parts = (TextPart("a"), TextPart("b", extras=extras))
    items = (
        Message("user", parts),
        Message("assistant", parts, extras={"gemini:@scope/field": 1}),
        FunctionCallOutput("c", parts[1:]),
    )
    assert OPENAI_CHAT.encode_request(Request("m", items)).dropped == (
        "items[0].parts[1].anthropic:cache_control",
        "items[1].gemini:field",
        "items[1].parts[1].anthropic:cache_control",
        "items[2].parts[0].anthropic:cache_control",
    )
