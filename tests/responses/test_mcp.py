"""MCP tools run by the gateway, in front of providers of every format."""

import asyncio
import json
from functools import cache

import jsonschema
import pytest
from attrs import evolve
from support.openresponses_wire import SPEC, check_stream, check_whole, events_of
from support.stateful import APIS, calls, says, tell

import aigw
from aigw.config.state import ResponsesConfig
from aigw.model import Choice, FinishReason, FunctionCall

LOCAL = ("http://127.0.0.1:*",)


@pytest.fixture
async def mcp_caller(register, start, callers, tenants):
    """A caller of a gateway that calls MCP servers on its own machine."""
    config = evolve(tenants, responses=ResponsesConfig(mcp_allowed=LOCAL))
    return callers(await start(register(aigw.Gateway(config))))


OPENAI = SPEC / "openai-2026-08-slice.openapi.json"


@cache
def openai_schema(name):
    schemas = json.loads(OPENAI.read_text(encoding="utf-8"))["components"]["schemas"]
    # It demands a field of approvals that it does not describe, and that nobody sends.
    schemas["MCPApprovalResponseResource"]["required"].remove("request_id")
    return jsonschema.Draft202012Validator(
        {"$ref": f"#/components/schemas/{name}", "components": {"schemas": schemas}}
    )


ITEMS = {
    "mcp_list_tools": "MCPListTools",
    "mcp_call": "MCPToolCall",
    "mcp_approval_request": "MCPApprovalRequest",
}


def check_openai(events):
    """Hold events and items of MCP to OpenAI's own description, where it is there."""
    if not OPENAI.exists():
        return
    for event in events:
        if ".mcp_" in event["type"]:
            words = event["type"].removeprefix("response.mcp_").replace(".", "_").split("_")
            name = "".join(word.capitalize() for word in words)
            openai_schema(f"ResponseMCP{name}Event").validate(event)
        if event.get("item", {}).get("type") in ITEMS:
            openai_schema(ITEMS[event["item"]["type"]]).validate(event["item"])


def tool(running, **fields):
    made = {"type": "mcp", "server_label": "calc", "server_url": running.url, "require_approval": "never"}
    return made | fields


def several(*wanted, call_ids=None):
    """Return an answer of several calls at once."""
    items = tuple(
        FunctionCall(f"call_{number}", name, json.dumps(arguments))
        for number, (name, arguments) in enumerate(wanted)
    )
    return evolve(says(""), choices=(Choice(items, FinishReason.TOOL_CALLS),))


def kinds(told):
    return [item["type"] for item in told.body["output"]]


@pytest.mark.parametrize("api", APIS)
async def test_a_tool_is_listed_called_and_answered(upstream, servers, mcp_caller, api):
    running = await servers.start()
    tell(upstream, api, calls("calc__add", {"a": 2, "b": 3}), stream=True)
    tell(upstream, api, says("It is 5."), stream=True)
    told = await mcp_caller.ask("2+3?", model=api, tools=[tool(running)])
    assert told.status == 200, told.body
    assert kinds(told) == ["mcp_list_tools", "mcp_call", "message"]
    listed, call, _ = told.body["output"]
    assert [each["name"] for each in listed["tools"]] == ["add", "fail", "wait"]
    assert listed["tools"][0]["annotations"] == {"readOnlyHint": True}
    assert (call["name"], call["server_label"], call["output"]) == ("add", "calc", "5")
    assert (call["status"], call["error"]) == ("completed", None)
    assert json.loads(call["arguments"]) == {"a": 2, "b": 3}
    assert told.text == "It is 5."
    assert told.body["status"] == "completed"
    assert running.called == [("add", {"a": 2, "b": 3})]
    check_whole(told.body)


