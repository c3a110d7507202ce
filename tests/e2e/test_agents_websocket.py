"""The openai-agents framework runs its tool loop over one WebSocket, with nothing stored."""

import openai
import pytest
from support.scripted import USAGE_CHUNK, chunk, sse

import aigw

agents = pytest.importorskip("agents", reason="openai-agents is not installed")

FUNCTION = {"name": "weather", "arguments": '{"city": "Oslo"}'}
CALL = {"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": FUNCTION}]}


@agents.function_tool
def weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"It rains in {city}."


@pytest.fixture
def gateway(upstream):
    made = aigw.Gateway()
    provider = aigw.Provider(upstream.url, "sk-up", name="up", apis=("chat",))
    made.models.register("m", provider, rewrite="up-model")
    return made


async def test_openai_agents_run_a_tool_loop_over_a_websocket(upstream, gateway, complete, aiohttp_server):
    called = {**chunk(), "choices": [{"index": 0, "delta": CALL, "finish_reason": None}]}
    upstream.stream(sse(called, chunk(finish="tool_calls"), USAGE_CHUNK))
    upstream.stream(sse(chunk("Take an "), chunk("umbrella."), chunk(finish="stop"), USAGE_CHUNK))
    server = await aiohttp_server(gateway.make_app())
    url = str(server.make_url("/v1"))
    async with openai.AsyncOpenAI(base_url=url, api_key="sk-client", max_retries=0) as client:
        model = agents.OpenAIResponsesWSModel("m", client)
        agent = agents.Agent(
            name="forecaster",
            instructions="Use the tool.",
            model=model,
            tools=[weather],
            model_settings=agents.ModelSettings(store=False),
        )
        result = await agents.Runner.run(
            agent,
            "Oslo?",
            auto_previous_response_id=True,
            run_config=agents.RunConfig(tracing_disabled=True),
        )
        await model.close()
    assert result.final_output == "Take an umbrella."
    roles = [message["role"] for message in upstream.seen[1].json["messages"]]
    assert roles == ["system", "user", "assistant", "tool"]
    assert "It rains in Oslo." in str(upstream.seen[1].json["messages"][-1]["content"])
    assert [record.api for record in complete] == ["websocket", "responses", "responses"]
