"""Tools that a provider runs itself: passed on to those that have them, and never lost in silence."""

import json

import pytest
from support.stateful import says, tell

import aigw
from aigw.config.state import ResponsesConfig

SEARCH = {"type": "web_search", "search_context_size": "low"}
MCP = {"type": "mcp", "server_label": "docs", "server_url": "https://docs.example.com/mcp"}
CALL = {
    "id": "ws_1",
    "type": "web_search_call",
    "status": "completed",
    "action": {"type": "search", "query": "x"},
}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "status": "completed",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "found", "annotations": [], "logprobs": []}],
}


@pytest.fixture
def hosting(upstream):
    """A model, "hosted", whose provider runs tools itself; answers are scripted."""

    def onto(gateway):
        provider = aigw.Provider(upstream.url, "sk-upstream", name="hosts", apis=["responses"])
        provider.hosted_tools = frozenset({"web_search", "mcp"})
        gateway.models.register("hosted", provider, rewrite="up-model")
        return gateway

    return onto


def response(*output, **fields):
    return {
        "id": "resp_up",
        "object": "response",
        "created_at": 1700000000,
        "status": "completed",
        "model": "up-model",
        "output": list(output),
        "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2},
        **fields,
    }


async def test_a_hosted_tool_and_its_items_pass_through(upstream, hosting, start, callers):
    caller = callers(await start(hosting(aigw.Gateway())))
    upstream.answer(response(CALL, MESSAGE))
    told = await caller.ask("x?", model="hosted", tools=[SEARCH])
    assert upstream.seen[-1].json["tools"] == [SEARCH]
    assert told.body["output"] == [CALL, MESSAGE]


async def test_events_of_a_hosted_tool_pass_through(upstream, hosting, start, callers):
    caller = callers(await start(hosting(aigw.Gateway())))
    events = [
        {"type": "response.created", "response": response(status="in_progress")},
        {"type": "response.output_item.added", "output_index": 0, "item": CALL | {"status": "in_progress"}},
        {"type": "response.web_search_call.searching", "output_index": 0, "item_id": "ws_1"},
        {"type": "response.web_search_call.completed", "output_index": 0, "item_id": "ws_1"},
        {"type": "response.output_item.done", "output_index": 0, "item": CALL},
        {"type": "response.completed", "response": response(CALL)},
    ]
    frames = [
        f"event: {event['type']}\ndata: {json.dumps(event | {'sequence_number': number})}\n\n".encode()
        for number, event in enumerate(events)
    ]
    upstream.stream(b"".join(frames))
    told = await caller.ask("x?", model="hosted", stream=True, tools=[SEARCH])
    assert [event["type"] for event in told.events] == [event["type"] for event in events]


async def test_a_provider_with_mcp_of_its_own_runs_it(upstream, hosting, start, callers):
    caller = callers(await start(hosting(aigw.Gateway())))
    upstream.answer(response(MESSAGE))
    connector = {"type": "mcp", "server_label": "mail", "connector_id": "connector_gmail"}
    told = await caller.ask("x?", model="hosted", tools=[MCP, connector])
    assert told.status == 200
    assert upstream.seen[-1].json["tools"] == [MCP, connector]


async def test_an_operator_can_have_the_gateway_run_mcp_all_the_same(upstream, hosting, start, callers):
    config = aigw.Config(responses=ResponsesConfig(mcp="gateway", mcp_allowed=()))
    caller = callers(await start(hosting(aigw.Gateway(config))))
    told = await caller.ask("x?", model="hosted", tools=[MCP])
    assert told.error == (403, "permission_denied", "tools[0].server_url")
    assert upstream.seen == []


async def test_items_of_the_providers_own_mcp_go_back_to_it_as_they_came(upstream, hosting, start, callers):
    caller = callers(await start(hosting(aigw.Gateway())))
    listed = {"id": "mcpl_1", "type": "mcp_list_tools", "server_label": "docs", "tools": [], "error": None}
    asks = {
        "id": "mcpr_1",
        "type": "mcp_approval_request",
        "server_label": "docs",
        "name": "a",
        "arguments": "{}",
    }
    upstream.answer(response(listed, asks))
    first = await caller.ask("x?", model="hosted", tools=[MCP])
    grant = {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True}
    await caller.ask([grant], model="hosted", previous_response_id=first.id, tools=[MCP])
    sent = upstream.seen[-1].json["input"]
    assert [item.get("type") for item in sent[-3:]] == [
        "mcp_list_tools",
        "mcp_approval_request",
        grant["type"],
    ]
    assert sent[-2]["id"] == "mcpr_1"


async def test_other_providers_are_not_told_of_a_hosted_tool_and_that_is_said(upstream, caller):
    tell(upstream, "chat", says("no idea"))
    told = await caller.ask("x?", model="chat", tools=[SEARCH])
    assert told.text == "no idea"
    assert "tools" in told.headers["x-aigw-dropped"]
    assert "web_search" not in upstream.seen[-1].body.decode()


async def test_a_strict_request_with_a_hosted_tool_is_refused_by_other_providers(upstream, caller):
    caller.headers["x-aigw-strict"] = "true"
    told = await caller.ask("x?", model="chat", tools=[SEARCH])
    assert told.status == 400
    assert upstream.seen == []


@pytest.mark.parametrize("choice", ["required", {"type": "web_search"}])
@pytest.mark.parametrize("api", ["chat", "messages", "gemini"])
async def test_a_tool_that_must_be_called_and_is_not_there_is_a_clear_refusal(upstream, caller, api, choice):
    told = await caller.ask("x?", model=api, tools=[SEARCH], tool_choice=choice)
    assert told.status == 400, told.body
    assert told.body["error"]["param"] == "tool_choice"
    assert upstream.seen == []
