"""What may be noted beside a response or a conversation, and how much of it."""

import pytest
from support.stateful import APIS, says, tell
from support.talk import Talk

MOST = {f"{number:02d}".rjust(64, "k"): "v" * 512 for number in range(16)}
TOO_MUCH = [
    ({**MOST, "one more": "x"}, "metadata"),
    ({"k" * 65: "x"}, "metadata"),
    ({"a": "v" * 513}, "metadata.a"),
    ({"a": 5}, "metadata.a"),
    ({"a": None}, "metadata.a"),
    (["a"], "metadata"),
]
too_much = pytest.mark.parametrize(("metadata", "param"), TOO_MUCH)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("api", APIS)
async def test_the_most_there_may_be_is_taken_and_kept(caller, upstream, api, stream):
    tell(upstream, api, says("yes"), stream=stream)
    told = await caller.ask("hi", model=api, stream=stream, metadata=MOST)
    assert (await caller.get(f"/v1/responses/{told.id}")).body == told.body
    if api == "responses":  # there the scripted provider has not repeated what it was asked
        assert upstream.seen[0].json["metadata"] == MOST
    else:
        assert told.body["metadata"] == MOST
    made = await caller.post("/v1/conversations", {"metadata": MOST})
    assert made.body["metadata"] == MOST


@too_much
@pytest.mark.parametrize("fields", [{}, {"stream": True}, {"background": True}, {"store": False}])
@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_more_is_refused_before_any_model_is_asked(caller, upstream, api, fields, metadata, param):
    told = await caller.ask("hi", model=api, metadata=metadata, **fields)
    assert told.error == (400, "invalid_request", param)
    assert not upstream.seen


@too_much
async def test_more_is_refused_for_a_conversation_too(caller, metadata, param):
    told = await caller.post("/v1/conversations", {"metadata": metadata})
    assert told.error == (400, "invalid_request", param)


@too_much
async def test_more_is_refused_over_a_connection_too(caller, upstream, metadata, param):
    url = caller.url + "/v1/responses"
    async with caller.session.ws_connect(url, headers=caller.headers) as socket:
        envelope = await Talk(socket).refused("hi", metadata=metadata)
    assert (envelope["status"], envelope["error"]["param"]) == (400, param)
    assert not upstream.seen
