"""One suite over both clients: whatever asks for `transport` runs with each."""

import pytest
from support.misbehaving import Raw, listening

from aigw.upstream.transport.aiohttp_client import AiohttpTransport
from aigw.upstream.transport.base import TransportSettings
from aigw.upstream.transport.pool import PoolTransport


@pytest.fixture
async def raw():
    async with listening(Raw()) as subject:
        yield subject


@pytest.fixture(params=[AiohttpTransport, PoolTransport], ids=["aiohttp", "pool"])
def client(request):
    """The class of the client under test."""
    return request.param


@pytest.fixture
async def transport(client):
    """Make an open client of this class; it is closed at the end."""
    made = []

    async def make(connect_s=1.0, **settings):
        subject = client("up", TransportSettings(**settings), connect_s=connect_s)
        await subject.open()
        made.append(subject)
        return subject

    yield make
    for subject in made:
        await subject.close()
