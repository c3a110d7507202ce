import asyncio
import os
import tempfile
from pathlib import Path

import aiohttp
import openai
import pytest
import trustme
from aiohttp import web
from support.scripted import ScriptedUpstream

import aigw


def pytest_configure(config):
    """Let no test keep its state where the user's own gateway does, nor read all of the system's authorities.

    Each SDK's client reads them anew, and that takes longer than most tests.
    """
    folder = tempfile.TemporaryDirectory(prefix="aigw-tests-")
    config.add_cleanup(folder.cleanup)
    os.environ["XDG_STATE_HOME"] = folder.name
    authorities = Path(folder.name, "authorities.pem")
    trustme.CA().cert_pem.write_to_path(authorities)
    os.environ["SSL_CERT_FILE"] = str(authorities)


class Complete:
    """A plugin that keeps every record."""

    name = "complete"

    def __init__(self):
        self.records = []

    def on_complete(self, record):
        self.records.append(record)


@pytest.fixture(autouse=True)
def no_installed_plugins(monkeypatch):
    """Whatever plugins are installed beside the tests, they are not what is tested."""
    monkeypatch.setattr("aigw.assemble.discover", dict)


@pytest.fixture
async def upstream(aiohttp_server):
    """A provider over real HTTP that plays what the test scripted."""
    scripted = ScriptedUpstream()
    app = web.Application(client_max_size=2**28)
    app.router.add_route("*", "/{tail:.*}", scripted.handle)
    server = await aiohttp_server(app)
    scripted.url = str(server.make_url("/")).rstrip("/")
    return scripted


@pytest.fixture
def gateway(upstream):
    """A gateway with one model, "m", at the scripted provider, which calls it "up-model"."""
    made = aigw.Gateway()
    provider = aigw.Provider(upstream.url, "sk-upstream", name="up")
    made.models.register("m", provider, rewrite="up-model")
    return made


@pytest.fixture
def complete(gateway):
    """What `on_complete` was told, as a list of records."""
    plugin = Complete()
    gateway.hooks.register(plugin)
    return plugin.records


@pytest.fixture(params=["alone", "mounted"])
async def serve(request):
    """Run a gateway, alone as `python -m aigw` does, and mounted in an application that knows nothing of it.

    That one has a small body limit, and does not cancel handlers when clients leave. Returns the base URL.
    """
    runners = []

    async def run(gateway):
        app, prefix, options = gateway.make_app(), "", {"handler_cancellation": True}
        if request.param == "mounted":
            parent, prefix, options = web.Application(client_max_size=100), "/ai", {}
            parent.add_subapp("/ai/", app)
            app = parent
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, **options)
        runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}{prefix}"

    yield run
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
async def sdk():
    """Make openai SDK clients for a base URL; they are closed at the end."""
    clients = []

    def make(url, key="sk-client", **options):
        client = openai.AsyncOpenAI(base_url=url + "/v1", api_key=key, max_retries=0, **options)
        clients.append(client)
        return client

    yield make
    for client in clients:
        await client.close()


@pytest.fixture
async def http():
    """A plain HTTP client, for what SDKs would not send or would hide."""
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        yield session


async def eventually(condition, timeout_s=3.0):
    """Wait until a condition holds; fail if it never does."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "it never came true"
        await asyncio.sleep(0.01)


@pytest.fixture(name="eventually")
def eventually_fixture():
    return eventually