@pytest.mark.parametrize("api", APIS)
async def test_a_stream_tells_every_step_as_one_response(upstream, servers, mcp_caller, api):
    running = await servers.start()
    tell(upstream, api, calls("calc__add", {"a": 2, "b": 3}), stream=True)
    tell(upstream, api, says("It is 5."), stream=True)
    async with mcp_caller.session.post(
        mcp_caller.url + "/v1/responses",
        json={"model": api, "input": "2+3?", "stream": True, "tools": [tool(running)]},
        headers=mcp_caller.headers,
    ) as response:
        data = await response.read()
    check_stream(data, failed=False)
    check_openai(events_of(data))
    text = data.decode()
    assert text.count("event: response.created\n") == text.count("event: response.completed\n") == 1
    names = [line.removeprefix("event: ") for line in text.splitlines() if line.startswith("event: ")]
    order = [name for name in names if "mcp" in name and "delta" not in name]
    assert order == [
        "response.mcp_list_tools.in_progress",
        "response.mcp_list_tools.completed",
        "response.mcp_call.in_progress",
        "response.mcp_call_arguments.done",
        "response.mcp_call.completed",
    ]
    assert "function_call" not in text.replace('"tools"', "")


@pytest.mark.parametrize("transport", ["http", "sse"])
async def test_both_transports_are_spoken(upstream, servers, mcp_caller, transport):
    running = await servers.start(transport)
    tell(upstream, "chat", calls("calc__add", {"a": 1, "b": 1}), stream=True)
    tell(upstream, "chat", says("2"), stream=True)
    told = await mcp_caller.ask("1+1?", tools=[tool(running)])
    assert [item.get("output") for item in told.body["output"]] == [None, "2", None]


async def test_the_model_is_shown_functions_and_its_calls_with_their_outputs(upstream, servers, mcp_caller):
    running = await servers.start()
    tell(upstream, "chat", calls("calc__add", {"a": 2, "b": 3}, "call_x"), stream=True)
    tell(upstream, "chat", says("5"), stream=True)
    secret = tool(
        running, authorization="tok-secret", headers={"x-own": "also-secret"}, allowed_tools=["add"]
    )
    told = await mcp_caller.ask("2+3?", tools=[secret], tool_choice="required")
    first, second = (seen.json for seen in upstream.seen)
    assert [each["function"]["name"] for each in first["tools"]] == ["calc__add"]
    assert first["tools"][0]["function"]["description"] == "Adds two numbers"
    assert first["tools"][0]["function"]["parameters"]["required"] == ["a", "b"]
    assert (first["tool_choice"], second["tool_choice"]) == ("required", "auto")
    assert second["messages"][-2]["tool_calls"][0]["id"] == "call_x"
    assert second["messages"][-1] == {"role": "tool", "tool_call_id": "call_x", "content": "5"}
    assert {headers.get("authorization") for headers in running.watcher.headers} == {"Bearer tok-secret"}
    assert {headers.get("x-own") for headers in running.watcher.headers} == {"also-secret"}
    for text in (json.dumps(told.body), *(seen.body.decode() for seen in upstream.seen)):
        assert "secret" not in text
    (shown,) = told.body["tools"]
    assert (shown["authorization"], shown["headers"]) == (None, {"x-own": "<redacted>"})
    assert shown["server_url"] == running.url.replace("/mcp", "/<redacted>")
    assert told.body["tool_choice"] == "required"


async def test_one_response_costs_what_all_its_steps_do(upstream, servers, mcp_caller):
    running = await servers.start()
    tell(upstream, "chat", calls("calc__add", {"a": 2, "b": 3}), stream=True)
    tell(upstream, "chat", says("5"), stream=True)
    told = await mcp_caller.ask("2+3?", tools=[tool(running)])
    assert (told.body["usage"]["input_tokens"], told.body["usage"]["total_tokens"]) == (6, 10)


async def test_calls_of_one_step_run_at_the_same_time_and_are_told_in_order(upstream, servers, mcp_caller):
    running = await servers.start()
    running.meet = asyncio.Barrier(3)
    wanted = [("calc__add", {"a": number, "b": 0}) for number in range(3)]
    tell(upstream, "messages", several(*wanted), stream=True)
    tell(upstream, "messages", says("done"), stream=True)
    async with mcp_caller.session.post(
        mcp_caller.url + "/v1/responses",
        json={"model": "messages", "input": "go", "stream": True, "tools": [tool(running)]},
        headers=mcp_caller.headers,
    ) as response:
        data = await response.read()
    check_stream(data, failed=False)
    body = json.loads(data.split(b"data: ")[-2])["response"]
    outputs = [item["output"] for item in body["output"] if item["type"] == "mcp_call"]
    assert outputs == ["0", "1", "2"]


