"""Two formats at one table: a client of one, a provider of the other, as the real SDKs would have it."""

import json

import anthropic.types
import openai.types.chat
import pytest
from support import anthropic_wire

from aigw.dialects.anthropic import ANTHROPIC
from aigw.dialects.base import join_frames
from aigw.dialects.openai_chat import OPENAI_CHAT
from aigw.model import (
    Choice,
    FinishReason,
    FunctionCall,
    FunctionCallOutput,
    ImagePart,
    Media,
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

PNG = "data:image/png;base64,AAEC"
CALLS = [
    {"id": f"call_{n}", "type": "function", "function": {"name": "f", "arguments": f'{{"n":{n}}}'}}
    for n in (1, 2)
]
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}


def to_anthropic(**fields):
    """Return what Anthropic gets of a chat client's request."""
    return ANTHROPIC.encode_request(OPENAI_CHAT.decode_request({"model": "m", **fields}))


def to_chat(**fields):
    """Return what a chat provider gets of an Anthropic client's request."""
    fields = {"model": "m", "max_tokens": 100, **fields}
    return OPENAI_CHAT.encode_request(ANTHROPIC.decode_request(fields))


def message(*blocks, stop_reason="end_turn", **fields):
    usage = {"input_tokens": 10, "cache_read_input_tokens": 5, "output_tokens": 3}
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": list(blocks),
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": usage,
        **fields,
    }


def completion(finish_reason="stop", **fields):
    choice = {"index": 0, "message": {"role": "assistant", "content": None, **fields}}
    return {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt",
        "choices": [{**choice, "finish_reason": finish_reason}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13},
    }


def seen_by_chat_client(tree):
    """Return the completion a chat client makes of an Anthropic provider's message."""
    answer = OPENAI_CHAT.encode_response(ANTHROPIC.decode_response(tree), None)
    return openai.types.chat.ChatCompletion.model_validate(json.loads(json.dumps(answer)))


def seen_by_anthropic_client(tree):
    """Return the message an Anthropic client makes of a chat provider's completion."""
    answer = ANTHROPIC.encode_response(OPENAI_CHAT.decode_response(tree), None)
    anthropic_wire.check_whole(answer)
    return anthropic.types.Message.model_validate(json.loads(json.dumps(answer)))


def test_a_chat_clients_conversation_reaches_anthropic():
    found = to_anthropic(
        messages=[
            {"role": "system", "content": "be brief"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "look"},
                    {"type": "image_url", "image_url": {"url": PNG}},
                ],
            },
            {"role": "assistant", "content": "I see.", "tool_calls": CALLS},
            {"role": "tool", "tool_call_id": "call_1", "content": "one"},
            {"role": "tool", "tool_call_id": "call_2", "content": "two"},
            {"role": "user", "content": "and?"},
        ],
        tools=[{"type": "function", "function": {"name": "f", "parameters": SCHEMA, "strict": True}}],
        tool_choice="required",
        parallel_tool_calls=False,
        max_completion_tokens=50,
        stop="END",
        user="u1",
        stream=True,
        stream_options={"include_usage": True},
    )
    assert found.dropped == ()
    use = [{"type": "tool_use", "id": f"call_{n}", "name": "f", "input": {"n": n}} for n in (1, 2)]
    results = [
        {"type": "tool_result", "tool_use_id": f"call_{n}", "content": word}
        for n, word in ((1, "one"), (2, "two"))
    ]
    source = {"type": "base64", "media_type": "image/png", "data": "AAEC"}
    assert found.tree == {
        "model": "m",
        "system": "be brief",
        "messages": [
            {
                "role": "user",
                "content": [{"type": "text", "text": "look"}, {"type": "image", "source": source}],
            },
            {"role": "assistant", "content": [{"type": "text", "text": "I see."}, *use]},
            {"role": "user", "content": [*results, {"type": "text", "text": "and?"}]},
        ],
        "tools": [{"name": "f", "input_schema": SCHEMA, "strict": True}],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
        "max_tokens": 50,
        "stop_sequences": ["END"],
        "metadata": {"user_id": "u1"},
        "stream": True,
    }


