"""Which way a request takes: bytes through where formats agree, else the best format the provider speaks."""

import json

import pytest
from support.recordings import ANSWERS, WIRE
from support.scripted import COMPLETION, chunk, sse
from support.sdks import SDKS, Wish

import aigw
from aigw.config import AuthConfig, Config, KeyConfig, Secret

APIS = tuple(SDKS)
URLS = {
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
    "gemini": "/v1beta/models/m:generateContent",
}
SPOKEN_AT = {
    "/v1/chat/completions": "chat",
    "/v1/responses": "responses",
    "/v1/messages": "messages",
    "/v1beta/models/up-model:generateContent": "gemini",
}
BODIES = {
    "chat": b'{"model" :"up-model", "messages":[{"role":"user","content":"\\u0159 hi"}], "unknown": 1.50}',
    "responses": b'{"model" :"up-model","input":"\\u0159 hi", "store":false, "unknown":1.50}',
    "messages": (
        b'{"model" :"up-model","max_tokens":9, "messages":[{"role":"user","content":"hi \\u0159"}],'
        b' "unknown":1.50}'
    ),
    "gemini": b'{"contents" :[{"parts":[{"text":"hi \\u0159"}],"role":"user"}], "unknown":1.50}',
}
LOCKED = Config(auth=AuthConfig(keys=(KeyConfig(key=Secret("sk-client"), name="one"),)))
JSON = {"Content-Type": "application/json"}


def url_for(client, model, *, stream):
    url = URLS[client].replace("/m:", f"/{model}:")
    return url.replace(":generateContent", ":streamGenerateContent?alt=sse") if stream else url


def body_for(client, *, stream):
    body = BODIES[client]
    return body[:-1] + b', "stream":true}' if stream and client != "gemini" else body


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("api", APIS)
async def test_the_same_format_on_both_sides_passes_the_very_bytes(house, upstream, serve, http, api, stream):
    gateway = house(*APIS)
    gateway.models.register("up-model", gateway.models.providers["up"])
    gateway.models.providers["up"].stream_usage = "always"
    answer = ANSWERS["text"][api].bytes(api, stream=stream)
    # OpenAI ends without it, and the specification wants it.
    told = answer.removesuffix(b"data: [DONE]\n\n") if api == "responses" else answer
    (upstream.stream if stream else upstream.raw)(told)
    url = await serve(gateway) + url_for(api, "up-model", stream=stream)
    sent = body_for(api, stream=stream)
    async with http.post(url, data=sent, headers=JSON) as response:
        assert await response.read() == answer
        assert "x-aigw-dropped" not in response.headers
    assert upstream.seen[0].body == sent
    assert upstream.seen[0].query == ("alt=sse" if stream and api == "gemini" else "")


@pytest.mark.parametrize(
    ("client", "speaks", "prefer", "wanted"),
    [
        *((client, APIS, None, client) for client in APIS),
        *((client, APIS, "messages", client) for client in APIS),
        ("chat", ("responses", "gemini", "messages"), None, "messages"),
        ("chat", ("responses", "gemini"), None, "gemini"),
        ("messages", ("responses", "chat"), None, "chat"),
        ("messages", ("responses", "chat"), "responses", "responses"),
        ("chat", ("messages", "gemini", "responses"), "gemini", "gemini"),
        ("gemini", ("messages", "chat", "responses"), "chat", "chat"),
        ("gemini", ("responses",), "chat", "responses"),
    ],
)
async def test_a_provider_of_several_formats_is_spoken_to_in_the_best_one(
    house, upstream, serve, sdk_for, client, speaks, prefer, wanted
):
    upstream.raw(ANSWERS["text"][wanted].bytes(wanted, stream=False))
    sdk = sdk_for(client, await serve(house(*speaks, prefer=prefer)))
    told = await sdk.ask(Wish(), stream=False)
    assert told.text == ANSWERS["text"][wanted].text
    assert SPOKEN_AT[upstream.seen[0].path.replace("/v1/models", "/v1beta/models")] == wanted


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("client", APIS)
async def test_a_fallback_may_lead_to_another_format(upstream, serve, sdk_for, http, client, stream):
    gateway = aigw.Gateway()
    first = aigw.Provider(upstream.url, "k1", name="first", apis=["messages"])
    second = aigw.Provider(upstream.url, "k2", name="second", apis=["chat"])
    gateway.models.register("m", targets=[aigw.Target(first, "a"), aigw.Target(second, "b", 0.0)])
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "no"}}
    upstream.answer(error, status=529)
    (upstream.stream if stream else upstream.raw)(ANSWERS["text"]["chat"].bytes("chat", stream=stream))
    url = await serve(gateway)
    told = await sdk_for(client, url).ask(Wish(), stream=stream)
    assert told.text == ANSWERS["text"]["chat"].text
    assert [seen.path for seen in upstream.seen] == ["/v1/messages", "/v1/chat/completions"]
    assert [seen.json["model"] for seen in upstream.seen] == ["a", "b"]
    assert "anthropic-version" not in upstream.seen[1].headers or client == "messages"


