import json
import logging
import re
import tomllib
from pathlib import Path

import aiohttp
import anthropic
import openai
import pytest
from aigw_bedrock import Bedrock, ModelRule
from aigw_bedrock.keys import AwsKeys
from aigw_bedrock.rules import rule_for
from aigw_bedrock.section import make_provider
from aigw_bedrock.signing import sign
from multidict import CIMultiDict
from support.scripted import COMPLETION, USAGE_CHUNK, chunk, sse
from yarl import URL

import aigw
from aigw.config import ProviderConfig, Secret
from aigw.dialects.endpoints import Api

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


@pytest.mark.parametrize(
    "model",
    [
        "anthropic.claude-3-haiku-20240307-v1:0",
        "arn:aws:bedrock:eu-central-1:123456789012:application-inference-profile/a1b2",
        "arn:aws:bedrock:eu-central-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0",
        "odd anthropic.nÄme+~%2F;x",
    ],
)
async def test_every_model_id_is_signed_as_it_is_sent(bedrock, serve, messages_client, wire, model):
    bedrock.answer(wire.whole)
    for transport in ("pool", "aiohttp"):
        client = messages_client(await serve(models={"claude": f"aws/{model}"}, transport=transport))
        await client.messages.create(model="claude", max_tokens=9, messages=ASK)
    first, second = bedrock.seen
    assert first.path == second.path
    assert first.path.count("/") == 3


async def test_a_large_body_a_query_and_a_session_token_are_signed_too(bedrock, serve, messages_client, wire):
    bedrock.answer(wire.whole)
    options = {"access_key": wire.access_key, "secret": wire.secret, "session_token": wire.token}
    client = messages_client(await serve(options, query={"b": "2 3", "a": "ü/"}))
    long = [{"role": "user", "content": "x" * 2**21}]
    await client.messages.create(model="claude", max_tokens=9, messages=long)
    assert bedrock.seen[0].size > 2**21
    assert bedrock.seen[0].headers["X-Amz-Security-Token"] == wire.token


@pytest.mark.parametrize("change", ["", "path", "query", "body", "content type", "date", "service", "region"])
async def test_the_server_of_these_tests_refuses_what_was_changed_after_signing(bedrock, wire, change):
    bedrock.answer(wire.whole)
    url = URL(bedrock.url + "/model/a%3Ab/invoke?x=1", encoded=True)
    headers, body = CIMultiDict({"Content-Type": "application/json"}), b"{}"
    region = "us-east-1" if change == "region" else wire.region
    service = "bedrock-mantle" if change == "service" else "bedrock"
    sign(AwsKeys(wire.access_key, wire.secret), region, service, str(url), headers, body)
    match change:
        case "path":
            url = URL(bedrock.url + "/model/a%3Ac/invoke?x=1", encoded=True)
        case "query":
            url = URL(bedrock.url + "/model/a%3Ab/invoke?x=2", encoded=True)
        case "body":
            body = b"[]"
        case "content type":
            headers["Content-Type"] = "text/plain"
        case "date":
            seconds = int(headers["X-Amz-Date"][-3:-1])
            headers["X-Amz-Date"] = f"{headers['X-Amz-Date'][:-3]}{(seconds + 1) % 60:02}Z"
    async with aiohttp.ClientSession() as http, http.post(url, data=body, headers=headers) as answer:
        assert answer.status == (403 if change else 200)


async def test_a_wrong_secret_is_the_gateways_fault_and_never_a_401(serve, messages_client, wire):
    options = {"access_key": wire.access_key, "secret": "wrong"}
    client = messages_client(await serve(options))
    with pytest.raises(anthropic.APIStatusError) as caught:
        await client.messages.create(model="claude", max_tokens=9, messages=ASK)
    assert caught.value.status_code == 502
    assert "credential" in caught.value.message


