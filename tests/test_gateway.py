"""The library's front door: models, providers, hooks, and the life of what they hold."""

import asyncio

import pytest
from support.scripted import COMPLETION

import aigw
from aigw.config import PluginsConfig, ServerConfig

ASK = {"messages": [{"role": "user", "content": "hi"}]}


class Parrot(aigw.BaseProvider):
    """A provider in twenty lines: no HTTP, one API, its own list of models."""

    apis = frozenset({"chat"})

    def __init__(self, name="parrot"):
        super().__init__(name)
        self.told = []

    async def open(self):
        self.told.append("open")

    async def close(self):
        self.told.append("close")

    async def call(self, call):
        words = call.json()["messages"][-1]["content"]
        if not call.stream:
            return aigw.Answer.json(answer(words))
        return aigw.Answer.stream(self.speak(words))

    async def speak(self, words):
        for word in words.split():
            yield frame({"content": word}, None)
        yield frame({}, "stop") + b"data: [DONE]\n\n"

    async def models(self):
        return ["grey", "green"]


def answer(words):
    return {
        **COMPLETION,
        "choices": [{**COMPLETION["choices"][0], "message": {"role": "assistant", "content": words}}],
    }


def frame(delta, finish):
    import orjson

    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    tree = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices}
    return b"data: " + orjson.dumps(tree) + b"\n\n"


async def test_registered_models_lead_to_a_provider_under_its_own_name(gateway, upstream, serve, sdk):
    upstream.answer()
    provider = gateway.models.providers["up"]
    gateway.models.register("gpt-4", provider, rewrite="gpt-4-turbo", prefer="chat", aliases=["four"])
    client = sdk(await serve(gateway))
    for name in ("gpt-4", "four"):
        await client.chat.completions.create(model=name, **ASK)
    assert [seen.json["model"] for seen in upstream.seen] == ["gpt-4-turbo", "gpt-4-turbo"]
    assert {model.id async for model in client.models.list()} >= {"m", "gpt-4", "four"}


async def test_a_provider_in_twenty_lines_speaks_whole_and_streamed(serve, sdk):
    gateway = aigw.Gateway()
    provider = Parrot()
    gateway.models.register("bird", provider)
    client = sdk(await serve(gateway))
    whole = await client.chat.completions.create(model="bird", **ASK)
    assert whole.choices[0].message.content == "hi"
    stream = await client.chat.completions.create(model="parrot/green", **ASK, stream=True)
    assert [chunk.choices[0].delta.content async for chunk in stream] == ["hi", None]
    assert sorted([model.id async for model in client.models.list()]) == [
        "bird",
        "parrot/green",
        "parrot/grey",
    ]
    assert provider.told == ["open"]


async def test_a_provider_that_lacks_an_api_is_a_404_that_says_so(serve, sdk):
    import openai

    gateway = aigw.Gateway()
    gateway.models.register("bird", Parrot())
    client = sdk(await serve(gateway))
    with pytest.raises(openai.NotFoundError, match="does not speak the embeddings API"):
        await client.embeddings.create(model="bird", input="hi")


async def test_providers_open_with_the_app_and_close_after_the_plugins(aiohttp_client):
    gateway = aigw.Gateway()
    provider = Parrot()
    gateway.models.register("bird", provider)

    class Watching(aigw.Plugin):
        async def setup(self, gateway):
            provider.told.append("plugin open")
            yield
            provider.told.append("plugin close")

    gateway.hooks.register(Watching())
    client = await aiohttp_client(gateway.make_app())
    assert provider.told == ["open", "plugin open"]
    await client.close()
    assert provider.told == ["open", "plugin open", "plugin close", "close"]


async def test_a_provider_that_cannot_open_closes_those_that_did():
    from aiohttp import web

    class Broken(Parrot):
        async def open(self):
            raise OSError("no socket")

    gateway = aigw.Gateway()
    fine = Parrot("fine")
    gateway.models.register("a", fine)
    gateway.models.register("b", Broken("broken"))
    runner = web.AppRunner(gateway.make_app())
    with pytest.raises(OSError, match="no socket"):
        await runner.setup()
    await runner.cleanup()
    assert fine.told == ["open", "close"]


@pytest.mark.parametrize(
    ("register", "told"),
    [
        (lambda models: models.register("a"), "no provider and no targets"),
        (lambda models: models.register("bird", Parrot()), "registered already"),
        (lambda models: models.register("b", Parrot("parrot")), 'two providers are called "parrot"'),
        (lambda models: models.register("c", aliases=["bird"], targets=[target()]), "taken already"),
    ],
)
def test_a_model_that_leads_nowhere_or_is_there_already_is_refused(register, told):
    gateway = aigw.Gateway()
    gateway.models.register("bird", Parrot())
    with pytest.raises(ValueError, match=told):
        register(gateway.models)


def target():
    return aigw.Target(Parrot("other"), "x")


async def test_readiness_follows_the_life_of_the_app(aiohttp_client):
    gateway = aigw.Gateway()
    client = await aiohttp_client(gateway.make_app())
    assert (await client.get("/readyz")).status == 200
    assert await gateway.drain(1)
    answer = await client.get("/readyz")
    assert (answer.status, await answer.json()) == (503, {"status": "draining"})
    assert (await client.get("/livez")).status == 200
    assert (await (await client.get("/health")).json())["status"] == "draining"


async def test_drain_waits_for_what_runs_and_tells_whether_it_cut_off(aiohttp_client):
    gateway = aigw.Gateway()
    gateway.models.register("*", aigw.DemoProvider(pace_s=0))
    client = await aiohttp_client(gateway.make_app())

    async def ask(steering):
        body = {"model": "x", "messages": [{"role": "user", "content": steering}], "stream": True}
        async with client.post("/v1/chat/completions", json=body) as response:
            return await response.text()

    quick = asyncio.create_task(ask("[[demo pace=20ms chunks=10]]"))
    await asyncio.sleep(0.1)
    assert gateway.in_flight == 1
    assert await gateway.drain(5)
    assert "[DONE]" in await quick
    slow = asyncio.create_task(ask("[[demo hang=2]]"))
    await asyncio.sleep(0.1)
    assert not await gateway.drain(0.1)
    assert "shutting down" in await slow
    assert gateway.in_flight == 0


def test_a_gateway_reads_no_environment(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    monkeypatch.setenv("AIGW_API_KEY", "sk-2")
    gateway = aigw.Gateway()
    assert gateway.models.providers == {}
    assert gateway.hooks.authenticate == ()


@pytest.mark.parametrize(
    ("config", "names"),
    [
        (aigw.Config(), ["metrics", "access-log"]),
        (aigw.Config(server=ServerConfig(metrics=False)), ["access-log"]),
        (aigw.Config(plugins=PluginsConfig(disabled=("metrics", "access-log"))), []),
        (aigw.Config(plugins=PluginsConfig(order=("access-log",))), ["access-log", "metrics"]),
    ],
)
def test_built_ins_are_what_the_configuration_asks_for(config, names):
    assert list(aigw.Gateway(config).hooks.plugins) == names
