"""The Conversations API: names under which a tenant keeps items."""

import asyncio

import pytest
from support.openai_slice import check
from support.received import read
from support.stateful import APIS, calls, says, tell, texts

PATH = "/v1/conversations"
USER = {"type": "message", "role": "user", "content": "hi"}


async def made(caller, **fields):
    told = await caller.post(PATH, fields)
    check("ConversationResource", told.body)
    return told.body["id"]


def item(text, role="user"):
    return {"type": "message", "role": role, "content": text}


async def listed(caller, name, **query):
    told = await caller.get(f"{PATH}/{name}/items", **query)
    check("ConversationItemList", told.body)
    return told.body


async def test_a_conversation_is_made_shown_changed_and_deleted(caller):
    told = await caller.post(PATH, {"metadata": {"topic": "demo"}, "items": [USER]})
    name = told.body["id"]
    assert name.startswith("conv_")
    assert told.body == {**told.body, "object": "conversation", "metadata": {"topic": "demo"}}
    assert isinstance(told.body["created_at"], int)
    check("ConversationResource", told.body)
    assert (await caller.get(f"{PATH}/{name}")).body == told.body
    changed = await caller.post(f"{PATH}/{name}", {"metadata": {"other": "1"}})
    assert changed.body == {**told.body, "metadata": {"other": "1"}}
    assert (await caller.get(f"{PATH}/{name}")).body == changed.body
    gone = await caller.delete(f"{PATH}/{name}")
    check("DeletedConversationResource", gone.body)
    assert gone.body == {"id": name, "object": "conversation.deleted", "deleted": True}
    for method in ("GET", "DELETE"):
        assert (await caller.send(method, f"{PATH}/{name}")).error == (404, "not_found", None)


@pytest.mark.parametrize("body", [None, {}, {"metadata": None, "items": None}])
async def test_a_conversation_may_begin_with_nothing(caller, body):
    told = await caller.post(PATH, body)
    assert told.body["metadata"] == {}
    assert (await listed(caller, told.body["id"]))["data"] == []


FULL = {f"k{number}": "v" for number in range(16)}


@pytest.mark.parametrize(
    ("metadata", "param"),
    [
        ({**FULL, "one too many": "v"}, "metadata"),
        ({"k" * 65: "v"}, "metadata"),
        ({"k": "v" * 513}, "metadata.k"),
        ({"k": 1}, "metadata.k"),
        ({"k": None}, "metadata.k"),
        ("text", "metadata"),
    ],
)
async def test_metadata_keeps_its_rules(caller, metadata, param):
    name = await made(caller)
    for path in (PATH, f"{PATH}/{name}"):
        told = await caller.post(path, {"metadata": metadata})
        assert told.error == (400, "invalid_request", param)
    assert (await caller.post(f"{PATH}/{name}", {})).error == (
        400,
        "missing_required_parameter",
        "metadata",
    )
    full = {**FULL, "k0": "v" * 512}
    assert (await caller.post(f"{PATH}/{name}", {"metadata": full})).body["metadata"] == full


async def test_items_are_added_listed_shown_and_deleted(caller):
    name = await made(caller, items=[item("one")])
    added = await caller.post(f"{PATH}/{name}/items", {"items": [item("two", "assistant"), item("three")]})
    check("ConversationItemList", added.body)
    assert texts(added.body) == ["two", "three"]
    assert added.body["has_more"] is False
    assert texts(await listed(caller, name)) == ["three", "two", "one"]
    assert texts(await listed(caller, name, order="asc", limit=2)) == ["one", "two"]
    two = added.body["data"][0]
    assert two["content"] == [{"type": "output_text", "text": "two", "annotations": [], "logprobs": []}]
    assert two["status"] == "completed"
    path = f"{PATH}/{name}/items/{two['id']}"
    shown = await caller.get(path, include="message.output_text.logprobs")
    check("ConversationItem", shown.body)
    assert shown.body == two
    gone = await caller.delete(path)
    check("ConversationResource", gone.body)
    assert gone.body["id"] == name
    assert texts(await listed(caller, name)) == ["three", "one"]
    for method in ("GET", "DELETE"):
        assert (await caller.send(method, path)).error == (404, "not_found", None)


