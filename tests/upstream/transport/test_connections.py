"""Connections: how many, whose turn it is, and that each is given back, dropped or closed."""

import asyncio
from contextlib import suppress

import pytest
from multidict import CIMultiDict
from support.misbehaving import HELLO, OK, Raw, fetch, free_port, listening

from aigw.errors import ErrorKind, UpstreamError
from aigw.upstream.transport.pool import PoolTransport


@pytest.fixture
async def silent():
    """A server that accepts connections and never says a word; yields its https URL and its connections."""
    writers = []

    def accept(_reader, writer):
        writers.append(writer)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    yield f"https://localhost:{server.sockets[0].getsockname()[1]}", writers
    server.close()
    for writer in writers:
        writer.transport.abort()


def start(subject, url, name):
    return asyncio.create_task(fetch(subject, url, headers={"X-Name": str(name)}))


def names(raw):
    return [head.lower().partition("x-name: ")[2].partition("\r\n")[0] for head in raw.heads]


async def cancel(task):
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_no_more_connections_are_opened_than_allowed(raw, transport):
    raw.play([0.01, HELLO])
    subject = await transport(max_connections=3)
    await asyncio.gather(*(fetch(subject, raw.url) for _ in range(20)))
    assert raw.connections == 3


async def test_without_a_limit_nobody_waits(raw, transport, eventually):
    raw.play([0.05, HELLO])
    subject = await transport()
    await asyncio.gather(*(fetch(subject, raw.url) for _ in range(60)))
    assert raw.connections == 60


async def test_who_waits_longest_is_next(raw, transport):
    raw.play([0.005, HELLO])
    subject = await transport(max_connections=1)
    tasks = []
    for name in range(8):
        tasks.append(start(subject, raw.url, name))
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert names(raw) == [str(name) for name in range(8)]


async def test_nobody_overtakes_who_waits(raw, transport):
    raw.play(OK)
    subject = await transport(max_connections=1)
    first = await subject.send("POST", raw.url, CIMultiDict({"X-Name": "0"}), b"")
    tasks = []
    for name in (1, 2, 3):
        tasks.append(start(subject, raw.url, name))
        await asyncio.sleep(0.001)
    await first.read()
    await first.close()
    tasks.append(start(subject, raw.url, 4))  # it comes when a connection is free and nobody has it yet
    await asyncio.gather(*tasks)
    assert names(raw) == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize("client", [PoolTransport], indirect=True)
@pytest.mark.parametrize("asked", [1, 2])
async def test_who_was_woken_for_nothing_keeps_its_place(raw, transport, asked):
    """A request that is sent once more takes the place of the connection that had died."""
    raw.play([HELLO], [0.02, "close"], [0.005, HELLO])
    subject = await transport(max_connections=1)
    await fetch(subject, raw.url)
    tasks = []
    for name in range(5):
        tasks.append(start(subject, raw.url, name))
        await asyncio.sleep(0.001 * asked)
    await asyncio.gather(*tasks)
    assert names(raw)[1:] == ["0", "0", "1", "2", "3", "4"]


@pytest.mark.parametrize("client", [PoolTransport], indirect=True)
async def test_the_limit_holds_over_all_origins(raw, transport, eventually):
    raw.play(HELLO)
    async with listening(Raw()) as other:
        other.play(OK)
        subject = await transport(max_connections=1)
        for _ in range(2):
            assert (await fetch(subject, raw.url))[1] == b"hello"
            assert (await fetch(subject, other.url))[1] == b"{}"
        await eventually(lambda: raw.dropped == 2 and other.dropped == 1)
        assert (raw.connections, other.connections) == (2, 2)


async def test_each_origin_has_its_own_connections(raw, transport):
    raw.play(HELLO)
    async with listening(Raw()) as other:
        other.play(OK)
        subject = await transport()
        for _ in range(3):
            assert (await fetch(subject, raw.url))[1] == b"hello"
            assert (await fetch(subject, other.url))[1] == b"{}"
        assert (raw.connections, other.connections) == (1, 1)


@pytest.mark.parametrize("at_once", [False, True], ids=["in the queue", "when its turn has come"])
async def test_a_waiter_that_is_cancelled_loses_nothing(raw, transport, at_once):
    raw.play(HELLO)
    subject = await transport(max_connections=1)
    first = await subject.send("POST", raw.url, CIMultiDict(), b"")
    tasks = []
    for name in range(3):
        tasks.append(start(subject, raw.url, name))
        await asyncio.sleep(0.001)
    if not at_once:
        await cancel(tasks[0])
    await first.read()
    await first.close()
    tasks[0].cancel()
    results = await asyncio.gather(*tasks[1:])
    assert [body for _, body in results] == [b"hello", b"hello"]
    assert names(raw)[-2:] == ["1", "2"]
    await fetch(subject, raw.url)
    assert raw.connections == 1


