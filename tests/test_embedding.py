"""The gateway as a part of somebody else's aiohttp application."""

import aiohttp
import pytest
from aiohttp import web

import aigw
from aigw.assemble import to_config
from aigw.config import ServerConfig

ASK = {"messages": [{"role": "user", "content": "hi"}]}


class Tag(aigw.Plugin):
    """Writes its word into every answer's provider name, by way of a header sent upstream."""

    def __init__(self, word):
        self.word = word
        self.events = []
        self.name = f"tag-{word}"

    async def setup(self, gateway):
        self.events.append("opened")
        yield
        self.events.append("closed")

    def on_complete(self, record):
        self.events.append(record.model)


class Echo(aigw.BaseProvider):
    """A provider that is not HTTP at all."""

    async def call(self, call):
        message = call.json()["messages"][-1]["content"]
        choice = {"index": 0, "message": {"role": "assistant", "content": f"{self.name}: {message}"}}
        return aigw.Answer.json(
            {"id": "1", "object": "chat.completion", "created": 1, "model": call.model, "choices": [choice]}
        )


def echo_gateway(word, **server):
    gateway = aigw.Gateway(aigw.Config(server=ServerConfig(**server)))
    gateway.models.register(f"{word}-model", Echo(word, apis=["chat"]))
    plugin = Tag(word)
    gateway.hooks.register(plugin)
    return gateway, plugin


async def ask(client, path, model, **more):
    async with client.post(path, json={"model": model, **ASK, **more}) as response:
        return response.status, await response.json(), response


async def test_two_gateways_in_one_application_keep_apart(aiohttp_client):
    (one, first), (two, second) = echo_gateway("one"), echo_gateway("two")
    parent = web.Application()
    parent.add_subapp("/one/", one.make_app())
    parent.add_subapp("/deep/down/two", two.make_app())
    client = await aiohttp_client(parent)
    status, tree, _ = await ask(client, "/one/v1/chat/completions", "one-model")
    assert (status, tree["choices"][0]["message"]["content"]) == (200, "one: hi")
    status, tree, _ = await ask(client, "/deep/down/two/v1/chat/completions", "two-model")
    assert (status, tree["choices"][0]["message"]["content"]) == (200, "two: hi")
    status, tree, _ = await ask(client, "/one/v1/chat/completions", "two-model")
    assert (status, tree["error"]["code"]) == (404, "model_not_found")
    await client.close()
    assert first.events == ["opened", "one-model", "two-model", "closed"]
    assert second.events == ["opened", "two-model", "closed"]


async def test_two_gateways_in_one_process_have_their_own_metrics(aiohttp_client):
    (one, _), (two, _) = echo_gateway("one"), echo_gateway("two")
    first, second = await aiohttp_client(one.make_app()), await aiohttp_client(two.make_app())
    assert (await ask(first, "/v1/chat/completions", "one-model"))[0] == 200
    assert "one-model" in await (await first.get("/metrics")).text()
    assert "one-model" not in await (await second.get("/metrics")).text()


@pytest.mark.parametrize("prefix", ["/ai/", "/ai", "/a/b/c"])
@pytest.mark.parametrize("parent_limit", [100, 10**9])
async def test_our_body_limit_holds_whatever_the_parents_is(aiohttp_client, prefix, parent_limit):
    gateway, _ = echo_gateway("one", max_body_bytes=5000)
    parent = web.Application(client_max_size=parent_limit)
    parent.add_subapp(prefix, gateway.make_app())
    client = await aiohttp_client(parent)
    url = prefix.rstrip("/") + "/v1/chat/completions"
    assert (await ask(client, url, "one-model", user="x" * 4000))[0] == 200
    status, tree, _ = await ask(client, url, "one-model", user="x" * 6000)
    assert (status, tree["error"]["code"]) == (413, "request_too_large")


async def test_the_parents_middlewares_run_around_ours(aiohttp_client):
    seen = []

    @web.middleware
    async def outer(request, handler):
        response = await handler(request)
        seen.append((request.path, response.status))
        return response

    gateway, _ = echo_gateway("one")
    parent = web.Application(middlewares=[outer])
    parent.add_subapp("/ai/", gateway.make_app())
    client = await aiohttp_client(parent)
    await ask(client, "/ai/v1/chat/completions", "one-model")
    await ask(client, "/ai/v1/chat/completions", "no-such-model")
    await client.get("/ai/health")
    assert [status for _, status in seen] == [200, 404, 200]


