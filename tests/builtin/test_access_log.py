"""The access log: one line for each exchange."""

import logging

import pytest
from support.scripted import HELLO, USAGE_CHUNK, sse

import aigw
from aigw.config import ServerConfig

PATH = "/v1/chat/completions"


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, "aigw.access")
    return lambda: [record.getMessage() for record in caplog.records if record.name == "aigw.access"]


async def ask(http, url, headers=None, **more):
    async with http.post(
        url + PATH, json={"model": "m", "messages": [], **more}, headers=headers
    ) as response:
        await response.read()


async def test_a_good_answer_is_one_line_with_all_that_counts(gateway, upstream, serve, http, lines):
    upstream.answer()
    await ask(http, await serve(gateway), {"x-request-id": "mine"})
    (line,) = lines()
    assert line.startswith(
        "mine /v1/chat/completions 200 complete tenant=anonymous model=m target=up/up-model "
    )
    assert "attempts=1 tokens=3+2 " in line
    assert "error" not in line


async def test_a_stream_tells_its_tokens_and_its_first_content(gateway, upstream, serve, http, lines):
    upstream.stream(HELLO[: HELLO.index(b"data: [DONE]")] + sse(USAGE_CHUNK))
    await ask(http, await serve(gateway), stream=True)
    (line,) = lines()
    assert "tokens=3+2" in line
    assert "first=0." in line


async def test_a_refusal_tells_its_error(gateway, serve, http, lines):
    await ask(http, await serve(gateway), model="nothing")
    (line,) = lines()
    assert " 404 refused " in line
    assert "target=- attempts=0 tokens=- first=-" in line
    assert line.endswith("error='model_not_found'")


async def test_neither_keys_nor_contents_are_logged(gateway, upstream, serve, http, lines):
    upstream.answer()
    url = await serve(gateway)
    await ask(
        http, url, {"Authorization": "Bearer sk-client"}, messages=[{"role": "user", "content": "private"}]
    )
    assert not any(word in str(lines()) for word in ("sk-client", "sk-upstream", "private", "Hello"))


async def test_a_model_cannot_begin_a_line_of_its_own(gateway, serve, http, lines):
    await ask(http, await serve(gateway), model="m\nforged line")
    assert all("\n" not in line for line in lines())


async def test_the_log_can_be_turned_off(serve, http, lines):
    gateway = aigw.Gateway(aigw.Config(server=ServerConfig(access_log=False)))
    await ask(http, await serve(gateway))
    assert lines() == []
