"""kill -9 in the middle of traffic: no response that a client was told of is lost, none is half written."""

import asyncio
import json
import os
import re
import signal
import sys

import aiohttp
import pytest

CONFIG = """
[server]
port = 0
access_log = false
[state]
path = "state.db"
[providers.demo]
kind = "demo"
options = { pace_s = 0.0 }
[models]
"m" = "demo/demo"
"""
KEPT = ("PATH", "LANG", "HOME", "PYTHONPATH")


class Gateway:
    """`python -m aigw` in a folder of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.url = ""

    async def start(self):
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "aigw"),
            cwd=self.folder,
            env={name: os.environ[name] for name in KEPT if name in os.environ},
            stderr=asyncio.subprocess.PIPE,
        )
        async for line in self.process.stderr:
            if found := re.search(rb"listens on (\S+)", line):
                self.url = found[1].decode()
                return
        raise AssertionError("it did not start")

    async def end(self, sign):
        if self.process.returncode is None:
            self.process.send_signal(sign)
        await self.process.wait()


@pytest.fixture
async def gateway(tmp_path):
    (tmp_path / "aigw.toml").write_text(CONFIG)
    made = Gateway(tmp_path)
    await made.start()
    yield made
    await made.end(signal.SIGKILL)


async def told_whole(session, url, told):
    async with session.post(f"{url}/v1/responses", json={"model": "m", "input": "Hello " * 50}) as answer:
        tree = await answer.json()
    told[tree["id"]] = tree


async def told_streamed(session, url, told):
    body = {"model": "m", "input": "Hello", "stream": True}
    async with session.post(f"{url}/v1/responses", json=body) as answer:
        async for line in answer.content:
            if line.startswith(b"data: {") and b'"response.completed"' in line:
                tree = json.loads(line[6:])["response"]
                told[tree["id"]] = tree


async def traffic(session, url, told, ask):
    while True:
        try:
            await ask(session, url, told)
        except (aiohttp.ClientError, ConnectionError, ValueError):
            return


async def test_what_a_client_was_told_of_survives_a_kill(gateway, eventually):
    told = {}
    async with aiohttp.ClientSession() as session:
        clients = [traffic(session, gateway.url, told, ask) for ask in (told_whole, told_streamed) * 8]
        tasks = [asyncio.create_task(client) for client in clients]
        await eventually(lambda: len(told) >= 300, 30.0)
        await gateway.end(signal.SIGKILL)
        await asyncio.gather(*tasks)
        await gateway.start()
        for response_id, tree in told.items():
            async with session.get(f"{gateway.url}/v1/responses/{response_id}") as answer:
                assert answer.status == 200, response_id
                assert await answer.json() == tree
            async with session.get(f"{gateway.url}/v1/responses/{response_id}/input_items") as answer:
                assert [item["role"] for item in (await answer.json())["data"]] == ["user"]
