"""No call that a request does not allow reaches its client, whatever its provider speaks."""

import json

import pytest
from support.openresponses_wire import check_stream, check_whole
from support.responses_provider import APIS, answer, ask, house, last_response, script, serve
from support.talk import Talk

import aigw
from aigw.model import FunctionCall, Message, TextPart

GOOD = FunctionCall("call_1", "get_report", '{"region":"north"}')
BAD = FunctionCall("call_2", "send_email", '{"to":"all@example.org"}')
SAID = Message("assistant", (TextPart("One moment."),))
TOOLS = [
    {"type": "function", "name": name, "parameters": {"type": "object", "properties": {}}}
    for name in ("get_report", "send_email")
]
ALLOWED = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "get_report"}]}

every_provider = pytest.mark.parametrize("api", APIS)
both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


def request(choice, *, stream):
    return {"model": "m", "input": "hi", "tools": TOOLS, "tool_choice": choice, "stream": stream}


def check(raw, *, stream, failed=False):
    if stream:
        check_stream(raw, failed=failed)
    response = last_response(raw, stream=stream)
    check_whole(response)
    return response


@both_ways
@every_provider
async def test_a_call_that_is_not_allowed_is_left_out(upstream, aiohttp_server, http, api, stream):
    script(upstream, api, answer(SAID, BAD, GOOD), stream=stream)
    url = await serve(aiohttp_server, house(upstream, api))
    status, _, raw = await ask(http, url, request(ALLOWED, stream=stream))
    assert status == 200
    assert b"all@example.org" not in raw
    response = check(raw, stream=stream)
    assert [item["type"] for item in response["output"]] == ["message", "function_call"]
    assert response["output"][1]["name"] == "get_report"
    assert response["tool_choice"] == ("auto" if api == "responses" else ALLOWED)  # a provider says its own
    assert response["usage"]["output_tokens"] == 3


@both_ways
@every_provider
async def test_with_the_choice_none_no_call_comes_out(upstream, aiohttp_server, http, api, stream):
    script(upstream, api, answer(SAID, GOOD, BAD), stream=stream)
    url = await serve(aiohttp_server, house(upstream, api))
    _, _, raw = await ask(http, url, request("none", stream=stream))
    response = check(raw, stream=stream)
    assert [item["type"] for item in response["output"]] == ["message"]
    assert response["status"] == "completed"


@both_ways
@every_provider
async def test_nothing_but_such_calls_is_an_error_before_anything_is_sent(
    upstream, aiohttp_server, http, api, stream
):
    script(upstream, api, answer(BAD), stream=stream)
    url = await serve(aiohttp_server, house(upstream, api))
    status, _, raw = await ask(http, url, request(ALLOWED, stream=stream))
    assert status == 502
    error = json.loads(raw)["error"]
    assert error["code"] == "model_error"
    assert '"send_email"' in error["message"]


@both_ways
async def test_such_an_answer_leads_to_the_next_target(upstream, aiohttp_server, http, stream):
    gateway = aigw.Gateway()
    first = aigw.Provider(upstream.url, "k1", name="first", apis=["chat"])
    second = aigw.Provider(upstream.url, "k2", name="second", apis=["gemini"])
    gateway.models.register("m", targets=[aigw.Target(first, "a"), aigw.Target(second, "b", 0.0)])
    script(upstream, "chat", answer(BAD), stream=stream)
    script(upstream, "gemini", answer(GOOD), stream=stream)
    _, headers, raw = await ask(http, await serve(aiohttp_server, gateway), request(ALLOWED, stream=stream))
    assert headers["x-aigw-provider"] == "second"
    assert [item["name"] for item in check(raw, stream=stream)["output"]] == ["get_report"]


@both_ways
@every_provider
async def test_all_calls_pass_where_the_request_allows_them(upstream, aiohttp_server, http, api, stream):
    script(upstream, api, answer(SAID, GOOD, BAD), stream=stream)
    url = await serve(aiohttp_server, house(upstream, api))
    _, _, raw = await ask(http, url, request("auto", stream=stream))
    response = last_response(raw, stream=stream)
    assert [item["type"] for item in response["output"]] == ["message", "function_call", "function_call"]


@every_provider
async def test_the_crossings_between_whole_and_stream_hold_to_it_too(upstream, aiohttp_server, http, api):
    url = await serve(aiohttp_server, house(upstream, api))
    script(upstream, api, answer(SAID, BAD), stream=False)
    _, _, raw = await ask(http, url, request(ALLOWED, stream=True))
    assert [item["type"] for item in check(raw, stream=True)["output"]] == ["message"]
    upstream.scripts.clear()
    script(upstream, api, answer(SAID, BAD), stream=True)
    _, _, raw = await ask(http, url, request(ALLOWED, stream=False))
    assert [item["type"] for item in check(raw, stream=False)["output"]] == ["message"]


@every_provider
async def test_no_other_way_to_an_answer_lets_it_through(upstream, aiohttp_server, http, api):
    script(upstream, api, answer(SAID, BAD, GOOD), stream=True)
    url = await serve(aiohttp_server, house(upstream, api))
    fields = request(ALLOWED, stream=True)
    _, _, raw = await ask(http, url, {**fields, "background": True})
    background = last_response(raw, stream=True)
    del fields["stream"]
    talk = Talk(await http.ws_connect(url + "/v1/responses"))
    for response in (background, await talk.response(**fields)):
        assert [item.get("name") for item in response["output"]] == [None, "get_report"]
    assert b"all@example.org" not in raw
