"""Requests through the gateway to models that refuse some of what is asked."""

import anthropic
import pytest
from support.scripted import COMPLETION

import aigw
from aigw.assemble import assemble, to_config
from aigw.config import Config, ProfileConfig, ServerConfig

CHAT = "/v1/chat/completions"
HI = [{"role": "user", "content": "hi"}]
CLAUDE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "c",
    "content": [{"type": "text", "text": "Hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 2},
}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "r",
    "output": [
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Hello", "annotations": []}],
        }
    ],
}


@pytest.fixture
def house(upstream):
    """Make a gateway whose model "m" is `model` at a provider of this kind, also under its own name."""

    def make(model, kind="openai", *, config=None, **more):
        gateway = aigw.Gateway(config)
        provider = aigw.Provider(upstream.url, "sk-upstream", kind=kind, name="up", base_path="", **more)
        gateway.models.register("m", provider, rewrite=model)
        gateway.models.register(model, provider)
        return gateway

    return make


@pytest.fixture
async def claude():
    """Make anthropic SDK clients for a base URL; they are closed at the end."""
    clients = []

    def make(url):
        clients.append(anthropic.AsyncAnthropic(base_url=url, api_key="sk-client", max_retries=0))
        return clients[-1]

    yield make
    for client in clients:
        await client.close()


async def test_claude_is_asked_for_what_it_takes_and_the_rest_is_told(house, upstream, serve, sdk):
    upstream.answer(CLAUDE)
    client = sdk(await serve(house("claude-sonnet-4-5", "anthropic", apis=["messages"])))
    got = await client.chat.completions.with_raw_response.create(
        model="m",
        messages=HI,
        temperature=0.5,
        top_p=0.9,
        reasoning_effort="high",
        max_completion_tokens=100_000,
    )
    assert got.parse().choices[0].message.content == "Hello"
    sent = upstream.seen[-1].json
    assert sent["max_tokens"] == 64_000
    assert sent["thinking"] == {"type": "enabled", "budget_tokens": 24_576}
    assert "output_config" not in sent
    assert {"sampling.top_p", "max_output_tokens"} <= set(got.headers["x-aigw-dropped"].split(", "))


async def test_the_newest_claude_thinks_adaptively_and_takes_no_sampler(house, upstream, serve, sdk):
    upstream.answer(CLAUDE)
    client = sdk(await serve(house("claude-opus-4-8", "anthropic", apis=["messages"])))
    got = await client.chat.completions.with_raw_response.create(
        model="m", messages=HI, temperature=0.5, reasoning_effort="minimal"
    )
    sent = upstream.seen[-1].json
    assert (sent["thinking"], sent["output_config"]) == ({"type": "adaptive"}, {"effort": "low"})
    assert "temperature" not in sent
    assert got.headers["x-aigw-dropped"] == "reasoning.effort, sampling.temperature"


async def test_a_client_of_messages_reaches_a_reasoning_model(house, upstream, serve, claude):
    upstream.answer({**COMPLETION, "model": "gpt-5-mini"})
    client = claude(await serve(house("gpt-5-mini", apis=["chat"])))
    got = await client.messages.with_raw_response.create(
        model="m", max_tokens=50, messages=HI, extra_body={"temperature": 0.5, "stop_sequences": ["END"]}
    )
    sent = upstream.seen[-1].json
    assert sent["max_completion_tokens"] == 50
    assert not {"temperature", "stop", "max_tokens"} & sent.keys()
    assert {"sampling.temperature", "sampling.stop"} <= set(got.headers["x-aigw-dropped"].split(", "))


async def test_a_host_of_older_names_is_told_them(house, upstream, serve, claude):
    upstream.answer(COMPLETION)
    client = claude(await serve(house("mistral-large-latest", "mistral", apis=["chat"])))
    await client.messages.create(model="m", max_tokens=50, messages=HI)
    sent = upstream.seen[-1].json
    assert sent["max_tokens"] == 50
    assert "max_completion_tokens" not in sent


async def test_under_strict_translation_a_loss_is_refused(house, upstream, serve, http):
    url = await serve(house("claude-opus-4-8", "anthropic", apis=["messages"]))
    body = {"model": "m", "messages": HI, "temperature": 0.5}
    async with http.post(url + CHAT, json=body, headers={"x-aigw-strict": "1"}) as response:
        assert response.status == 400
        error = (await response.json())["error"]
    assert error["param"] == "sampling.temperature"
    assert upstream.seen == []


