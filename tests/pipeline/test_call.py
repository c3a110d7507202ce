"""The fifth link: what a provider is sent, and above all what it is not."""

import pytest

import aigw

PATH = "/v1/embeddings"
SECRETS = {
    "Authorization": "Bearer sk-client-secret",
    "x-api-key": "sk-client-secret",
    "api-key": "sk-client-secret",
    "x-goog-api-key": "sk-client-secret",
    "Proxy-Authorization": "Basic secret",
    "Cookie": "session=secret",
    "X-Forwarded-For": "127.0.0.1",
    "X-Internal-Secret": "secret",
}


def at(upstream, **options):
    gateway = aigw.Gateway()
    gateway.models.register("m", aigw.Provider(upstream.url, name="up", **options))
    upstream.answer()
    return gateway


async def ask(http, url, headers):
    async with http.post(url + PATH, json={"model": "m"}, headers=headers) as response:
        assert response.status == 200, await response.text()


async def test_no_secret_of_the_client_reaches_the_provider(upstream, serve, http):
    config = aigw.Config(auth=aigw.config.AuthConfig(allow_anonymous=True))
    gateway = aigw.Gateway(config)
    gateway.models.register("m", aigw.Provider(upstream.url, "sk-upstream", name="up"))
    upstream.answer()
    await ask(http, await serve(gateway), SECRETS)
    seen = upstream.seen[0].headers
    assert seen["Authorization"] == "Bearer sk-upstream"
    assert "secret" not in str(seen)
    assert "127.0.0.1" not in str({name: value for name, value in seen.items() if name != "Host"})


async def test_a_provider_without_a_key_gets_no_credential_at_all(upstream, serve, http):
    await ask(http, await serve(at(upstream)), {"Authorization": "Bearer sk-client"})
    assert "Authorization" not in upstream.seen[0].headers


async def test_a_providers_own_headers_arrive(upstream, serve, http):
    await ask(http, await serve(at(upstream, api_key="k", headers={"X-Team": "blue"})), {"X-Team": "red"})
    assert upstream.seen[0].headers["X-Team"] == "blue"


@pytest.mark.parametrize(
    "headers", [{"Authorization": "Bearer sk-client"}, {"x-api-key": "sk-client"}, {"api-key": "sk-client"}]
)
async def test_a_provider_that_wants_the_clients_key_gets_it(upstream, serve, http, headers):
    await ask(http, await serve(at(upstream, api_key="sk-own", forward_client_key=True)), headers)
    assert upstream.seen[0].headers["Authorization"] == "Bearer sk-client"


async def test_a_provider_that_wants_the_clients_key_gets_its_own_where_there_is_none(upstream, serve, http):
    await ask(http, await serve(at(upstream, api_key="sk-own", forward_client_key=True)), {})
    assert upstream.seen[0].headers["Authorization"] == "Bearer sk-own"


async def test_headers_that_change_the_answer_go_on(upstream, serve, http):
    headers = {
        "OpenAI-Beta": "assistants=v2",
        "Idempotency-Key": "1",
        "traceparent": "00-1-2-01",
        "Accept": "application/json",
    }
    await ask(http, await serve(at(upstream)), headers)
    seen = upstream.seen[0].headers
    assert {name: seen.get(name) for name in headers} == headers


async def test_headers_a_provider_asks_for_go_on_but_never_a_credential(upstream, serve, http):
    wanted = ["X-Trace", "Cookie", "Authorization", "x-api-key", "Connection", "Content-Type", "Missing"]
    gateway = at(upstream, api_key="sk-own", forward_headers=wanted)
    headers = {"X-Trace": "7", "Cookie": "a=secret", "x-api-key": "secret"}
    await ask(http, await serve(gateway), headers)
    seen = upstream.seen[0].headers
    assert seen["X-Trace"] == "7"
    assert "secret" not in str(seen)
    assert seen["Authorization"] == "Bearer sk-own"
    assert seen["Content-Type"] == "application/json"


class Editing:
    name = "editing"

    async def before_call(self, exchange, attempt, call):
        call.headers["X-Attempt"] = str(attempt.number)
        call.body = b'{"edited": true}'
        call.query = "edited=1"


async def test_a_plugin_may_edit_what_is_sent(upstream, serve, http):
    gateway = at(upstream)
    gateway.hooks.register(Editing())
    await ask(http, await serve(gateway), {})
    (seen,) = upstream.seen
    assert (seen.headers["X-Attempt"], seen.body, seen.query) == ("1", b'{"edited": true}', "edited=1")


class Odd(aigw.BaseProvider):
    """Fails in a way of its own."""

    async def call(self, call):
        raise ZeroDivisionError("inner secret")


async def test_a_provider_that_fails_in_its_own_way_is_an_upstream_failure(serve, http, caplog):
    gateway = aigw.Gateway()
    gateway.models.register("m", Odd("odd"))
    async with http.post(await serve(gateway) + PATH, json={"model": "m"}) as response:
        body = await response.text()
    assert response.status == 502
    assert "odd" in body
    assert "secret" not in body
    assert "inner secret" in caplog.text


class Renaming:
    name = "renaming"

    async def rewrite_request(self, exchange, payload):
        payload.edit()["model"] = "m"
        payload.edit()["added"] = [1]


async def test_a_model_that_a_plugin_writes_is_the_one_that_is_routed(upstream, serve, http):
    gateway = at(upstream)
    gateway.hooks.register(Renaming())
    async with http.post(await serve(gateway) + PATH, json={"model": "nothing", "x": 1}) as response:
        assert response.status == 200
    assert upstream.seen[0].json == {"model": "m", "x": 1, "added": [1]}


class Spoiling:
    name = "spoiling"

    async def rewrite_request(self, exchange, payload):
        del payload.edit()["model"]


async def test_a_model_that_a_plugin_takes_away_is_missing(upstream, serve, http):
    gateway = at(upstream)
    gateway.hooks.register(Spoiling())
    async with http.post(await serve(gateway) + PATH, json={"model": "m"}) as response:
        assert response.status == 400
