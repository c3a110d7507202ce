"""What a tool has said belongs to a call that was made: in a chain, of which the gateway knows every item."""

import pytest
from support.stateful import APIS, calls, says, tell

OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "rain"}
LOST = {**OUTPUT, "call_id": "call_9"}
NOT_FOUND = (400, "tool_call_not_found", "input[0].call_id")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("api", APIS)
async def test_an_output_answers_a_call_of_its_chain(caller, upstream, api, stream):
    tell(upstream, api, calls("weather", {"city": "Oslo"}), stream=stream)
    tell(upstream, api, says("It rains."), stream=stream)
    first = await caller.ask("Weather?", model=api, stream=stream)
    name = next(item["call_id"] for item in first.body["output"] if item["type"] == "function_call")
    output = {**OUTPUT, "call_id": name}
    second = await caller.ask([output], model=api, stream=stream, previous_response_id=first.id)
    assert second.text == "It rains."
    third = await caller.ask([LOST], model=api, stream=stream, previous_response_id=second.id)
    assert third.error == NOT_FOUND
    assert len(upstream.seen) == 2


@pytest.mark.parametrize("background", [False, True])
async def test_an_output_that_answers_nothing_is_refused_at_once(caller, upstream, background):
    tell(upstream, "chat", says("Hello."))
    first = await caller.ask("hi")
    told = await caller.ask([LOST], previous_response_id=first.id, background=background)
    assert told.error == NOT_FOUND
    conversation = (await caller.post("/v1/conversations")).body["id"]
    assert (await caller.ask([LOST], conversation=conversation)).error == NOT_FOUND
    assert len(upstream.seen) == 1


async def test_a_call_may_come_along_with_its_output(caller, upstream):
    tell(upstream, "chat", says("Hello."))
    first = await caller.ask("hi")
    call = {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": "{}"}
    told = await caller.ask([call, OUTPUT], previous_response_id=first.id)
    assert told.status == 200


async def test_what_another_side_has_compacted_may_hold_the_call(caller, upstream):
    tell(upstream, "responses", says("Hello."))
    window = [{"type": "compaction", "encrypted_content": "gAAAA"}]
    first = await caller.ask(window, model="responses")
    told = await caller.ask([OUTPUT], model="responses", previous_response_id=first.id)
    assert told.status == 200


async def test_a_request_that_continues_nothing_is_its_providers_to_judge(caller, upstream):
    tell(upstream, "responses", says("Hello."))
    assert (await caller.ask([OUTPUT], model="responses")).status == 200