async def test_reasoning_comes_back_from_responses_also_to_those_who_speak_chat(house, upstream, serve, sdk):
    upstream.answer(RESPONSE)
    client = sdk(await serve(house("gpt-5-mini", apis=["responses"])))
    await client.chat.completions.create(model="m", messages=HI)
    sent = upstream.seen[-1].json
    assert (sent["store"], sent["include"]) == (False, ["reasoning.encrypted_content"])
    await client.chat.completions.create(model="m", messages=HI, store=True)
    assert upstream.seen[-1].json["store"] is True


@pytest.mark.parametrize(("path", "api"), [(CHAT, "chat"), ("/v1/responses", "responses")])
async def test_a_request_in_the_providers_own_format_keeps_every_byte(
    house, upstream, serve, http, path, api
):
    upstream.answer(COMPLETION if api == "chat" else RESPONSE)
    url = await serve(house("gpt-5", apis=[api]))
    asked = b'{"model" : "gpt-5","messages":[{"role":"user","content":"hi"}],"input":"hi","temperature":0.50}'
    async with http.post(url + path, data=asked, headers={"Content-Type": "application/json"}) as response:
        assert response.status == 200
        assert "x-aigw-dropped" not in response.headers
    assert upstream.seen[-1].body == asked


FIXING = Config(server=ServerConfig(fix_parameters=True))


async def test_the_operator_may_have_also_such_requests_changed(house, upstream, serve, http):
    upstream.answer(COMPLETION)
    url = await serve(house("o3", config=FIXING, apis=["chat"]))
    body = {"model": "m", "messages": HI, "max_tokens": 9, "temperature": 0.5, "future": {"a": 1}}
    async with http.post(url + CHAT, json=body) as response:
        assert response.headers["x-aigw-dropped"] == "sampling.temperature"
    assert upstream.seen[-1].json == {
        "model": "o3",
        "messages": HI,
        "max_completion_tokens": 9,
        "future": {"a": 1},
    }


async def test_what_needs_no_change_is_not_written_again(house, upstream, serve, http):
    upstream.answer(COMPLETION)
    url = await serve(house("o3", config=FIXING, apis=["chat"]))
    asked = b'{"model":"o3" , "messages":[{"role":"user","content":"hi"}]}'
    async with http.post(url + CHAT, data=asked, headers={"Content-Type": "application/json"}) as response:
        assert response.status == 200
        assert "x-aigw-dropped" not in response.headers
    assert upstream.seen[-1].body == asked


async def test_an_operators_profile_holds_for_its_models(house, upstream, serve, claude):
    upstream.answer(COMPLETION)
    mine = {"small-*": ProfileConfig(drop=("sampling.top_k", "sampling.stop"), max_output_tokens=20)}
    client = claude(await serve(house("small-1", config=Config(profiles=mine), apis=["chat"])))
    got = await client.messages.with_raw_response.create(
        model="m", max_tokens=50, messages=HI, extra_body={"stop_sequences": ["x"]}
    )
    sent = upstream.seen[-1].json
    assert (sent["max_completion_tokens"], "stop" in sent) == (20, False)
    assert got.headers["x-aigw-dropped"] == "sampling.stop, max_output_tokens"


async def test_a_target_may_name_its_profile(upstream, serve, claude):
    upstream.answer(COMPLETION)
    tree = {
        "providers": {"p": {"base_url": upstream.url + "/v1", "apis": ["chat"]}},
        "models": {"m": {"targets": [{"provider": "p", "model": "x", "profile": "small"}]}, "*": "p"},
        "profiles": {"small": {"rename": {"max_completion_tokens": "max_tokens"}}},
    }
    gateway = assemble(to_config(tree, {}), {}, installed={}).gateway
    client = claude(await serve(gateway))
    await client.messages.create(model="m", max_tokens=50, messages=HI)
    assert upstream.seen[-1].json["max_tokens"] == 50
    await client.messages.create(model="other", max_tokens=50, messages=HI)
    assert "max_tokens" not in upstream.seen[-1].json
