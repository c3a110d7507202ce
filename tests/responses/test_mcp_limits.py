"""What goes wrong with MCP servers, what is limited, and what clients may not have called."""

import asyncio
import json

import pytest
from aiohttp import web
from support.openresponses_wire import check_stream
from support.scripted import HANG
from support.stateful import calls, says, tell

import aigw
from aigw.config.state import ResponsesConfig
from aigw.responses.mcp.permit import is_public, permit

LOCAL = ("http://127.0.0.1:*",)


@pytest.fixture
def run(register, start, callers):
    """Run a gateway with settings for responses; returns a caller of it, and the gateway."""

    async def make(**fields):
        fields = {"mcp_allowed": LOCAL, **fields}
        gateway = register(aigw.Gateway(aigw.Config(responses=ResponsesConfig(**fields))))
        return callers(await start(gateway)), gateway

    return make


def tool(running, **fields):
    made = {"type": "mcp", "server_label": "calc", "server_url": running.url, "require_approval": "never"}
    return made | fields


def kinds(told):
    return [item["type"] for item in told.body["output"]]


async def stream_of(caller, **fields):
    async with caller.session.post(
        caller.url + "/v1/responses", json={"model": "m", "input": "go", "stream": True, **fields}
    ) as response:
        assert response.status == 200
        return await response.read()


# Failures.


async def test_a_tool_that_fails_is_told_to_client_and_model(upstream, servers, run):
    running, (caller, _) = await servers.start(), await run()
    tell(upstream, "chat", calls("calc__fail", {}), stream=True)
    tell(upstream, "chat", says("it is broken"), stream=True)
    told = await caller.ask("go", tools=[tool(running)])
    call = told.body["output"][1]
    assert (call["status"], call["output"]) == ("failed", None)
    assert call["error"]["type"] == "mcp_tool_execution_error"
    assert told.body["status"] == "completed"
    assert upstream.seen[-1].json["messages"][-1]["content"].startswith("Error: ")


async def test_a_failing_call_streams_its_failure(upstream, servers, run):
    running, (caller, _) = await servers.start(), await run()
    tell(upstream, "chat", calls("calc__fail", {}), stream=True)
    tell(upstream, "chat", says("it is broken"), stream=True)
    data = await stream_of(caller, tools=[tool(running)])
    check_stream(data, failed=False)
    assert data.count(b"event: response.mcp_call.failed\n") == 1


async def test_arguments_that_are_no_object_never_reach_the_server(upstream, servers, run):
    running, (caller, _) = await servers.start(), await run()
    tell(upstream, "chat", calls("calc__add", "nonsense"), stream=True)
    tell(upstream, "chat", says("sorry"), stream=True)
    told = await caller.ask("go", tools=[tool(running)])
    assert told.body["output"][1]["error"]["code"] == -32602
    assert running.called == []


async def test_a_tool_that_takes_too_long_is_given_up(upstream, servers, run, eventually):
    running, (caller, _) = await servers.start(), await run(tool_timeout_s=0.3)
    tell(upstream, "chat", calls("calc__wait", {}), stream=True)
    tell(upstream, "chat", says("too slow"), stream=True)
    told = await caller.ask("go", tools=[tool(running)])
    assert told.body["output"][1]["error"]["code"] == 504
    assert told.text == "too slow"
    await eventually(lambda: running.cancelled == ["wait"])


@pytest.mark.parametrize("stream", [False, True])
async def test_a_server_that_is_not_there_fails_the_request(upstream, run, stream):
    caller, _ = await run()
    gone = {"type": "mcp", "server_label": "calc", "server_url": "http://127.0.0.1:1/mcp"}
    told = await caller.ask("go", stream=stream, tools=[gone])
    assert told.error == (424, "http_error", "tools")
    assert '"calc"' in told.body["error"]["message"]
    assert upstream.seen == []


async def test_a_server_that_wants_another_credential_fails_the_request(upstream, aiohttp_server, run):
    async def refuse(_request):
        return web.Response(status=401, text="who are you")

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", refuse)
    server = await aiohttp_server(app)
    caller, _ = await run()
    closed = {"type": "mcp", "server_label": "calc", "server_url": str(server.make_url("/mcp"))}
    told = await caller.ask("go", tools=[closed | {"authorization": "tok-secret"}])
    assert told.status == 424
    assert "secret" not in json.dumps(told.body)


async def test_a_provider_that_fails_at_the_second_step_fails_the_stream(upstream, servers, run):
    running, (caller, _) = await servers.start(), await run()
    tell(upstream, "chat", calls("calc__add", {"a": 1, "b": 2}), stream=True)
    upstream.answer({"error": {"message": "overloaded"}}, status=503)
    data = await stream_of(caller, tools=[tool(running)])
    check_stream(data, failed=True)
    last = json.loads(data.split(b"data: ")[-2])["response"]
    assert [item["type"] for item in last["output"]] == ["mcp_list_tools", "mcp_call"]


