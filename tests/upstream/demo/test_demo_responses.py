"""Responses: OpenAI's own sequence of events, functions, and formats."""

from __future__ import annotations

import orjson
import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter
from support.demo import CLOCK, WEATHER, ask_events, ask_json


async def test_a_response_is_valid_and_open_about_itself():
    tree = await ask_json("/v1/responses", {"model": "m", "input": "hi there", "instructions": "be kind"})
    whole = Response.model_validate(tree)
    assert '"hi there"' in whole.output_text
    assert whole.status == "completed"
    assert whole.usage.input_tokens == 4


async def test_a_response_streams_openais_sequence_of_events():
    whole = await ask_json("/v1/responses", {"model": "m", "input": "hi"})
    events = await ask_events("/v1/responses", {"model": "m", "input": "hi"})
    for event in events:
        TypeAdapter(ResponseStreamEvent).validate_python(event)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    kinds = [event["type"].removeprefix("response.") for event in events]
    deltas = kinds.count("output_text.delta")
    assert kinds == [
        "created", "in_progress", "output_item.added", "content_part.added", *["output_text.delta"] * deltas,
        "output_text.done", "content_part.done", "output_item.done", "completed",
    ]  # fmt: skip
    text = "".join(event["delta"] for event in events if event["type"].endswith(".delta"))
    assert text == whole["output"][0]["content"][0]["text"]
    assert {**events[-1]["response"], "id": 0} | {"output": 0} == {**whole, "id": 0} | {"output": 0}


async def test_a_response_calls_functions_and_quotes_their_results():
    tools = [{"type": "function", **tool["function"]} for tool in (WEATHER, CLOCK)]
    body = {"model": "m", "input": "get_weather and get_time", "tools": tools}
    tree = await ask_json("/v1/responses", body)
    calls = Response.model_validate(tree).output
    assert [call.name for call in calls] == ["get_weather", "get_time"]
    events = await ask_events("/v1/responses", body)
    for event in events:
        TypeAdapter(ResponseStreamEvent).validate_python(event)
    assert [event["arguments"] for event in events if event["type"].endswith("arguments.done")] == [
        call.arguments for call in calls
    ]
    result = {"type": "function_call_output", "call_id": calls[0].call_id, "output": "sunny"}
    body["input"] = [{"role": "user", "content": "get_weather"}, tree["output"][0], result]
    answer = Response.model_validate(await ask_json("/v1/responses", body))
    assert '"sunny"' in answer.output_text


async def test_a_response_can_be_structured_or_cut_short():
    schema = {"type": "object", "properties": {"a": {"type": "null"}}, "required": ["a"]}
    body = {"input": "hi", "text": {"format": {"type": "json_schema", "name": "n", "schema": schema}}}
    whole = Response.model_validate(await ask_json("/v1/responses", body))
    assert orjson.loads(whole.output_text) == {"a": None}
    events = await ask_events("/v1/responses", {"input": "hi", "max_output_tokens": 2})
    end = TypeAdapter(ResponseStreamEvent).validate_python(events[-1])
    assert end.type == "response.incomplete"
    assert end.response.incomplete_details.reason == "max_output_tokens"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "input"),
        ({"input": 5}, "input"),
        ({"input": ["hi"]}, "input[0]"),
        ({"input": [{}]}, "input[0].role"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": "hi", "previous_response_id": "resp_1"}, "previous_response_id"),
        ({"input": "hi", "background": True}, "background"),
        ({"input": "hi", "text": {"format": {"type": "json_schema"}}}, "text.format.name"),
        ({"input": "hi", "text": {"format": {"type": "xml"}}}, "text.format.type"),
    ],
)
async def test_bad_responses_requests_are_refused(body, param):
    assert (await ask_json("/v1/responses", body, status=400))["error"]["param"] == param