async def test_a_response_was_created_once_however_many_calls_of_the_model_it_takes(
    upstream, servers, mcp_caller
):
    running = await servers.start()
    first, last = several(("calc__add", {"a": 1, "b": 2})), says("3")
    tell(upstream, "chat", first, stream=True)
    tell(upstream, "chat", evolve(last, created=first.created + 9), stream=True)
    async with mcp_caller.session.post(
        mcp_caller.url + "/v1/responses",
        json={"model": "chat", "input": "go", "stream": True, "tools": [tool(running)]},
        headers=mcp_caller.headers,
    ) as response:
        data = await response.read()
    check_stream(data, failed=False)
    body = json.loads(data.split(b"data: ")[-2])["response"]
    assert body["created_at"] == first.created
    assert body["completed_at"] >= first.created + 9


async def test_a_client_runs_its_own_function_after_the_gateway_has_run_its_tool(
    upstream, servers, mcp_caller
):
    running = await servers.start()
    own = {"type": "function", "name": "mine", "parameters": {"type": "object", "properties": {}}}
    tell(upstream, "chat", several(("calc__add", {"a": 1, "b": 2}), ("mine", {})), stream=True)
    first = await mcp_caller.ask("go", tools=[tool(running), own])
    assert kinds(first) == ["mcp_list_tools", "mcp_call", "function_call"]
    assert first.body["status"] == "completed"
    call = first.body["output"][-1]
    tell(upstream, "chat", says("both"), stream=True)
    upstream.scripts.pop(0)
    answered = {"type": "function_call_output", "call_id": call["call_id"], "output": "mine too"}
    second = await mcp_caller.ask([answered], previous_response_id=first.id, tools=[tool(running), own])
    assert kinds(second) == ["message"]
    roles = [message["role"] for message in upstream.seen[-1].json["messages"]]
    assert roles.count("tool") == 2
    assert [path for method, path in running.watcher.asked if method == "POST"]


async def test_a_list_in_the_chain_is_not_fetched_again(upstream, servers, mcp_caller):
    running = await servers.start()
    tell(upstream, "chat", says("hello"), stream=True)
    first = await mcp_caller.ask("hi", tools=[tool(running)])
    asked = len(running.watcher.asked)
    second = await mcp_caller.ask("again", previous_response_id=first.id, tools=[tool(running)])
    assert (kinds(first), kinds(second)) == (["mcp_list_tools", "message"], ["message"])
    assert len(running.watcher.asked) == asked
    assert upstream.seen[-1].json["tools"][0]["function"]["name"] == "calc__add"


@pytest.mark.parametrize("api", APIS)
async def test_a_chain_goes_on_without_its_tools(upstream, servers, mcp_caller, api):
    running = await servers.start()
    tell(upstream, "chat", calls("calc__add", {"a": 2, "b": 3}), stream=True)
    tell(upstream, "chat", says("5"), stream=True)
    first = await mcp_caller.ask("2+3?", tools=[tool(running)])
    upstream.scripts.clear()
    tell(upstream, api, says("bye"))
    second = await mcp_caller.ask("thanks", model=api, previous_response_id=first.id)
    assert second.text == "bye"
    sent = upstream.seen[-1].body.decode()
    assert "mcp_call" not in sent
    assert "mcp_list_tools" not in sent
    assert "calc__add" in sent
    assert "x-aigw-dropped" not in second.headers


