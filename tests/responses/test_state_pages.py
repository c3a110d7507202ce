"""What is kept of a response can be read, listed and deleted; by its own tenant, and by nobody else."""

import pytest
from support.openai_slice import check
from support.openresponses_wire import check_whole
from support.scripted import CUT, HANG
from support.stateful import APIS, calls, says, tell, texts

import aigw

both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
every_api = pytest.mark.parametrize("api", APIS)


def path_of(told, rest=""):
    return f"/v1/responses/{told.id}{rest}"


@both_ways
@every_api
async def test_a_response_reads_as_its_client_was_told_of_it(caller, upstream, api, stream):
    tell(upstream, api, says("yes"), stream=stream)
    told = await caller.ask(
        "hi",
        model=api,
        stream=stream,
        metadata={"a": "1"},
        instructions="Be brief.",
    )
    kept = await caller.get(path_of(told))
    assert kept.body == told.body
    assert kept.body["store"] is True
    if api != "responses":  # there the scripted provider has not repeated what it was asked
        assert kept.body["metadata"] == {"a": "1"}
        assert kept.body["instructions"] == "Be brief."
    check_whole(kept.body)


@both_ways
@every_api
async def test_a_continued_response_says_what_it_belongs_to(caller, upstream, api, stream):
    tell(upstream, api, says("yes"), stream=stream)
    tell(upstream, api, says("yes"), stream=stream)
    first = await caller.ask("one", model=api, stream=stream)
    second = await caller.ask("two", model=api, stream=stream, previous_response_id=first.id)
    conversation = (await caller.post("/v1/conversations")).body["id"]
    tell(upstream, api, says("yes"), stream=stream)
    third = await caller.ask("three", model=api, stream=stream, conversation={"id": conversation})
    snapshots = [event["response"] for event in second.events if "response" in event] or [second.body]
    assert {tree["previous_response_id"] for tree in snapshots} == {first.id}
    assert {tree["store"] for tree in snapshots} == {True}
    snapshots = [event["response"] for event in third.events if "response" in event] or [third.body]
    assert [tree["conversation"] for tree in snapshots] == [{"id": conversation}] * len(snapshots)
    assert {tree["previous_response_id"] for tree in snapshots} == {None}
    check_whole(third.body)


@both_ways
@every_api
async def test_what_is_not_to_be_stored_is_not(caller, upstream, api, stream):
    tell(upstream, api, says("yes"), stream=stream)
    told = await caller.ask("hi", model=api, stream=stream, store=False)
    assert told.body["store"] is False
    assert (await caller.get(path_of(told))).error == (404, "not_found", None)
    again = await caller.ask("more", model=api, previous_response_id=told.id)
    assert again.error == (400, "previous_response_not_found", "previous_response_id")


@pytest.mark.parametrize("field", ["store", "background"])
async def test_a_flag_is_true_or_false(caller, field):
    told = await caller.ask("hi", **{field: "no"})
    assert told.error == (400, "invalid_request", field)


async def test_a_deleted_response_is_not_found_and_cannot_be_continued(caller, upstream):
    tell(upstream, "chat", says("yes"))
    first = await caller.ask("one")
    second = await caller.ask("two", previous_response_id=first.id)
    gone = await caller.delete(path_of(first))
    assert gone.body == {"id": first.id, "object": "response.deleted", "deleted": True}
    for request in (caller.get(path_of(first)), caller.delete(path_of(first))):
        assert (await request).error == (404, "not_found", None)
    assert (await caller.get(path_of(first, "/input_items"))).error == (404, "not_found", None)
    for name in (first.id, second.id):  # also through what continues it
        told = await caller.ask("on", previous_response_id=name)
        assert told.error == (400, "previous_response_not_found", "previous_response_id")
    assert (await caller.get(path_of(second))).body == second.body
    assert texts((await caller.get(path_of(second, "/input_items"))).body) == ["two"]


async def test_the_input_of_a_response_is_listed_with_what_came_before(caller, upstream):
    tell(upstream, "chat", says("A1"))
    tell(upstream, "chat", says("A2"))
    first = await caller.ask("Q1")
    second = await caller.ask("Q2", previous_response_id=first.id)
    listing = (await caller.get(path_of(second, "/input_items"))).body
    check("ResponseItemList", listing)
    assert texts(listing) == ["Q2", "A1", "Q1"]
    assert listing["first_id"] == listing["data"][0]["id"]
    assert listing["last_id"] == listing["data"][-1]["id"]
    assert listing["has_more"] is False
    assert texts((await caller.get(path_of(second, "/input_items"), order="asc")).body) == ["Q1", "A1", "Q2"]
    assert texts((await caller.get(path_of(first, "/input_items"))).body) == ["Q1"]


