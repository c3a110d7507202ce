"""Clients that take their time: the provider waits, memory stays bounded, and patience has an end."""

import asyncio
import json
import socket

import pytest
from support.scripted import chunk, sse
from yarl import URL

import aigw
from aigw.config import Config, ServerConfig
from aigw.dialects.endpoints import Api
from aigw.upstream.transport import connection

MIB = 2**20
PIECE = sse(chunk("x" * 65_000), done=False)
MANY = 4000
"""So many pieces are more than all the sockets between the two ends can hold."""


class Endless:
    """Steps of a script, counted as they are played."""

    def __init__(self):
        self.sent = 0

    def __iter__(self):
        for _ in range(MANY):
            self.sent += len(PIECE)
            yield PIECE

    def __len__(self):
        return MANY

    def __getitem__(self, _):
        return PIECE


@pytest.fixture
def endless(upstream):
    upstream.stream()
    steps = Endless()
    upstream.scripts[-1].steps = steps
    return steps


@pytest.fixture
async def dial(serve):
    """Ask a gateway for a stream, and read nothing of it. Returns the socket."""
    clients = []

    async def ask(gateway, path="/v1/chat/completions", stream=True):
        url = URL(await serve(gateway))
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        clients.append(client)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, (url.host, url.port))
        body = json.dumps({"model": "m", "messages": [], "stream": stream}).encode()
        head = f"POST {url.path.rstrip('/')}{path} HTTP/1.1\r\nHost: localhost\r\n"
        head += "Content-Type: application/json\r\n"
        await loop.sock_sendall(client, f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        return client

    yield ask
    for client in clients:
        client.close()


def patient(upstream, complete, seconds):
    """Return a gateway that gives clients up after so long, and writes its records to `complete`."""
    made = aigw.Gateway(Config(server=ServerConfig(client_write_timeout_s=seconds)))
    made.models.register("m", aigw.Provider(upstream.url, name="up"))

    class Records:
        name = "records"

        def on_complete(self, record):
            complete.append(record)

    made.hooks.register(Records())
    return made


async def settled(steps):
    """Wait until the provider has not been able to send anything for a while."""
    before = -1
    while before != steps.sent:
        before = steps.sent
        await asyncio.sleep(0.3)


def transports_of(gateway):
    return [watch.request.transport for watch in gateway.watchdog._watches]


async def test_a_client_that_reads_nothing_makes_the_provider_wait(
    gateway, upstream, endless, dial, eventually
):
    client = await dial(gateway)
    await eventually(lambda: endless.sent)
    async with asyncio.timeout(5):
        await settled(endless)
    assert endless.sent < MANY * len(PIECE) / 4  # what the kernel's buffers have taken
    [transport] = transports_of(gateway)
    [held] = gateway.models.providers["up"]._transport._connections
    read_bytes = 256 * 1024  # asyncio's largest single read
    assert held._buffered <= connection.HIGH_WATER_BYTES + read_bytes
    assert transport.get_write_buffer_size() <= 2 * (connection.HIGH_WATER_BYTES + read_bytes)

    # And it goes on as soon as the client does.
    before, loop = endless.sent, asyncio.get_running_loop()
    async with asyncio.timeout(5):
        while endless.sent < before + 4 * MIB:
            assert await loop.sock_recv(client, MIB)


async def test_a_client_that_reads_nothing_is_given_up(upstream, endless, dial, eventually):
    records = []
    made = patient(upstream, records, 0.3)
    client = await dial(made)
    await eventually(lambda: records and not made.in_flight and not upstream.open, 5)
    assert upstream.dropped == 1
    [record] = records
    assert record.ending == "stalled"
    assert record.status == 200
    assert record.attempts[0].error is None  # it is not its provider's fault
    loop = asyncio.get_running_loop()
    with pytest.raises(ConnectionError):  # it was dropped, not ended: nobody may take it for whole
        while await loop.sock_recv(client, MIB):
            pass


async def test_a_whole_answer_that_nobody_takes_is_given_up(upstream, dial, eventually):
    records = []
    made = patient(upstream, records, 0.3)
    upstream.answer({"id": "x" * 32 * MIB})
    await dial(made, stream=False)
    await eventually(lambda: records and not made.in_flight, 5)
    assert [record.ending for record in records] == ["stalled"]


async def test_a_client_that_reads_a_little_now_and_then_is_not_given_up(upstream, dial, endless, eventually):
    records = []
    made = patient(upstream, records, 0.5)
    client = await dial(made)
    await eventually(lambda: endless.sent)
    loop = asyncio.get_running_loop()
    until = loop.time() + 1.2
    while loop.time() < until:
        for _ in range(64):
            await loop.sock_recv(client, MIB)
        await asyncio.sleep(0.2)
    assert not records
    assert made.in_flight == 1


async def test_a_client_that_owes_nothing_may_wait_for_as_long_as_its_provider(
    upstream, serve, http, eventually
):
    records = []
    made = patient(upstream, records, 0.2)
    upstream.stream(sse(chunk("a"), done=False), 0.8, sse(chunk("b"), chunk(finish="stop")))
    ask = {"model": "m", "messages": [], "stream": True}
    async with http.post(await serve(made) + "/v1/chat/completions", json=ask) as response:
        assert b'"b"' in await response.read()
    await eventually(lambda: records)
    assert [record.ending for record in records] == ["complete"]


async def test_a_websocket_that_nobody_reads_is_given_up(upstream, endless, serve, http, eventually):
    records = []
    made = patient(upstream, records, 0.3)
    made.models.providers["up"].apis = frozenset({Api.CHAT})
    async with http.ws_connect(await serve(made) + "/v1/responses", autoping=False) as socket:
        await socket.send_json({"type": "response.create", "model": "m", "input": "hi", "store": False})
        await eventually(lambda: any(each.stream for each in records), 6)
    turns = [record for record in records if record.stream]
    assert [record.ending for record in turns] == ["stalled"]
    await eventually(lambda: not made.in_flight and not upstream.open)


async def test_aiohttps_client_makes_the_provider_wait_as_well(upstream, endless, dial, eventually):
    made = aigw.Gateway()
    made.models.register("m", aigw.Provider(upstream.url, name="up", transport="aiohttp"))
    await dial(made)
    await eventually(lambda: endless.sent)
    async with asyncio.timeout(5):
        await settled(endless)
    assert endless.sent < MANY * len(PIECE) / 4