async def test_names_of_client_and_servers_do_not_collide(upstream, servers, mcp_caller):
    running = await servers.start()
    own = {"type": "function", "name": "calc__add", "parameters": {"type": "object", "properties": {}}}
    tell(upstream, "chat", says("ok"), stream=True)
    await mcp_caller.ask("go", tools=[own, tool(running, allowed_tools=["add"])])
    names = [each["function"]["name"] for each in upstream.seen[-1].json["tools"]]
    assert len(set(names)) == 2
    assert names[0] == "calc__add"


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"allowed_tools": ["fail"]}, ["fail"]),
        ({"allowed_tools": {"tool_names": ["add", "wait"]}}, ["add", "wait"]),
        ({"allowed_tools": {"read_only": True}}, ["add"]),
        ({"allowed_tools": {"read_only": False}}, ["fail", "wait"]),
        ({"allowed_tools": None}, ["add", "fail", "wait"]),
    ],
)
async def test_only_allowed_tools_are_offered(upstream, servers, mcp_caller, fields, names):
    running = await servers.start()
    tell(upstream, "chat", says("ok"), stream=True)
    told = await mcp_caller.ask("go", tools=[tool(running, **fields)])
    assert [each["name"] for each in told.body["output"][0]["tools"]] == names


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        (
            {"type": "mcp", "server_label": "calc", "name": "add"},
            {"type": "function", "function": {"name": "calc__add"}},
        ),
        ("none", "none"),
    ],
)
async def test_a_choice_among_mcp_tools_is_one_among_functions(upstream, servers, mcp_caller, choice, sent):
    running = await servers.start()
    tell(upstream, "chat", says("ok"), stream=True)
    told = await mcp_caller.ask("go", tools=[tool(running)], tool_choice=choice)
    assert upstream.seen[-1].json["tool_choice"] == sent
    assert told.body["tool_choice"] == choice


async def test_a_record_and_every_hook_see_one_request_of_several_steps(
    upstream, servers, register, start, callers, eventually
):
    class Plugin:
        name = "seeing"

        def __init__(self):
            self.records, self.models = [], []

        async def rewrite_request(self, exchange, payload):
            self.models.append(payload.fields["tools"][0]["type"])

        def on_complete(self, record):
            self.records.append(record)

    running, plugin = await servers.start(), Plugin()
    gateway = register(aigw.Gateway(aigw.Config(responses=ResponsesConfig(mcp_allowed=LOCAL))))
    gateway.hooks.register(plugin)
    caller = callers(await start(gateway))
    tell(upstream, "chat", calls("calc__add", {"a": 2, "b": 3}), stream=True)
    tell(upstream, "chat", says("5"), stream=True)
    told = await caller.ask("2+3?", tools=[tool(running)])
    assert told.headers["x-aigw-provider"] == "up-chat"
    assert plugin.models == ["function", "function"]
    await eventually(lambda: plugin.records)
    (record,) = plugin.records
    assert (record.status, record.ending, record.stream) == (200, "complete", False)
    assert (record.usage.input_tokens, len(record.attempts)) == (6, 2)
    assert record.bytes_out == len(json.dumps(told.body, separators=(",", ":")))


async def test_the_openai_sdk_streams_the_loop(upstream, servers, register, start, sdk):
    running = await servers.start()
    gateway = register(aigw.Gateway(aigw.Config(responses=ResponsesConfig(mcp_allowed=LOCAL))))
    client = sdk(await start(gateway))
    tell(upstream, "gemini", calls("calc__add", {"a": 20, "b": 3}), stream=True)
    tell(upstream, "gemini", says("23"), stream=True)
    async with client.responses.stream(model="gemini", input="20+3?", tools=[tool(running)]) as stream:
        seen = [event.type async for event in stream]
        final = await stream.get_final_response()
    assert seen[-1] == "response.completed"
    assert [item.type for item in final.output] == ["mcp_list_tools", "mcp_call", "message"]
    assert (final.output[1].output, final.output_text) == ("23", "23")
    kept = await client.responses.retrieve(final.id)
    assert [item.id for item in kept.output] == [item.id for item in final.output]


@pytest.mark.parametrize("api", ["chat", "messages", "gemini"])
async def test_items_of_different_steps_have_different_names(upstream, servers, mcp_caller, api):
    running = await servers.start()
    thinks, acts = says("Let me see."), calls("calc__add", {"a": 2, "b": 3})
    items = (*thinks.choices[0].items, *acts.choices[0].items)
    both = evolve(thinks, id=None, choices=(Choice(items, FinishReason.TOOL_CALLS),))
    tell(upstream, api, both, stream=True)
    tell(upstream, api, evolve(says("It is 5."), id=None), stream=True)
    told = await mcp_caller.ask("2+3?", model=api, tools=[tool(running)])
    assert kinds(told) == ["mcp_list_tools", "message", "mcp_call", "message"]
    assert len({item["id"] for item in told.body["output"]}) == 4
