"""Responses that go on by themselves: queued, polled, cancelled, left alone, over every format."""

import asyncio
import gc

import openai
import pytest
from support.answers import error_of
from support.background import House, Records
from support.openresponses_wire import check_event, check_whole
from support.scripted import CUT, HANG, HELLO, chunk, sse
from support.stateful import APIS, says, tell

import aigw
from aigw.config import AuthConfig, Config, KeyConfig, ResponsesConfig, Secret, ServerConfig, StateConfig
from aigw.pipeline.exchange import Exchange
from aigw.responses.job import BackgroundJob
from aigw.stores.base import StoreError
from aigw.stores.memory import MemoryStore
from aigw.upstream.registry import Target

HEL = sse(chunk("Hel"), done=False)
KEYS = AuthConfig(keys=(KeyConfig(key=Secret("sk-a"), tenant="a"), KeyConfig(key=Secret("sk-b"), tenant="b")))


@pytest.fixture
async def house(register, start, callers, upstream):
    """Make a house; its model "two" has two targets. settings: sections of its configuration."""

    async def make(store=None, **settings):
        gateway = register(aigw.Gateway(Config(auth=KEYS, **settings), store=store))
        two = [aigw.Provider(upstream.url, "sk", name=name, apis=["chat"]) for name in ("one", "other")]
        gateway.models.register("two", targets=[Target(provider, "up-model") for provider in two])
        plugin = Records()
        gateway.hooks.register(plugin)
        url = await start(gateway)
        return House(gateway, url, callers(url), plugin.records)

    return make


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("api", APIS)
async def test_a_background_response_is_queued_and_then_found_whole(house, upstream, eventually, api, stream):
    home = await house()
    tell(upstream, api, says("Hello"), stream=stream)
    told = await home.caller.ask("hi", model=api, background=True, stream=stream)
    if stream:
        queued, name = told.events[0]["response"], told.events[0]["response"]["id"]
        assert queued["status"] == "queued"
    else:
        queued, name = told.body, told.id
    check_whole(queued)
    assert (queued["status"], queued["output"], queued["background"]) == ("queued", [], True)
    tree = await home.ended(name)
    check_whole(tree)
    assert (tree["id"], tree["status"], tree["background"]) == (name, "completed", True)
    assert tree["created_at"] == queued["created_at"]
    assert tree["output"][0]["content"][0]["text"] == "Hello"
    assert tree["usage"]["output_tokens"] == 2
    await eventually(lambda: not len(home.jobs))
    [record] = home.records
    assert (record.ending, record.status, record.tenant, record.stream) == ("complete", 200, "a", stream)
    assert record.usage.output_tokens == 2
    assert "background" not in upstream.seen[0].json


@pytest.mark.parametrize("api", APIS)
async def test_its_stream_is_told_as_the_format_wants(house, upstream, api):
    home = await house()
    tell(upstream, api, says("Hello"), stream=True)
    told = await home.caller.ask("hi", model=api, background=True, stream=True)
    kinds = [event["type"] for event in told.events]
    assert kinds[:3] == ["response.created", "response.queued", "response.in_progress"]
    assert kinds[-1] == "response.completed"
    assert kinds.count("response.created") == kinds.count("response.in_progress") == 1
    assert [event["sequence_number"] for event in told.events] == list(range(len(kinds)))
    for event in told.events:
        check_event(event)
    states = [event["response"]["status"] for event in told.events if "response" in event]
    assert states == ["queued", "queued", "in_progress", "completed"]
    assert len({event["response"]["id"] for event in told.events if "response" in event}) == 1
    assert await home.show(told.id) == told.body


async def test_a_whole_answer_has_a_stream_too(house, upstream):
    home = await house()
    tell(upstream, "chat", says("Hello"))
    name = await home.begin()
    tree = await home.ended(name)
    events = await home.events(name)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert "".join(event["delta"] for event in events if event["type"].endswith("text.delta")) == "Hello"
    assert events[-1]["response"] == tree


async def test_a_client_that_leaves_changes_nothing(house, upstream, eventually):
    home = await house()
    upstream.stream(HEL, 0.4, sse(chunk("lo"), chunk(finish="stop")))
    body = {"model": "m", "input": "hi", "background": True, "stream": True}
    async with home.caller.session.post(
        home.url + "/v1/responses", json=body, headers=home.caller.headers
    ) as response:
        first = await response.content.readuntil(b"\n\n")
    name = first.decode().split('"id":"', 1)[1].split('"', 1)[0]
    tree = await home.ended(name)
    assert (tree["status"], tree["output"][0]["content"][0]["text"]) == ("completed", "Hello")
    await eventually(lambda: not home.gateway.in_flight)
    assert [record.ending for record in home.records] == ["complete"]
    assert upstream.dropped == 0