async def test_a_provider_that_fails_at_the_second_step_fails_a_whole_answer(upstream, servers, run):
    running, (caller, _) = await servers.start(), await run()
    tell(upstream, "chat", calls("calc__add", {"a": 1, "b": 2}), stream=True)
    upstream.answer({"error": {"message": "overloaded"}}, status=503)
    told = await caller.ask("go", tools=[tool(running)])
    assert told.status == 503


async def test_a_provider_that_breaks_off_fails_the_answer_once(upstream, servers, run):
    running, (caller, _) = await servers.start(), await run()
    tell(upstream, "chat", says("half an answer"), stream=True)
    upstream.scripts[-1].steps = [upstream.scripts[-1].steps[0].partition(b'"finish_reason":"stop"')[0]]
    data = await stream_of(caller, tools=[tool(running)])
    check_stream(data, failed=True)


# Limits.


async def test_calls_beyond_max_tool_calls_are_not_run(upstream, servers, run):
    running, (caller, _) = await servers.start(), await run()
    tell(upstream, "chat", calls("calc__add", {"a": 1, "b": 2}), stream=True)
    tell(upstream, "chat", says("that is all"), stream=True)
    told = await caller.ask("go", tools=[tool(running)], max_tool_calls=1)
    assert told.body["max_tool_calls"] == 1
    assert len(running.called) == 1
    assert upstream.seen[-1].json["tool_choice"] == "none"
    assert told.text == "that is all"


async def test_a_model_that_calls_for_ever_is_stopped(upstream, servers, run):
    running, (caller, _) = await servers.start(), await run(max_tool_steps=3)
    tell(upstream, "chat", calls("calc__add", {"a": 1, "b": 2}), stream=True)
    told = await caller.ask("go", tools=[tool(running)])
    assert len(upstream.seen) == 3
    assert told.body["status"] == "incomplete"
    assert told.body["incomplete_details"] == {"reason": "max_tool_steps"}


async def test_the_time_for_all_tools_ends(upstream, servers, run):
    running, (caller, _) = await servers.start(), await run(tools_timeout_s=0.5)
    tell(upstream, "chat", calls("calc__wait", {}), stream=True)
    told = await caller.ask("go", tools=[tool(running)])
    assert told.body["incomplete_details"] == {"reason": "tools_timeout"}
    assert told.body["output"][1]["status"] == "failed"


# Leaving.


async def test_a_client_that_leaves_cuts_off_the_tool(upstream, servers, run, eventually):
    running, (caller, gateway) = await servers.start(), await run()
    tell(upstream, "chat", calls("calc__wait", {}), stream=True)
    before = asyncio.all_tasks()
    response = await caller.session.post(
        caller.url + "/v1/responses",
        json={"model": "m", "input": "go", "stream": True, "tools": [tool(running)]},
    )
    await eventually(lambda: running.called)
    response.close()
    await eventually(lambda: running.cancelled == ["wait"])
    await eventually(lambda: not gateway.in_flight)
    await eventually(lambda: not [task for task in asyncio.all_tasks() - before if "aigw" in task.get_name()])


async def test_a_gateway_that_stops_tells_it_in_the_stream(upstream, servers, run, eventually):
    running, (caller, gateway) = await servers.start(), await run()
    tell(upstream, "chat", calls("calc__wait", {}), stream=True)
    reading = asyncio.create_task(stream_of(caller, tools=[tool(running)]))
    await eventually(lambda: running.called)
    await gateway.drain(0.05)
    data = await reading
    check_stream(data, failed=True)
    assert json.loads(data.split(b"data: ")[-2])["response"]["output"][1]["status"] == "incomplete"
    await eventually(lambda: running.cancelled == ["wait"])


async def test_a_provider_that_hangs_does_not_hold_the_server(upstream, servers, run, eventually):
    running, (caller, gateway) = await servers.start(), await run()
    upstream.stream(HANG)
    response = asyncio.create_task(caller.ask("go", tools=[tool(running)]))
    await eventually(lambda: upstream.seen)
    response.cancel()
    await asyncio.gather(response, return_exceptions=True)
    await eventually(lambda: not gateway.in_flight)


