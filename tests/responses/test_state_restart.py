"""With a store on disk, what was kept outlives the gateway that kept it."""

import asyncio

import pytest
from support.received import read
from support.stateful import says, tell, texts

import aigw
from aigw.stores.sqlite import SqliteStore


@pytest.fixture
def another(tmp_path, register, start, callers):
    """Start one more gateway over the same file; returns a caller of it."""

    async def make():
        return callers(await start(register(aigw.Gateway(store=SqliteStore(tmp_path / "state.db")))))

    return make


async def test_chains_and_conversations_go_on_with_another_gateway(another, upstream):
    tell(upstream, "chat", says("A1"), stream=True)
    tell(upstream, "chat", says("A2"), stream=True)
    first = await another()
    conversation = (await first.post("/v1/conversations", {"metadata": {"k": "v"}})).body["id"]
    root = await first.ask("Q1", stream=True)
    await first.ask("C1", stream=True, conversation=conversation)
    second = await another()  # while the first one still runs: read at once, also over there
    told = await second.ask("Q2", stream=True, previous_response_id=root.id)
    assert read("chat", upstream.seen[-1].json).texts == ["Q1", "Q2"]
    assert (await first.get(f"/v1/responses/{told.id}")).body == told.body
    await second.ask("C2", stream=True, conversation=conversation)
    listing = (await first.get(f"/v1/conversations/{conversation}/items", order="asc")).body
    assert texts(listing) == ["C1", "A2", "C2", "A2"]
    assert (await second.get(f"/v1/conversations/{conversation}")).body["metadata"] == {"k": "v"}
    await second.delete(f"/v1/responses/{root.id}")
    gone = await first.ask("Q3", previous_response_id=told.id)
    assert gone.error == (400, "previous_response_not_found", "previous_response_id")


async def test_two_gateways_keep_the_items_of_a_response_together(another, upstream):
    tell(upstream, "chat", says("A"))
    both = [await another(), await another()]
    conversation = (await both[0].post("/v1/conversations")).body["id"]
    told = await asyncio.gather(
        *(both[number % 2].ask(f"Q{number}", conversation=conversation) for number in range(10))
    )
    assert [each.status for each in told] == [200] * 10
    listing = (await both[0].get(f"/v1/conversations/{conversation}/items", order="asc")).body
    found = texts(listing)
    assert sorted(found[::2]) == sorted(f"Q{number}" for number in range(10))
    assert found[1::2] == ["A"] * 10
