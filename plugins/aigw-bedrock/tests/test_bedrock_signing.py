"""Which credential goes with a request, and that what is signed is what is sent."""

import logging

import aiohttp
import anthropic
import pytest
from aigw_bedrock.keys import AwsKeys
from aigw_bedrock.section import make_provider
from aigw_bedrock.signing import sign
from multidict import CIMultiDict
from yarl import URL

from aigw.config import ProviderConfig

ASK = [{"role": "user", "content": "hi"}]


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


async def test_the_callers_own_bedrock_key_goes_upstream_where_that_is_wanted(bedrock, serve, wire):
    bedrock.answer(wire.whole)
    url = await serve(forward_client_key=True)
    client = anthropic.AsyncAnthropic(base_url=url, api_key=wire.api_key, max_retries=0)
    await client.messages.create(model="claude", max_tokens=9, messages=ASK)
    await client.close()
    assert bedrock.seen[0].headers["Authorization"] == f"Bearer {wire.api_key}"


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