async def test_input_in_a_conversation_is_listed_as_it_was_then(caller, upstream):
    tell(upstream, "chat", says("A1"))
    conversation = (await caller.post("/v1/conversations")).body["id"]
    first = await caller.ask("Q1", conversation=conversation)
    await caller.ask("Q2", conversation=conversation)
    assert texts((await caller.get(path_of(first, "/input_items"))).body) == ["Q1"]
    third = await caller.ask("Q3", conversation=conversation)
    await caller.ask("Q4", conversation=conversation)
    listing = await caller.get(path_of(third, "/input_items"), order="asc")
    assert texts(listing.body) == ["Q1", "A1", "Q2", "A1", "Q3"]
    await caller.delete(f"/v1/conversations/{conversation}")
    assert texts((await caller.get(path_of(third, "/input_items"))).body) == ["Q3"]


async def test_every_kind_of_item_is_listed_in_its_full_form(caller, upstream):
    tell(upstream, "chat", says("yes"))
    picture = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}
    told = await caller.ask(
        [
            {"role": "user", "content": "plain"},
            {"role": "assistant", "content": "said"},
            {"role": "user", "content": [{"type": "input_text", "text": "look"}, picture]},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "done"},
        ]
    )
    listing = (await caller.get(path_of(told, "/input_items"), order="asc")).body
    check("ResponseItemList", listing)
    assert [item["type"] for item in listing["data"]] == ["message"] * 3 + [
        "function_call",
        "function_call_output",
    ]
    assert [item["status"] for item in listing["data"]] == ["completed"] * 5
    kinds = [part["type"] for item in listing["data"][:3] for part in item["content"]]
    assert kinds == ["input_text", "output_text", "input_text", "input_image"]


async def test_a_list_is_turned_page_by_page(caller, upstream):
    tell(upstream, "chat", says("yes"))
    told = await caller.ask([{"role": "user", "content": str(number)} for number in range(25)])
    path = path_of(told, "/input_items")
    first = (await caller.get(path)).body
    assert texts(first) == [str(number) for number in range(24, 4, -1)]
    assert first["has_more"] is True
    rest = (await caller.get(path, after=first["last_id"])).body
    assert texts(rest) == ["4", "3", "2", "1", "0"]
    assert rest["has_more"] is False
    two = (await caller.get(path, order="asc", limit="2", after=rest["last_id"])).body
    assert texts(two) == ["1", "2"]
    end = (await caller.get(path, after=rest["last_id"])).body
    assert end == {"object": "list", "data": [], "first_id": "", "last_id": "", "has_more": False}
    assert len((await caller.get(path, limit="100")).body["data"]) == 25


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"limit": "-1"}, "limit"),
        ({"limit": "ten"}, "limit"),
        ({"limit": "9" * 5000}, "limit"),
        ({"order": "up"}, "order"),
        ({"after": "msg_none"}, "after"),
    ],
)
async def test_a_page_that_cannot_be_is_refused(caller, upstream, query, param):
    tell(upstream, "chat", says("yes"))
    told = await caller.ask("hi")
    conversation = (await caller.post("/v1/conversations")).body["id"]
    for path in (path_of(told, "/input_items"), f"/v1/conversations/{conversation}/items"):
        assert (await caller.get(path, **query)).error == (400, "invalid_request", param)


def same_words(theirs, none, name, other):
    assert theirs.status == none.status
    told, wanted = theirs.body["error"], none.body["error"]
    assert told["message"].replace(name, other) == wanted["message"]
    assert {**told, "message": ""} == {**wanted, "message": ""}


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "{}"), ("GET", "{}?stream=true"), ("DELETE", "{}"), ("GET", "{}/input_items")],
)
async def test_another_tenants_response_is_not_there(caller, stranger, upstream, method, path):
    tell(upstream, "chat", says("yes"))
    told = await caller.ask("hi")
    theirs = await stranger.send(method, "/v1/responses/" + path.format(told.id))
    none = await stranger.send(method, "/v1/responses/" + path.format("resp_none"))
    assert theirs.status == 404
    same_words(theirs, none, told.id, "resp_none")
    assert (await caller.get(path_of(told))).body == told.body