async def test_a_bedrock_api_key_is_sent_as_a_bearer_token(
    bedrock, serve, messages_client, wire, monkeypatch
):
    bedrock.answer(wire.whole)
    asked = {"model": "claude", "max_tokens": 9, "messages": ASK}
    await messages_client(await serve({}, api_key=wire.api_key)).messages.create(**asked)
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", wire.api_key)
    await messages_client(await serve({})).messages.create(**asked)
    await messages_client(await serve()).messages.create(**asked)
    given = [seen.headers["Authorization"].split()[0] for seen in bedrock.seen]
    assert given == ["Bearer", "Bearer", "AWS4-HMAC-SHA256"]


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


async def test_the_callers_own_bedrock_key_goes_upstream_where_that_is_wanted(bedrock, serve, wire):
    bedrock.answer(wire.whole)
    url = await serve(forward_client_key=True)
    client = anthropic.AsyncAnthropic(base_url=url, api_key=wire.api_key, max_retries=0)
    await client.messages.create(model="claude", max_tokens=9, messages=ASK)
    await client.close()
    assert bedrock.seen[0].headers["Authorization"] == f"Bearer {wire.api_key}"


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


async def test_no_secret_is_shown_or_logged(bedrock, serve, messages_client, wire, caplog):
    caplog.set_level(logging.DEBUG)
    bedrock.answer(wire.whole)
    options = {"access_key": wire.access_key, "secret": wire.secret, "session_token": wire.token}
    client = messages_client(await serve(options))
    await client.messages.create(model="claude", max_tokens=9, messages=ASK)
    made = make_provider("aws", ProviderConfig(kind="bedrock", options={**options, "region": "eu-west-1"}))
    shown = caplog.text + repr(made) + repr(vars(made)) + repr(vars(made._authority)["_keys"]._keys)
    assert wire.secret not in shown
    assert wire.token not in shown


async def test_what_a_model_speaks_can_be_said_in_the_configuration(bedrock, serve, chat_client):
    bedrock.answer(COMPLETION)
    rule = {"match": "mine*", "apis": ["chat"], "endpoint": "mantle", "path": "/openai/v1"}
    from_test = {"region": "eu-central-1", "models": [rule]}
    client = chat_client(await serve(from_test, {"mine": "aws/mine-1"}, api_key="bedrock-api-key-0123456789"))
    await client.chat.completions.create(model="mine", messages=ASK)
    assert bedrock.seen[0].path == "/openai/v1/chat/completions"


@pytest.mark.parametrize(
    ("model", "spoken", "endpoint", "path"),
    [
        ("anthropic.claude-3-haiku-20240307-v1:0", {"messages"}, "runtime", "/openai/v1"),
        ("global.anthropic.claude-opus-4-6-v1", {"messages"}, "runtime", "/openai/v1"),
        ("openai.gpt-oss-120b-1:0", {"chat"}, "runtime", "/openai/v1"),
        ("openai.gpt-oss-20b", {"chat", "responses"}, "mantle", "/v1"),
        ("openai.gpt-oss-safeguard-20b", {"chat"}, "mantle", "/v1"),
        ("openai.gpt-5.4", {"responses"}, "mantle", "/openai/v1"),
        ("nvidia.nemotron-nano-9b-v2", {"chat"}, "mantle", "/v1"),
    ],
)
def test_rules_say_what_is_known_of_each_family(model, spoken, endpoint, path):
    rule = rule_for(model, ())
    assert (rule.spoken, rule.endpoint, rule.path) == ({Api(name) for name in spoken}, endpoint, path)
    assert rule_for(model, (ModelRule("*", ("chat",)),)).spoken == {Api.CHAT}


def section(options, **more):
    return make_provider("aws", ProviderConfig(kind="bedrock", options=options, **more))


