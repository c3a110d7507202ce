"""A store that fails: what is answered all the same, what is refused, and that nothing hangs."""

import asyncio

import pytest
from support.openresponses_wire import check_whole, events_of
from support.stateful import APIS, says, tell

import aigw
from aigw.config import StateConfig
from aigw.relay.ending import Ending
from aigw.responses.guard import PAUSE_S, Guard
from aigw.stores.base import StoreError
from aigw.stores.memory import MemoryStore

both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
PATIENCE_S = 0.1


class Moody:
    """A store that works, fails or hangs as it is told, and counts how often it is asked."""

    def __init__(self):
        self.store = MemoryStore()
        self.mood = "well"
        self.asked = 0

    async def open(self):
        pass

    async def close(self):
        pass

    def __getattr__(self, name):
        method = getattr(self.store, name)

        async def ask(*given, **more):
            self.asked += name != "sweep"
            if self.mood == "fails":
                raise StoreError("the disk is full")
            if self.mood == "breaks":
                raise ConnectionResetError("gone")
            if self.mood == "hangs":
                await asyncio.Event().wait()
            return await method(*given, **more)

        return ask


@pytest.fixture
def store():
    return Moody()


@pytest.fixture(params=["answer"])
async def gateway(request, register, store):
    config = aigw.Config(state=StateConfig(outage=request.param, patience_s=PATIENCE_S))
    return register(aigw.Gateway(config, store=store))


@pytest.fixture
async def caller(gateway, start, callers):
    return callers(await start(gateway))


refusing = pytest.mark.parametrize("gateway", ["refuse"], indirect=True)
in_every_mood = pytest.mark.parametrize("mood", ["fails", "breaks", "hangs"])


def break_down(gateway):
    """Let the gateway know that its store is down, and not find out otherwise in this test."""
    gateway.responses.guard.is_down = True
    gateway.responses.guard._ask_again_at = asyncio.get_running_loop().time() + 60


async def metrics(caller):
    async with caller.session.get(caller.url + "/metrics") as response:
        rows = [line.rpartition(" ") for line in (await response.text()).splitlines()]
    return {name: float(value) for name, _, value in rows if name.startswith("aigw_state")}


@both_ways
@pytest.mark.parametrize("api", APIS)
@in_every_mood
async def test_an_answer_that_cannot_be_kept_says_so(caller, upstream, store, api, stream, mood):
    tell(upstream, api, says("yes"), stream=stream)
    store.mood = mood
    told = await caller.ask("hi", model=api, stream=stream)
    assert told.text == "yes"
    assert told.body["store"] is False
    check_whole(told.body)
    if not stream:
        assert told.headers["x-aigw-store"] == "unavailable"
    assert (await metrics(caller))["aigw_state_up"] == 0


@both_ways
@pytest.mark.parametrize("api", APIS)
async def test_while_the_store_is_down_it_is_said_at_once_and_nobody_waits(
    gateway, caller, upstream, store, api, stream
):
    tell(upstream, api, says("yes"), stream=stream)
    store.mood = "hangs"
    break_down(gateway)
    told = await caller.ask("hi", model=api, stream=stream)
    assert told.headers["x-aigw-store"] == "unavailable"
    snapshots = [event["response"] for event in told.events if "response" in event] or [told.body]
    assert {tree["store"] for tree in snapshots} == {False}
    assert told.text == "yes"
    assert not store.asked


async def test_what_is_not_to_be_kept_needs_no_store(gateway, caller, upstream, store):
    tell(upstream, "chat", says("yes"))
    break_down(gateway)
    told = await caller.ask("hi", store=False)
    assert "x-aigw-store" not in told.headers
    assert told.body["store"] is False
    assert not store.asked


@in_every_mood
async def test_what_needs_the_store_is_refused_while_it_fails(caller, upstream, store, mood):
    tell(upstream, "chat", says("yes"))
    first = await caller.ask("hi")
    conversation = (await caller.post("/v1/conversations")).body["id"]
    store.mood = mood
    items = f"/v1/conversations/{conversation}/items"
    for told in (
        await caller.ask("on", previous_response_id=first.id),
        await caller.ask("on", conversation=conversation),
        await caller.ask([{"type": "item_reference", "id": "msg_1"}]),
        await caller.get(f"/v1/responses/{first.id}"),
        await caller.get(f"/v1/responses/{first.id}", stream="true"),
        await caller.get(f"/v1/responses/{first.id}/input_items"),
        await caller.delete(f"/v1/responses/{first.id}"),
        await caller.post("/v1/conversations", {}),
        await caller.get(f"/v1/conversations/{conversation}"),
        await caller.delete(f"/v1/conversations/{conversation}"),
        await caller.get(items),
        await caller.post(items, {"items": [{"role": "user", "content": "hi"}]}),
        await caller.get(items + "/msg_1"),
    ):
        assert told.error == (503, "store_unavailable", None)
        assert told.headers["retry-after"] == "1"
        assert "disk" not in told.body["error"]["message"]
    assert len(upstream.seen) == 1


