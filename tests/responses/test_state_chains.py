"""What a request refers to is there, in its order, whoever answers."""

import asyncio
import json

import pytest
from support.received import read
from support.stateful import APIS, calls, says, tell

from aigw.model import FinishReason

both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
every_api = pytest.mark.parametrize("api", APIS)


def seen_texts(upstream, api):
    return read(api, upstream.seen[-1].json).texts


@both_ways
@every_api
async def test_a_chain_is_told_to_every_kind_of_provider(caller, upstream, api, stream):
    for number in range(1, 4):
        tell(upstream, api, says(f"answer {number}"), stream=stream)
    previous = None
    for number in range(1, 4):
        told = await caller.ask(f"question {number}", model=api, stream=stream, previous_response_id=previous)
        assert told.text == f"answer {number}"
        assert told.body["previous_response_id"] == previous
        assert told.body["store"] is True
        previous = told.id
    assert seen_texts(upstream, api) == ["question 1", "question 2", "question 3"]
    body = upstream.seen[-1].body.decode()
    assert body.index("answer 1") < body.index("question 2") < body.index("answer 2")
    assert "previous_response_id" not in body
    assert "aigw" not in body  # names that the gateway has made mean nothing to anybody else


@both_ways
async def test_a_chain_leads_from_one_provider_to_another(caller, upstream, stream):
    previous = None
    for api in ("messages", "chat", "gemini", "responses", "messages"):
        tell(upstream, api, says(f"I am {api}"), stream=stream)
        upstream.scripts[:-1] = []
        told = await caller.ask(f"to {api}", model=api, stream=stream, previous_response_id=previous)
        assert told.text == f"I am {api}"
        previous = told.id
    assert seen_texts(upstream, "messages") == [
        "to messages",
        "to chat",
        "to gemini",
        "to responses",
        "to messages",
    ]
    assert "I am responses" in upstream.seen[-1].body.decode()


async def test_two_answers_to_one_response_know_nothing_of_each_other(caller, upstream):
    tell(upstream, "chat", says("yes"))
    root = await caller.ask("root")
    left = await caller.ask("left", previous_response_id=root.id)
    right = await caller.ask("right", previous_response_id=root.id)
    await caller.ask("leaf", previous_response_id=left.id)
    assert seen_texts(upstream, "chat") == ["root", "left", "leaf"]
    await caller.ask("leaf", previous_response_id=right.id)
    assert seen_texts(upstream, "chat") == ["root", "right", "leaf"]


@both_ways
@every_api
async def test_a_tool_is_called_and_its_output_comes_back_by_itself(caller, upstream, api, stream):
    tell(upstream, api, calls("weather", {"city": "Brno"}), stream=stream)
    tell(upstream, api, says("It rains."), stream=stream)
    tools = [{"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": False}]
    first = await caller.ask("Weather?", model=api, stream=stream, tools=tools)
    [call] = [item for item in first.body["output"] if item["type"] == "function_call"]
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "rain"}
    second = await caller.ask([output], model=api, stream=stream, tools=tools, previous_response_id=first.id)
    assert second.text == "It rains."
    got = read(api, upstream.seen[-1].json)
    assert got.texts == ["Weather?"]
    assert [(name, arguments) for _, name, arguments in got.calls] == [("weather", {"city": "Brno"})]
    assert [(call_id, text) for call_id, text, _ in got.results] == [(got.calls[0][0], "rain")]


THOUGHT = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-x",
    "content": [
        {"type": "thinking", "thinking": "Hm.", "signature": "EqQBsig+/=="},
        {"type": "text", "text": "One moment."},
    ],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 2},
}


async def test_signed_thinking_goes_back_to_its_own_provider_and_to_no_other(caller, upstream):
    upstream.answer(THOUGHT)
    first = await caller.ask(
        "hi", model="messages", reasoning={"effort": "low"}, include=["reasoning.encrypted_content"]
    )
    upstream.scripts.clear()
    tell(upstream, "messages", says("ok"))
    await caller.ask("on", model="messages", previous_response_id=first.id, reasoning={"effort": "low"})
    assert read("messages", upstream.seen[-1].json).signatures == ["EqQBsig+/=="]
    for api in ("responses", "chat", "gemini"):
        upstream.scripts.clear()
        tell(upstream, api, says("ok"))
        told = await caller.ask("on", model=api, previous_response_id=first.id)
        assert told.text == "ok"
        assert "EqQBsig" not in upstream.seen[-1].body.decode()
        assert "aigw" not in upstream.seen[-1].body.decode()


async def test_a_chain_of_two_hundred_turns_is_told_whole(caller, upstream):
    tell(upstream, "chat", says("on"))
    previous = None
    for number in range(200):
        previous = (await caller.ask(f"turn {number}", previous_response_id=previous)).id
    assert seen_texts(upstream, "chat") == [f"turn {number}" for number in range(200)]


async def test_instructions_hold_for_their_own_request_alone(caller, upstream):
    tell(upstream, "chat", says("yes"))
    first = await caller.ask("one", instructions="Be brief.")
    assert first.body["instructions"] == "Be brief."
    second = await caller.ask("two", previous_response_id=first.id)
    assert second.body["instructions"] is None
    assert read("chat", upstream.seen[-1].json).system is None


