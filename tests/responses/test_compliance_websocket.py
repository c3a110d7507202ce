"""What the specification's project asks of a WebSocket, over each format of provider and the demo.

The cases are those of its published suite. Where that looks at the last response and the schema of each
event, these also hold every turn to the automaton, and look at what the provider was sent.
"""

import json

import aiohttp
import pytest
from support.openresponses_wire import check_whole
from support.responses_provider import HELLO, SIDES, front, say, serve
from support.talk import Talk, check_turn

from aigw.model import FunctionCall

NOT_FOUND = "previous_response_not_found"
CALL = FunctionCall("call_1", "get_weather", '{"location":"San Francisco, CA"}')
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Tell the weather at a place",
    "parameters": {"type": "object", "properties": {"location": {"type": "string"}}},
}
pytestmark = pytest.mark.parametrize("api", SIDES)


@pytest.fixture
async def url(upstream, aiohttp_server, api):
    return await serve(aiohttp_server, front(upstream, api)) + "/v1/responses"


@pytest.fixture
def hello(upstream, api):
    """Let the provider say hello from now on."""
    say(upstream, api, HELLO)


@pytest.fixture
async def talk(url, http):
    return Talk(await http.ws_connect(url))


async def good(talk, given, **fields):
    """Ask for a turn that has to succeed, hold it to the specification, and return its response."""
    events = await talk.turn(given, **fields)
    check_turn(events)
    response = events[-1]["response"]
    check_whole(response)
    assert response["status"] == "completed"
    return response


def sent(upstream, api, number):
    """What the provider was sent; the demo keeps that to itself."""
    return None if api == "demo" else json.dumps(upstream.seen[number].json)


@pytest.mark.usefixtures("hello")
async def test_a_response_comes_as_its_events(talk):
    response = await good(talk, [{"type": "message", "role": "user", "content": "Count to three."}])
    assert response["output"][0]["type"] == "message"
    await talk.socket.close()
    assert (await talk.socket.receive()).type is aiohttp.WSMsgType.CLOSED  # no [DONE], nothing at all


@pytest.mark.usefixtures("hello")
async def test_two_responses_come_one_after_the_other(talk):
    await good(talk, "Say first.", store=False)
    second = await good(talk, "Say second.", store=False)
    assert second["previous_response_id"] is None


@pytest.mark.usefixtures("hello")
async def test_what_is_not_stored_is_continued_over_its_connection(talk, upstream, api):
    first = await good(talk, "The code word is cobalt.", store=False)
    second = await good(talk, "What is it?", store=False, previous_response_id=first["id"])
    assert second["previous_response_id"] == first["id"]
    assert second["store"] is False
    if api != "demo":
        told = sent(upstream, api, 1)
        assert told.index("cobalt") < told.index("Hello there.") < told.index("What is it?")
        assert "previous_response_id" not in told


@pytest.mark.usefixtures("hello")
async def test_behind_a_reconnect_it_is_not_found_and_another_chain_begins(talk, url, http):
    first = await good(talk, "The code word is copper.", store=False)
    await talk.socket.close()
    again = Talk(await http.ws_connect(url))
    envelope = await again.refused("Go on.", store=False, previous_response_id=first["id"])
    assert envelope["error"]["code"] == NOT_FOUND
    await good(again, "Begin anew.", store=False)


async def test_a_response_that_never_was_is_not_found(talk, upstream):
    envelope = await talk.refused("Go on.", store=False, previous_response_id="resp_missing")
    assert (envelope["status"], envelope["error"]["code"]) == (400, NOT_FOUND)
    assert envelope["error"]["param"] == "previous_response_id"
    assert not upstream.seen


@pytest.mark.usefixtures("hello")
async def test_a_continuation_that_fails_is_evicted(talk, upstream, api):
    first = await good(talk, "The code word is ember.", store=False)
    orphan = {"type": "function_call_output", "call_id": "call_missing", "output": "Nobody has asked."}
    failed = await talk.refused([orphan], store=False, previous_response_id=first["id"])
    assert failed["error"]["param"] == "input[0].call_id"
    retried = await talk.refused("Go on.", store=False, previous_response_id=first["id"])
    assert retried["error"]["code"] == NOT_FOUND
    assert len(upstream.seen) == (0 if api == "demo" else 1)


async def test_a_compacted_window_begins_another_chain(talk, url, http, upstream, api):
    say(upstream, api, HELLO, stream=False)
    say(upstream, api, HELLO)
    given = [
        {"type": "message", "role": "user", "content": "The code word is slate."},
        {"type": "message", "role": "assistant", "content": "Very well."},
    ]
    async with http.post(url + "/compact", json={"model": "m", "input": given}) as answer:
        window = (await answer.json())["output"]
    on = {"type": "message", "role": "user", "content": "Go on."}
    response = await good(talk, [*window, on], store=False, tools=[], previous_response_id=None)
    assert response["previous_response_id"] is None
    if api != "demo":
        told = sent(upstream, api, 1)
        assert all(words in told for words in ("slate", "Hello there.", "Go on."))


@pytest.mark.parametrize("store", [True, False])
async def test_a_tool_is_called_and_its_output_continues_the_response(talk, upstream, api, store):
    say(upstream, api, CALL)
    say(upstream, api, HELLO)
    first = await good(talk, "How is the weather in San Francisco?", store=store, tools=[WEATHER])
    (call,) = (item for item in first["output"] if item["type"] == "function_call")
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "18 degrees"}
    second = await good(talk, [output], store=store, tools=[WEATHER], previous_response_id=first["id"])
    assert "message" in [item["type"] for item in second["output"]]
    if api != "demo":
        assert "18 degrees" in sent(upstream, api, 1)
