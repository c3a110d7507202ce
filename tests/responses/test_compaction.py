"""Compaction: a conversation in fewer words, sealed by the gateway and read back for any provider."""

import json

import pytest
from support.answers import error_of
from support.recordings import ANSWERS
from support.scripted import COMPLETION

import aigw
from aigw.errors import ClientError
from aigw.responses.compaction import compact, open_calls, opened, summary_request

PATH = "/v1/responses/compact"
TALK = [
    {"role": "user", "content": "What is the weather in Oslo?"},
    {"type": "reasoning", "id": "rs_1", "summary": []},
    {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": '{"city":"Oslo"}'},
    {"type": "function_call_output", "call_id": "c1", "output": "rain"},
    {"role": "assistant", "content": "It rains."},
    {"role": "user", "content": [{"type": "input_text", "text": "And in Rome?"}]},
]
PENDING = {"type": "function_call", "call_id": "c2", "name": "weather", "arguments": '{"city":"Rome"}'}


@pytest.fixture
def gateway(upstream):
    """A gateway whose provider speaks chat completions alone."""
    made = aigw.Gateway()
    provider = aigw.Provider(upstream.url, "sk-up", name="up", apis=["chat"])
    made.models.register("m", provider, rewrite="up-model")
    return made


def said(text):
    return {
        **COMPLETION,
        "choices": [{**COMPLETION["choices"][0], "message": {"role": "assistant", "content": text}}],
    }


def test_a_compacted_window_keeps_the_users_words_and_opens_to_the_summary():
    window = compact(TALK, "It rains in Oslo.")
    assert [item.get("role") or item["type"] for item in window] == ["user", "user", "compaction"]
    *_, summary = opened(window)
    assert summary["role"] == "developer"
    assert summary["content"][0]["text"].endswith("It rains in Oslo.")


def test_a_call_without_output_stays_what_it_is():
    assert open_calls([*TALK, PENDING]) == [PENDING]
    assert compact([*TALK, PENDING], "x")[-1] == PENDING
    asked = json.dumps(summary_request("m", [*TALK, PENDING], None))
    assert "c2" not in asked
    assert "function_call" not in asked


def test_what_another_side_has_sealed_stays_as_it_is():
    theirs = [{"type": "compaction", "encrypted_content": "gAAAA"}, {"role": "user", "content": "hi"}]
    assert opened(theirs) == theirs


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_sealed_item_that_was_cut_is_refused_by_its_place(cut):
    window = compact(TALK, "It rains in Oslo, and it will go on to rain there.")
    window[2]["encrypted_content"] = window[2]["encrypted_content"][:-cut]
    with pytest.raises(ClientError) as refused:
        opened(window)
    assert refused.value.param == "input[2].encrypted_content"


async def test_the_gateway_compacts_with_the_same_model_over_chat(gateway, upstream, serve, http, complete):
    upstream.answer(said("It rains in Oslo."))
    url = await serve(gateway)
    body = {"model": "m", "input": TALK, "instructions": "Be brief."}
    answer = await http.post(url + PATH, json=body)
    tree = await answer.json()
    assert answer.status == 200, tree
    assert tree["object"] == "response.compaction"
    assert tree["usage"]["total_tokens"] == 5
    assert {"id", "created_at", "output"} <= tree.keys()
    asked = upstream.seen[0].json
    assert asked["model"] == "up-model"
    assert asked["messages"][0] == {"role": "system", "content": "Be brief."}
    assert "Summarize" in json.dumps(asked["messages"][-1])
    assert "tools" not in asked
    record = complete[0]
    assert (record.path, record.model, record.status) == (PATH, "m", 200)
    assert record.usage.output_tokens == 2


async def test_the_window_begins_a_new_chain(gateway, upstream, serve, sdk):
    upstream.answer(said("It rains in Oslo."))
    upstream.answer()
    client = sdk(await serve(gateway))
    window = await client.responses.compact(model="m", input=TALK)
    items = [item.to_dict(warnings=False) for item in window.output]
    await client.responses.create(model="m", input=[*items, {"role": "user", "content": "So?"}])
    messages = upstream.seen[1].json["messages"]
    assert [message["role"] for message in messages] == ["user", "user", "developer", "user"]
    assert "It rains in Oslo." in json.dumps(messages[2])


async def test_a_kept_conversation_is_compacted_by_the_name_of_its_last_response(
    gateway, upstream, serve, sdk
):
    upstream.answer(said("Hello, Ada."))
    upstream.answer(said("Ada said hello."))
    client = sdk(await serve(gateway))
    first = await client.responses.create(model="m", input="I am Ada.")
    window = await client.responses.compact(model="m", previous_response_id=first.id)
    assert [item.type for item in window.output] == ["message", "compaction"]
    assert "Hello, Ada." in json.dumps(upstream.seen[1].json["messages"])


@pytest.mark.parametrize("api", ["responses", "messages", "gemini"])
async def test_it_compacts_over_every_format(upstream, serve, http, api):
    gateway = aigw.Gateway()
    gateway.models.register("m", aigw.Provider(upstream.url, "sk-up", name="up", apis=[api]))
    upstream.raw(ANSWERS["text"][api].bytes(api, stream=False))
    answer = await http.post(await serve(gateway) + PATH, json={"model": "m", "input": TALK})
    tree = await answer.json()
    assert answer.status == 200, tree
    assert tree["output"][-1]["type"] == "compaction"


async def test_a_provider_that_compacts_by_itself_is_asked_for_it(upstream, serve, http):
    gateway = aigw.Gateway()
    openai = aigw.Provider(upstream.url, "sk-up", kind="openai")
    gateway.models.register("m", openai, rewrite="gpt-5")
    theirs = {"id": "resp_1", "object": "response.compaction", "output": [], "created_at": 1, "usage": None}
    upstream.answer(theirs)
    answer = await http.post(await serve(gateway) + PATH, json={"model": "m", "input": TALK})
    assert await answer.json() == theirs
    assert upstream.seen[0].path == PATH
    assert upstream.seen[0].json["model"] == "gpt-5"


async def test_a_missing_model_is_a_400(gateway, serve, http):
    answer = await http.post(await serve(gateway) + PATH, json={"input": "hi"})
    await error_of(answer, 400, "missing_required_parameter", "model")


async def test_a_model_that_sums_up_nothing_is_an_error_and_no_window(
    gateway, upstream, serve, http, complete
):
    upstream.answer(said(""))
    answer = await http.post(await serve(gateway) + PATH, json={"model": "m", "input": TALK})
    await error_of(answer, 502, "upstream_error")
    assert len(complete) == 1
