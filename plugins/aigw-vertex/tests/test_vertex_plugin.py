"""Clients of any format at Vertex AI's models, whole and streamed."""

import asyncio
import json

import anthropic
import pytest
from support.clouds import WHOLE, gemini_client
from support.scripted import COMPLETION, USAGE_CHUNK, chunk, sse

ASK = [{"role": "user", "content": "hi"}]
PLACE = "/v1/projects/my-project/locations/europe-west1"
CLAUDE = PLACE + "/publishers/anthropic/models/claude-sonnet-4-5@20250929"
FLASH = PLACE + "/publishers/google/models/gemini-2.5-flash"
TOOL = {"name": "weather", "description": "", "input_schema": {"type": "object", "properties": {}}}
FUNCTION = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
TOOL_USE = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Köln"}}
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


async def test_a_model_cannot_leave_its_place_in_the_path(google, serve, messages_client):
    google.answer(WHOLE)
    client = messages_client(await serve(models={"odd": "g/anthropic/../../x?y#z", "dots": "g/anthropic/.."}))
    await client.messages.create(model="odd", max_tokens=9, messages=ASK)
    path = PLACE + "/publishers/anthropic/models/..%2F..%2Fx%3Fy%23z:rawPredict"
    assert google.seen[0].path == path
    with pytest.raises(anthropic.NotFoundError):
        await client.messages.create(model="dots", max_tokens=9, messages=ASK)
