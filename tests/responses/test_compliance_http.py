"""What the specification's project asks of a server, case by case, over each format of provider and the demo.

The cases are those of its published suite that need no WebSocket. Where that looks at the last response and
the schema of each event, these also hold the stream to the automaton.
"""

import json

import pytest
from attrs import field, frozen
from support.openresponses_wire import DESCRIPTION, check_stream, check_whole, events_of, validator
from support.responses_provider import (
    APIS,
    HELLO,
    SIDES,
    answer,
    ask,
    demo,
    front,
    house,
    last_response,
    say,
    script,
    serve,
)

from aigw.dialects.openresponses import OPENRESPONSES
from aigw.model import FunctionCall

HEART = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8Dw"
    "HwAFAAH/q842iQAAAABJRU5ErkJggg=="
)
PDF = "data:application/pdf;base64,JVBERi0xLjEKJSVFT0Y="
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Tell the weather at a place",
    "parameters": {
        "type": "object",
        "properties": {"location": {"type": "string"}},
        "required": ["location"],
    },
}
CALL = FunctionCall("call_1", "get_weather", '{"location":"San Francisco, CA"}')


def user(content):
    return {"type": "message", "role": "user", "content": content}


def assistant(content, **more):
    return {"type": "message", "role": "assistant", "content": content, **more}


@frozen
class Case:
    """One request. said: what a provider answers to it; kind: the item that must be in the output."""

    input: list
    said: tuple = (HELLO,)
    kind: str = "message"
    fields: dict = field(factory=dict)


CASES = {
    "basic response": Case([user("Greet me in three words.")]),
    "streaming response": Case([user("Count to five.")]),
    "assistant phase": Case(
        [
            assistant("I look up the number.", phase="commentary"),
            assistant("It is four.", phase="final_answer"),
            user("Say the number alone."),
        ]
    ),
    "system prompt": Case(
        [{"type": "message", "role": "system", "content": "Speak as a pirate does."}, user("Greet me.")]
    ),
    "tool calling": Case(
        [user("How is the weather in San Francisco?")], (CALL,), "function_call", {"tools": [WEATHER]}
    ),
    "image input": Case(
        [
            user(
                [
                    {"type": "input_text", "text": "What is in this picture?"},
                    {"type": "input_image", "image_url": HEART},
                ]
            )
        ]
    ),
    "file input": Case(
        [
            user(
                [
                    {"type": "input_text", "text": "What is the title of this file?"},
                    {"type": "input_file", "filename": "a.pdf", "file_data": PDF},
                ]
            )
        ]
    ),
    "multi-turn": Case([user("I am Alice."), assistant("Hello Alice!"), user("Who am I?")]),
}

every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
anywhere = pytest.mark.parametrize("api", SIDES)
both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


async def hold(http, url, case, *, stream):
    body = {"model": "m", "input": case.input, "stream": stream, **case.fields}
    status, headers, raw = await ask(http, url, body)
    assert status == 200, raw
    wanted = "text/event-stream" if stream else "application/json"
    assert headers["Content-Type"].partition(";")[0] == wanted
    if stream:
        check_stream(raw, failed=False)
    response = last_response(raw, stream=stream)
    check_whole(response)
    assert response["status"] == "completed"
    assert case.kind in [item["type"] for item in response["output"]]
    return raw


@both_ways
@every_case
@pytest.mark.parametrize("api", APIS)
async def test_a_case_holds_over_a_provider_of_each_format(upstream, aiohttp_server, http, api, case, stream):
    script(upstream, api, answer(*case.said), stream=stream)
    await hold(http, await serve(aiohttp_server, house(upstream, api)), case, stream=stream)
    assert len(upstream.seen) == 1


@both_ways
@every_case
@pytest.mark.parametrize("api", ["responses", "chat"])
async def test_a_case_holds_over_the_demo(aiohttp_server, http, api, case, stream):
    await hold(http, await serve(aiohttp_server, demo(api)), case, stream=stream)


@anywhere
async def test_a_streamed_tool_call_has_all_its_events(upstream, aiohttp_server, http, api):
    say(upstream, api, CALL)
    url = await serve(aiohttp_server, front(upstream, api))
    raw = await hold(http, url, CASES["tool calling"], stream=True)
    trees = events_of(raw)
    names = [tree["type"] for tree in trees]
    added, done = (
        [tree for tree in trees if tree["type"] == f"response.output_item.{step}"]
        for step in ("added", "done")
    )
    assert [tree["item"]["name"] for tree in added] == ["get_weather"]
    assert [tree["item"]["type"] for tree in done] == ["function_call"]
    assert "location" in json.loads(done[0]["item"]["arguments"])
    assert "response.function_call_arguments.delta" in names
    assert names.count("response.function_call_arguments.done") == 1


