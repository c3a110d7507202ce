"""Chat: every answer has its vendor's shape, whole and streamed."""

from __future__ import annotations

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from support.demo import CHAT, CLOCK, NOW, ask_chunks, ask_json, chat


async def test_chat_echoes_and_says_that_it_is_a_demo():
    tree = await ask_json(CHAT, chat("How are you?"))
    whole = ChatCompletion.model_validate(tree)
    text = whole.choices[0].message.content
    assert '"How are you?"' in text
    assert "demo" in text
    assert "OPENAI_API_KEY" in text
    assert (whole.model, whole.created, whole.system_fingerprint) == ("m-1", NOW, "aigw-demo")
    assert whole.usage.prompt_tokens == 3
    assert whole.usage.completion_tokens == len(text.split())
    assert whole.usage.total_tokens == 3 + len(text.split())


async def test_chat_takes_text_parts_and_any_history():
    parts = [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": "data:,"}}]
    messages = [
        {"role": "system", "content": "be kind"},
        {"role": "assistant", "content": None},
        {"role": "user", "content": parts},
    ]
    tree = await ask_json(CHAT, {"messages": messages})
    assert '"look"' in tree["choices"][0]["message"]["content"]
    assert tree["model"] == "demo"


async def test_same_question_same_answer_whatever_the_order_of_its_keys():
    body = chat("hi", n=2)
    one = await ask_json(CHAT, body)
    two = await ask_json(CHAT, dict(reversed(body.items())))
    other = await ask_json(CHAT, chat("ho", n=2))
    assert one == two
    assert one["id"] != other["id"]


async def test_a_stream_says_what_the_whole_says():
    whole = await ask_json(CHAT, chat("hi"))
    chunks = await ask_chunks(CHAT, chat("hi"))
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk)
        assert "usage" not in chunk
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas[0]["role"] == "assistant"
    assert "".join(delta.get("content", "") for delta in deltas) == whole["choices"][0]["message"]["content"]
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


async def test_include_usage_puts_null_everywhere_and_counts_at_the_end():
    body = chat("hi")
    whole = await ask_json(CHAT, body)
    *chunks, last = await ask_chunks(CHAT, {**body, "stream_options": {"include_usage": True}})
    assert all(chunk["usage"] is None for chunk in chunks)
    assert last["choices"] == []
    assert last["usage"] == whole["usage"]
    ChatCompletionChunk.model_validate(last)


async def test_n_choices_come_whole_and_streamed():
    whole = await ask_json(CHAT, chat("hi", n=3))
    chunks = await ask_chunks(CHAT, chat("hi", n=3))
    for at, choice in enumerate(whole["choices"]):
        mine = [chunk["choices"][0] for chunk in chunks if chunk["choices"][0]["index"] == at]
        assert "".join(part["delta"].get("content", "") for part in mine) == choice["message"]["content"]
        assert mine[-1]["finish_reason"] == "stop"
    assert len(whole["choices"]) == 3


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
async def test_a_limit_cuts_words(name):
    tree = await ask_json(CHAT, chat("hi", **{name: 3}))
    assert tree["choices"][0]["message"]["content"] == "Hello! You said:"
    assert tree["choices"][0]["finish_reason"] == "length"
    assert tree["usage"]["completion_tokens"] == 3


async def test_a_limit_cuts_inside_of_a_piece_too():
    chunks = await ask_chunks(CHAT, chat("hi [[demo chunks=2]]", max_tokens=2))
    pieces = [part for chunk in chunks if (part := chunk["choices"][0]["delta"].get("content"))]
    assert pieces == ["Hello! You"]
    assert chunks[-1]["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize("stop", ["said", ["never", "said"]])
async def test_text_ends_before_a_stop_sequence(stop):
    tree = await ask_json(CHAT, chat("hi", stop=stop))
    chunks = await ask_chunks(CHAT, chat("hi", stop=stop))
    assert tree["choices"][0]["message"]["content"] == "Hello! You "
    assert tree["choices"][0]["finish_reason"] == "stop"
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == "Hello! You "


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({}, "messages", "missing_required_parameter"),
        ({"messages": "hi"}, "messages", "invalid_type"),
        ({"messages": []}, "messages", "empty_array"),
        ({"messages": ["hi"]}, "messages[0]", "invalid_type"),
        ({"messages": [{"content": "hi"}]}, "messages[0].role", "missing_required_parameter"),
        ({"messages": [{"role": "me", "content": "hi"}]}, "messages[0].role", "invalid_value"),
        ({"messages": [{"role": "user"}]}, "messages[0].content", "invalid_type"),
        (chat("hi", n=0), "n", "integer_out_of_range"),
        (chat("hi", n="many"), "n", "invalid_type"),
        (chat("hi", max_tokens=0), "max_tokens", "integer_out_of_range"),
        (chat("hi", stop=list("abcde")), "stop", "array_above_max_length"),
        (chat("hi", stop=5), "stop", "invalid_type"),
        (chat("hi", stream_options={}), "stream_options", None),
        (chat("hi", tools={}), "tools", "invalid_type"),
        (
            chat("hi", tools=[{"type": "function", "function": {}}]),
            "tools[0].function.name",
            "missing_required_parameter",
        ),
        (chat("hi", tools=["f"]), "tools[0]", "invalid_type"),
        (chat("hi", tools=[CLOCK], tool_choice="always"), "tool_choice", "invalid_value"),
        (
            chat("hi", response_format={"type": "json_schema", "json_schema": {}}),
            "response_format.json_schema.name",
            "missing_required_parameter",
        ),
        (chat("hi", tool_choice="required"), "tool_choice", None),
        (
            chat("hi", tools=[CLOCK], tool_choice={"type": "function", "function": {"name": "x"}}),
            "tool_choice",
            "invalid_value",
        ),
        (chat("hi", response_format={"type": "xml"}), "response_format.type", "invalid_value"),
        (
            chat(
                "hi",
                response_format={
                    "type": "json_schema",
                    "json_schema": {
                        "name": "n",
                        "schema": {"type": "object", "properties": {"a": False}, "required": ["a"]},
                    },
                },
            ),
            "response_format",
            "invalid_schema",
        ),
        (chat("hi", model=5), "model", "invalid_type"),
        (b"{", None, None),
        (b"[]", None, None),
        (b"[" * 500 + b"]" * 500, None, None),
        (b'{"a":' + b"[" * 400 + b"]" * 400 + b"}", None, None),
    ],
)
async def test_bad_requests_get_openais_error(body, param, code):
    tree = await ask_json(CHAT, body, status=400)
    error = tree["error"]
    assert (error["param"], error["code"]) == (param, code)
    assert error["type"] == "invalid_request_error"
    assert error["message"]
