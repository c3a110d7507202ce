import asyncio
import json
import re
import tomllib
from pathlib import Path

import anthropic
import openai
import pytest
from aigw_vertex import VertexProvider
from aigw_vertex.publishers import split_model, spoken_by
from aigw_vertex.section import make_provider
from aigw_vertex.tokens import GivenTokens
from google import genai
from google.genai import errors as genai_errors
from support.scripted import COMPLETION, USAGE_CHUNK, chunk, sse

import aigw
from aigw.config import ProviderConfig, Secret
from aigw.dialects.endpoints import Api

ASK = [{"role": "user", "content": "hi"}]
PLACE = "/v1/projects/my-project/locations/europe-west1"
CLAUDE = PLACE + "/publishers/anthropic/models/claude-sonnet-4-5@20250929"
FLASH = PLACE + "/publishers/google/models/gemini-2.5-flash"
TOOL = {"name": "weather", "description": "", "input_schema": {"type": "object", "properties": {}}}
FUNCTION = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
TOOL_USE = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Köln"}}
WHOLE = {
    "id": "msg_vrtx_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5-20250929",
    "content": [{"type": "text", "text": "Hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 12, "output_tokens": 7},
}
EVENTS = (
    {"type": "message_start", "message": {**WHOLE, "content": [], "stop_reason": None}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {**TOOL_USE, "input": {}}},
    {
        "type": "content_block_delta",
        "index": 1,
        "delta": {"type": "input_json_delta", "partial_json": '{"city": "Köln"}'},
    },
    {"type": "content_block_stop", "index": 1},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use", "stop_sequence": None},
        "usage": {"output_tokens": 7},
    },
    {"type": "message_stop"},
)
CANDIDATE = {"content": {"role": "model", "parts": [{"text": "Hello"}]}, "finishReason": "STOP", "index": 0}
GENERATED = {
    "candidates": [CANDIDATE],
    "usageMetadata": {
        "promptTokenCount": 3,
        "candidatesTokenCount": 2,
        "totalTokenCount": 5,
        "trafficType": "ON_DEMAND",
    },
    "modelVersion": "gemini-2.5-flash",
}


def gemini_client(url):
    """Make Google's own client, the one that does not wait: it is used in a thread."""
    options = genai.types.HttpOptions(base_url=url, api_version="v1beta")
    return genai.Client(api_key="sk-caller", http_options=options)


async def test_an_anthropic_client_reaches_claude_whole_and_streamed(google, serve, messages_client):
    google.answer(WHOLE)
    google.sse(*EVENTS)
    client = messages_client(await serve())
    asked = {"model": "claude", "max_tokens": 9, "messages": ASK, "tools": [TOOL]}
    message = await client.beta.messages.create(**asked, betas=["context-1m-2025-08-07"])
    assert message.content[0].text == "Hello"
    async with client.messages.stream(**asked) as stream:
        final = await stream.get_final_message()
    assert final.content[1].input == {"city": "Köln"}
    whole, streamed = google.seen
    assert whole.path == CLAUDE + ":rawPredict"
    assert streamed.path == CLAUDE + ":streamRawPredict"
    for seen in google.seen:
        assert seen.json["anthropic_version"] == "vertex-2023-10-16"
        assert seen.json["tools"] == [TOOL]
        assert "model" not in seen.json
        assert not {"anthropic-version", "x-api-key"} & {name.lower() for name in seen.headers}
    assert whole.headers["anthropic-beta"] == "context-1m-2025-08-07"
    assert streamed.json["stream"] is True


async def test_a_chat_client_reaches_claude_whole_and_streamed(google, serve, chat_client):
    google.answer({**WHOLE, "content": [TOOL_USE], "stop_reason": "tool_use"})
    google.sse(*EVENTS)
    client = chat_client(await serve())
    asked = {"model": "claude", "messages": ASK, "tools": [FUNCTION]}
    completion = await client.chat.completions.create(**asked)
    (call,) = completion.choices[0].message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "Köln"})
    chunks = [each async for each in await client.chat.completions.create(**asked, stream=True)]
    assert "".join(each.choices[0].delta.content or "" for each in chunks if each.choices) == "Hello"
    assert [seen.path for seen in google.seen] == [CLAUDE + ":rawPredict", CLAUDE + ":streamRawPredict"]