def test_an_anthropic_clients_conversation_reaches_a_chat_provider():
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAEC"}}
    found = to_chat(
        system="be brief",
        messages=[
            {"role": "user", "content": "hi"},
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "I see."},
                    {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"n": 1}},
                    {"type": "tool_use", "id": "toolu_2", "name": "f", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "toolu_1", "content": "one"},
                    {"type": "tool_result", "tool_use_id": "toolu_2", "content": [image], "is_error": True},
                    {"type": "text", "text": "and?"},
                ],
            },
        ],
        tools=[{"name": "f", "input_schema": SCHEMA}],
        tool_choice={"type": "tool", "name": "f"},
        stop_sequences=["END"],
    )
    calls = [("toolu_1", '{"n":1}'), ("toolu_2", "{}")]
    assert found.tree["messages"] == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": "I see.",
            "tool_calls": [
                {"id": i, "type": "function", "function": {"name": "f", "arguments": a}} for i, a in calls
            ],
        },
        {"role": "tool", "tool_call_id": "toolu_1", "content": "one"},
        {
            "role": "tool",
            "tool_call_id": "toolu_2",
            "content": [{"type": "image_url", "image_url": {"url": PNG}}],
        },
        {"role": "user", "content": "and?"},
    ]
    assert found.tree["tool_choice"] == {"type": "function", "function": {"name": "f"}}
    assert found.dropped == ("items[5].is_error",)


def test_a_schema_is_asked_for_in_either_tongue():
    wanted = {"type": "json_schema", "json_schema": {"name": "r", "schema": SCHEMA, "strict": True}}
    there = to_anthropic(messages=[{"role": "user", "content": "hi"}], response_format=wanted)
    assert there.tree["output_config"] == {"format": {"type": "json_schema", "schema": SCHEMA}}
    assert there.dropped == ()
    fields = {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}
    back = to_chat(messages=[{"role": "user", "content": "hi"}], **fields)
    assert back.tree["response_format"]["json_schema"]["schema"] == SCHEMA


def test_effort_is_asked_for_in_either_tongue():
    there = to_anthropic(messages=[{"role": "user", "content": "hi"}], reasoning_effort="low").tree
    assert (there["thinking"], there["output_config"]) == ({"type": "adaptive"}, {"effort": "low"})
    back = to_chat(messages=[{"role": "user", "content": "hi"}], output_config={"effort": "high"}).tree
    assert back["reasoning_effort"] == "high"


def test_a_thinking_budget_is_no_limit_elsewhere_but_its_depth_is_kept():
    thinking = {"type": "enabled", "budget_tokens": 5000}
    there = to_chat(messages=[{"role": "user", "content": "hi"}], max_tokens=9000, thinking=thinking)
    assert there.tree["reasoning_effort"] == "medium"
    assert there.dropped == ("reasoning.budget_tokens",)


@pytest.mark.parametrize(
    ("stop_reason", "finish_reason"),
    [
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("stop_sequence", "stop"),
        ("refusal", "content_filter"),
        ("model_context_window_exceeded", "length"),
        ("pause_turn", "stop"),
    ],
)
def test_a_chat_client_reads_why_anthropic_stopped(stop_reason, finish_reason):
    found = seen_by_chat_client(message({"type": "text", "text": "hi"}, stop_reason=stop_reason))
    assert found.choices[0].finish_reason == finish_reason
    assert found.choices[0].message.content == "hi"
    assert found.usage.prompt_tokens == 15
    assert found.usage.prompt_tokens_details.cached_tokens == 5


@pytest.mark.parametrize(
    ("fields", "stop_reason", "text"),
    [
        ({"content": "hi"}, "end_turn", "hi"),
        ({"content": "hi", "finish_reason": "length"}, "max_tokens", "hi"),
        ({"content": "hi", "finish_reason": "content_filter"}, "refusal", "hi"),
        ({"refusal": "I won't."}, "refusal", "I won't."),
    ],
)
def test_an_anthropic_client_reads_why_a_chat_provider_stopped(fields, stop_reason, text):
    found = seen_by_anthropic_client(completion(**fields))
    assert (found.stop_reason, found.content[0].text) == (stop_reason, text)


def test_parallel_calls_cross_both_ways():
    found = seen_by_anthropic_client(completion("tool_calls", tool_calls=CALLS))
    assert [(block.id, block.input) for block in found.content] == [
        ("call_1", {"n": 1}),
        ("call_2", {"n": 2}),
    ]
    assert found.stop_reason == "tool_use"
    uses = [{"type": "tool_use", "id": f"call_{n}", "name": "f", "input": {"n": n}} for n in (1, 2)]
    back = seen_by_chat_client(message(*uses, stop_reason="tool_use"))
    assert [call.to_dict() for call in back.choices[0].message.tool_calls] == CALLS
    assert back.choices[0].finish_reason == "tool_calls"


