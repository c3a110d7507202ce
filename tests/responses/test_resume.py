"""The stream of a response once more: from any event on, while it runs, after its end, elsewhere."""

import asyncio
import json
import time

import pytest
from attrs import evolve
from support.background import House, Records, trees
from support.openresponses_wire import check_event, check_whole
from support.recordings import ANSWERS
from support.scripted import HANG, HELLO, chunk, sse
from support.stateful import APIS, says, tell

import aigw
from aigw.config import AuthConfig, Config, KeyConfig, Secret, ServerConfig
from aigw.responses.live import LiveLog
from aigw.stores.memory import MemoryStore
from aigw.stores.sqlite import SqliteStore

HEL = sse(chunk("Hel"), done=False)
KEYS = AuthConfig(keys=(KeyConfig(key=Secret("sk-a"), tenant="a"), KeyConfig(key=Secret("sk-b"), tenant="b")))


@pytest.fixture
async def house(register, start, callers):
    """Make a house; several may share a store, as workers do."""

    async def make(store=None, drain_timeout_s=0.2):
        server = ServerConfig(drain_timeout_s=drain_timeout_s)
        gateway = register(aigw.Gateway(Config(auth=KEYS, server=server), store=store))
        plugin = Records()
        gateway.hooks.register(plugin)
        gateway.responses.jobs.renew_s = 0.05
        url = await start(gateway)
        return House(gateway, url, callers(url), plugin.records)

    return make


class Shared(MemoryStore):
    """A store that two gateways use and neither of them owns."""

    async def close(self):
        pass


@pytest.fixture(params=["memory", "sqlite"])
def shelf(request, tmp_path):
    """Make stores that hold the same, as those of two workers do."""
    shared = Shared()
    return lambda: shared if request.param == "memory" else SqliteStore(tmp_path / "state.db")


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("answer", ["parallel tool calls", "reasoning"])
async def test_from_every_event_on_the_rest_is_the_very_tail(house, upstream, eventually, api, answer):
    home = await house()
    upstream.stream(ANSWERS[answer][api].bytes(api, stream=True))
    whole = (await home.caller.ask("hi", model=api, background=True, stream=True)).events
    name = whole[0]["response"]["id"]
    for event in whole if api != "responses" else ():  # that recording leaves out what it may not
        check_event(event)
    assert await home.events(name) == whole
    await eventually(lambda: not len(home.jobs))  # from here on the store is asked
    assert await home.events(name) == whole
    rests = await asyncio.gather(*(home.events(name, starting_after=number) for number in range(len(whole))))
    assert rests == [whole[number + 1 :] for number in range(len(whole))]
    assert await home.events(name, starting_after=len(whole) + 5) == []


async def test_clients_that_come_and_go_while_it_runs_miss_nothing(house, upstream, eventually):
    home = await house()
    upstream.stream(*[step for _ in range(12) for step in (HEL, 0.03)], HELLO)
    asked = asyncio.create_task(home.caller.ask("hi", background=True, stream=True))
    await eventually(lambda: len(home.jobs))
    [(_, name)] = home.jobs._jobs

    async def come_and_go(length):
        seen = []
        while not (seen and seen[-1]["type"] == "response.completed"):
            query = {"stream": "true"}
            if seen:
                query["starting_after"] = seen[-1]["sequence_number"]
            async with home.caller.session.get(
                f"{home.url}/v1/responses/{name}", params=query, headers=home.caller.headers
            ) as response:
                for _ in range(length):
                    try:
                        frame = await response.content.readuntil(b"\n\n")
                    except asyncio.IncompleteReadError:
                        break
                    data = frame.partition(b"data: ")[2]
                    if data.strip() == b"[DONE]":
                        break
                    seen.append(json.loads(data))
        return seen

    seen = await asyncio.gather(*(come_and_go(length) for length in (1, 2, 3, 7, 100)))
    whole = (await asked).events
    assert seen == [whole] * 5
    await eventually(lambda: not home.gateway.in_flight)
    assert [record.ending for record in home.records] == ["complete"]


async def test_another_worker_serves_the_stream_of_one_that_runs_elsewhere(
    house, shelf, upstream, eventually
):
    runner, other = await house(shelf()), await house(shelf())
    upstream.stream(HEL, 0.4, HELLO)
    asked = asyncio.create_task(runner.caller.ask("hi", background=True, stream=True))
    await eventually(lambda: len(runner.jobs))
    [(_, name)] = runner.jobs._jobs
    seen = await other.events(name)
    whole = (await asked).events
    assert seen == whole
    assert await other.show(name) == whole[-1]["response"]
    assert await other.events(name, starting_after=3) == whole[4:]