async def test_a_connection_that_fails_lets_the_next_one_try(transport):
    subject = await transport(max_connections=1)
    url = f"http://127.0.0.1:{free_port()}"
    results = await asyncio.gather(*(fetch(subject, url) for _ in range(5)), return_exceptions=True)
    assert {type(result) for result in results} == {UpstreamError}


async def test_who_hangs_up_while_connecting_gives_its_place_back(raw, transport, silent, eventually):
    raw.play(HELLO)
    url, writers = silent
    subject = await transport(max_connections=1, connect_s=5.0)
    task = asyncio.create_task(fetch(subject, url))
    await eventually(lambda: writers)
    await cancel(task)
    _, body = await fetch(subject, raw.url)
    assert body == b"hello"


async def test_a_handshake_that_never_ends_is_given_up(raw, transport, silent):
    raw.play(HELLO)
    subject = await transport(max_connections=1, connect_s=0.05)
    with pytest.raises(UpstreamError, match="within the time allowed") as caught:
        await fetch(subject, silent[0])
    assert caught.value.kind is ErrorKind.UPSTREAM_TIMEOUT
    _, body = await fetch(subject, raw.url)
    assert body == b"hello"


@pytest.mark.parametrize(
    "steps",
    [["hold"], [b"HTTP/1.1 200 OK\r\n", "hold"], [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhe", "hold"]],
    ids=["silence", "half a head", "half a body"],
)
async def test_who_hangs_up_drops_the_connection(raw, transport, eventually, steps):
    raw.play(steps, HELLO)
    subject = await transport()
    task = asyncio.create_task(fetch(subject, raw.url))
    await eventually(lambda: raw.heads)
    await asyncio.sleep(0.01)
    await cancel(task)
    await eventually(lambda: raw.dropped)
    _, body = await fetch(subject, raw.url)
    assert body == b"hello"
    assert raw.connections == 2


async def test_who_hangs_up_while_sending_drops_the_connection(raw, transport, eventually):
    raw.play(["early", 0.1, "hold"], HELLO)
    subject = await transport()
    task = asyncio.create_task(fetch(subject, raw.url, bytes(32 * 2**20)))
    await eventually(lambda: raw.heads)
    await cancel(task)
    await eventually(lambda: raw.dropped)
    _, body = await fetch(subject, raw.url)
    assert body == b"hello"


async def test_a_connection_that_rests_too_long_is_closed(raw, transport, eventually):
    raw.play(HELLO)
    subject = await transport(keepalive_s=0.05)
    await fetch(subject, raw.url)
    await eventually(lambda: raw.dropped)
    await fetch(subject, raw.url)
    assert raw.connections == 2


async def test_a_second_answer_is_read_into_no_other_request(raw, transport):
    """Many at once on few connections: each gets its own."""

    async def echo(_reader, writer):
        name = raw.heads[-1].lower().partition("x-name: ")[2].partition("\r\n")[0].encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(name), name))

    raw.play([echo])
    subject = await transport(max_connections=4)
    tasks = [start(subject, raw.url, name) for name in range(60)]
    for task in tasks[::7]:
        await asyncio.sleep(0)
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    for name, result in enumerate(results):
        if not isinstance(result, asyncio.CancelledError):
            assert result[1] == str(name).encode()


# Closing.


CLOSED_IN = {
    "silence": ["hold"],
    "a body": [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhe", "hold"],
    "a body until close": [b"HTTP/1.1 200 OK\r\n\r\nhe", "hold"],
}


@pytest.mark.parametrize("kept", [False, True], ids=["new", "kept"])
@pytest.mark.parametrize("name", CLOSED_IN)
async def test_closing_ends_what_is_under_way(raw, transport, eventually, name, kept):
    raw.play(*([HELLO] if kept else []), CLOSED_IN[name], HELLO)
    subject = await transport()
    if kept:
        await fetch(subject, raw.url)
    task = asyncio.create_task(fetch(subject, raw.url))
    await eventually(lambda: len(raw.heads) == 1 + kept)
    await asyncio.sleep(0.01)
    await subject.close()
    with pytest.raises(UpstreamError) as caught:
        await task
    assert caught.value.provider == "up"
    await eventually(lambda: raw.dropped)
    assert raw.connections == 1


async def test_closing_ends_who_waits_and_who_connects(raw, transport, silent, eventually):
    raw.play(["hold"])
    url, writers = silent
    subject = await transport(max_connections=2, connect_s=0.1)
    tasks = [asyncio.create_task(fetch(subject, where)) for where in (raw.url, url, raw.url, url)]
    await eventually(lambda: raw.heads and writers)
    await subject.close()
    async with asyncio.timeout(2):
        for task in tasks:
            with suppress(UpstreamError):
                await task
                pytest.fail("it was answered")
    assert raw.connections == 1


async def test_closing_twice_is_closing_once(raw, transport):
    raw.play(HELLO)
    subject = await transport()
    answer = await subject.send("POST", raw.url, CIMultiDict(), b"")
    await subject.close()
    await subject.close()
    await answer.close()
