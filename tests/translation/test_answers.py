"""Every answer reaches every client: four formats of clients, four of providers, whole and streamed."""

import re

import pytest
from support.recordings import ANSWERS, CACHED, FINISHES, USAGE, WIRE
from support.sdks import SDKS, Wish

APIS = tuple(SDKS)
PATHS = {
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
    "gemini": "/models/up-model:generateContent",
}
AUTH = {
    "chat": {"Authorization": "Bearer sk-upstream"},
    "responses": {"Authorization": "Bearer sk-upstream"},
    "messages": {"x-api-key": "sk-upstream", "anthropic-version": "2023-06-01"},
    "gemini": {"x-goog-api-key": "sk-upstream"},
}
KEYS = {"authorization", "x-api-key", "x-goog-api-key", "api-key"}
TERMINAL = {
    "chat": rb"^data: \[DONE\]$",
    "responses": rb"^event: response\.(?:completed|incomplete|failed)$",
    "messages": rb"^event: message_stop$",
    "gemini": rb'^data: .*"finishReason":',
}


def check_call(seen, client, provider, *, stream):
    """Check that the provider was called as its own SDK would have called it."""
    path = PATHS[provider]
    if provider == "gemini":
        method = "streamGenerateContent" if stream else "generateContent"
        path = r"/v1beta" if client != "gemini" else "/v1(?:beta)?"
        path += f"/models/up-model:{method}"
        assert seen.query == ("alt=sse" if stream else "")
        assert "model" not in seen.json
        assert "stream" not in seen.json
    else:
        assert seen.query == ""
        assert seen.json["model"] == "up-model"
        assert seen.json.get("stream", False) is stream
    assert re.fullmatch(path, seen.path)
    headers = {name.lower(): value for name, value in seen.headers.items()}
    for name, value in AUTH[provider].items():
        is_sdks_own = name == "anthropic-version" and client == "messages"
        assert headers[name.lower()] == value or is_sdks_own
    assert headers.keys() & KEYS == {name.lower() for name in AUTH[provider]} & KEYS
    assert b"sk-client" not in seen.body
    assert "sk-client" not in repr(seen)


def usage_for(client, provider):
    """Anthropic alone counts what a cache held beside the input, and not in it."""
    read, written = USAGE[provider]
    return (read - CACHED[provider] if client == "messages" else read, written)


@pytest.mark.parametrize("scenario", ANSWERS)
@pytest.mark.parametrize("provider", APIS)
@pytest.mark.parametrize("client", APIS)
async def test_an_answer_is_the_same_to_every_client(
    house, upstream, serve, sdk_for, tap, client, provider, scenario
):
    gateway = house(provider)
    frames = tap(gateway)
    recorded = ANSWERS[scenario][provider]
    sdk = sdk_for(client, await serve(gateway))
    for stream in (False, True):
        play = upstream.stream if stream else upstream.raw
        play(recorded.bytes(provider, stream=stream))
        told = await sdk.ask(Wish(tools=("f",) if recorded.calls else ()), stream=stream)
        assert told.text == recorded.text
        assert "".join(told.thoughts.split()) == "".join(recorded.thoughts.split())
        assert [call[1:] for call in told.calls] == list(recorded.calls)
        ids = [call[0] for call in told.calls]
        assert all(ids) or client == provider
        assert len(set(ids)) == len(ids) or client == provider
        assert told.finish == FINISHES[client][recorded.finish]
        assert told.usage == usage_for(client, provider)
        assert told.model
        assert told.id
        check_call(upstream.seen.pop(), client, provider, stream=stream)
        upstream.scripts.clear()
    ends = re.findall(TERMINAL[client], b"".join(frames), re.MULTILINE)
    assert len(ends) == 1


@pytest.mark.parametrize("client", APIS)
async def test_a_prompt_that_gemini_blocks_is_an_empty_filtered_answer(
    house, upstream, serve, sdk_for, client
):
    sdk = sdk_for(client, await serve(house("gemini")))
    for stream in (False, True):
        upstream.scripts.clear()
        raw = (WIRE / "gemini" / f"blocked_prompt.{'sse' if stream else 'json'}").read_bytes()
        (upstream.stream if stream else upstream.raw)(raw)
        told = await sdk.ask(Wish(), stream=stream)
        assert (told.text, told.calls) == ("", [])
        wanted = "PROHIBITED_CONTENT" if client == "gemini" else FINISHES[client]["filter"]
        assert told.finish == wanted


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_an_answer_says_who_gave_it(house, upstream, serve, http, stream):
    play = upstream.stream if stream else upstream.raw
    play(
        ANSWERS["text"]["messages"].bytes("messages", stream=stream),
        headers={"anthropic-ratelimit-tokens-remaining": "9", "request-id": "req_1"},
    )
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": stream}
    url = await serve(house("messages")) + "/v1/chat/completions"
    async with http.post(url, json=body, headers={"x-request-id": "mine"}) as response:
        assert response.content_type == ("text/event-stream" if stream else "application/json")
        headers = response.headers
    assert headers["x-aigw-provider"] == "up"
    assert headers["x-aigw-model"] == "up-model"
    assert headers["x-aigw-attempts"] == "1"
    assert headers["x-request-id"] == "mine"
    assert headers["anthropic-ratelimit-tokens-remaining"] == "9"