def test_an_odd_call_id_survives_an_anthropic_client():
    odd = {**CALLS[0], "id": "functions.f:0"}
    block = seen_by_anthropic_client(completion("tool_calls", tool_calls=[odd])).content[0]
    result = {"type": "tool_result", "tool_use_id": block.id, "content": "x"}
    messages = [{"role": "assistant", "content": [block.to_dict()]}, {"role": "user", "content": [result]}]
    sent = to_chat(messages=messages).tree["messages"]
    assert sent[0]["tool_calls"][0]["id"] == "functions.f:0"
    assert sent[1]["tool_call_id"] == "functions.f:0"


THINKING = {"type": "thinking", "thinking": "Hm.", "signature": "EqQBCkYIBxgCKkA+/x=="}
USE = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"n": 1}}


@pytest.mark.parametrize(
    "blocks",
    [
        [THINKING, {"type": "text", "text": "Let me see."}, USE],
        [{**THINKING, "thinking": ""}, USE],
        [{"type": "redacted_thinking", "data": "EmwKAhgBEgy3va3pzix/"}, USE],
    ],
    ids=["thinking", "thinking not shown", "redacted"],
)
def test_thinking_survives_a_chat_client_with_the_very_signature(blocks):
    said = seen_by_chat_client(message(*blocks, stop_reason="tool_use")).choices[0].message
    back = json.loads(said.model_dump_json(exclude_none=True))
    messages = [
        {"role": "user", "content": "hi"},
        back,
        {"role": "tool", "tool_call_id": "toolu_1", "content": "x"},
    ]
    found = to_anthropic(messages=messages)
    assert found.tree["messages"][1]["content"] == blocks
    assert found.dropped == ()


def test_thinking_streamed_to_a_chat_client_survives_with_the_very_signature():
    events = ANTHROPIC.decode_response(message(THINKING, USE, stop_reason="tool_use"))
    encoder = ANTHROPIC.stream_encoder(None)
    data = join_frames(encoder, unfold(events)) + encoder.close()
    decoder = ANTHROPIC.stream_decoder()
    encoder = OPENAI_CHAT.stream_encoder(None)
    chat = join_frames(encoder, decoder.feed(data) + decoder.close()) + encoder.close()
    text, details = "", []
    for frame in split_frames(chat)[:-1]:
        for choice in json.loads(frame.data)["choices"]:
            text += choice["delta"].get("reasoning_content") or ""
            details += choice["delta"].get("reasoning_details") or []
    back = {"role": "assistant", "content": None, "reasoning_content": text, "reasoning_details": details}
    found = to_anthropic(messages=[{"role": "user", "content": "hi"}, back])
    assert found.tree["messages"][1]["content"] == [THINKING]


def test_a_chat_providers_open_thinking_is_shown_and_not_sent_to_anthropic():
    found = seen_by_anthropic_client(completion(content="42", reasoning_content="Hm."))
    assert found.content[0].to_dict() == {"type": "thinking", "thinking": "Hm.", "signature": ""}
    decoded = ANTHROPIC.decode_request(
        {"model": "m", "messages": [{"role": "assistant", "content": [b.to_dict() for b in found.content]}]}
    )
    encoded = ANTHROPIC.encode_request(decoded)
    assert encoded.tree["messages"] == [{"role": "assistant", "content": "42"}]
    assert encoded.dropped == ("items[0]",)


# Opaque values of a third provider, kept by a client of this format.

GEMINI = seal("gemini", "CtYBAXLI2nwK+/==")
OPENAI = seal("openresponses", "gAAAAABn+/==")


@pytest.mark.parametrize(
    "items",
    [
        (Reasoning(content=("Hm.",), signature=GEMINI), FunctionCall("c1", "f", "{}")),
        (FunctionCall("c1", "f", "{}", signature=GEMINI), FunctionCall("c2", "f", "{}")),
        (Message("assistant", (TextPart("a"), TextPart("b", signature=GEMINI))),),
        (
            Message("assistant", (TextPart("a"), TextPart("", signature=GEMINI))),
            FunctionCall("c1", "f", "{}"),
        ),
        (Reasoning(summary=("Hm.",), encrypted_content=OPENAI, id="rs_1"), FunctionCall("c1", "f", "{}")),
        (Reasoning(content=("Hm.",), encrypted_content=OPENAI),),
        (Reasoning(encrypted_content=OPENAI, id="rs_1"), FunctionCall("c1", "f", "{}")),
        (Reasoning(redacted=GEMINI),),
    ],
    ids=[
        "signature",
        "call",
        "text",
        "empty text",
        "encrypted summary",
        "encrypted content",
        "encrypted alone",
        "redacted",
    ],
)
def test_an_opaque_value_survives_an_anthropic_client(items):
    answer = ANTHROPIC.encode_response(Response("r", "m", choices=(Choice(items, FinishReason.STOP),)), None)
    anthropic_wire.check_whole(answer)
    said = anthropic.types.Message.model_validate(answer)
    # What the SDK's examples do: the content of the answer is appended to the conversation as it is.
    back = {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in said.content]}
    decoded = ANTHROPIC.decode_request({"model": "m", "messages": [{"role": "user", "content": "hi"}, back]})
    assert decoded.items[1:] == items