async def test_another_worker_cancels_one_that_runs_elsewhere(house, shelf, upstream, eventually):
    runner, other = await house(shelf()), await house(shelf())
    upstream.stream(HEL, HANG)
    asked = asyncio.create_task(runner.caller.ask("hi", background=True, stream=True))
    await eventually(lambda: upstream.open)
    [(_, name)] = runner.jobs._jobs
    following = asyncio.create_task(other.events(name))
    await runner.jobs.find("a", name).log.more(4)  # "Hel" has come
    await runner.jobs.find("a", name).flush()
    told = await other.cancel(name)
    check_whole(told.body)
    assert told.body["status"] == "cancelled"
    assert told.body["output"][0]["content"][0]["text"] == "Hel"
    await eventually(lambda: not upstream.open)
    seen = await asked
    assert (seen.events[-1]["type"], seen.body) == ("response.incomplete", told.body)
    assert await runner.show(name) == await other.show(name) == told.body
    assert (await following)[-1]["response"] == (await other.events(name))[-1]["response"] == told.body
    assert (await other.cancel(name)).body == told.body
    assert [record.ending for record in runner.records] == ["cancelled"]


async def test_a_response_whose_gateway_died_has_failed(house, shelf, upstream, eventually):
    runner, other = await house(shelf()), await house(shelf())
    upstream.stream(HEL, HANG)
    name = await runner.begin(stream=False)
    await eventually(lambda: upstream.open)
    record = await other.store.response("a", name)
    assert record.lease_until > time.time()
    job = runner.jobs.find("a", name)
    job.log.add({"type": "response.output_item.added", "output_index": 0, "item": {"type": "x", "id": "x_1"}})
    await job.flush()
    runner.jobs._tender.cancel()  # as if it were dead: nothing is renewed, nothing more is kept
    following = asyncio.create_task(other.events(name))
    await asyncio.sleep(0.05)
    assert (await other.show(name))["status"] == "in_progress"
    record = await other.store.response("a", name)
    await other.store.save(evolve(record, lease_until=time.time() - 1))
    tree = await other.show(name)
    check_whole({**tree, "output": []})
    assert (tree["status"], tree["error"]["code"]) == ("failed", "server_error")
    assert "gateway stopped while this response ran" in tree["error"]["message"]
    assert [item["id"] for item in tree["output"]] == ["x_1"]
    events = await following
    assert [event["type"] for event in events[-3:]] == [
        "response.output_item.added",
        "error",
        "response.failed",
    ]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[-1]["response"] == tree
    assert await other.events(name) == events
    told = await other.cancel(name)
    assert told.body == tree
    runner.jobs._tender = asyncio.create_task(runner.jobs._tend())  # it was not dead after all
    await eventually(lambda: not len(runner.jobs) and not upstream.open)
    assert await runner.show(name) == tree


async def test_a_response_is_spoken_for_as_long_as_it_runs(house, shelf, upstream, eventually):
    runner, other = await house(shelf()), await house(shelf())
    runner.jobs.lease_s = 0.5
    upstream.stream(HEL, HANG)
    name = await runner.begin(stream=False)
    await asyncio.sleep(0.8)
    assert (await other.show(name))["status"] == "in_progress"
    await runner.cancel(name)


async def test_a_dead_response_is_found_out_by_whoever_cancels_it(house, upstream):
    home = await house()
    store = home.store
    upstream.answer()
    name = await home.begin()
    ended = await home.ended(name)
    record = await store.response("a", name)
    running = {**ended, "status": "in_progress", "output": []}
    await store.save(
        evolve(record, status="in_progress", body=json.dumps(running).encode(), lease_until=time.time() - 1)
    )
    assert (await home.cancel(name)).body["status"] == "failed"


@pytest.mark.parametrize("api", APIS)
async def test_a_response_without_kept_events_is_told_again(house, upstream, api):
    home = await house()
    for recordings in ANSWERS.values():
        upstream.scripts.clear()
        upstream.raw(recordings[api].bytes(api, stream=False))
        tree = (await home.caller.ask("hi", model=api)).body
        events = await home.events(tree["id"])
        for event in events if api != "responses" else ():  # that recording leaves out what it may not
            check_event(event)
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
        assert events[0]["type"] == "response.created"
        assert events[-1]["response"] == tree
        done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
        assert done == tree["output"]
        for number in (0, 3, len(events) - 2, len(events) - 1):
            assert await home.events(tree["id"], starting_after=number) == events[number + 1 :]