# What may be called.


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"server_label": ""}, "tools[0].server_label"),
        ({"server_url": None}, "tools[0].server_url"),
        ({"server_url": "ftp://example.com"}, "tools[0].server_url"),
        ({"server_url": "http://user:word@example.com/"}, "tools[0].server_url"),
        ({"connector_id": "connector_gmail"}, "tools[0].connector_id"),
        ({"headers": {"x": "a\r\nb: c"}}, "tools[0].headers"),
        ({"headers": {"Host": "inside"}}, "tools[0].headers"),
        ({"authorization": ""}, "tools[0].authorization"),
        ({"authorization": "a", "headers": {"authorization": "b"}}, "tools[0].authorization"),
        ({"allowed_tools": "add"}, "tools[0].allowed_tools"),
        ({"require_approval": "sometimes"}, "tools[0].require_approval"),
    ],
)
async def test_a_server_that_is_not_well_described_is_refused(upstream, run, fields, param):
    caller, _ = await run()
    good = {"type": "mcp", "server_label": "calc", "server_url": "http://127.0.0.1:1/mcp"}
    told = await caller.ask("go", tools=[good | fields])
    assert (told.status, told.body["error"]["param"]) == (400, param)


async def test_two_servers_cannot_have_one_label(upstream, run):
    caller, _ = await run()
    one = {"type": "mcp", "server_label": "calc", "server_url": "http://127.0.0.1:1/mcp"}
    told = await caller.ask("go", tools=[one, one])
    assert told.body["error"]["param"] == "tools[1].server_label"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_no_server_inside_is_called_unless_it_is_allowed(upstream, servers, run, host):
    running, (caller, _) = await servers.start(), await run(mcp_allowed=None)
    url = running.url.replace("127.0.0.1", host)
    told = await caller.ask("go", tools=[tool(running, server_url=url)])
    assert told.error == (403, "permission_denied", "tools[0].server_url")
    assert running.watcher.asked == []
    assert upstream.seen == []


async def test_the_address_that_was_judged_is_the_one_that_is_called(upstream, servers, run, monkeypatch):
    running, (caller, _) = await servers.start(), await run(mcp_allowed=None)
    monkeypatch.setattr("aigw.responses.mcp.transport.is_public", lambda _address: True)
    tell(upstream, "chat", calls("calc__add", {"a": 1, "b": 2}), stream=True)
    tell(upstream, "chat", says("3"), stream=True)
    url = running.url.replace("127.0.0.1", "localhost")
    told = await caller.ask("go", tools=[tool(running, server_url=url)])
    assert told.body["output"][1]["output"] == "3"
    hosts = {headers["host"] for headers in running.watcher.headers}
    assert hosts == {url.removeprefix("http://").removesuffix("/mcp")}


async def test_no_redirect_leads_elsewhere(upstream, servers, aiohttp_server, run):
    running = await servers.start()

    async def elsewhere(_request):
        raise web.HTTPTemporaryRedirect(running.url)

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", elsewhere)
    server = await aiohttp_server(app)
    caller, _ = await run()
    told = await caller.ask("go", tools=[tool(running, server_url=str(server.make_url("/mcp")))])
    assert told.status == 424
    assert running.watcher.asked == []


@pytest.mark.parametrize(
    ("url", "pattern", "matches"),
    [
        ("https://a.example.com/mcp", "https://*.example.com/*", True),
        ("https://a.example.com/mcp", "https://*.example.com", True),
        ("https://evil.net/x.example.com/mcp", "https://*.example.com/*", False),
        ("https://evil.net?.example.com/", "https://*.example.com/*", False),
        ("http://a.example.com/mcp", "https://*.example.com/*", False),
        ("https://a.example.com:8443/mcp", "https://*.example.com/*", False),
        ("https://a.example.com:443/mcp", "https://*.example.com/*", True),
        ("http://127.0.0.1:81/x", "http://127.0.0.1:*", True),
        ("http://[::1]:81/x", "http://[::1]:81", True),
        ("https://a.example.com/open/../shut", "https://a.example.com/open/*", False),
    ],
)
def test_a_pattern_matches_part_by_part(url, pattern, matches):
    assert (permit(url, (pattern,)) is not None) == matches


def test_a_pattern_of_every_host_vouches_for_none():
    assert permit("https://a.example.com/", ("https://*",)).anywhere is False
    assert permit("https://a.example.com/", ("https://*", "https://*.example.com")).anywhere is True
    assert permit("https://a.example.com/", None).anywhere is False
    assert permit("https://a.example.com/", ()) is None


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        *(
            (address, False)
            for address in (
                *("127.0.0.1", "10.1.2.3", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1"),
                *("::1", "fe80::1%eth0", "fd00::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::"),
                *("not an address",),
            )
        ),
    ],
)
def test_an_address_is_public_or_it_is_not(address, public):
    assert is_public(address) is public


async def test_a_gateway_without_the_library_says_what_to_install(upstream, run, monkeypatch):
    caller, _ = await run()
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    told = await caller.ask(
        "go", tools=[{"type": "mcp", "server_label": "a", "server_url": "http://127.0.0.1:1/mcp"}]
    )
    assert told.status == 501
    assert "aigw[mcp]" in told.body["error"]["message"]