async def test_a_chat_client_passes_through_to_gemini_and_to_open_models(google, serve, chat_client):
    google.answer(COMPLETION)
    google.answer(sse(chunk("Hel"), chunk("lo"), chunk(finish="stop"), USAGE_CHUNK))
    google.answer(COMPLETION)
    models = {"gemini": "g/gemini-2.5-flash", "llama": "g/meta/llama-4-maverick-17b-128e-instruct-maas"}
    client = chat_client(await serve(models=models))
    completion = await client.chat.completions.create(model="gemini", messages=ASK, tools=[FUNCTION])
    assert completion.choices[0].message.content == "Hello"
    stream = await client.chat.completions.create(model="gemini", messages=ASK, stream=True)
    chunks = [each async for each in stream]
    assert "".join(each.choices[0].delta.content or "" for each in chunks if each.choices) == "Hello"
    await client.chat.completions.create(model="llama", messages=ASK)
    assert {seen.path for seen in google.seen} == {PLACE + "/endpoints/openapi/chat/completions"}
    assert [seen.json["model"] for seen in google.seen] == [
        "google/gemini-2.5-flash",
        "google/gemini-2.5-flash",
        "meta/llama-4-maverick-17b-128e-instruct-maas",
    ]
    assert google.seen[0].json["tools"] == [FUNCTION]


async def test_an_anthropic_client_reaches_gemini_in_geminis_own_format(google, serve, messages_client):
    google.answer(GENERATED)
    google.sse(GENERATED)
    client = messages_client(await serve())
    message = await client.messages.create(model="gemini", max_tokens=9, messages=ASK)
    assert message.content[0].text == "Hello"
    async with client.messages.stream(model="gemini", max_tokens=9, messages=ASK) as stream:
        assert (await stream.get_final_message()).content[0].text == "Hello"
    paths = [FLASH + ":generateContent", FLASH + ":streamGenerateContent?alt=sse"]
    assert [seen.path for seen in google.seen] == paths


async def test_googles_own_client_reaches_gemini(google, serve):
    for tree in (GENERATED, {"totalTokens": 13, "totalBillableCharacters": 47}):
        google.answer(tree)
    google.sse(GENERATED)
    client = gemini_client(await serve())
    asked = {"model": "gemini", "contents": "hi"}
    assert (await asyncio.to_thread(client.models.generate_content, **asked)).text == "Hello"
    assert (await asyncio.to_thread(client.models.count_tokens, **asked)).total_tokens == 13
    stream = client.models.generate_content_stream(**asked)
    assert "".join(each.text for each in await asyncio.to_thread(list, stream)) == "Hello"
    assert [seen.path for seen in google.seen] == [
        FLASH + ":generateContent",
        FLASH + ":countTokens",
        FLASH + ":streamGenerateContent?alt=sse",
    ]
    assert all("x-goog-api-key" not in seen.headers for seen in google.seen)
    client.close()


async def test_what_the_other_api_takes_for_granted_is_said(google, serve, aiohttp_client):
    import aiohttp

    google.answer(GENERATED)
    url = await serve()
    bare = {"contents": [{"parts": [{"text": "hi"}]}]}
    count = {"generateContentRequest": {"model": "models/gemini", **bare}}
    async with aiohttp.ClientSession() as http:
        for method, body in (("generateContent", bare), ("countTokens", count)):
            async with http.post(f"{url}/v1beta/models/gemini:{method}?key=sk-caller", json=body) as answer:
                assert answer.status == 200
    wanted = {"contents": [{"parts": [{"text": "hi"}], "role": "user"}]}
    assert [seen.json for seen in google.seen] == [wanted, wanted]
    assert not any("sk-caller" in seen.path for seen in google.seen)


async def test_the_callers_own_token_goes_upstream_where_that_is_wanted(google, serve):
    google.answer(WHOLE)
    google.issued["ya29.callers"] = float("inf")
    url = await serve(forward_client_key=True)
    client = anthropic.AsyncAnthropic(base_url=url, api_key="ya29.callers", max_retries=0)
    with pytest.raises(anthropic.APIStatusError, match="no project"):
        await client.messages.create(model="claude", max_tokens=9, messages=ASK)
    await client.close()
    url = await serve({"project": "callers"}, forward_client_key=True)
    client = anthropic.AsyncAnthropic(base_url=url, api_key="ya29.callers", max_retries=0)
    await client.messages.create(model="claude", max_tokens=9, messages=ASK)
    await client.close()
    assert (google.seen[0].token, google.asked) == ("ya29.callers", 0)


async def test_a_method_that_vertex_has_not_is_a_clear_404(google, serve):
    import aiohttp

    url = await serve()
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{url}/v1beta/models/gemini:batchEmbedContents", json={"requests": []}) as answer,
    ):
        assert answer.status == 404
        assert "batchEmbedContents" in await answer.text()
    assert google.asked == 0