async def test_a_stream_that_fails_before_its_first_content_falls_back_across_formats(
    upstream, serve, sdk_for
):
    gateway = aigw.Gateway()
    first = aigw.Provider(upstream.url, "k1", name="first", apis=["messages"])
    second = aigw.Provider(upstream.url, "k2", name="second", apis=["gemini"])
    gateway.models.register("m", targets=[aigw.Target(first, "a"), aigw.Target(second, "b", 0.0)])
    upstream.stream((WIRE / "anthropic" / "broken" / "error_at_once.sse").read_bytes())
    upstream.stream(ANSWERS["text"]["gemini"].bytes("gemini", stream=True))
    told = await sdk_for("chat", await serve(gateway)).ask(Wish(), stream=True)
    assert (told.text, told.finish) == ("Hello", "stop")


@pytest.mark.parametrize("provider", APIS)
@pytest.mark.parametrize("client", APIS)
async def test_a_provider_that_answers_whole_or_streams_whatever_it_is_asked(
    house, upstream, serve, sdk_for, tap, client, provider
):
    recorded = ANSWERS["one tool call"][provider]
    gateway = house(provider)
    sdk = sdk_for(client, await serve(gateway))
    upstream.raw(recorded.bytes(provider, stream=False))
    crossed = [await sdk.ask(Wish(tools=("f",)), stream=True)]
    upstream.scripts.clear()
    upstream.stream(recorded.bytes(provider, stream=True))
    crossed.append(await sdk.ask(Wish(tools=("f",)), stream=False))
    for told in crossed:
        assert told.text == recorded.text
        assert [call[1:] for call in told.calls] == list(recorded.calls)
        assert told.usage


async def test_a_folded_stream_may_lack_the_end_mark_of_a_provider_known_for_it(
    house, upstream, serve, sdk_for
):
    gateway = house("chat")
    gateway.models.providers["up"].done_optional = True
    upstream.stream(sse(chunk("Hello"), chunk(finish="stop"), done=False))
    told = await sdk_for("messages", await serve(gateway)).ask(Wish(), stream=False)
    assert (told.text, told.finish) == ("Hello", "end_turn")


# Google's other framing of a stream: one JSON array.


@pytest.mark.parametrize("provider", APIS)
async def test_a_gemini_stream_without_sse_is_one_json_array(house, upstream, serve, http, provider):
    recorded = ANSWERS["text"][provider]
    raw = recorded.bytes(provider, stream=True)
    upstream.stream(*(raw[at : at + 97] for at in range(0, len(raw), 97)))
    url = await serve(house(provider)) + "/v1beta/models/m:streamGenerateContent"
    body = BODIES["gemini"].replace(b', "unknown":1.50', b"")
    async with http.post(url, data=body, headers=JSON) as response:
        assert response.content_type == "application/json"
        frames = json.loads(await response.read())
    texts = [part["text"] for frame in frames for part in frame["candidates"][0]["content"]["parts"]]
    assert "".join(texts) == recorded.text
    assert frames[-1]["candidates"][0]["finishReason"] == "STOP"
    assert sum("finishReason" in frame["candidates"][0] for frame in frames) == 1
    if provider == "gemini":
        assert upstream.seen[0].query == "alt=sse"


