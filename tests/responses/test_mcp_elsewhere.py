"""MCP tools where an answer does not go out as the HTTP answer of its own request, and their settings."""

import json

import pytest
from attrs import evolve
from support.stateful import calls, says, tell

import aigw
from aigw.config import loads
from aigw.config.state import ResponsesConfig
from aigw.errors import ConfigError
from aigw.responses.mcp.items import as_functions
from aigw.responses.mcp.names import MAX_CHARS, function_name

ENDS = {"response.completed", "response.incomplete", "response.failed", "error"}
LOCAL = ("http://127.0.0.1:*",)


@pytest.fixture
async def mcp_caller(register, start, callers, tenants):
    """A caller of a gateway that calls MCP servers on its own machine."""
    config = evolve(tenants, responses=ResponsesConfig(mcp_allowed=LOCAL))
    return callers(await start(register(aigw.Gateway(config))))


def tool(running, **fields):
    made = {"type": "mcp", "server_label": "calc", "server_url": running.url, "require_approval": "never"}
    return made | fields


def kinds(body):
    return [item["type"] for item in body["output"]]


async def test_a_background_response_runs_its_tools(upstream, servers, mcp_caller):
    running = await servers.start()
    tell(upstream, "chat", calls("calc__add", {"a": 2, "b": 3}), stream=True)
    tell(upstream, "chat", says("5"), stream=True)
    first = await mcp_caller.ask("2+3?", background=True, tools=[tool(running)])
    assert first.body["status"] == "queued"
    while (told := await mcp_caller.get(f"/v1/responses/{first.id}")).body["status"] in {
        "queued",
        "in_progress",
    }:
        pass
    assert told.body["status"] == "completed"
    assert kinds(told.body) == ["mcp_list_tools", "mcp_call", "message"]


async def test_a_turn_on_a_websocket_runs_its_tools_and_continues(upstream, servers, mcp_caller):
    running = await servers.start()
    tell(upstream, "chat", calls("calc__add", {"a": 2, "b": 3}), stream=True)
    tell(upstream, "chat", says("5"), stream=True)
    url = mcp_caller.url + "/v1/responses"
    async with mcp_caller.session.ws_connect(url, headers=mcp_caller.headers) as socket:

        async def turn(**fields):
            await socket.send_json({"type": "response.create", "model": "chat", **fields})
            events = []
            while not events or events[-1]["type"] not in ENDS:
                events.append(await socket.receive_json(timeout=10))
            return events

        first = await turn(input="2+3?", store=False, tools=[tool(running)])
        assert [event["sequence_number"] for event in first] == list(range(len(first)))
        response = first[-1]["response"]
        assert kinds(response) == ["mcp_list_tools", "mcp_call", "message"]
        asked = len(running.watcher.asked)
        second = await turn(
            input="and?", store=False, previous_response_id=response["id"], tools=[tool(running)]
        )
        assert kinds(second[-1]["response"]) == ["message"]
        assert len(running.watcher.asked) == asked


async def test_the_demo_calls_a_tool_and_tells_its_result(servers, mcp_caller):
    running = await servers.start()
    told = await mcp_caller.ask("Please call calc__add", model="demo", tools=[tool(running)])
    assert kinds(told.body) == ["mcp_list_tools", "mcp_call", "message"]
    assert running.called[0][0] == "add"
    assert f'"{told.body["output"][1]["output"]}"' in told.text


async def test_no_credential_is_kept(upstream, servers, mcp_caller):
    running = await servers.start()
    tell(upstream, "chat", says("hello"), stream=True)
    first = await mcp_caller.ask("hi", tools=[tool(running, authorization="tok-secret")])
    kept = await mcp_caller.get(f"/v1/responses/{first.id}")
    assert "secret" not in json.dumps(kept.body)


# Settings.


def test_settings_are_read():
    config = loads({"responses": {"mcp": "gateway", "mcp_allowed": ["https://*.example.com/*"]}}, {})
    assert config.responses.mcp == "gateway"
    assert config.responses.mcp_allowed == ("https://*.example.com/*",)


@pytest.mark.parametrize("pattern", ["example.com", "https://", "ftp://example.com", "https://a:b"])
def test_a_pattern_that_can_match_nothing_is_a_mistake(pattern):
    with pytest.raises(ConfigError, match="a scheme, a host"):
        loads({"responses": {"mcp_allowed": [pattern]}}, {})


# Names and items.


def test_a_name_is_one_that_every_provider_takes():
    assert function_name("calc", "add") == "calc__add"
    odd = function_name("my server", "add/numbers")
    assert odd.startswith("my_server__add_numbers_")
    long = function_name("calc", "a" * 100)
    assert len(long) == MAX_CHARS
    assert long == function_name("calc", "a" * 100) != function_name("calc", "a" * 101)
    assert function_name("calc", "add", {"calc__add"}) != "calc__add"
    assert function_name("a", "b c") != function_name("a", "b_c")


def call(**fields):
    made = {"type": "mcp_call", "id": "mcp_1", "server_label": "calc", "name": "add", "arguments": "{}"}
    return made | {"output": None, "error": None} | fields


@pytest.mark.parametrize(
    ("item", "output"),
    [
        (call(output="5"), "5"),
        (call(error={"type": "http_error", "code": 502, "message": "gone"}), "Error: gone"),
        (
            call(error={"type": "mcp_tool_execution_error", "content": [{"type": "text", "text": "no"}]}),
            "Error: no",
        ),
        (call(error="in words"), "in words"),
        (call(), "This call was broken off before it had a result."),
    ],
)
def test_a_call_becomes_a_functions_call_and_its_output(item, output):
    made, answered = as_functions([item])
    assert (made["type"], made["name"], made["arguments"]) == ("function_call", "calc__add", "{}")
    assert answered == {"type": "function_call_output", "call_id": made["call_id"], "output": output}


def test_items_of_other_kinds_stay_the_very_same():
    items = [{"role": "user", "content": "hi"}, {"type": "mcp_list_tools", "server_label": "a", "tools": []}]
    (only,) = as_functions(items)
    assert only is items[0]