async def test_the_first_answer_does_not_wait_for_the_provider(house, upstream, eventually):
    home = await house()
    upstream.stream(HEL, HANG)
    name = await home.begin(stream=False)
    await eventually(lambda: upstream.open)
    assert (await home.show(name))["status"] == "in_progress"
    assert home.records == []
    await home.cancel(name)


@pytest.mark.parametrize("steps", [(HANG,), (HEL, HANG)])
async def test_a_cancelled_response_says_so_and_its_call_ends(house, upstream, eventually, steps):
    home = await house()
    upstream.stream(*steps)
    watching = asyncio.create_task(home.caller.ask("hi", background=True, stream=True))
    await eventually(lambda: upstream.open)
    [(_, name)] = home.jobs._jobs
    await eventually(lambda: home.jobs.find("a", name).log.count >= (6 if HEL in steps else 3))
    told = await home.cancel(name)
    check_whole(told.body)
    assert told.body["status"] == "cancelled"
    assert told.body["error"] is None
    if HEL in steps:
        [item] = told.body["output"]
        assert (item["status"], item["content"][0]["text"]) == ("incomplete", "Hel")
    else:
        assert told.body["output"] == []
    await eventually(lambda: not upstream.open)
    assert upstream.dropped == 1
    assert (await home.cancel(name)).body == told.body
    assert await home.show(name) == told.body
    seen = await watching
    assert (seen.events[-1]["type"], seen.body) == ("response.incomplete", told.body)
    check_event(seen.events[-1])
    [record] = home.records
    assert (record.ending, record.status, record.error) == ("cancelled", 200, None)


async def test_many_may_cancel_at_once(house, upstream, eventually):
    home = await house()
    upstream.stream(HEL, HANG)
    name = await home.begin(stream=False)
    await eventually(lambda: upstream.open)
    told = await asyncio.gather(*(home.cancel(name) for _ in range(5)))
    assert [each.body["status"] for each in told] == ["cancelled"] * 5
    assert all(each.body == told[0].body for each in told)
    assert [record.ending for record in home.records] == ["cancelled"]


async def test_a_response_that_has_ended_is_cancelled_no_more(house, upstream):
    home = await house()
    upstream.answer()
    name = await home.begin()
    tree = await home.ended(name)
    assert (await home.cancel(name)).body == tree


async def test_only_a_background_response_can_be_cancelled(house, upstream):
    home = await house()
    upstream.answer()
    name = (await home.caller.ask("hi")).id
    told = await home.cancel(name)
    assert told.error == (400, "invalid_request", "response_id")
    assert "background" in told.body["error"]["message"]


async def test_another_tenant_finds_nothing_to_cancel(house, upstream, callers):
    home = await house()
    upstream.stream(HANG)
    name = await home.begin()
    stranger = callers(home.url, key="sk-b")
    for told in (
        await stranger.post(f"/v1/responses/{name}/cancel"),
        await stranger.get(f"/v1/responses/{name}"),
        await stranger.get(f"/v1/responses/{name}", stream="true"),
    ):
        assert told.status == 404
    assert (await home.show(name))["status"] in {"queued", "in_progress"}
    await home.cancel(name)


async def test_others_wait_in_the_queue_for_their_place(house, upstream, eventually):
    home = await house(responses=ResponsesConfig(max_background=1))
    upstream.stream(HANG)
    first = await home.begin(stream=False)
    await eventually(lambda: upstream.open)
    upstream.scripts.clear()
    upstream.answer()
    names = [await home.begin() for _ in range(3)]
    assert [(await home.show(name))["status"] for name in names] == ["queued"] * 3
    assert len(upstream.seen) == 1
    assert (await home.cancel(names[1])).body["status"] == "cancelled"
    await home.cancel(first)
    states = [(await home.ended(name))["status"] for name in names]
    assert states == ["completed", "cancelled", "completed"]
    await eventually(lambda: len(home.records) == 4)
    endings = sorted(record.ending.value for record in home.records)
    assert endings == ["cancelled", "cancelled", "complete", "complete"]


