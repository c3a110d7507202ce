"""Bedrock's failures in the words of the client's API: before an answer, and amid a stream."""

import anthropic
import openai
import pytest

ASK = [{"role": "user", "content": "hi"}]
OSS = "openai.gpt-oss-120b"


@pytest.mark.parametrize(
    ("error", "status", "text", "wanted"),
    [
        ("ThrottlingException", 429, "Too many tokens", (429, "rate_limit_error")),
        ("ServiceQuotaExceededException", 400, "used up", (429, "rate_limit_error")),
        ("ValidationException", 400, "max_tokens: Field required", (400, "invalid_request_error")),
        (
            "ValidationException",
            400,
            "Input is too long for requested model.",
            (400, "invalid_request_error"),
        ),
        ("ValidationException", 400, "The provided model identifier is invalid.", (404, "not_found_error")),
        ("ResourceNotFoundException", 404, "end of life", (404, "not_found_error")),
        ("AccessDeniedException", 403, "You don't have access", (502, "api_error")),
        ("ModelErrorException", 424, "it failed", (502, "api_error")),
        ("ModelTimeoutException", 408, "too slow", (504, "timeout_error")),
        ("ServiceUnavailableException", 503, "later", (529, "overloaded_error")),
        ("InternalServerException", 500, "oops", (502, "api_error")),
        ("NeverSeenException", 418, "what", (418, "invalid_request_error")),
        ("", 500, "", (502, "api_error")),
    ],
)
async def test_failures_are_named_in_the_words_of_the_api(
    bedrock, serve, messages_client, error, status, text, wanted
):
    bedrock.answer({"message": text}, status=status, headers={"x-amzn-errortype": f"{error}:http://x/"})
    client = messages_client(await serve())
    with pytest.raises(anthropic.APIStatusError) as caught:
        await client.messages.create(model="claude", max_tokens=9, messages=ASK)
    assert (caught.value.status_code, caught.value.body["error"]["type"]) == wanted


async def test_a_context_that_is_too_long_is_told_to_a_chat_client_as_such(bedrock, serve, chat_client):
    headers = {"x-amzn-errortype": "ValidationException"}
    bedrock.answer({"message": "Input is too long for requested model."}, status=400, headers=headers)
    client = chat_client(await serve(models={"claude": "aws/anthropic.claude-x", "oss": f"aws/{OSS}"}))
    for model in ("claude", "oss"):
        with pytest.raises(openai.BadRequestError) as caught:
            await client.chat.completions.create(model=model, messages=ASK)
        assert caught.value.code == "context_length_exceeded"


async def test_another_provider_answers_where_bedrock_is_throttled(bedrock, serve, chat_client):
    bedrock.answer({"message": "slow"}, status=429, headers={"x-amzn-errortype": "ThrottlingException"})
    targets = ["aws/anthropic.claude-x", {"provider": "demo", "model": "x", "weight": 0}]
    client = chat_client(await serve(models={"claude": {"targets": targets}, "demo": "demo/x"}))
    for model in ("claude", "demo"):
        assert (await client.chat.completions.create(model=model, messages=ASK)).choices[0].message.content
    assert [seen.path for seen in bedrock.seen] == ["/model/anthropic.claude-x/invoke"]


@pytest.mark.parametrize("body", [b"<html>busy</html>", b"[]", b""])
async def test_a_failure_without_words_of_bedrock_is_still_one(bedrock, serve, messages_client, body):
    bedrock.answer([body], status=503, content_type="text/html")
    client = messages_client(await serve())
    with pytest.raises(anthropic.APIStatusError, match="status 503") as caught:
        await client.messages.create(model="claude", max_tokens=9, messages=ASK)
    assert caught.value.status_code == 529


@pytest.mark.parametrize("body", [b"<html>", b"[]"])
async def test_a_count_that_is_none_is_the_providers_failure(bedrock, serve, messages_client, body):
    bedrock.answer([body])
    client = messages_client(await serve())
    with pytest.raises(anthropic.APIStatusError, match="token count") as caught:
        await client.messages.count_tokens(model="claude", messages=ASK)
    assert caught.value.status_code == 502


async def test_mantles_own_errors_are_left_as_they_are(bedrock, serve, chat_client):
    bedrock.answer({"error": {"message": "no", "type": "invalid_request_error", "code": "x"}}, status=400)
    client = chat_client(await serve(models={"oss": f"aws/{OSS}"}))
    with pytest.raises(openai.BadRequestError) as caught:
        await client.chat.completions.create(model="oss", messages=ASK)
    assert caught.value.code == "x"


async def test_an_exception_amid_a_stream_reaches_the_client_as_an_error(
    bedrock, serve, messages_client, wire
):
    start = [wire.chunk(tree) for tree in list(wire.frames_of("Hel"))[:3]]
    bedrock.events(*start, wire.exception("modelStreamErrorException", "it broke"))
    client = messages_client(await serve())
    with pytest.raises(anthropic.APIStatusError, match="it broke"):
        async with client.messages.stream(model="claude", max_tokens=9, messages=ASK) as stream:
            async for _ in stream:
                pass


async def test_a_stream_throttled_at_its_start_is_a_429(bedrock, serve, messages_client, wire):
    bedrock.events(wire.exception("throttlingException", "slow down"))
    client = messages_client(await serve())
    with pytest.raises(anthropic.RateLimitError):
        await client.messages.create(model="claude", max_tokens=9, messages=ASK, stream=True)
