"""CORS: what a browser's page may call, and that it can read what it gets."""

import pytest

import aigw
from aigw.config import AuthConfig, KeyConfig, Secret, ServerConfig

ORIGIN = "https://chat.example"
PATH = "/v1/chat/completions"


@pytest.fixture
async def url(upstream, serve):
    config = aigw.Config(
        server=ServerConfig(cors_origins=(ORIGIN,)), auth=AuthConfig(keys=(KeyConfig(key=Secret("sk-a")),))
    )
    gateway = aigw.Gateway(config)
    gateway.models.register("m", aigw.Provider(upstream.url, name="up"))
    upstream.answer()
    return await serve(gateway)


def preflight(origin, method="POST"):
    return {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization, content-type, x-stainless-os",
    }


@pytest.mark.parametrize(
    ("path", "method"), [(PATH, "POST"), ("/v1/models", "GET"), ("/v1/models/a/b", "GET")]
)
async def test_a_preflight_needs_no_key(url, http, path, method):
    async with http.options(url + path, headers=preflight(ORIGIN, method)) as response:
        assert response.status == 200
        assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
        allowed = response.headers["Access-Control-Allow-Headers"].lower()
        assert response.headers["Access-Control-Allow-Methods"] == method
    assert "authorization" in allowed
    assert "x-stainless-os" in allowed


async def test_a_page_of_another_origin_is_not_allowed(url, http):
    async with http.options(url + PATH, headers=preflight("https://evil.example")) as response:
        assert response.status == 403
        assert "Access-Control-Allow-Origin" not in response.headers
        assert (await response.json())["error"]["message"]


@pytest.mark.parametrize(
    ("key", "body", "status"),
    [
        ("sk-a", b'{"model": "m", "messages": []}', 200),
        ("sk-a", b"{", 400),
        ("sk-a", b'{"model": "x"}', 404),
        ("wrong", b"{}", 401),
    ],
)
async def test_a_page_can_read_every_answer_also_an_error(url, http, key, body, status):
    headers = {"Origin": ORIGIN, "Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    async with http.post(url + PATH, data=body, headers=headers) as response:
        assert response.status == status
        assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert "x-request-id" in response.headers["Access-Control-Expose-Headers"].lower()


async def test_a_page_can_read_a_stream(upstream, serve, http):
    from support.scripted import HELLO

    gateway = aigw.Gateway(aigw.Config(server=ServerConfig(cors_origins=("*",))))
    gateway.models.register("m", aigw.Provider(upstream.url, name="up"))
    upstream.stream(HELLO)
    body = {"model": "m", "messages": [], "stream": True}
    async with http.post(await serve(gateway) + PATH, json=body, headers={"Origin": ORIGIN}) as response:
        assert await response.read() == HELLO
        assert response.headers["Access-Control-Allow-Origin"] in {"*", ORIGIN}


async def test_no_page_is_allowed_unless_configured(gateway, upstream, serve, http):
    upstream.answer()
    url = await serve(gateway)
    async with http.post(url + PATH, json={"model": "m"}, headers={"Origin": ORIGIN}) as response:
        assert response.status == 403
        assert not [name for name in response.headers if name.lower().startswith("access-control")]
    async with http.options(url + PATH, headers=preflight(ORIGIN)) as response:
        assert response.status == 405