async def test_starting_after_must_be_a_number_of_an_event(house, upstream):
    home = await house()
    upstream.answer()
    name = (await home.caller.ask("hi")).id
    for given in ("-1", "1.5", "x", "", "\uff11", "1" * 20):
        told = await home.caller.get(f"/v1/responses/{name}", stream="true", starting_after=given)
        assert told.error == (400, "invalid_request", "starting_after")


async def test_openais_own_client_comes_back_to_a_stream(house, upstream, sdk):
    home = await house()
    client = sdk(home.url, "sk-a")
    upstream.stream(HEL, 0.2, HELLO)
    stream = await client.responses.create(model="m", input="hi", background=True, stream=True)
    seen = []
    async for event in stream:
        seen.append(event)
        if event.type == "response.output_text.delta":
            break
    await stream.close()
    name, last = seen[0].response.id, seen[-1].sequence_number
    rest = [event async for event in await client.responses.retrieve(name, stream=True, starting_after=last)]
    assert [event.sequence_number for event in (*seen, *rest)] == list(range(len(seen) + len(rest)))
    assert rest[-1].response.output_text == "HelHello"
    async with client.responses.stream(response_id=name, starting_after=last) as again:
        assert [event.sequence_number async for event in again] == [event.sequence_number for event in rest]
        assert (await again.get_final_response()).output_text == "HelHello"


async def test_followers_elsewhere_are_let_go_when_their_gateway_stops(house, shelf, upstream, eventually):
    runner, other = await house(shelf()), await house(shelf())
    upstream.stream(HEL, HANG)
    name = await runner.begin(stream=False)
    url = f"{other.url}/v1/responses/{name}?stream=true"
    async with other.caller.session.get(url, headers=other.caller.headers) as response:
        await response.content.readuntil(b"\n\n")
        await other.gateway.drain(0.05)
        data = b""
        try:
            data = await response.read()
        except Exception as error:  # noqa: BLE001 - however the client tells it
            data = repr(error).encode()
    assert b"[DONE]" not in data
    assert not other.gateway.in_flight
    await runner.cancel(name)


async def test_a_long_response_is_not_held_in_memory(house, upstream, monkeypatch, eventually):
    monkeypatch.setattr("aigw.responses.live.HELD_BYTES", 4000)
    monkeypatch.setattr("aigw.responses.live.OWED_BYTES", 2000)
    monkeypatch.setattr("aigw.responses.jobs.FLUSH_S", 0.01)
    home = await house()
    upstream.stream(*[sse(chunk("x" * 50), done=False) for _ in range(100)], HELLO)
    asked = asyncio.create_task(home.caller.ask("hi", background=True, stream=True))
    await eventually(lambda: len(home.jobs))
    [job] = home.jobs._jobs.values()
    most = 0
    while not asked.done():
        most = max(most, job.log._held_bytes)
        await asyncio.sleep(0)
    whole = (await asked).events
    assert len(whole) > 100
    assert most < 12_000
    assert await home.events(job.session.id) == whole


async def test_a_log_gives_its_store_each_event_once():
    async def older(_after):
        return []

    log = LiveLog(older)
    for number in range(3):
        log.add({"type": "x", "n": number})
    first = log.owed()
    log.add({"type": "x", "n": 3})
    log.paid(first[-1][0] + 1)
    assert [number for number, _ in log.owed()] == [3]
    assert [json.loads(body)["n"] for _, body in await log.more(1)] == [2, 3]
    log.end()
    assert await log.more(3) == []


async def test_the_stream_is_written_in_whole_frames_with_an_end(house, upstream):
    home = await house()
    tell(upstream, "chat", says("Hello"), stream=True)
    name = await home.begin()
    await home.ended(name)
    async with home.caller.session.get(
        f"{home.url}/v1/responses/{name}?stream=true", headers=home.caller.headers
    ) as response:
        assert response.headers["Content-Type"] == "text/event-stream"
        data = await response.read()
    assert b"\r" not in data
    assert data.endswith(b"data: [DONE]\n\n")
    assert trees(data)[-1]["type"] == "response.completed"