async def test_a_list_of_items_is_turned_page_by_page(caller):
    name = await made(caller, items=[item(str(number)) for number in range(20)])
    await caller.post(f"{PATH}/{name}/items", {"items": [item("20"), item("21")]})
    first = await listed(caller, name)
    assert texts(first) == [str(number) for number in range(21, 1, -1)]
    assert first["has_more"] is True
    rest = await listed(caller, name, after=first["last_id"])
    assert texts(rest) == ["1", "0"]
    assert rest["has_more"] is False


@pytest.mark.parametrize(
    ("items", "param"),
    [
        ([item("x")] * 21, "items"),
        ("hi", "items"),
        (["hi"], "items[0]"),
        ([item("x"), {"role": "user", "content": 7}], "items[1].content"),
        ([item("x"), {"type": "function_call_output"}], "items[1].call_id"),
        ([{"type": "item_reference", "id": "msg_none"}], "items[0].id"),
        ([{**item("x"), "id": "msg_1"}, {**item("y"), "id": "msg_1"}], "items[1].id"),
    ],
)
async def test_items_that_cannot_be_are_refused_and_none_of_them_added(caller, items, param):
    name = await made(caller, items=[item("first")])
    for path in (PATH, f"{PATH}/{name}/items"):
        told = await caller.post(path, {"items": items})
        assert told.status in {400, 404}
        assert told.body["error"]["param"] == param
    assert texts(await listed(caller, name)) == ["first"]


async def test_items_are_needed_where_items_are_added(caller):
    name = await made(caller)
    told = await caller.post(f"{PATH}/{name}/items", {})
    assert told.error == (400, "missing_required_parameter", "items")


async def test_an_item_never_takes_the_place_of_another(caller):
    name = await made(caller, items=[{**item("old"), "id": "msg_mine"}])
    told = await caller.post(f"{PATH}/{name}/items", {"items": [{**item("new"), "id": "msg_mine"}]})
    assert told.error == (400, "duplicate_item", "items[0].id")
    assert texts(await listed(caller, name)) == ["old"]


async def test_a_kept_item_may_be_added_by_its_name(caller, upstream):
    tell(upstream, "chat", says("worth keeping"))
    told = await caller.ask("hi")
    reference = {"type": "item_reference", "id": told.body["output"][0]["id"]}
    name = await made(caller, items=[reference])
    assert texts(await listed(caller, name)) == ["worth keeping"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("POST", "", {"metadata": {}}),
        ("DELETE", "", None),
        ("GET", "/items", None),
        ("POST", "/items", {"items": [USER]}),
        ("GET", "/items/msg_1", None),
        ("DELETE", "/items/msg_1", None),
    ],
)
async def test_another_tenants_conversation_is_not_there(caller, stranger, method, path, body):
    name = await made(caller, items=[{**USER, "id": "msg_1"}], metadata={"mine": "yes"})
    theirs = await stranger.send(method, f"{PATH}/{name}{path}", body)
    none = await stranger.send(method, f"{PATH}/conv_none{path}", body)
    assert theirs.error == none.error == (404, "not_found", None)
    message = theirs.body["error"]["message"]
    assert message.replace(name, "conv_none") == none.body["error"]["message"]
    assert message.startswith("Conversation with id")
    assert texts(await listed(caller, name)) == ["hi"]
    assert (await caller.get(f"{PATH}/{name}")).body["metadata"] == {"mine": "yes"}


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_another_method_is_refused(caller, method):
    told = await caller.send(method, PATH)
    assert told.error == (405, "method_not_allowed", None)


async def test_a_body_that_is_no_object_is_refused(caller):
    assert (await caller.post(PATH, [1])).status == 400


# In requests for a response.

both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@both_ways
@pytest.mark.parametrize("api", APIS)
async def test_a_conversation_goes_on_with_each_response(caller, upstream, api, stream):
    name = await made(caller, items=[item("before")])
    for number in (1, 2):
        tell(upstream, api, says(f"A{number}"), stream=stream)
    for number in (1, 2):
        told = await caller.ask(f"Q{number}", model=api, stream=stream, conversation=name)
        assert told.body["conversation"] == {"id": name}
        assert told.text == f"A{number}"
    assert texts(await listed(caller, name, order="asc")) == ["before", "Q1", "A1", "Q2", "A2"]
    assert "before" in upstream.seen[-1].body.decode()
    assert "conversation" not in upstream.seen[-1].json
    got = read(api, upstream.seen[-1].json)
    assert "".join(got.texts).replace("\n", "") == "beforeQ1Q2"


