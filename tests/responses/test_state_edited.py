"""Whoever keeps the state says so, also where a provider of this very format repeats another truth.

Its answers are decoded and written anew where a plugin edits them, where calls have to be held back, and
where a whole answer is told as a stream or a stream as a whole.
"""

import orjson
import pytest
from attrs import evolve
from support.openresponses_wire import check_whole
from support.plugins import use
from support.stateful import says, tell

import aigw
from aigw.dialects.openresponses import OPENRESPONSES
from aigw.model import TextDelta, unfold

TOOL = {"type": "function", "name": "go", "parameters": {"type": "object", "properties": {}}}
RESTRAINED = {
    "tools": [TOOL],
    "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "go"}]},
}
both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
crossed = pytest.mark.parametrize("crossed", [False, True], ids=["as asked", "crossed"])


@pytest.fixture
async def edited(register, start, callers, tenants):
    """A caller of a gateway whose plugins read every answer, and change none."""
    gateway = register(aigw.Gateway(tenants))

    async def rewrite_response(exchange, payload):
        payload.replace(payload.decoded())

    use(gateway, rewrite_response=rewrite_response, transform_stream=lambda exchange: lambda event: [event])
    return callers(await start(gateway), model="responses")


@pytest.fixture
def restrained(caller):
    caller.model = "responses"
    return caller


def say(upstream, text, *, stream):
    """Let the provider answer, and repeat that it continues something of its own."""
    encoder = OPENRESPONSES.stream_encoder(None)
    body = orjson.dumps(OPENRESPONSES.encode_response(says(text), None))
    if stream:
        body = b"".join([*(encoder.encode(event) for event in unfold(says(text))), encoder.close()])
    body = body.replace(b'"previous_response_id":null', b'"previous_response_id":"resp_theirs"')
    assert b"resp_theirs" in body
    (upstream.stream if stream else upstream.raw)(body)


def snapshots(told):
    """Every response object a client was shown."""
    return [event["response"] for event in told.events if "response" in event] or [told.body]


async def hold(caller, upstream, *, stream, crossed, **fields):
    for text in ("one", "two", "three"):
        say(upstream, text, stream=stream is not crossed)
    first = await caller.ask("Q1", stream=stream, **fields)
    second = await caller.ask("Q2", stream=stream, previous_response_id=first.id, **fields)
    for tree in snapshots(first):
        assert (tree["store"], tree["previous_response_id"]) == (True, None)
    for tree in snapshots(second):
        assert (tree["store"], tree["previous_response_id"]) == (True, first.id)
        assert tree["id"] == second.id
    check_whole(second.body)
    assert (await caller.get(f"/v1/responses/{second.id}")).body == second.body
    conversation = (await caller.post("/v1/conversations")).body["id"]
    third = await caller.ask("Q3", stream=stream, conversation=conversation, store=False, **fields)
    for tree in snapshots(third):
        assert (tree["store"], tree["conversation"]) == (False, {"id": conversation})
    assert all(seen.json.get("previous_response_id") is None for seen in upstream.seen)


@crossed
@both_ways
async def test_a_restrained_answer_tells_the_state_that_holds_here(restrained, upstream, stream, crossed):
    await hold(restrained, upstream, stream=stream, crossed=crossed, **RESTRAINED)


@crossed
@both_ways
async def test_an_edited_answer_tells_the_state_that_holds_here(edited, upstream, stream, crossed):
    await hold(edited, upstream, stream=stream, crossed=crossed)


@both_ways
async def test_what_else_the_provider_repeats_is_its_own_word(restrained, upstream, stream):
    tell(upstream, "responses", says("one"), stream=stream)
    told = await restrained.ask("Q1", stream=stream, temperature=0.5, **RESTRAINED)
    assert [tree["temperature"] for tree in snapshots(told)] == [1.0] * len(snapshots(told))


async def test_what_is_kept_of_an_edited_stream_is_what_its_client_was_shown(
    register, start, callers, tenants, upstream
):
    gateway = register(aigw.Gateway(tenants))

    def shout(event):
        return [evolve(event, text=event.text.upper()) if type(event) is TextDelta else event]

    use(gateway, transform_stream=lambda exchange: shout)
    caller = callers(await start(gateway), model="responses")
    tell(upstream, "responses", says("quiet"), stream=True)
    tell(upstream, "responses", says("yes"))
    first = await caller.ask("Q1", stream=True)
    kept = (await caller.get(f"/v1/responses/{first.id}")).body
    assert kept == first.body
    await caller.ask("Q2", previous_response_id=first.id)
    assert first.text in str(upstream.seen[1].json)