async def test_a_failed_response_tells_why(house, upstream, eventually):
    home = await house()
    upstream.answer({"error": {"message": "overloaded"}}, status=503)
    told = await home.caller.ask("hi", background=True, stream=True)
    assert [event["type"] for event in told.events[-2:]] == ["error", "response.failed"]
    assert [event["sequence_number"] for event in told.events] == list(range(len(told.events)))
    tree = await home.show(told.id)
    check_whole(tree)
    assert tree == told.body
    assert (tree["status"], tree["error"]["code"]) == ("failed", "server_error")
    assert "overloaded" in tree["error"]["message"]
    await eventually(lambda: home.records)
    [record] = home.records
    assert (record.ending, record.status) == ("failed", 200)


async def test_a_broken_stream_ends_as_failed_with_what_there_was(house, upstream, eventually):
    home = await house()
    upstream.stream(HEL, CUT)
    told = await home.caller.ask("hi", background=True, stream=True)
    assert [event["type"] for event in told.events[-2:]] == ["error", "response.failed"]
    assert told.body["output"][0]["content"][0]["text"] == "Hel"
    assert await home.show(told.id) == told.body
    await eventually(lambda: home.records)
    assert [record.ending for record in home.records] == ["failed"]


async def test_another_target_is_tried_in_the_background_as_well(house, upstream):
    home = await house()
    upstream.stream(CUT)
    upstream.stream(HELLO)
    told = await home.caller.ask("hi", model="two", background=True, stream=True)
    assert told.text == "Hello"
    assert len(upstream.seen) == 2


async def test_a_request_that_makes_no_sense_is_refused_at_once(house, upstream):
    home = await house()
    told = await home.caller.ask("hi", background=True, temperature="hot")
    assert told.status == 400
    told = await home.caller.ask("hi", background=True, store=False)
    assert told.error == (400, "invalid_request", "store")
    assert [record.ending for record in home.records] == ["refused"] * 2
    assert not len(home.jobs)


async def test_a_response_can_be_continued_once_it_has_ended(house, upstream):
    home = await house()
    upstream.answer()
    name = await home.begin()
    await home.ended(name)
    told = await home.caller.ask("and?", previous_response_id=name)
    assert told.status == 200
    said = [message["content"] for message in upstream.seen[-1].json["messages"]]
    assert said == ["hi", "Hello", "and?"]


async def test_a_deleted_response_runs_no_more(house, upstream, eventually):
    home = await house()
    upstream.stream(HANG)
    name = await home.begin()
    await eventually(lambda: upstream.open)
    assert (await home.caller.delete(f"/v1/responses/{name}")).status == 200
    await eventually(lambda: not upstream.open and not len(home.jobs))
    assert (await home.caller.get(f"/v1/responses/{name}")).status == 404


class Failing(MemoryStore):
    """A store that fails when it is told to."""

    fails = False

    async def save(self, *given):
        if self.fails:
            raise StoreError("full")
        await super().save(*given)

    async def finish(self, *given):
        if self.fails:
            raise StoreError("full")
        return await super().finish(*given)


async def test_without_a_store_nothing_begins(house, upstream):
    store = Failing()
    home = await house(store)
    store.fails = True
    told = await home.caller.ask("hi", background=True)
    assert told.error == (503, "store_unavailable", None)
    assert not len(home.jobs)
    assert upstream.seen == []
    assert [record.ending for record in home.records] == ["refused"]


async def test_an_end_that_cannot_be_kept_is_offered_again(house, upstream, monkeypatch, caplog, eventually):
    monkeypatch.setattr("aigw.responses.job.PAUSE_S", 0.05)
    monkeypatch.setattr("aigw.responses.guard.PAUSE_S", 0.01)
    store = Failing()
    home = await house(store)
    upstream.stream(HEL, 0.1, HELLO)
    asked = asyncio.create_task(home.caller.ask("hi", background=True, stream=True))
    await eventually(lambda: upstream.open)
    store.fails = True
    await asyncio.sleep(0.5)
    assert not asked.done()
    store.fails = False
    told = await asked
    assert told.body["status"] == "completed"
    assert await home.show(told.id) == told.body


@pytest.mark.parametrize("outage", ["answer", "refuse"])
async def test_an_end_that_cannot_be_kept_at_all_is_told_as_such(
    house, upstream, monkeypatch, outage, caplog, eventually
):
    monkeypatch.setattr("aigw.responses.job.KEEP_TRYING_S", 0.1)
    monkeypatch.setattr("aigw.responses.job.PAUSE_S", 0.05)
    store = Failing()
    home = await house(store, state=StateConfig(outage=outage))
    upstream.stream(HEL, 0.1, HELLO)
    asked = asyncio.create_task(home.caller.ask("hi", background=True, stream=True))
    await eventually(lambda: upstream.open)
    store.fails = True
    told = await asked
    if outage == "answer":
        assert (told.body["status"], told.body["store"]) == ("completed", False)
    else:
        assert [event["type"] for event in told.events[-2:]] == ["error", "response.failed"]