@both_ways
@anywhere
async def test_a_tool_is_called_and_its_output_brought_back(upstream, aiohttp_server, http, api, stream):
    say(upstream, api, CALL, stream=stream)
    say(upstream, api, HELLO, stream=stream)
    url = await serve(aiohttp_server, front(upstream, api))
    question = user("How is the weather in San Francisco?")
    first = Case([question], (CALL,), "function_call", {"tools": [WEATHER]})
    response = last_response(await hold(http, url, first, stream=stream), stream=stream)
    (call,) = (item for item in response["output"] if item["type"] == "function_call")
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "18 degrees"}
    second = Case([question, *response["output"], output], fields={"tools": [WEATHER]})
    await hold(http, url, second, stream=stream)
    if api != "demo":
        assert "18 degrees" in json.dumps(upstream.seen[1].json)


@both_ways
@anywhere
async def test_a_response_continues_another_by_its_id(upstream, aiohttp_server, http, api, stream):
    say(upstream, api, HELLO, stream=stream)
    url = await serve(aiohttp_server, front(upstream, api))
    raw = await hold(http, url, Case("The code word is papaya."), stream=stream)
    name = last_response(raw, stream=stream)["id"]
    second = Case("What is the code word?", fields={"previous_response_id": name})
    response = last_response(await hold(http, url, second, stream=stream), stream=stream)
    assert response["previous_response_id"] == name
    if api != "demo":
        assert "papaya" in json.dumps(upstream.seen[1].json)


@anywhere
async def test_a_short_conversation_is_compacted(upstream, aiohttp_server, http, api):
    say(upstream, api, HELLO, stream=False)
    talk = [user("We launch on Tuesday."), assistant("Understood: Tuesday.")]
    body = {"model": "m", "input": talk, "prompt_cache_key": "k"}
    url = await serve(aiohttp_server, front(upstream, api))
    async with http.post(url + "/v1/responses/compact", json=body) as told:
        tree = await told.json()
        assert told.status == 200, tree
    if DESCRIPTION.exists():
        validator("CompactResource").validate(tree)
    assert tree["object"] == "response.compaction"
    assert "compaction" in [item["type"] for item in tree["output"]]


@anywhere
async def test_a_compaction_without_a_model_is_refused(upstream, aiohttp_server, http, api):
    url = await serve(aiohttp_server, front(upstream, api))
    async with http.post(url + "/v1/responses/compact", json={"input": [user("Compact this.")]}) as told:
        assert told.status == 400
        error = (await told.json())["error"]
    assert (error["param"], bool(error["message"])) == ("model", True)
    assert not upstream.seen


async def test_the_demo_repeats_what_it_was_asked_in_full(aiohttp_server, http):
    shape = {"type": "json_schema", "name": "n", "schema": {"type": "object"}}
    allowed = {"type": "allowed_tools", "tools": [{"type": "function", "name": "get_weather"}]}
    asked = {
        "text": {"format": shape, "verbosity": "low"},
        "reasoning": {"effort": "low"},
        "tools": [WEATHER],
        "tool_choice": allowed,
    }
    url = await serve(aiohttp_server, demo())
    _, _, raw = await ask(http, url, {"model": "m", "input": "hi", **asked})
    response = json.loads(raw)
    check_whole(response)
    assert response["text"]["verbosity"] == "low"
    assert response["reasoning"] == {"effort": "low", "summary": None}
    assert response["tool_choice"]["tools"] == allowed["tools"]
    status, _, raw = await ask(http, url, {"model": "m", "input": "hi", "reasoning": "low"})
    assert (status, json.loads(raw)["error"]["param"]) == (400, "reasoning")


def test_a_response_may_label_the_phases_of_its_messages():
    said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "x"}]}
    output = [{**said, "phase": phase} for phase in ("commentary", "final_answer")]
    response = OPENRESPONSES.decode_response({"id": "resp_1", "created_at": 7, "output": output})
    tree = OPENRESPONSES.encode_response(response, None)
    check_whole(tree)
    assert [item["phase"] for item in tree["output"]] == ["commentary", "final_answer"]


def test_the_published_description_is_what_all_this_is_held_to():
    if not DESCRIPTION.exists():
        pytest.skip(f"{DESCRIPTION} is not there: events were held to OpenAI's and the project's types alone")
    description = json.loads(DESCRIPTION.read_text(encoding="utf-8"))
    assert "ResponseResource" in description["components"]["schemas"]
