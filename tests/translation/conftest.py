import aiohttp
import pytest
from support.plugins import Noted
from support.sdks import SDKS

import aigw


@pytest.fixture
async def serve(aiohttp_server):
    """Run a gateway on its own; that it does the same mounted is asserted elsewhere. Returns its URL."""

    async def run(gateway):
        server = await aiohttp_server(gateway.make_app())
        return str(server.make_url("/")).rstrip("/")

    return run


@pytest.fixture
async def http():
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def house(upstream):
    """Make a gateway whose model "m" is the scripted provider's "up-model", spoken to by these APIs."""

    def make(*apis, **more):
        gateway = aigw.Gateway()
        provider = aigw.Provider(upstream.url, "sk-upstream", name="up", apis=apis)
        gateway.models.register("m", provider, rewrite="up-model", **more)
        return gateway

    return make


@pytest.fixture
async def sdk_for():
    """Make the SDK of an API for a base URL; all are closed at the end."""
    made = []

    def make(api, url):
        made.append(SDKS[api](url))
        return made[-1]

    yield make
    for sdk in made:
        await sdk.close()


@pytest.fixture
def tap():
    """Keep the frames that clients of a gateway get: `tap(gateway)` returns the growing list."""

    def on(gateway):
        frames = []
        gateway.hooks.register(Noted("tap", watch_stream=lambda exchange: frames.append))
        return frames

    return on
