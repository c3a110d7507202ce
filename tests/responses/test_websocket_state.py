"""What a WebSocket connection remembers by itself, what the store keeps, and what is forgotten when."""

import pytest
from support.plugins import use
from support.scripted import CUT, HELLO, chunk, sse
from support.talk import Talk, check_turn

import aigw
from aigw.errors import ClientError
from aigw.stores.memory import MemoryStore

NOT_FOUND = "previous_response_not_found"


@pytest.fixture
def gateway(upstream):
    """A gateway in front of a provider that speaks chat completions alone."""
    made = aigw.Gateway(store=MemoryStore())
    provider = aigw.Provider(upstream.url, "sk-upstream", name="up", apis=("chat",))
    made.models.register("m", provider, rewrite="up-model")
    return made


@pytest.fixture
async def url(aiohttp_server, gateway):
    server = await aiohttp_server(gateway.make_app())
    return str(server.make_url("/v1/responses"))


@pytest.fixture
async def talk(url, http):
    return Talk(await http.ws_connect(url))


def said(seen):
    """The texts of a chat request, in their order."""
    return [message["content"] for message in seen.json["messages"]]


async def test_what_is_not_stored_goes_on_over_the_same_connection(upstream, talk):
    upstream.stream(HELLO)
    first = await talk.response("one", store=False)
    second = await talk.response("two", store=False, previous_response_id=first["id"])
    third = await talk.response("three", store=False, previous_response_id=second["id"])
    assert said(upstream.seen[2]) == ["one", "Hello", "two", "Hello", "three"]
    assert third["previous_response_id"] == second["id"]
    assert third["store"] is False
    assert len({first["id"], second["id"], third["id"]}) == 3


async def test_instructions_are_not_carried_over(upstream, talk):
    upstream.stream(HELLO)
    first = await talk.response("one", store=False, instructions="Be brief.")
    await talk.response("two", store=False, previous_response_id=first["id"])
    assert said(upstream.seen[0]) == ["Be brief.", "one"]
    assert said(upstream.seen[1]) == ["one", "Hello", "two"]


async def test_what_is_not_stored_is_not_found_over_another_connection(upstream, talk, url, http):
    upstream.stream(HELLO)
    first = await talk.response("one", store=False)
    other = Talk(await http.ws_connect(url))
    envelope = await other.refused("two", store=False, previous_response_id=first["id"])
    assert (envelope["status"], envelope["error"]["code"]) == (400, NOT_FOUND)
    assert envelope["error"]["param"] == "previous_response_id"
    assert first["id"] in envelope["error"]["message"]
    assert len(upstream.seen) == 1


async def test_what_is_not_stored_is_not_in_the_store(upstream, talk, gateway):
    upstream.stream(HELLO)
    first = await talk.response("one", store=False)
    found = await gateway.responses.guard.store.find_items("anonymous", [first["output"][0]["id"]])
    assert not found


async def test_what_is_stored_goes_on_after_a_reconnect_and_over_http(upstream, talk, url, http):
    upstream.stream(HELLO)
    first = await talk.response("one")
    await talk.socket.close()
    again = Talk(await http.ws_connect(url))
    second = await again.response("two", previous_response_id=first["id"])
    body = {"model": "m", "input": "three", "previous_response_id": second["id"], "stream": True}
    async with http.post(url, json=body) as answer:
        assert answer.status == 200
        await answer.read()
    assert said(upstream.seen[2]) == ["one", "Hello", "two", "Hello", "three"]


async def test_what_began_over_http_goes_on_over_a_connection(upstream, talk, url, http):
    upstream.stream(HELLO)
    async with http.post(url, json={"model": "m", "input": "one"}) as answer:
        first = await answer.json()
    await talk.response("two", store=False, previous_response_id=first["id"])
    assert said(upstream.seen[1]) == ["one", "Hello", "two"]


@pytest.mark.parametrize("how", ["refused", "broken", "at fault", "by a plugin"])
async def test_a_continuation_that_fails_is_forgotten_with_what_it_continued(upstream, talk, gateway, how):
    upstream.stream(HELLO)
    first = await talk.response("one", store=False)
    upstream.scripts.clear()
    fields = {}
    if how == "refused":
        upstream.answer({"error": {"message": "no"}}, status=400)
        upstream.stream(HELLO)
    elif how == "broken":
        upstream.stream(sse(chunk("Hel"), done=False), 0.02, CUT)
        upstream.stream(HELLO)
    elif how == "at fault":
        upstream.stream(HELLO)
        fields["background"] = True
    else:
        upstream.stream(HELLO)
        fields["metadata"] = {"refuse": "yes"}
    (*_, last) = await talk.turn("two", store=False, previous_response_id=first["id"], **fields)
    assert last["type"] in {"error", "response.failed"}
    envelope = await talk.refused("two", store=False, previous_response_id=first["id"])
    assert envelope["error"]["code"] == NOT_FOUND