async def test_a_tool_is_called_within_a_conversation(caller, upstream):
    tell(upstream, "messages", calls("f", {"a": 1}))
    tell(upstream, "messages", says("done"))
    name = await made(caller)
    told = await caller.ask("go", model="messages", conversation=name)
    [call] = told.body["output"]
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "2"}
    await caller.ask([output], model="messages", conversation=name)
    kinds = [each["type"] for each in (await listed(caller, name, order="asc"))["data"]]
    assert kinds == ["message", "function_call", "function_call_output", "message"]
    assert read("messages", upstream.seen[-1].json).results[0][1] == "2"


async def test_a_conversation_that_is_not_there_is_said_to_be_missing(caller, upstream):
    for given in ("conv_none", {"id": "conv_none"}):
        told = await caller.ask("hi", conversation=given)
        assert told.error == (404, "conversation_not_found", "conversation")
    assert (await caller.ask("hi", conversation={})).error == (400, "invalid_request", "conversation.id")
    assert (await caller.ask("hi", conversation=7)).error == (400, "invalid_request", "conversation")
    assert not upstream.seen


@both_ways
async def test_a_response_that_is_not_stored_adds_nothing(caller, upstream, stream):
    tell(upstream, "chat", says("A"), stream=stream)
    name = await made(caller, items=[item("before")])
    told = await caller.ask("Q", stream=stream, conversation=name, store=False)
    assert told.text == "A"
    assert texts(await listed(caller, name)) == ["before"]


async def test_a_response_that_failed_adds_nothing(caller, upstream):
    tell(upstream, "chat", says("half an answer"), stream=True)
    [whole] = upstream.scripts.pop().steps
    upstream.stream(whole[: len(whole) // 2])
    name = await made(caller, items=[item("before")])
    told = await caller.ask("Q", stream=True, conversation=name)
    assert told.body["status"] == "failed"
    assert texts(await listed(caller, name)) == ["before"]


async def test_a_response_outlives_the_conversation_that_was_deleted_amid_it(caller, upstream, eventually):
    tell(upstream, "chat", says("A"), stream=True)
    [whole] = upstream.scripts.pop().steps
    upstream.stream(whole[: len(whole) // 2], 0.2, whole[len(whole) // 2 :])
    name = await made(caller)
    asked = asyncio.create_task(caller.ask("Q", stream=True, conversation=name))
    await eventually(lambda: upstream.open)
    await caller.delete(f"{PATH}/{name}")
    told = await asked
    assert told.body["status"] == "completed"
    assert (await caller.get(f"/v1/responses/{told.id}")).body == told.body
    assert (await caller.get(f"{PATH}/{name}")).status == 404


@both_ways
async def test_two_responses_at_once_do_not_mix_their_items(caller, upstream, stream):
    for _ in range(6):
        tell(upstream, "chat", says("A"), stream=stream)
    upstream.scripts = [upstream.scripts[0]] * 7
    name = await made(caller)
    told = await asyncio.gather(
        *(caller.ask(f"Q{number}", stream=stream, conversation=name) for number in range(6))
    )
    assert [each.status for each in told] == [200] * 6
    found = texts(await listed(caller, name, order="asc"))
    assert sorted(found[::2]) == [f"Q{number}" for number in range(6)]
    assert found[1::2] == ["A"] * 6


async def test_a_provider_that_names_all_its_items_the_same_loses_none(caller, upstream):
    answer = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": "up-model",
        "output": [
            {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": "A", "annotations": []}],
            }
        ],
    }
    upstream.answer(answer)
    name = await made(caller)
    for number in range(3):
        await caller.ask(f"Q{number}", model="responses", conversation=name)
    assert texts(await listed(caller, name, order="asc")) == ["Q0", "A", "Q1", "A", "Q2", "A"]
