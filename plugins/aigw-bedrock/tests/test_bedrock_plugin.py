"""Clients of any format at Bedrock's models, whole and streamed."""

import json

import anthropic
import pytest
from support.scripted import COMPLETION, USAGE_CHUNK, chunk, sse

ASK = [{"role": "user", "content": "hi"}]
TOOL = {"name": "weather", "description": "", "input_schema": {"type": "object", "properties": {}}}
FUNCTION = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
OSS = "openai.gpt-oss-120b"


async def test_an_anthropic_client_gets_a_whole_answer(bedrock, serve, messages_client, wire):
    bedrock.answer(wire.whole)
    client = messages_client(await serve())
    message = await client.beta.messages.create(
        model="claude", max_tokens=9, messages=ASK, tools=[TOOL], betas=["context-1m-2025-08-07", "b"]
    )
    assert message.content[0].text == "Hello"
    assert message.usage.output_tokens == 7
    (seen,) = bedrock.seen
    assert seen.path == "/model/eu.anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke"
    assert seen.json["anthropic_version"] == "bedrock-2023-05-31"
    assert seen.json["anthropic_beta"] == ["context-1m-2025-08-07", "b"]
    assert seen.json["tools"] == [TOOL]
    assert not {"model", "stream"} & set(seen.json)
    assert not {"anthropic-beta", "anthropic-version", "x-api-key"} & {name.lower() for name in seen.headers}


async def test_an_anthropic_client_gets_a_stream_with_a_tool(bedrock, serve, messages_client, wire):
    events = [
        wire.chunk(tree) for tree in wire.frames_of("Let me ", ("weather", {"city": "Köln"}), stop="tool_use")
    ]
    whole = b"".join(events)
    bedrock.events(whole[:100], whole[100:777], whole[777:])
    client = messages_client(await serve())
    async with client.messages.stream(model="claude", max_tokens=9, messages=ASK, tools=[TOOL]) as stream:
        message = await stream.get_final_message()
    assert message.content[0].text == "Let me "
    assert message.content[1].input == {"city": "Köln"}
    assert message.stop_reason == "tool_use"
    (seen,) = bedrock.seen
    assert seen.path.endswith("/invoke-with-response-stream")
    assert seen.headers["Accept"] == "application/vnd.amazon.eventstream"
    assert "stream" not in seen.json


async def test_a_chat_client_reaches_an_anthropic_model_whole_and_streamed(bedrock, serve, chat_client, wire):
    tool = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Köln"}}
    bedrock.answer({**wire.whole, "content": [tool], "stop_reason": "tool_use"})
    bedrock.events(*[wire.chunk(tree) for tree in wire.frames_of("Hel", "lo")])
    client = chat_client(await serve())
    asked = {"model": "claude", "messages": ASK, "tools": [FUNCTION]}
    completion = await client.chat.completions.create(**asked)
    (call,) = completion.choices[0].message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "Köln"})
    chunks = [each async for each in await client.chat.completions.create(**asked, stream=True)]
    assert "".join(each.choices[0].delta.content or "" for each in chunks if each.choices) == "Hello"
    assert [seen.path.rpartition("/")[2] for seen in bedrock.seen] == [
        "invoke",
        "invoke-with-response-stream",
    ]
    assert bedrock.seen[0].json["tools"][0]["name"] == "weather"


async def test_chat_and_responses_pass_through_to_models_that_speak_them(bedrock, serve, chat_client):
    bedrock.answer(COMPLETION)
    bedrock.answer(
        [sse(chunk("Hel"), chunk("lo"), chunk(finish="stop"), USAGE_CHUNK)], content_type="text/event-stream"
    )
    client = chat_client(await serve(models={"oss": f"aws/{OSS}"}))
    completion = await client.chat.completions.create(model="oss", messages=ASK)
    assert completion.choices[0].message.content == "Hello"
    chunks = [
        each async for each in await client.chat.completions.create(model="oss", messages=ASK, stream=True)
    ]
    assert "".join(each.choices[0].delta.content or "" for each in chunks if each.choices) == "Hello"
    assert [seen.path for seen in bedrock.seen] == ["/v1/chat/completions"] * 2
    assert [seen.json["model"] for seen in bedrock.seen] == [OSS, OSS]


async def test_a_chat_client_reaches_a_model_that_only_speaks_responses(bedrock, serve, chat_client):
    text = {"type": "output_text", "text": "Hello", "annotations": []}
    item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [text]}
    usage = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
    head = {"id": "r", "object": "response", "created_at": 1, "model": "x", "status": "completed"}
    bedrock.answer({**head, "output": [item], "usage": usage})
    client = chat_client(await serve(models={"luna": "aws/openai.gpt-5.6-luna"}))
    completion = await client.chat.completions.create(model="luna", messages=ASK)
    assert completion.choices[0].message.content == "Hello"
    assert (await client.responses.create(model="luna", input="hi")).output_text == "Hello"
    assert [seen.path for seen in bedrock.seen] == ["/openai/v1/responses"] * 2


async def test_tokens_are_counted_before_they_are_spent(bedrock, serve, messages_client, wire):
    import base64

    bedrock.answer({"inputTokens": 41})
    client = messages_client(await serve())
    assert (await client.messages.count_tokens(model="claude", messages=ASK)).input_tokens == 41
    (seen,) = bedrock.seen
    assert seen.path.endswith("/count-tokens")
    body = json.loads(base64.b64decode(seen.json["input"]["invokeModel"]["body"]))
    assert body == {"messages": ASK, "anthropic_version": "bedrock-2023-05-31", "max_tokens": 1}


async def test_what_a_model_does_not_speak_is_a_clear_404(bedrock, serve, messages_client):
    client = messages_client(await serve(models={"oss": f"aws/{OSS}"}))
    with pytest.raises(anthropic.NotFoundError, match="no target is left"):
        await client.messages.count_tokens(model="oss", messages=ASK)
    assert bedrock.seen == []
