"""Calls of MCP tools that a person has to consent to."""

import pytest
from attrs import evolve
from support.stateful import APIS, calls, says, tell

import aigw
from aigw.config.state import ResponsesConfig

LOCAL = ("http://127.0.0.1:*",)


@pytest.fixture
async def mcp_caller(register, start, callers, tenants):
    """A caller of a gateway that calls MCP servers on its own machine."""
    config = evolve(tenants, responses=ResponsesConfig(mcp_allowed=LOCAL))
    return callers(await start(register(aigw.Gateway(config))))


def tool(running, **fields):
    return {"type": "mcp", "server_label": "calc", "server_url": running.url, **fields}


def kinds(told):
    return [item["type"] for item in told.body["output"]]


def answer(request, *, approve, **more):
    return {"type": "mcp_approval_response", "approval_request_id": request["id"], "approve": approve} | more


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("api", APIS)
async def test_an_approved_call_is_run_before_the_model_is_asked_again(
    upstream, servers, mcp_caller, api, stream
):
    running = await servers.start()
    tell(upstream, api, calls("calc__add", {"a": 2, "b": 3}), stream=True)
    first = await mcp_caller.ask("2+3?", model=api, stream=stream, tools=[tool(running)])
    assert kinds(first) == ["mcp_list_tools", "mcp_approval_request"]
    assert first.body["status"] == "completed"
    assert running.called == []
    request = first.body["output"][1]
    assert (request["server_label"], request["name"]) == ("calc", "add")
    upstream.scripts.clear()
    tell(upstream, api, says("It is 5."), stream=True)
    second = await mcp_caller.ask(
        [answer(request, approve=True)],
        model=api,
        stream=stream,
        previous_response_id=first.id,
        tools=[tool(running)],
    )
    assert kinds(second) == ["mcp_call", "message"]
    call = second.body["output"][0]
    assert (call["approval_request_id"], call["output"]) == (request["id"], "5")
    assert running.called == [("add", {"a": 2, "b": 3})]
    sent = upstream.seen[-1].body.decode()
    assert "calc__add" in sent
    assert "mcp_approval" not in sent
    third = await mcp_caller.ask(
        "and?", model=api, stream=stream, previous_response_id=second.id, tools=[tool(running)]
    )
    assert kinds(third) == ["message"]
    assert len(running.called) == 1


async def test_a_refusal_is_told_to_the_model_and_nothing_is_run(upstream, servers, mcp_caller):
    running = await servers.start()
    tell(upstream, "chat", calls("calc__add", {"a": 2, "b": 3}), stream=True)
    first = await mcp_caller.ask("2+3?", tools=[tool(running)])
    request = first.body["output"][1]
    upstream.scripts.clear()
    tell(upstream, "chat", says("As you like."), stream=True)
    second = await mcp_caller.ask(
        [answer(request, approve=False, reason="not today")],
        previous_response_id=first.id,
        tools=[tool(running)],
    )
    assert kinds(second) == ["message"]
    assert running.called == []
    assert upstream.seen[-1].json["messages"][-1]["content"].endswith("refused it. The reason: not today")


async def test_all_items_sent_anew_do_as_well_as_a_chain(upstream, servers, mcp_caller):
    running = await servers.start()
    tell(upstream, "chat", calls("calc__add", {"a": 2, "b": 3}), stream=True)
    asked = {"role": "user", "content": "2+3?"}
    first = await mcp_caller.ask([asked], tools=[tool(running)], store=False)
    upstream.scripts.clear()
    tell(upstream, "chat", says("5"), stream=True)
    items = [asked, *first.body["output"], answer(first.body["output"][1], approve=True)]
    second = await mcp_caller.ask(items, tools=[tool(running)], store=False)
    assert kinds(second) == ["mcp_call", "message"]
    assert running.called == [("add", {"a": 2, "b": 3})]


async def test_an_approval_of_nothing_is_refused(upstream, servers, mcp_caller):
    running = await servers.start()
    told = await mcp_caller.ask(
        [answer({"id": "mcpr_gone"}, approve=True)], tools=[tool(running)], store=False
    )
    assert told.error == (400, "item_not_found", "input[0].approval_request_id")
    assert upstream.seen == []


@pytest.mark.parametrize(
    ("policy", "kind"),
    [
        ("always", "mcp_approval_request"),
        ("never", "mcp_call"),
        ({"never": {"tool_names": ["add"]}}, "mcp_call"),
        ({"never": {"tool_names": ["fail"]}}, "mcp_approval_request"),
        ({"never": {"read_only": True}}, "mcp_call"),
        ({"always": {"tool_names": ["add"]}}, "mcp_approval_request"),
        ({"always": {"tool_names": ["fail"]}}, "mcp_call"),
        (None, "mcp_approval_request"),
    ],
)
async def test_who_has_to_be_asked_is_the_clients_to_say(upstream, servers, mcp_caller, policy, kind):
    running = await servers.start()
    tell(upstream, "chat", calls("calc__add", {"a": 2, "b": 3}), stream=True)
    tell(upstream, "chat", says("5"), stream=True)
    told = await mcp_caller.ask("2+3?", tools=[tool(running, require_approval=policy)])
    assert kinds(told)[1] == kind


async def test_who_goes_on_without_answering_has_the_model_know_it(upstream, servers, mcp_caller):
    running = await servers.start()
    tell(upstream, "chat", calls("calc__add", {"a": 2, "b": 3}), stream=True)
    first = await mcp_caller.ask("2+3?", tools=[tool(running)])
    upstream.scripts.clear()
    tell(upstream, "chat", says("never mind"))
    await mcp_caller.ask("never mind", previous_response_id=first.id)
    contents = [message.get("content") for message in upstream.seen[-1].json["messages"]]
    assert "This call was not run: nobody has approved it." in contents