@pytest.mark.parametrize("provider", ["messages", "gemini"])
async def test_a_json_array_that_fails_is_still_a_json_array(house, upstream, serve, http, provider):
    folder, name = {
        "messages": ("anthropic", "error_event"),
        "gemini": ("gemini", "error_in_mid_stream"),
    }[provider]
    raw = (WIRE / folder / "broken" / f"{name}.sse").read_bytes()
    at = raw.rstrip(b"\n").rfind(b"\n\n") + 2
    upstream.stream(raw[:at], 0.02, raw[at:])
    url = await serve(house(provider)) + "/v1beta/models/m:streamGenerateContent"
    body = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    async with http.post(url, json=body) as response:
        frames = json.loads(await response.read())
    assert frames[-1].keys() == {"error"}
    assert all("error" not in frame for frame in frames[:-1])


# Keys: wherever a client of a format puts its own, it opens the gateway and goes no further.


@pytest.mark.parametrize("provider", APIS)
@pytest.mark.parametrize("client", APIS)
async def test_a_clients_key_opens_the_gateway_and_never_goes_upstream(
    upstream, serve, sdk_for, client, provider
):
    gateway = aigw.Gateway(LOCKED)
    own = aigw.Provider(upstream.url, "sk-upstream", name="up", apis=[provider])
    gateway.models.register("m", own, rewrite="up-model")
    upstream.raw(ANSWERS["text"][provider].bytes(provider, stream=False))
    await sdk_for(client, await serve(gateway)).ask(Wish(), stream=False)
    assert "sk-client" not in repr(upstream.seen)


@pytest.mark.parametrize("provider", ["gemini", "chat"])
@pytest.mark.parametrize(
    "query", ["?key=sk-client", "?alt=sse&key=sk-client", "?key=sk-client&%6bey=sk-client"]
)
async def test_a_key_in_the_query_opens_the_gateway_and_never_goes_upstream(
    upstream, serve, http, provider, query
):
    gateway = aigw.Gateway(LOCKED)
    own = aigw.Provider(upstream.url, "sk-upstream", name="up", apis=[provider])
    gateway.models.register("m", own, rewrite="up-model")
    upstream.stream(ANSWERS["text"][provider].bytes(provider, stream=True))
    url = await serve(gateway) + "/v1beta/models/m:streamGenerateContent"
    body = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    async with http.post(url, json=body) as response:
        assert response.status == 401
        error = (await response.json())["error"]
        assert (error["code"], error["status"]) == (401, "UNAUTHENTICATED")
    async with http.post(url + query, json=body) as response:
        assert response.status == 200, await response.text()
        await response.read()
    assert "sk-client" not in repr(upstream.seen)


@pytest.mark.parametrize("header", ["x-api-key", "x-goog-api-key", "Authorization"])
@pytest.mark.parametrize("client", ["messages", "gemini", "chat"])
async def test_any_clients_header_for_keys_will_do(upstream, serve, http, client, header):
    gateway = aigw.Gateway(LOCKED)
    own = aigw.Provider(upstream.url, "sk-upstream", name="up", apis=["chat"])
    gateway.models.register("m", own, rewrite="up-model")
    upstream.answer(COMPLETION)
    key = "Bearer sk-client" if header == "Authorization" else "sk-client"
    body = BODIES[client].replace(b"up-model", b"m")
    url = await serve(gateway) + url_for(client, "m", stream=False)
    async with http.post(url, data=body, headers={**JSON, header: key}) as response:
        assert response.status == 200, await response.text()
    seen = {name.lower(): value for name, value in upstream.seen[0].headers.items()}
    assert seen["authorization"] == "Bearer sk-upstream"
    assert not {"x-api-key", "x-goog-api-key"} & seen.keys()
