"""Counting tokens: the vendor's own count, or a clear word that there is none."""

import pytest

COUNT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
CONTENTS = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}


async def test_anthropics_count_passes_through(house, upstream, serve, http):
    upstream.answer({"input_tokens": 42})
    async with http.post(
        await serve(house("messages")) + "/v1/messages/count_tokens", json=COUNT
    ) as response:
        assert (response.status, await response.json()) == (200, {"input_tokens": 42})
    [seen] = upstream.seen
    assert seen.path == "/v1/messages/count_tokens"
    assert seen.json == {**COUNT, "model": "up-model"}
    assert seen.headers["x-api-key"] == "sk-upstream"
    assert seen.headers["anthropic-version"]


async def test_the_sdk_of_anthropic_counts(house, upstream, serve, sdk_for):
    upstream.answer({"input_tokens": 42})
    sdk = sdk_for("messages", await serve(house("messages", "chat")))
    counted = await sdk.client.messages.count_tokens(**COUNT)
    assert counted.input_tokens == 42


@pytest.mark.parametrize("version", ["v1", "v1beta"])
async def test_googles_count_passes_through(house, upstream, serve, http, version):
    upstream.answer({"totalTokens": 42})
    url = await serve(house("gemini")) + f"/{version}/models/m:countTokens"
    async with http.post(url, json=CONTENTS) as response:
        assert (response.status, await response.json()) == (200, {"totalTokens": 42})
    [seen] = upstream.seen
    assert seen.path == f"/{version}/models/up-model:countTokens"
    assert seen.json == CONTENTS
    assert seen.headers["x-goog-api-key"] == "sk-upstream"


@pytest.mark.parametrize("provider", ["chat", "responses"])
async def test_who_cannot_count_for_anthropics_clients_is_named(house, upstream, serve, http, provider):
    async with http.post(await serve(house(provider)) + "/v1/messages/count_tokens", json=COUNT) as response:
        tree = await response.json()
        assert response.status == 404
        assert (tree["type"], tree["error"]["type"]) == ("error", "not_found_error")
        assert "(up) does not speak the messages API" in tree["error"]["message"]
    assert upstream.seen == []


@pytest.mark.parametrize("provider", ["chat", "responses"])
async def test_who_cannot_count_for_googles_clients_is_named(house, upstream, serve, http, provider):
    url = await serve(house(provider)) + "/v1beta/models/m:countTokens"
    async with http.post(url, json=CONTENTS) as response:
        error = (await response.json())["error"]
        assert response.status == 404
        assert (error["code"], error["status"]) == (404, "NOT_FOUND")
        assert "(up) does not speak the gemini API" in error["message"]
    assert upstream.seen == []