@pytest.fixture(autouse=True)
def refusing(gateway):
    """A plugin that refuses what asks to be refused."""

    async def rewrite_request(exchange, payload):
        if payload.fields.get("metadata"):
            raise ClientError("not that")

    use(gateway, rewrite_request=rewrite_request)


async def test_a_continuation_that_fails_forgets_nothing_in_the_store(upstream, talk):
    upstream.stream(HELLO)
    upstream.answer({"error": {"message": "no"}}, status=400)
    upstream.stream(HELLO)
    first = await talk.response("one")
    await talk.refused("two", previous_response_id=first["id"])
    await talk.response("two", previous_response_id=first["id"])
    assert said(upstream.seen[2]) == ["one", "Hello", "two"]


async def test_a_failure_forgets_only_what_it_was_to_continue(upstream, talk):
    upstream.stream(HELLO)
    first = await talk.response("one", store=False)
    second = await talk.response("other", store=False)
    await talk.refused("x", store=False, previous_response_id=first["id"], background=True)
    await talk.refused(model="nope", store=False)
    await talk.response("more", store=False, previous_response_id=second["id"])
    assert said(upstream.seen[-1]) == ["other", "Hello", "more"]


async def test_a_response_may_be_continued_more_than_once(upstream, talk):
    upstream.stream(HELLO)
    first = await talk.response("one", store=False)
    await talk.response("left", store=False, previous_response_id=first["id"])
    await talk.response("right", store=False, previous_response_id=first["id"])
    assert said(upstream.seen[-1]) == ["one", "Hello", "right"]


async def test_a_connection_remembers_the_most_recent_responses_alone(upstream, talk):
    upstream.stream(HELLO)
    ids = [(await talk.response("hi", store=False))["id"] for _ in range(5)]
    envelope = await talk.refused("more", store=False, previous_response_id=ids[0])
    assert envelope["error"]["code"] == NOT_FOUND
    await talk.response("more", store=False, previous_response_id=ids[1])


async def test_a_chain_can_be_begun_anew_with_all_of_its_items(upstream, talk):
    upstream.stream(HELLO)
    first = await talk.response("one", store=False)
    await talk.refused("x", store=False, previous_response_id=first["id"], background=True)
    items = [{"role": "user", "content": "one"}, *first["output"], {"role": "user", "content": "two"}]
    await talk.response(items, store=False, previous_response_id=None)
    assert said(upstream.seen[-1]) == ["one", "Hello", "two"]


@pytest.mark.parametrize("store", [False, True])
async def test_a_warm_up_generates_nothing_and_is_continued(upstream, talk, url, http, store):
    upstream.stream(HELLO)
    events = await talk.turn("a long story", store=store, generate=False, instructions="Be brief.")
    check_turn(events)
    warm = events[-1]["response"]
    assert (warm["status"], warm["output"], warm["instructions"]) == ("completed", [], "Be brief.")
    assert not upstream.seen
    if store:
        talk = Talk(await http.ws_connect(url))
    await talk.response("go on", store=store, previous_response_id=warm["id"])
    assert said(upstream.seen[0]) == ["a long story", "go on"]


async def test_a_warm_up_continues_what_was_before(upstream, talk):
    upstream.stream(HELLO)
    first = await talk.response("one", store=False)
    (*_, end) = await talk.turn("two", store=False, generate=False, previous_response_id=first["id"])
    await talk.response("three", store=False, previous_response_id=end["response"]["id"])
    assert said(upstream.seen[1]) == ["one", "Hello", "two", "three"]


@pytest.mark.parametrize(
    ("fields", "status"), [({"model": "nope"}, 404), ({"input": 7}, 400), ({"model": ...}, 400)]
)
async def test_a_warm_up_that_could_not_be_answered_is_refused(talk, fields, status):
    assert (await talk.refused(generate=False, **fields))["status"] == status


async def test_what_a_compaction_returned_begins_a_new_chain(upstream, talk, url, http):
    upstream.answer()
    upstream.stream(HELLO)
    async with http.post(url + "/compact", json={"model": "m", "input": "a long story"}) as answer:
        assert answer.status == 200
        window = (await answer.json())["output"]
    await talk.response([*window, {"role": "user", "content": "go on"}], store=False)
    assert said(upstream.seen[-1])[-1] == "go on"
