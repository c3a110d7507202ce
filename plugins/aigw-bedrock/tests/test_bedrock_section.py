"""From a section of the configuration to a provider, and what its settings do."""

import re
import tomllib
from pathlib import Path

import aiohttp
import pytest
from aigw_bedrock import Bedrock, ModelRule
from aigw_bedrock.rules import rule_for
from aigw_bedrock.section import make_provider
from support.scripted import COMPLETION

import aigw
from aigw.config import ProviderConfig, Secret, TimeoutsConfig
from aigw.dialects.endpoints import Api

ASK = [{"role": "user", "content": "hi"}]


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
        timeouts=TimeoutsConfig(first_token_s=4.0),
    )
    assert type(made._transport).__name__ == "AiohttpTransport"
    assert made.apis == {Api.CHAT, Api.RESPONSES, Api.MESSAGES}
    assert (made.stream_usage, made.done_optional) == ("never", True)
    assert made.timeouts.first_token_s == 4.0
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