async def test_nothing_of_another_tenant_can_be_referred_to(caller, stranger, upstream):
    tell(upstream, "chat", says("yes"))
    conversation = (await caller.post("/v1/conversations")).body["id"]
    told = await caller.ask("hi", conversation=conversation)
    item = told.body["output"][0]["id"]
    for name, none, reference in (
        (told.id, "resp_none", lambda name: {"previous_response_id": name}),
        (conversation, "conv_none", lambda name: {"conversation": name}),
        (item, "msg_none", lambda name: {"given": [{"type": "item_reference", "id": name}]}),
    ):
        theirs = await stranger.ask(**{"given": "on", **reference(name)})
        same_words(theirs, await stranger.ask(**{"given": "on", **reference(none)}), name, none)
        assert theirs.body["error"]["code"].endswith("not_found")
    assert len(upstream.seen) == 1


async def test_strangers_are_turned_away_from_every_page(caller, callers):
    nobody = callers(caller.url, key="sk-wrong")
    for method, path in (
        ("GET", "/v1/responses/resp_1"),
        ("DELETE", "/v1/responses/resp_1"),
        ("GET", "/v1/responses/resp_1/input_items"),
        ("POST", "/v1/conversations"),
        ("GET", "/v1/conversations/conv_1"),
        ("POST", "/v1/conversations/conv_1"),
        ("DELETE", "/v1/conversations/conv_1"),
        ("GET", "/v1/conversations/conv_1/items"),
        ("POST", "/v1/conversations/conv_1/items"),
        ("GET", "/v1/conversations/conv_1/items/msg_1"),
        ("DELETE", "/v1/conversations/conv_1/items/msg_1"),
    ):
        assert (await nobody.send(method, path)).error == (401, "invalid_api_key", None), path


@every_api
async def test_a_response_that_fails_amid_its_stream_is_kept_as_failed(caller, upstream, api):
    tell(upstream, api, says("half an answer"), stream=True)
    [whole] = upstream.scripts.pop().steps
    frames = whole.split(b"\n\n")
    upstream.stream(b"\n\n".join(frames[: max(len(frames) // 2, 1)]) + b"\n\n", CUT)
    told = await caller.ask("hi", model=api, stream=True)
    assert told.body["status"] == "failed"
    assert told.events[-1]["type"] == "response.failed"
    kept = await caller.get(path_of(told))
    assert kept.body == told.body
    check_whole(kept.body)
    # What it was asked is there to be continued; what it had begun to say is not.
    upstream.scripts.clear()
    tell(upstream, "chat", says("yes"))
    again = await caller.ask("once more", previous_response_id=told.id)
    assert again.text == "yes"
    assert "half" not in upstream.seen[-1].body.decode()
    assert "hi" in upstream.seen[-1].body.decode()


class Complete:
    name = "complete"

    def __init__(self, records):
        self.records = records

    def on_complete(self, record):
        self.records.append(record)


async def test_an_answer_that_nobody_waited_for_is_not_kept(upstream, register, start, callers, eventually):
    class Store(aigw.stores.memory.MemoryStore):
        saved = 0

        async def save(self, record, items=()):
            self.saved += 1
            await super().save(record, items)

    store, records = Store(), []
    gateway = register(aigw.Gateway(store=store))
    gateway.hooks.register(Complete(records))
    caller = callers(await start(gateway))
    tell(upstream, "chat", says("never to be seen"), stream=True)
    [whole] = upstream.scripts.pop().steps
    upstream.stream(whole[: len(whole) // 2], HANG)
    tree = {"model": "m", "input": "hi", "stream": True}
    response = await caller.session.post(caller.url + "/v1/responses", json=tree)
    await response.content.readany()
    response.close()
    await eventually(lambda: records)
    assert records[0].ending is aigw.relay.ending.Ending.HUNG_UP
    assert store.saved == 0


async def test_a_failure_before_the_first_word_is_an_error_and_keeps_nothing(caller, upstream):
    upstream.answer({"error": {"message": "no", "type": "server_error"}}, status=500)
    told = await caller.ask("hi")
    assert told.status == 502
    assert "id" not in told.body


async def test_a_call_of_a_tool_is_kept_with_its_arguments(caller, upstream):
    tell(upstream, "messages", calls("f", {"a": [1, "ž"]}))
    told = await caller.ask("hi", model="messages")
    [call] = (await caller.get(path_of(told))).body["output"]
    assert call["arguments"] == '{"a":[1,"ž"]}'
