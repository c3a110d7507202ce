"""Static keys: whose they are, and what they open."""

from hashlib import sha256

import pytest
from support.answers import error_of

import aigw
from aigw.config import AuthConfig, KeyConfig, Secret
from aigw.pipeline.admit import is_allowed

PATH = "/v1/embeddings"
KEYS = (
    KeyConfig(key=Secret("sk-blue"), tenant="blue", name="laptop", models=("m", "family/*")),
    KeyConfig(key_hash="sha256:" + sha256(b"sk-red").hexdigest(), tenant="red"),
    KeyConfig(key_hash="sha256:" + sha256("sk-grün".encode()).hexdigest(), tenant="green"),
)


@pytest.fixture
async def url(upstream, serve, kept):
    upstream.answer()
    return await serve(kept[0])


@pytest.fixture
def kept(upstream):
    gateway = aigw.Gateway(aigw.Config(auth=AuthConfig(keys=KEYS)))
    provider = aigw.Provider(upstream.url, "sk-up", name="up")
    for name in ("m", "n", "family/a"):
        gateway.models.register(name, provider)

    class Keep:
        name = "keep"

        def __init__(self):
            self.records = []

        def on_complete(self, record):
            self.records.append(record)

    keep = Keep()
    gateway.hooks.register(keep)
    return gateway, keep.records


@pytest.mark.parametrize(
    ("headers", "tenant", "name"),
    [
        ({"Authorization": "Bearer sk-blue"}, "blue", "laptop"),
        ({"Authorization": "bearer  sk-blue"}, "blue", "laptop"),
        ({"x-api-key": "sk-blue"}, "blue", "laptop"),
        ({"api-key": "sk-red"}, "red", None),
        ({"x-goog-api-key": "sk-red"}, "red", None),
        ({"Authorization": "Bearer sk-grün"}, "green", None),
    ],
)
async def test_a_known_key_names_its_tenant(url, http, kept, headers, tenant, name):
    async with http.post(url + PATH, json={"model": "m"}, headers=headers) as response:
        assert response.status == 200
    assert [(record.tenant, record.key_name) for record in kept[1]] == [(tenant, name)]


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({}, "no API key"),
        ({"Authorization": ""}, "no API key"),
        ({"Authorization": "Bearer "}, "no API key"),
        ({"Authorization": "Basic c2stYmx1ZQ=="}, "no API key"),
        ({"Authorization": "Bearer sk-blu"}, "not known"),
        ({"Authorization": "Bearer sk-blue-"}, "not known"),
        ({"Authorization": "Bearer " + sha256(b"sk-red").hexdigest()}, "not known"),
        ({"Authorization": "Bearer x", "x-api-key": "sk-blue"}, "not known"),
    ],
)
@pytest.mark.parametrize("path", [PATH, "/v1/models", "/v1/models/m"])
async def test_an_unknown_key_gets_a_401_of_one_shape(url, upstream, http, kept, headers, words, path):
    method = "POST" if path == PATH else "GET"
    async with http.request(method, url + path, json={"model": "m"}, headers=headers) as response:
        error = await error_of(response, 401, "invalid_api_key")
        assert response.headers["www-authenticate"] == "Bearer"
    assert words in error["message"]
    assert "sk-" not in str(error)
    assert error["type"] == "invalid_request_error"
    assert not upstream.seen
    assert [(record.tenant, record.status) for record in kept[1]] == [("anonymous", 401)]


@pytest.mark.parametrize(
    ("model", "status"), [("m", 200), ("family/a", 200), ("n", 403), ("up/m", 403), ("zzz", 403)]
)
async def test_a_key_opens_its_own_models_alone(url, upstream, http, model, status):
    headers = {"Authorization": "Bearer sk-blue"}
    async with http.post(url + PATH, json={"model": model}, headers=headers) as response:
        if status == 200:
            assert response.status == 200
            return
        error = await error_of(response, 403, "model_not_allowed", "model")
    assert model in error["message"]
    assert "family/*" in error["message"]
    assert not upstream.seen


async def test_a_tenant_sees_its_own_models_alone(url, upstream, http):
    for key, wanted in (("sk-blue", {"m", "family/a"}), ("sk-red", {"m", "n", "family/a"})):
        async with http.get(url + "/v1/models", headers={"Authorization": f"Bearer {key}"}) as response:
            rows = (await response.json())["data"]
        assert {row["id"] for row in rows} == wanted


@pytest.mark.parametrize(("model", "status"), [("m", 200), ("n", 404), ("zzz", 404)])
async def test_a_tenant_is_told_nothing_of_other_models(url, http, model, status):
    async with http.get(f"{url}/v1/models/{model}", headers={"Authorization": "Bearer sk-blue"}) as response:
        assert response.status == status


async def test_pages_of_health_need_no_key(url, http):
    for path in ("/health", "/healthz", "/livez", "/readyz"):
        async with http.get(url + path) as response:
            assert response.status == 200


def test_nothing_but_a_star_is_a_wildcard_in_what_a_key_may_use():
    assert is_allowed("gpt-4o", ("o1", "gpt-*"))
    assert not is_allowed("gpt-4", ("gpt-[45]", "gpt-?"))
