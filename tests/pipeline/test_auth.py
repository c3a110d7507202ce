"""The first link: who is asking, and what an open gateway is."""

import pytest
from aiohttp.test_utils import make_mocked_request
from support.answers import error_of, field, file, form

import aigw
from aigw.config import AuthConfig, KeyConfig, Secret, ServerConfig
from aigw.pipeline.auth import is_local

PATH = "/v1/embeddings"


def open_gateway(upstream, **options):
    gateway = aigw.Gateway(aigw.Config(auth=AuthConfig(**options)))
    gateway.models.register("m", aigw.Provider(upstream.url, name="up"))
    upstream.answer()
    return gateway


async def test_an_open_gateway_serves_its_own_machine(upstream, serve, http):
    async with http.post(await serve(open_gateway(upstream)) + PATH, json={"model": "m"}) as response:
        assert response.status == 200


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded"])
@pytest.mark.parametrize("path", [PATH, "/v1/models"])
async def test_an_open_gateway_refuses_what_a_proxy_hands_on(upstream, serve, http, header, path):
    url = await serve(open_gateway(upstream)) + path
    method = "POST" if path == PATH else "GET"
    async with http.request(method, url, json={"model": "m"}, headers={header: "127.0.0.1"}) as response:
        error = await error_of(response, 401, "invalid_api_key")
        assert response.headers["www-authenticate"] == "Bearer"
    assert "AIGW_API_KEY" in error["message"]
    assert not upstream.seen


async def test_a_gateway_opened_on_purpose_serves_everyone(upstream, serve, http):
    url = await serve(open_gateway(upstream, allow_anonymous=True)) + PATH
    async with http.post(url, json={"model": "m"}, headers={"X-Forwarded-For": "9.9.9.9"}) as response:
        assert response.status == 200


@pytest.mark.parametrize(
    ("remote", "local"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("10.0.0.1", False),
        ("::2", False),
        ("fe80::1%eth0", False),
        ("nonsense", False),
    ],
)
def test_only_loopback_is_local(remote, local):
    assert is_local(make_mocked_request("GET", "/").clone(remote=remote)) is local


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://evil.example", 403),
        ("http://127.0.0.1.evil.example:8080", 403),
        ("http://10.0.0.1", 403),
        ("null", 403),
        ("http://[", 403),
        ("http://localhost:3000", 200),
        ("http://127.0.0.1:3000", 200),
        ("http://[::1]:3000", 200),
        ("https://listed.example", 200),
        ("app://desktop", 200),
    ],
)
async def test_an_open_gateway_serves_no_web_page_from_elsewhere(upstream, serve, http, origin, status):
    config = aigw.Config(server=ServerConfig(cors_origins=("https://listed.example",)))
    gateway = aigw.Gateway(config)
    gateway.models.register("m", aigw.Provider(upstream.url, name="up"))
    upstream.answer()
    body, headers = form(field("model", b"m"), file("file", b"x"))
    url = await serve(gateway) + "/v1/audio/transcriptions"
    async with http.post(url, data=body, headers={**headers, "Origin": origin}) as response:
        if status == 403:
            error = await error_of(response, 403, "permission_denied")
            assert "cors_origins" in error["message"]
        else:
            assert response.status == 200
    assert len(upstream.seen) == (status == 200)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:8080", 200),
        ("127.0.0.1:8080", 200),
        ("127.9.9.9", 200),
        ("[::1]:8080", 200),
        ("box.lan:8080", 200),
        ("evil.example", 403),
        ("evil.example:8080", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost.evil.example", 403),
        ("10.0.0.1", 403),
        ("[::2]", 403),
        ("[", 403),
    ],
)
@pytest.mark.parametrize("path", [PATH, "/v1/models"])
async def test_an_open_gateway_does_not_answer_as_another_host(upstream, serve, http, path, host, status):
    gateway = aigw.Gateway(aigw.Config(server=ServerConfig(host="box.lan")))
    gateway.models.register("m", aigw.Provider(upstream.url, name="up"))
    upstream.answer()
    method = "POST" if path == PATH else "GET"
    url = await serve(gateway) + path
    async with http.request(method, url, json={"model": "m"}, headers={"Host": host}) as response:
        if status == 403:
            error = await error_of(response, 403, "permission_denied")
            assert "localhost" in error["message"]
            assert "auth.keys" in error["message"]
            assert not upstream.seen
        else:
            assert response.status == 200


@pytest.mark.parametrize(
    "auth", [AuthConfig(allow_anonymous=True), AuthConfig(keys=(KeyConfig(Secret("sk-1")),))]
)
async def test_a_gateway_that_is_not_open_by_chance_answers_as_any_host(upstream, serve, http, auth):
    gateway = aigw.Gateway(aigw.Config(auth=auth))
    gateway.models.register("m", aigw.Provider(upstream.url, name="up"))
    upstream.answer()
    headers = {"Host": "llm.example", "Authorization": "Bearer sk-1"}
    async with http.post(await serve(gateway) + PATH, json={"model": "m"}, headers=headers) as response:
        assert response.status == 200


class Doorman:
    name = "doorman"

    def __init__(self, answer):
        self.answer = answer

    async def authenticate(self, exchange):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def test_the_first_plugin_that_names_somebody_decides(gateway, upstream, complete, serve, http):
    upstream.answer()
    gateway.hooks.register(Doorman(None), name="first")
    gateway.hooks.register(Doorman(aigw.Identity("two")), name="second")
    gateway.hooks.register(Doorman(aigw.Identity("three")), name="third")
    async with http.post(await serve(gateway) + PATH, json={"model": "m"}) as response:
        assert response.status == 200
    assert complete[0].tenant == "two"


async def test_nothing_of_a_strangers_body_is_read(gateway, complete, serve, http):
    gateway.hooks.register(Doorman(None))
    async with http.post(await serve(gateway) + PATH, data=b"{", headers={"x-api-key": "k"}) as response:
        await error_of(response, 401, "invalid_api_key")
    assert complete[0].bytes_in == 0


async def test_a_doorman_that_fails_lets_nobody_in(gateway, upstream, serve, http, caplog):
    gateway.hooks.register(Doorman(ZeroDivisionError()))
    gateway.hooks.register(Doorman(aigw.Identity("two")), name="second")
    async with http.post(await serve(gateway) + PATH, json={"model": "m"}) as response:
        await error_of(response, 500, "hook_failed")
    assert not upstream.seen


async def test_a_doorman_may_refuse_in_its_own_words(gateway, serve, http):
    refusal = aigw.ClientError("not today", kind=aigw.ErrorKind.PERMISSION)
    gateway.hooks.register(Doorman(refusal))
    async with http.post(await serve(gateway) + PATH, json={"model": "m"}) as response:
        assert (await error_of(response, 403, "permission_denied"))["message"] == "not today"
