"""From a section of the configuration to a provider, and what its settings do."""

import re
import tomllib
from pathlib import Path

import pytest
from aigw_vertex import VertexProvider
from aigw_vertex.publishers import split_model, spoken_by
from aigw_vertex.section import make_provider
from aigw_vertex.tokens import GivenTokens
from support.clouds import WHOLE

import aigw
from aigw.config import ProviderConfig, Secret, TimeoutsConfig
from aigw.dialects.endpoints import Api

ASK = [{"role": "user", "content": "hi"}]


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
            timeouts=TimeoutsConfig(first_token_s=4.0),
        ),
    )
    assert type(made._transport).__name__ == "AiohttpTransport"
    assert made.apis == {Api.CHAT, Api.GEMINI, Api.MESSAGES}
    assert made._tokens._proxy == "http://user:shh@proxy.internal:3128"
    assert "shh" not in repr(made) + repr(vars(made)["_tokens"])
    assert made.timeouts.first_token_s == 4.0
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
