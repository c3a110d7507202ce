import pytest
from aiohttp import ClientSession
from support.plugins import CHAT


@pytest.fixture
async def http():
    async with ClientSession() as session:
        yield session


@pytest.fixture
def post(http, serve):
    """Send a request to a gateway; return status, headers and the body as text."""
    base = {}

    async def send(gateway, body=CHAT, path="/v1/chat/completions", **options):
        url = base.get(gateway) or base.setdefault(gateway, await serve(gateway))
        options = options if "data" in options else {"json": body, **options}
        async with http.post(url + path, **options) as response:
            return response.status, response.headers, await response.text()

    return send
