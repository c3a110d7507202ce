"""Agent frameworks run their tool loops through the gateway, on state that the gateway keeps.

The provider behind speaks chat completions alone: what came before can only come from the gateway.
"""

import json

import agents
import openai
import pydantic_ai
import pytest
from pydantic_ai.models.openai import OpenAIResponsesModel, OpenAIResponsesModelSettings
from pydantic_ai.providers.openai import OpenAIProvider
from support.scripted import COMPLETION, chunk, sse

import aigw

CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city": "Oslo"}'},
}
ASKED_TOOL = {
    **COMPLETION,
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": None, "tool_calls": [CALL]},
            "finish_reason": "tool_calls",
        }
    ],
}


def said(text):
    choice = {**COMPLETION["choices"][0], "message": {"role": "assistant", "content": text}}
    return {**COMPLETION, "choices": [choice]}


def streamed(*deltas, finish):
    first, *rest = [{**chunk(), "choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    return sse(first, *rest, chunk(finish=finish))


@pytest.fixture
def gateway(upstream):
    made = aigw.Gateway()
    provider = aigw.Provider(upstream.url, "sk-up", name="up", apis=["chat"])
    made.models.register("m", provider, rewrite="up-model")
    return made


@pytest.fixture
async def client(gateway, upstream, aiohttp_server):
    server = await aiohttp_server(gateway.make_app())
    async with openai.AsyncOpenAI(
        base_url=str(server.make_url("/v1")), api_key="sk-client", max_retries=0
    ) as made:
        yield made


@agents.function_tool
def weather(city: str) -> str:
    """Tell the weather."""
    return f"rain in {city}"


def openai_agent(client):
    agents.set_tracing_disabled(True)
    model = agents.OpenAIResponsesModel(model="m", openai_client=client)
    return agents.Agent(name="a", instructions="Be brief.", model=model, tools=[weather])


def roles(seen):
    return [message["role"] for message in seen.json["messages"]]


async def test_openai_agents_run_a_tool_loop_on_previous_response_id(client, upstream):
    for answer in (ASKED_TOOL, said("It rains."), said("In Oslo.")):
        upstream.answer(answer)
    agent = openai_agent(client)
    result = await agents.Runner.run(agent, "Weather in Oslo?", auto_previous_response_id=True)
    assert result.final_output == "It rains."
    again = await agents.Runner.run(agent, "Where?", previous_response_id=result.last_response_id)
    assert again.final_output == "In Oslo."
    assert roles(upstream.seen[1]) == ["system", "user", "assistant", "tool"]
    assert upstream.seen[1].json["messages"][3]["content"] == "rain in Oslo"
    assert roles(upstream.seen[2]) == ["system", "user", "assistant", "tool", "assistant", "user"]


async def test_openai_agents_stream_the_same(client, upstream):
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}
    arguments = {"index": 0, "function": {"arguments": '{"city": "Oslo"}'}}
    upstream.stream(streamed({"tool_calls": [call]}, {"tool_calls": [arguments]}, finish="tool_calls"))
    upstream.stream(streamed({"content": "It "}, {"content": "rains."}, finish="stop"))
    result = agents.Runner.run_streamed(openai_agent(client), "Weather?", auto_previous_response_id=True)
    deltas = [
        event.data.delta
        async for event in result.stream_events()
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta"
    ]
    assert deltas == ["It ", "rains."]
    assert result.final_output == "It rains."
    assert roles(upstream.seen[1]) == ["system", "user", "assistant", "tool"]


async def test_openai_agents_keep_a_conversation(client, upstream):
    for answer in (said("Hello, Ada."), said("Ada.")):
        upstream.answer(answer)
    conversation = await client.conversations.create()
    agent = openai_agent(client)
    await agents.Runner.run(agent, "I am Ada.", conversation_id=conversation.id)
    result = await agents.Runner.run(agent, "Who am I?", conversation_id=conversation.id)
    assert result.final_output == "Ada."
    assert "I am Ada." in json.dumps(upstream.seen[1].json)
    items = await client.conversations.items.list(conversation.id, order="asc")
    assert [item.type for item in items.data] == ["message"] * 4


async def test_pydantic_ai_runs_a_tool_loop_on_previous_response_id(client, upstream):
    for answer in (ASKED_TOOL, said("It rains."), said("In Oslo.")):
        upstream.answer(answer)
    model = OpenAIResponsesModel("m", provider=OpenAIProvider(openai_client=client))
    settings = OpenAIResponsesModelSettings(openai_previous_response_id="auto")
    agent = pydantic_ai.Agent(model, instructions="Be brief.", model_settings=settings)
    agent.tool_plain(name="weather")(lambda city: f"rain in {city}")
    result = await agent.run("Weather in Oslo?")
    assert result.output == "It rains."
    again = await agent.run("Where?", message_history=result.all_messages())
    assert again.output == "In Oslo."
    assert roles(upstream.seen[1])[-2:] == ["assistant", "tool"]
    assert roles(upstream.seen[2])[-4:] == ["assistant", "tool", "assistant", "user"]