async def test_a_gateway_that_stops_ends_its_responses_and_tells_them(house, upstream, eventually):
    store = MemoryStore()
    home = await house(store, server=ServerConfig(drain_timeout_s=0.1))
    upstream.stream(HEL, HANG)
    watching = asyncio.create_task(home.caller.ask("hi", background=True, stream=True))
    await eventually(lambda: upstream.open and len(home.jobs))
    [(_, name)] = home.jobs._jobs
    await eventually(lambda: home.jobs.find("a", name).log.count >= 6)
    waiting = await home.begin()
    await home.gateway.drain(0.1)
    told = await watching
    assert [event["type"] for event in told.events[-2:]] == ["error", "response.failed"]
    assert (told.body["status"], told.body["error"]["code"]) == ("failed", "server_error")
    assert "gateway stopped" in told.body["error"]["message"]
    assert "gateway stopped" in told.events[-2]["message"]
    await eventually(lambda: not len(home.jobs))
    kept = await store.response("a", waiting)
    assert kept.status == "failed"
    assert b"gateway stopped" in kept.body
    assert len(home.records) == 2


async def test_nothing_is_left_behind_when_the_gateway_ends(upstream, register, aiohttp_server, callers):
    gateway = register(aigw.Gateway(Config(auth=KEYS, server=ServerConfig(drain_timeout_s=0.05))))
    records = Records()
    gateway.hooks.register(records)
    upstream.stream(HANG)
    before = {task.get_name() for task in asyncio.all_tasks()}
    server = await aiohttp_server(gateway.make_app())
    caller = callers(str(server.make_url("/")).rstrip("/"))
    told = await caller.ask("hi", background=True)
    await server.close()
    left = {task.get_name() for task in asyncio.all_tasks()} - before
    assert not [name for name in left if "background" in name]
    assert (await gateway.responses.guard.store.response("a", told.id)).status == "failed"
    assert [record.ending for record in records.records] == ["failed"]
    assert gateway.in_flight == 0


async def test_a_response_that_has_ended_is_not_held_in_memory(house, upstream, eventually):
    home = await house()
    upstream.stream(HELLO)
    for _ in range(3):
        await home.caller.ask("hi", background=True, stream=True)
    await eventually(lambda: not len(home.jobs) and not home.gateway.in_flight)
    home.records.clear()
    await home.show("resp_0")  # aiohttp holds the last request of a connection until the next
    gc.collect()
    things = gc.get_objects()
    exchanges = [thing for thing in things if isinstance(thing, Exchange)]
    exchanges += [thing.exchange for thing in things if isinstance(thing, BackgroundJob)]
    assert not [exchange for exchange in exchanges if exchange.gateway is home.gateway]
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "aigw background response"]


async def test_openais_own_client_polls_and_cancels(house, upstream, sdk, eventually):
    home = await house()
    client = sdk(home.url, "sk-a")
    upstream.answer()
    response = await client.responses.create(model="m", input="hi", background=True)
    assert response.status == "queued"
    while response.status in {"queued", "in_progress"}:
        await asyncio.sleep(0.01)
        response = await client.responses.retrieve(response.id)
    assert (response.status, response.output_text) == ("completed", "Hello")
    upstream.scripts.clear()
    upstream.stream(HANG)
    response = await client.responses.create(model="m", input="hi", background=True)
    assert (await client.responses.cancel(response.id)).status == "cancelled"
    foreground = await home.caller.get("/v1/responses/" + response.id)
    assert foreground.body["status"] == "cancelled"
    with pytest.raises(openai.NotFoundError):
        await client.responses.cancel("resp_0")


async def test_an_embedded_gateway_runs_them_as_well(gateway, upstream, serve, http, complete, eventually):
    url = await serve(gateway)
    tell(upstream, "responses", says("Hello"))
    body = {"model": "m", "input": "hi", "background": True}
    async with http.post(url + "/v1/responses", json=body) as response:
        name = (await response.json())["id"]
    await eventually(lambda: complete and not len(gateway.responses.jobs))
    async with http.get(f"{url}/v1/responses/{name}") as response:
        tree = await response.json()
    assert tree["status"] == "completed", tree["error"]
    async with http.post(url + "/v1/responses/resp_0/cancel") as response:
        await error_of(response, 404, "not_found")
