import ast
import asyncio
import os
import sys

import pytest

LETTERS = "import sys, time\nfor c in sys.stdin.read():\n  print(c, flush=True)"
ENDLESS = "import os, sys, time\nprint(os.getpid(), flush=True)\ntime.sleep(60)"


@pytest.fixture
def module(load_example):
    return load_example("custom_provider/program.py")


@pytest.fixture
def start(module, aiohttp_server, sdk):
    async def start(program):
        server = await aiohttp_server(module.make_gateway(sys.executable, "-c", program).make_app())
        client = sdk(str(server.make_url("")).rstrip("/"))
        return client.chat.completions

    return start


ASKED = {"model": "program", "messages": [{"role": "user", "content": "tea"}]}


async def test_a_program_answers_in_one_piece(start):
    answer = await (await start(LETTERS)).create(**ASKED)
    assert answer.choices[0].message.content == "t\ne\na\n"


async def test_a_program_answers_line_by_line(start):
    stream = await (await start(LETTERS)).create(**ASKED, stream=True)
    chunks = [chunk.choices[0] async for chunk in stream]
    assert [chunk.delta.content for chunk in chunks if chunk.delta.content] == ["t\n", "e\n", "a\n"]
    assert chunks[-1].finish_reason == "stop"


async def test_who_hangs_up_ends_the_program(start, eventually):
    stream = await (await start(ENDLESS)).create(**ASKED, stream=True)
    chunk = await anext(aiter(stream))
    pid = int(chunk.choices[0].delta.content)
    assert is_running(pid)
    await stream.close()
    await eventually(lambda: not is_running(pid), timeout_s=10)


async def test_the_readmes_command_works(module, aiohttp_client):
    client = await aiohttp_client(module.make_gateway("tr", "a-z", "A-Z").make_app())
    async with asyncio.timeout(10):
        answer = await client.post("/v1/chat/completions", json=ASKED)
        assert (await answer.json())["choices"][0]["message"]["content"] == "TEA"


def test_the_class_has_twenty_lines_as_its_readme_says(examples):
    source = (examples / "custom_provider" / "program.py").read_text()
    [node] = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    lines = source.splitlines()[node.lineno - 1 : node.end_lineno]
    assert len([line for line in lines if line.strip() and '"""' not in line]) == 20


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
