import aiohttp
import pytest
from support.mcp_servers import Servers
from support.stateful import APIS, Caller

import aigw
from aigw.config import AuthConfig, KeyConfig, Secret

KEYS = (
    KeyConfig(key=Secret("sk-a"), tenant="a"),
    KeyConfig(key=Secret("sk-b"), tenant="b"),
)


@pytest.fixture
def register(upstream):
    """Give a gateway a model for each format, of that name, all at the scripted provider; "m" speaks chat."""

    def onto(gateway):
        for api in APIS:
            provider = aigw.Provider(upstream.url, "sk-upstream", name=f"up-{api}", apis=[api])
            for name in (api, "m") if api == "chat" else (api,):
                gateway.models.register(name, provider, rewrite="up-model")
        gateway.models.register("demo", aigw.DemoProvider(pace_s=0))
        return gateway

    return onto


@pytest.fixture
async def start(aiohttp_server):
    """Run a gateway; returns its URL."""

    async def run(gateway):
        server = await aiohttp_server(gateway.make_app())
        return str(server.make_url("/")).rstrip("/")

    return run


@pytest.fixture
def tenants():
    """The configuration of a gateway with two tenants: "sk-a" and "sk-b" are their keys."""
    return aigw.Config(auth=AuthConfig(keys=KEYS))


@pytest.fixture
async def callers():
    """Make callers of a URL, each with connections of its own."""
    sessions = []

    def make(url, **options):
        sessions.append(aiohttp.ClientSession())
        return Caller(sessions[-1], url, **options)

    yield make
    for session in sessions:
        await session.close()


@pytest.fixture
async def caller(register, start, callers, tenants):
    """A caller of tenant "a" of a gateway with every format behind it."""
    return callers(await start(register(aigw.Gateway(tenants))))


@pytest.fixture
async def stranger(caller, callers):
    """A caller of tenant "b" of the same gateway."""
    return callers(caller.url, key="sk-b")


@pytest.fixture
async def servers():
    """Start MCP servers; they are stopped at the end."""
    made = Servers()
    yield made
    await made.stop()