@pytest.mark.parametrize(
    "items",
    [
        (FunctionCall("c1", "f", "{}", signature=GEMINI), FunctionCall("c2", "f", "{}")),
        (Reasoning(summary=("Hm.",), encrypted_content=OPENAI, id="rs_1"), FunctionCall("c1", "f", "{}")),
        (Reasoning(content=("Hm.",), signature=GEMINI), FunctionCall("c1", "f", "{}")),
    ],
    ids=["call", "encrypted summary", "signature"],
)
def test_an_opaque_value_survives_a_streaming_anthropic_client(items):
    from anthropic.lib.streaming._messages import accumulate_event

    encoder = ANTHROPIC.stream_encoder(None)
    events = unfold(Response("r", "m", choices=(Choice(items, FinishReason.STOP),)))
    snapshot, buffers = None, {}
    for frame in split_frames(join_frames(encoder, events) + encoder.close()):
        snapshot = accumulate_event(
            event=json.loads(frame.data), current_snapshot=snapshot, json_bufs=buffers
        )
    content = snapshot.model_dump(exclude_none=True, warnings=False)["content"]
    decoded = ANTHROPIC.decode_request(
        {"model": "m", "messages": [{"role": "assistant", "content": content}]}
    )
    assert decoded.items == items


def test_a_signed_call_and_its_output_are_still_a_pair():
    call = FunctionCall("functions.f:0", "f", "{}", signature=GEMINI)
    (block,) = ANTHROPIC.encode_response(Response("r", "m", choices=(Choice((call,)),)), None)["content"]
    result = {"type": "tool_result", "tool_use_id": block["id"], "content": "x"}
    messages = [{"role": "assistant", "content": [block]}, {"role": "user", "content": [result]}]
    decoded = ANTHROPIC.decode_request({"model": "m", "messages": messages})
    assert decoded.items == (call, FunctionCallOutput(call.call_id, (TextPart("x"),)))


def test_a_bare_value_of_an_anthropic_client_never_reaches_another_provider_as_its_own():
    decoded = ANTHROPIC.decode_request(
        {"model": "m", "messages": [{"role": "assistant", "content": [THINKING, USE]}]}
    )
    sent = json.dumps(OPENAI_CHAT.encode_request(decoded).tree)
    assert f'"{THINKING["signature"]}"' not in sent


def test_a_stream_crosses_to_a_chat_client_and_back():
    response = Response(
        "r",
        "m",
        1,
        (
            Choice(
                (Message("assistant", (TextPart("Žluťoučký"),)), FunctionCall("toolu_1", "f", '{"n":1}')),
                FinishReason.TOOL_CALLS,
            ),
        ),
    )
    there = OPENAI_CHAT.stream_encoder(None)
    data = join_frames(there, unfold(response)) + there.close()
    for source, target in ((OPENAI_CHAT, ANTHROPIC), (ANTHROPIC, OPENAI_CHAT)):
        decoder, encoder = source.stream_decoder(), target.stream_encoder(None)
        data = join_frames(encoder, decoder.feed(data) + decoder.close()) + encoder.close()
    decoder = OPENAI_CHAT.stream_decoder()
    (choice,) = fold(decoder.feed(data) + decoder.close()).choices
    assert choice.text == "Žluťoučký"
    assert [(call.call_id, call.arguments) for call in choice.calls] == [("toolu_1", '{"n":1}')]
    assert choice.finish_reason is FinishReason.TOOL_CALLS


def test_a_picture_a_tool_gave_reaches_anthropic():
    output = FunctionCallOutput("c", (ImagePart(Media(data="AAEC", media_type="image/png")),), is_error=True)
    tree = ANTHROPIC.encode_request(Request("m", (FunctionCall("c", "f", "{}"), output))).tree
    (result,) = tree["messages"][1]["content"]
    assert result["is_error"]
    assert result["content"][0]["source"]["data"] == "AAEC"
