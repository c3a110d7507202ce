"""Chat with tools and schemas: what is called, and what an answer is made of."""

from __future__ import annotations

import orjson
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from support.demo import CHAT, CLOCK, WEATHER, ask_chunks, ask_json, chat


@pytest.mark.parametrize(
    ("text", "choice", "called"),
    [
        ("hello", "auto", []),
        ("hello", "required", ["get_weather"]),
        ("hello", {"type": "function", "function": {"name": "get_time"}}, ["get_time"]),
        ("please use a tool", "auto", ["get_weather"]),
        ("call get_time now", None, ["get_time"]),
        ("get_weather and get_time", "auto", ["get_weather", "get_time"]),
        ("get_weather and get_time", "none", []),
    ],
)
async def test_tools_are_called_when_asked_for(text, choice, called):
    tree = await ask_json(CHAT, chat(text, tools=[WEATHER, CLOCK], tool_choice=choice))
    (answer,) = ChatCompletion.model_validate(tree).choices
    assert [call.function.name for call in answer.message.tool_calls or []] == called
    assert answer.finish_reason == ("tool_calls" if called else "stop")
    assert (answer.message.content is None) == bool(called)


@pytest.mark.parametrize(("mode", "called"), [("required", ["get_time"]), ("auto", [])])
async def test_only_allowed_tools_are_called(mode, called):
    allowed = {"mode": mode, "tools": [{"type": "function", "function": {"name": "get_time"}}]}
    choice = {"type": "allowed_tools", "allowed_tools": allowed}
    tools = [{"type": "custom", "custom": {"name": "shell"}}, WEATHER, CLOCK]
    tree = await ask_json(CHAT, chat("get_weather", tools=tools, tool_choice=choice))
    calls = tree["choices"][0]["message"].get("tool_calls", [])
    assert [call["function"]["name"] for call in calls] == called


async def test_parallel_calls_can_be_switched_off():
    body = chat("get_weather and get_time", tools=[WEATHER, CLOCK], parallel_tool_calls=False)
    tree = await ask_json(CHAT, body)
    assert len(tree["choices"][0]["message"]["tool_calls"]) == 1


async def test_streamed_tool_calls_join_to_the_whole_ones():
    body = chat("get_weather and get_time", tools=[WEATHER, CLOCK])
    whole = (await ask_json(CHAT, body))["choices"][0]["message"]["tool_calls"]
    joined = {}
    for chunk in await ask_chunks(CHAT, body):
        ChatCompletionChunk.model_validate(chunk)
        for part in chunk["choices"][0]["delta"].get("tool_calls", ()):
            call = joined.setdefault(
                part["index"], {"id": part.get("id"), "type": "function", "function": None}
            )
            if call["function"] is None:
                call["function"] = {"name": part["function"]["name"], "arguments": ""}
            call["function"]["arguments"] += part["function"]["arguments"]
    assert list(joined.values()) == whole
    assert orjson.loads(whole[0]["function"]["arguments"]) == {"city": "demo", "days": 1}
    assert whole[0]["id"] != whole[1]["id"]


async def test_a_tool_result_is_quoted_and_ends_the_loop():
    body = chat("get_weather please", tools=[WEATHER], tool_choice="required")
    first = (await ask_json(CHAT, body))["choices"][0]["message"]
    result = {"role": "tool", "tool_call_id": first["tool_calls"][0]["id"], "content": "sunny, 21 degrees"}
    body["messages"] += [first, result]
    tree = await ask_json(CHAT, body)
    assert "sunny, 21 degrees" in tree["choices"][0]["message"]["content"]
    assert tree["choices"][0]["finish_reason"] == "stop"


async def test_json_schema_answers_with_an_instance():
    schema = {
        "$ref": "#/$defs/p",
        "$defs": {"p": {"type": "object", "properties": {"a": {"enum": [7]}}, "required": ["a"]}},
    }
    form = {"type": "json_schema", "json_schema": {"name": "p", "schema": schema}}
    tree = await ask_json(CHAT, chat("hi", response_format=form))
    assert orjson.loads(tree["choices"][0]["message"]["content"]) == {"a": 7}


async def test_json_object_answers_with_an_object():
    tree = await ask_json(CHAT, chat("hi", response_format={"type": "json_object"}))
    assert orjson.loads(tree["choices"][0]["message"]["content"])["demo"] is True