@refusing
@both_ways
async def test_a_gateway_that_must_keep_refuses_before_the_model_is_asked(
    gateway, caller, upstream, store, stream
):
    tell(upstream, "chat", says("yes"), stream=stream)
    break_down(gateway)
    told = await caller.ask("hi", stream=stream)
    assert told.error == (503, "store_unavailable", None)
    assert not upstream.seen
    assert (await caller.ask("hi", stream=stream, store=False)).text == "yes"


@refusing
@pytest.mark.parametrize("api", APIS)
@in_every_mood
async def test_a_whole_answer_that_must_be_kept_and_cannot_is_refused(caller, upstream, store, api, mood):
    tell(upstream, api, says("yes"))
    store.mood = mood
    told = await caller.ask("hi", model=api)
    assert told.error == (503, "store_unavailable", None)
    assert len(upstream.seen) == 1


@refusing
@pytest.mark.parametrize("api", APIS)
async def test_a_stream_that_must_be_kept_and_cannot_ends_as_failed(
    complete, caller, upstream, store, api, eventually
):
    tell(upstream, api, says("yes"), stream=True)
    store.mood = "fails"
    tree = {"model": api, "input": "hi", "stream": True}
    async with caller.session.post(caller.url + "/v1/responses", json=tree) as response:
        events = events_of(await response.read())
    *_, error, last = events
    assert (error["type"], error["code"]) == ("error", "store_unavailable")
    assert last["type"] == "response.failed"
    assert last["response"]["status"] == "failed"
    assert last["response"]["store"] is False
    assert last["response"]["error"]["code"] == "server_error"
    check_whole(last["response"])
    await eventually(lambda: complete)
    assert (complete[0].ending, complete[0].error) == (Ending.FAILED, "store_unavailable")


async def test_a_store_that_recovers_is_used_again(gateway, caller, upstream, store):
    tell(upstream, "chat", says("yes"))
    store.mood = "fails"
    assert (await caller.ask("hi")).body["store"] is False
    store.mood = "well"
    gateway.responses.guard._ask_again_at = 0.0  # the pause is over
    told = await caller.ask("hi")
    assert told.body["store"] is True
    assert "x-aigw-store" not in told.headers
    assert (await caller.get(f"/v1/responses/{told.id}")).body == told.body
    assert await metrics(caller) == {
        "aigw_state_failures_total": 1,
        "aigw_state_up": 1,
    }


async def test_many_requests_do_not_wait_for_the_same_silence(gateway, store):
    guard = Guard(store, patience_s=PATIENCE_S)
    store.mood = "hangs"
    with pytest.raises(aigw.errors.ServerError):
        await guard.ask(guard.store.response("a", "resp_1"))
    guard._ask_again_at = 0.0
    asked = store.asked
    results = await asyncio.gather(
        *(guard.ask(guard.store.response("a", "resp_1")) for _ in range(20)), return_exceptions=True
    )
    assert {getattr(error, "code", None) for error in results} == {"store_unavailable"}
    assert store.asked == asked + 1
    assert guard.failures == 2


async def test_a_store_that_answers_that_something_is_missing_is_not_down(store):
    guard = Guard(store, patience_s=PATIENCE_S)
    guard.is_down = True
    with pytest.raises(LookupError):
        await guard.ask(guard.store.chain("a", "resp_none"))
    assert not guard.is_down


async def test_whoever_finds_out_and_leaves_lets_the_next_one_find_out(store):
    guard = Guard(store, patience_s=60)
    guard.is_down = True
    store.mood = "hangs"
    asking = asyncio.create_task(guard.ask(guard.store.response("a", "resp_1")))
    await asyncio.sleep(0)
    assert guard.is_shut
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    store.mood = "well"
    assert await guard.ask(guard.store.response("a", "resp_1")) is None
    assert not guard.is_down
    assert PAUSE_S > 0