@pytest.mark.parametrize(
    ("options", "more", "said"),
    [
        ({"region": "x/y"}, {}, "providers.aws.options.region"),
        ({}, {}, "AWS_REGION"),
        ({"region": "eu-west-1", "secret": "shh-secret"}, {}, "both, or neither"),
        ({"region": "eu-west-1", "session_token": "shh-secret"}, {}, "beside session_token"),
        ({"region": "eu-west-1", "profile": "nobody"}, {}, "options.profile"),
        ({"region": "eu-west-1", "regiom": "x"}, {}, "regiom"),
        (
            {"region": "eu-west-1", "models": [{"match": "*", "apis": ["audio"]}]},
            {},
            "options.models[0].apis",
        ),
        ({"region": "eu-west-1", "models": [{"match": "*", "apis": ["chat"], "path": "v1"}]}, {}, "path"),
        (
            {"region": "a", "access_key": "k", "secret": "shh-secret"},
            {"api_key": Secret("shh-secret")},
            "not both",
        ),
        ({"region": "a", "access_key": "k", "secret": "shh-secret", "profile": "p"}, {}, "not both"),
    ],
)
def test_settings_that_cannot_be_used_are_named(options, more, said):
    with pytest.raises(aigw.ConfigError) as caught:
        section(options, **more)
    assert said in str(caught.value)
    assert "shh-secret" not in str(caught.value)


def test_the_region_is_found_in_options_environment_or_profile(monkeypatch, tmp_path):
    (tmp_path / "config").write_text("[profile work]\nregion = ap-south-1\n")
    (tmp_path / "credentials").write_text("[work]\naws_access_key_id = a\naws_secret_access_key = b\n")
    assert "bedrock-runtime.ap-south-1.amazonaws.com'" in repr(section({"profile": "work"}))
    monkeypatch.setenv("AWS_REGION", "cn-north-1")
    assert "bedrock-runtime.cn-north-1.amazonaws.com.cn'" in repr(section({"profile": "work"}))
    assert "bedrock-runtime.eu-west-1.amazonaws.com'" in repr(section({"region": "eu-west-1"}))


async def test_settings_of_the_section_are_honoured(bedrock, serve, wire):
    made = section(
        {"region": "eu-west-1", "access_key": "k", "secret": "s"},
        apis=("all",),
        proxy=Secret("http://proxy.internal:3128"),
        forward_headers=("X-Amzn-Bedrock-GuardrailIdentifier",),
        stream_usage="never",
        done_marker="optional",
    )
    assert type(made._transport).__name__ == "AiohttpTransport"
    assert made.apis == {Api.CHAT, Api.RESPONSES, Api.MESSAGES}
    assert (made.stream_usage, made.done_optional) == ("never", True)
    face = made.face("anthropic.claude-x")
    assert (face.name, face.apis, face.forward_headers) == ("aws", {Api.MESSAGES}, made.forward_headers)
    bedrock.answer(wire.whole)
    url = await serve(headers={"X-Extra": "1"}, forward_headers=["X-Amzn-Bedrock-GuardrailIdentifier"])
    body = {"model": "claude", "max_tokens": 1, "messages": ASK}
    async with aiohttp.ClientSession() as http:
        headers = {"X-Amzn-Bedrock-GuardrailIdentifier": "gr-1"}
        async with http.post(url + "/v1/messages", json=body, headers=headers) as answer:
            assert answer.status == 200
    assert bedrock.seen[0].headers["X-Amzn-Bedrock-GuardrailIdentifier"] == "gr-1"
    assert bedrock.seen[0].headers["X-Extra"] == "1"


def test_every_example_of_the_readme_is_read():
    text = (Path(__file__).parents[1] / "README.md").read_text()
    blocks = re.findall(r"```(toml|python)\n(.*?)```", text, re.DOTALL)
    assert {kind for kind, _ in blocks} == {"toml", "python"}
    for kind, block in blocks:
        if kind == "python":
            exec(block, {})
            continue
        config = aigw.config.loads(tomllib.loads(block), {"KEY": "k", "SECRET": "s"}, known_providers=None)
        for name, made in config.providers.items():
            assert make_provider(name, made).name == name


def test_the_plugin_is_one():
    gateway = aigw.Gateway()
    gateway.hooks.register(Bedrock(), name="bedrock")
    gateway.provide()
    assert "bedrock" in gateway.registry.kinds