async def test_tokens_are_counted_where_no_model_is_in_the_path(google, serve, messages_client):
    google.answer({"input_tokens": 41})
    client = messages_client(await serve())
    assert (await client.messages.count_tokens(model="claude", messages=ASK)).input_tokens == 41
    (seen,) = google.seen
    assert seen.path == PLACE + "/publishers/anthropic/models/count-tokens:rawPredict"
    assert seen.json["model"] == "claude-sonnet-4-5@20250929"


def failing(status, word, message="no"):
    return {"error": {"code": status, "message": message, "status": word}}


@pytest.mark.parametrize(
    ("status", "word", "wanted"),
    [
        (429, "RESOURCE_EXHAUSTED", (429, "rate_limit_error")),
        (400, "INVALID_ARGUMENT", (400, "invalid_request_error")),
        (404, "NOT_FOUND", (404, "not_found_error")),
        (403, "PERMISSION_DENIED", (502, "api_error")),
        (503, "UNAVAILABLE", (529, "overloaded_error")),
        (500, "INTERNAL", (502, "api_error")),
    ],
)
async def test_googles_failures_are_told_as_anthropic_would(
    google, serve, messages_client, status, word, wanted
):
    google.answer(failing(status, word), status=status)
    client = messages_client(await serve())
    with pytest.raises(anthropic.APIStatusError) as caught:
        await client.messages.create(model="claude", max_tokens=9, messages=ASK)
    assert (caught.value.status_code, caught.value.body["error"]["type"]) == wanted
    assert "RESOURCE" not in json.dumps(caught.value.body)


async def test_another_provider_answers_where_vertex_is_busy(google, serve, chat_client):
    google.answer(failing(429, "RESOURCE_EXHAUSTED"), status=429)
    targets = ["g/claude-x", {"provider": "demo", "model": "x", "weight": 0}]
    client = chat_client(await serve(models={"claude": {"targets": targets}, "demo": "demo/x"}))
    for model in ("claude", "demo"):
        assert (await client.chat.completions.create(model=model, messages=ASK)).choices[0].message.content
    assert [seen.path.rpartition("/")[2] for seen in google.seen] == ["claude-x:rawPredict"]


async def test_failures_in_a_list_and_their_delay_reach_a_chat_client(google, serve, chat_client):
    tree = failing(429, "RESOURCE_EXHAUSTED", "slow down")
    tree["error"]["details"] = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}]
    google.answer([tree], status=429)
    client = chat_client(await serve())
    with pytest.raises(openai.RateLimitError, match="slow down") as caught:
        await client.chat.completions.create(model="gemini", messages=ASK)
    assert caught.value.response.headers["retry-after"] == "7"


async def test_anthropics_own_failures_and_geminis_are_left_as_they_are(google, serve, messages_client):
    own = {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": "prompt is too long: 9 > 8"},
    }
    google.answer(own, status=400)
    url = await serve()
    with pytest.raises(anthropic.BadRequestError, match="too long"):
        await messages_client(url).messages.create(model="claude", max_tokens=9, messages=ASK)
    google.answers.clear()
    google.answer([failing(400, "INVALID_ARGUMENT", "wrong")], status=400)
    client = gemini_client(url)
    with pytest.raises(genai_errors.ClientError, match="INVALID_ARGUMENT"):
        await asyncio.to_thread(client.models.generate_content, model="gemini", contents="hi")
    client.close()


@pytest.mark.parametrize(
    ("model", "publisher", "name", "spoken"),
    [
        ("gemini-2.5-pro", "google", "gemini-2.5-pro", {"gemini", "chat"}),
        ("google/gemini-2.5-pro", "google", "gemini-2.5-pro", {"gemini", "chat"}),
        ("claude-opus-4-1@20250805", "anthropic", "claude-opus-4-1@20250805", {"messages"}),
        ("deepseek-v3.1-maas", "deepseek-ai", "deepseek-v3.1-maas", {"chat"}),
        ("zai-org/glm-5-maas", "zai-org", "glm-5-maas", {"chat"}),
        ("mine-1", "anthropic", "mine-1", {"messages"}),
        ("unheard-of", "google", "unheard-of", {"gemini", "chat"}),
    ],
)
def test_publishers_are_known_by_model_names(model, publisher, name, spoken):
    assert split_model(model, {"mine-*": "anthropic"}) == (publisher, name)
    assert spoken_by(publisher) == {Api(each) for each in spoken}


@pytest.mark.parametrize(
    ("location", "host"),
    [
        (None, "aiplatform.googleapis.com"),
        ("global", "aiplatform.googleapis.com"),
        ("us-central1", "us-central1-aiplatform.googleapis.com"),
        ("eu", "aiplatform.eu.rep.googleapis.com"),
    ],
)
def test_the_location_names_the_host(location, host):
    options = {} if location is None else {"location": location}
    assert f"'https://{host}/v1'" in repr(make_provider("g", ProviderConfig(kind="vertex", options=options)))


