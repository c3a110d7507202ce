"""What a provider's format cannot hold is told, or refused, and never dropped in silence."""

import pytest
from attrs import evolve
from support.recordings import ANSWERS
from support.scripted import COMPLETION

import aigw
from aigw.config import Config, ServerConfig

URLS = {
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
    "gemini": "/v1beta/models/m:generateContent",
}
HI = [{"role": "user", "content": "hi"}]
THINK = {"type": "enabled", "budget_tokens": 2048}
CONTENTS = [{"role": "user", "parts": [{"text": "hi"}]}]
# client, its body, provider, what is lost
LOSSES = {
    "seed": ("chat", {"model": "m", "messages": HI, "seed": 7}, "messages", "sampling.seed"),
    "logit bias": (
        "chat",
        {"model": "m", "messages": HI, "logit_bias": {"1": 2}},
        "gemini",
        "sampling.logit_bias",
    ),
    "stop": ("chat", {"model": "m", "messages": HI, "stop": ["END"]}, "responses", "sampling.stop"),
    "top_k": (
        "messages",
        {"model": "m", "max_tokens": 9, "messages": HI, "top_k": 5},
        "responses",
        "sampling.top_k",
    ),
    "container": (
        "messages",
        {"model": "m", "max_tokens": 9, "messages": HI, "container": "c"},
        "chat",
        "anthropic:container",
    ),
    "thinking budget": (
        "messages",
        {"model": "m", "max_tokens": 4096, "messages": HI, "thinking": THINK},
        "chat",
        "reasoning.budget_tokens",
    ),
    "safety settings": (
        "gemini",
        {"contents": CONTENTS, "safetySettings": [{"category": "X", "threshold": "Y"}]},
        "chat",
        "gemini:safetySettings",
    ),
    "a hosted tool": (
        "responses",
        {"model": "m", "input": "hi", "tools": [{"type": "web_search"}]},
        "gemini",
        "tools[0]",
    ),
    "storing": ("responses", {"model": "m", "input": "hi", "store": True}, "messages", "store"),
}


@pytest.mark.parametrize("loss", LOSSES)
async def test_what_is_lost_is_told(house, upstream, serve, http, loss):
    client, body, provider, lost = LOSSES[loss]
    upstream.raw(ANSWERS["text"][provider].bytes(provider, stream=False))
    async with http.post(await serve(house(provider)) + URLS[client], json=body) as response:
        assert response.status == 200, await response.text()
        assert lost in response.headers["x-aigw-dropped"].split(", ")


@pytest.mark.parametrize("how", ["header", "configuration"])
@pytest.mark.parametrize("loss", LOSSES)
async def test_under_strict_translation_a_loss_is_refused(house, upstream, serve, http, loss, how):
    client, body, provider, lost = LOSSES[loss]
    gateway = house(provider)
    headers = {}
    if how == "header":
        headers["x-aigw-strict"] = "true"
    else:
        gateway.config = evolve(gateway.config, server=evolve(gateway.config.server, strict=True))
    url = await serve(gateway) + URLS[client]
    async with http.post(url, json=body, headers=headers) as response:
        assert response.status == 400
        error = (await response.json())["error"]
        assert lost in error["message"]
        if client in {"chat", "responses"}:
            assert error["param"] == lost
            assert error["code"] == "unsupported_value"
        elif client == "messages":
            assert error["type"] == "invalid_request_error"
        else:
            assert error["status"] == "INVALID_ARGUMENT"
    assert upstream.seen == []


async def test_a_request_may_be_less_strict_than_the_configuration(house, upstream, serve, http):
    client, body, provider, _ = LOSSES["seed"]
    gateway = house(provider)
    gateway.config = Config(server=ServerConfig(strict=True))
    upstream.raw(ANSWERS["text"][provider].bytes(provider, stream=False))
    url = await serve(gateway) + URLS[client]
    async with http.post(url, json=body, headers={"x-aigw-strict": "false"}) as response:
        assert response.status == 200


async def test_nothing_is_refused_where_nothing_is_lost(house, upstream, serve, http):
    upstream.answer(COMPLETION)
    body = {"model": "m", "max_tokens": 9, "messages": HI, "system": "Be brief."}
    url = await serve(house("chat")) + "/v1/messages"
    async with http.post(url, json=body, headers={"x-aigw-strict": "1"}) as response:
        assert response.status == 200, await response.text()
        assert "x-aigw-dropped" not in response.headers


async def test_a_loss_that_is_refused_leads_to_a_target_that_loses_nothing(upstream, serve, http):
    gateway = aigw.Gateway()
    first = aigw.Provider(upstream.url, "k1", name="first", apis=["messages"])
    second = aigw.Provider(upstream.url, "k2", name="second", apis=["chat"])
    gateway.models.register("m", targets=[aigw.Target(first, "a"), aigw.Target(second, "b", 0.0)])
    upstream.answer(COMPLETION)
    url = await serve(gateway) + "/v1/chat/completions"
    body = {"model": "m", "messages": HI, "seed": 7}
    async with http.post(url, json=body, headers={"x-aigw-strict": "true"}) as response:
        assert response.status == 200
        assert response.headers["x-aigw-provider"] == "second"
        assert "x-aigw-dropped" not in response.headers


async def test_what_a_first_target_would_have_lost_is_not_told_of_the_second(upstream, serve, http):
    gateway = aigw.Gateway()
    first = aigw.Provider(upstream.url, "k1", name="first", apis=["messages"])
    second = aigw.Provider(upstream.url, "k2", name="second", apis=["chat"])
    gateway.models.register("m", targets=[aigw.Target(first, "a"), aigw.Target(second, "b", 0.0)])
    upstream.answer({"type": "error", "error": {"type": "api_error", "message": "no"}}, status=500)
    upstream.answer(COMPLETION)
    url = await serve(gateway) + "/v1/chat/completions"
    async with http.post(url, json={"model": "m", "messages": HI, "seed": 7}) as response:
        assert response.status == 200
        assert response.headers["x-aigw-attempts"] == "2"
        assert "x-aigw-dropped" not in response.headers


@pytest.mark.parametrize("name", ["evil\r\nx-evil: 1", "\u010desky \ud83d\udc0e", "a, b", "x" * 5000, "\x00"])
async def test_a_field_with_an_odd_name_cannot_break_the_headers(house, upstream, serve, http, name):
    upstream.raw(ANSWERS["text"]["messages"].bytes("messages", stream=False))
    url = await serve(house("messages")) + "/v1/chat/completions"
    async with http.post(url, json={"model": "m", "messages": HI, name: 1}) as response:
        assert response.status == 200, await response.text()
        assert "x-evil" not in response.headers
        assert len(response.headers["x-aigw-dropped"]) <= 2000
    async with http.post(
        url, json={"model": "m", "messages": HI, name: 1}, headers={"x-aigw-strict": "1"}
    ) as response:
        assert response.status == 400