@both_ways
async def test_what_a_client_was_told_of_is_there_for_everybody_at_once(caller, callers, upstream, stream):
    tell(upstream, "chat", says("yes"), stream=stream)
    others = [callers(caller.url) for _ in range(5)]
    previous = None
    for other in others:
        previous = (await other.ask("more", stream=stream, previous_response_id=previous)).id
        assert (await caller.get(f"/v1/responses/{previous}")).id == previous
    assert seen_texts(upstream, "chat") == ["more"] * 5


async def test_the_terminal_event_means_that_it_can_be_continued(caller, upstream):
    tell(upstream, "chat", says("yes"), stream=True)
    tree = {"model": "m", "input": "one", "stream": True}
    async with caller.session.post(
        caller.url + "/v1/responses", json=tree, headers=caller.headers
    ) as response:
        data = b""
        async for chunk in response.content.iter_any():
            data += chunk
            if b"response.completed" in data:
                break
        line = next(line for line in data.splitlines() if b'"response.completed"' in line)
        name = json.loads(line.removeprefix(b"data: "))["response"]["id"]
        told = await caller.ask("two", stream=True, previous_response_id=name)
    assert told.body["status"] == "completed"
    assert seen_texts(upstream, "chat") == ["one", "two"]


@pytest.mark.parametrize("typed", [True, False], ids=["typed", "by id alone"])
@every_api
async def test_a_reference_stands_for_its_item(caller, upstream, api, typed):
    tell(upstream, api, says("the answer"))
    first = await caller.ask("the question", model=api)
    listing = await caller.get(f"/v1/responses/{first.id}/input_items")
    names = [listing.body["data"][0]["id"], first.body["output"][0]["id"]]
    given = [{"type": "item_reference", "id": name} if typed else {"id": name} for name in names]
    again = await caller.ask([*given, {"role": "user", "content": "And?"}], model=api)
    assert seen_texts(upstream, api) == ["the question", "And?"]
    assert "the answer" in upstream.seen[-1].body.decode()
    assert "item_reference" not in upstream.seen[-1].body.decode()
    # What was kept is the items, not the references to them.
    await caller.ask("Go on", model=api, previous_response_id=again.id)
    assert seen_texts(upstream, api) == ["the question", "And?", "Go on"]


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ([{"type": "item_reference", "id": "msg_none"}], (404, "item_not_found", "input[0].id")),
        ([{"type": "item_reference"}], (400, "missing_required_parameter", "input[0].id")),
        (["hi"], (400, "invalid_request", "input[0]")),
        ([{"role": "user", "content": 7}], (400, "invalid_request", "input[0].content")),
        ([{"type": "function_call_output"}], (400, "missing_required_parameter", "input[0].call_id")),
        (7, (400, "invalid_request", "input")),
    ],
)
async def test_what_is_no_item_is_refused_also_behind_others(caller, upstream, given, error):
    tell(upstream, "chat", says("yes"))
    first = await caller.ask("hi")
    told = await caller.ask(given, previous_response_id=first.id)
    assert told.error == error
    assert len(upstream.seen) == 1


async def test_an_item_that_is_there_already_is_refused(caller, upstream):
    tell(upstream, "chat", says("yes"))
    first = await caller.ask("hi")
    [item] = first.body["output"]
    for given in ([item], [{"type": "item_reference", "id": item["id"]}]):
        told = await caller.ask(given, previous_response_id=first.id)
        assert told.error == (400, "duplicate_item", "input[0]")
    assert item["id"] in told.body["error"]["message"]


async def test_an_answer_that_was_cut_short_can_be_continued(caller, upstream):
    tell(upstream, "chat", says("Once up", finish=FinishReason.LENGTH))
    first = await caller.ask("A tale!")
    assert first.body["status"] == "incomplete"
    await caller.ask("Go on", previous_response_id=first.id)
    assert "Once up" in upstream.seen[-1].body.decode()


@both_ways
async def test_the_demo_provider_goes_along(caller, stream):
    first = await caller.ask("Hello there", model="demo", stream=stream)
    second = await caller.ask("Again", model="demo", stream=stream, previous_response_id=first.id)
    assert second.body["previous_response_id"] == first.id
    assert second.body["usage"]["input_tokens"] > first.body["usage"]["input_tokens"]
    assert (await caller.get(f"/v1/responses/{second.id}")).body == second.body


async def test_previous_response_and_conversation_exclude_each_other(caller):
    told = await caller.ask("hi", previous_response_id="resp_1", conversation="conv_1")
    assert told.error == (400, "invalid_request", "previous_response_id")


async def test_many_answers_at_a_time_do_not_mix(caller, upstream):
    tell(upstream, "chat", says("yes"))
    roots = await asyncio.gather(*(caller.ask(f"root {number}") for number in range(10)))
    for number, root in enumerate(roots):
        listing = await caller.get(f"/v1/responses/{root.id}/input_items")
        assert listing.body["data"][0]["content"][0]["text"] == f"root {number}"