async def test_the_parents_own_pages_and_errors_stay_its_own(aiohttp_client):
    async def page(_request):
        return web.Response(text="parent")

    gateway, _ = echo_gateway("one")
    parent = web.Application()
    parent.router.add_get("/health", page)
    parent.add_subapp("/ai/", gateway.make_app())
    client = await aiohttp_client(parent)
    assert await (await client.get("/health")).text() == "parent"
    assert (await client.get("/nowhere")).content_type == "text/plain"
    missing = await client.get("/ai/nowhere")
    assert (missing.status, (await missing.json())["error"]["code"]) == (404, "unknown_url")


async def test_a_parent_that_fails_to_start_closes_what_we_opened(aiohttp_client):
    async def broken(_app):
        raise RuntimeError("parent is broken")
        yield

    gateway, plugin = echo_gateway("one")
    parent = web.Application()
    parent.add_subapp("/ai/", gateway.make_app())
    parent.cleanup_ctx.append(broken)
    runner = web.AppRunner(parent)
    with pytest.raises(RuntimeError, match="parent is broken"):
        await runner.setup()
    await runner.cleanup()
    assert plugin.events in ([], ["opened", "closed"])


@pytest.mark.parametrize("form", ["none", "dict", "path", "text", "config"])
async def test_make_app_takes_configuration_in_every_form(aiohttp_client, tmp_path, form):
    file = tmp_path / "aigw.toml"
    file.write_text('[models]\nm = { targets = ["demo/demo"] }\n')
    tree = {"models": {"m": {"targets": ["demo/${NAME}"]}}}
    forms = {
        "none": None,
        "dict": tree,
        "path": file,
        "text": str(file),
        "config": to_config(tree, {"NAME": "demo"}),
    }
    client = await aiohttp_client(aigw.make_app(forms[form], env={"NAME": "demo"}))
    status, tree, response = await ask(client, "/v1/chat/completions", "m")
    assert (status, response.headers["x-aigw-provider"]) == (200, "demo")


@pytest.mark.parametrize("config", [None, {}, aigw.Config()])
async def test_the_environments_key_guards_an_embedded_gateway_too(aiohttp_client, config):
    client = await aiohttp_client(aigw.make_app(config, env={"AIGW_API_KEY": "sk-1"}))
    assert (await ask(client, "/v1/chat/completions", "m"))[0] == 401
    good = {"Authorization": "Bearer sk-1"}
    async with client.post("/v1/chat/completions", json={"model": "m", **ASK}, headers=good) as response:
        assert response.status == 200


def test_make_app_tells_every_mistake():
    with pytest.raises(aigw.ConfigError) as caught:
        aigw.make_app({"server": {"port": -1, "prot": 1}, "models": {"m": {"targets": 3}}}, env={})
    told = str(caught.value)
    assert all(word in told for word in ("server.port", "prot", "models.m")), told
    assert len(caught.value.problems) == 3


async def test_a_client_session_of_the_parent_can_call_its_own_gateway(aiohttp_server):
    gateway, _ = echo_gateway("one")
    parent = web.Application()
    parent.add_subapp("/ai/", gateway.make_app())
    server = await aiohttp_server(parent)
    async with aiohttp.ClientSession() as session:
        url = server.make_url("/ai/v1/models")
        assert [row["id"] for row in (await (await session.get(url)).json())["data"]] == ["one-model"]


async def test_one_gateway_may_be_mounted_in_two_places(aiohttp_client):
    gateway, plugin = echo_gateway("one")
    gateway.models.register("far", aigw.Provider("http://127.0.0.1:1", name="far"))
    parent = web.Application()
    parent.add_subapp("/a/", gateway.make_app())
    parent.add_subapp("/b/", gateway.make_app())
    client = await aiohttp_client(parent)
    for prefix in ("/a", "/b"):
        assert (await ask(client, f"{prefix}/v1/chat/completions", "one-model"))[0] == 200
    await client.close()
    assert plugin.events == ["opened", "one-model", "one-model", "closed"]
