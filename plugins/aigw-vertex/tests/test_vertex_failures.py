"""Google's failures in the words of the client's API."""

import asyncio
import json

import anthropic
import openai
import pytest
from google.genai import errors as genai_errors
from support.clouds import gemini_client

ASK = [{"role": "user", "content": "hi"}]


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