async def test_a_model_cannot_leave_its_place_in_the_path(google, serve, messages_client):
    google.answer(WHOLE)
    client = messages_client(await serve(models={"odd": "g/anthropic/../../x?y#z", "dots": "g/anthropic/.."}))
    await client.messages.create(model="odd", max_tokens=9, messages=ASK)
    path = PLACE + "/publishers/anthropic/models/..%2F..%2Fx%3Fy%23z:rawPredict"
    assert google.seen[0].path == path
    with pytest.raises(anthropic.NotFoundError):
        await client.messages.create(model="dots", max_tokens=9, messages=ASK)


@pytest.mark.parametrize(
    ("options", "more", "said"),
    [
        ({"location": "a/b"}, {}, "providers.g.options.location"),
        ({"projekt": "x"}, {}, "projekt"),
        ({"credentials_file": "nowhere.json"}, {}, "options.credentials_file"),
        ({"publishers": {"x": ""}}, {}, "options.publishers.x"),
        ({}, {"api_key": Secret("shh-secret")}, "takes no keys"),
    ],
)
def test_settings_that_cannot_be_used_are_named(options, more, said):
    with pytest.raises(aigw.ConfigError) as caught:
        make_provider("g", ProviderConfig(kind="vertex", options=options, **more))
    assert said in str(caught.value)
    assert "shh-secret" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        "shh-secret",
        '"shh-secret"',
        '{"type": "shh-secret"}',
        '{"type": "service_account", "private_key": "shh"}',
    ],
)
def test_a_file_of_no_use_stops_the_start_and_is_not_quoted(tmp_path, content):
    (tmp_path / "f").write_text(content)
    with pytest.raises(aigw.ConfigError, match="credentials_file") as caught:
        make_provider("g", ProviderConfig(kind="vertex", options={"credentials_file": str(tmp_path / "f")}))
    assert "shh" not in str(caught.value)


async def test_settings_of_the_section_are_honoured(google, serve, messages_client, account_file):
    made = make_provider(
        "g",
        ProviderConfig(
            kind="vertex",
            options={"credentials_file": str(account_file)},
            apis=("all",),
            proxy=Secret("http://user:shh@proxy.internal:3128"),
            forward_headers=("X-Vertex-AI-LLM-Request-Type",),
            stream_usage="never",
        ),
    )
    assert type(made._transport).__name__ == "AiohttpTransport"
    assert made.apis == {Api.CHAT, Api.GEMINI, Api.MESSAGES}
    assert made._tokens._proxy == "http://user:shh@proxy.internal:3128"
    assert "shh" not in repr(made) + repr(vars(made)["_tokens"])
    face = made.face("claude-x")
    assert (face.name, face.apis, face.forward_headers) == ("g", {Api.MESSAGES}, made.forward_headers)
    google.answer(WHOLE)
    client = messages_client(await serve(headers={"X-Extra": "1"}, query={"a": "b"}, api_version="v1beta1"))
    await client.messages.create(model="claude", max_tokens=9, messages=ASK)
    assert google.seen[0].headers["X-Extra"] == "1"
    assert google.seen[0].path.startswith("/v1beta1/projects/my-project/locations/europe-west1/publishers/")
    assert google.seen[0].path.endswith(":rawPredict?a=b")


def test_every_example_of_the_readme_is_read(account_file, monkeypatch):
    monkeypatch.chdir(account_file.parent)
    account_file.rename("service-account.json")
    text = (Path(__file__).parents[1] / "README.md").read_text()
    blocks = re.findall(r"```(toml|python)\n(.*?)```", text, re.DOTALL)
    assert {kind for kind, _ in blocks} == {"toml", "python"}
    for kind, block in blocks:
        if kind == "python":
            exec(block, {})
            continue
        config = aigw.config.loads(tomllib.loads(block), {}, known_providers=None)
        assert make_provider("google", config.providers["google"]).name == "google"


async def test_a_token_of_ones_own_needs_a_project_said(google):
    made = VertexProvider("g", tokens=GivenTokens(lambda: "t"), base_url=google.url)
    await made.open()
    from multidict import CIMultiDict

    from aigw.dialects.endpoints import generation
    from aigw.upstream.provider import Call

    endpoint = generation(Api.MESSAGES, stream=False)
    call = Call(endpoint, "claude-x", "/v1/messages", CIMultiDict(), b"{}")
    with pytest.raises(aigw.GatewayError, match=r"options\.project"):
        await made.call(call)
    await made.close()
