"""Who reads slowly makes the other side wait, and memory holds what is in flight, never all of it."""

import asyncio
import tracemalloc

from multidict import CIMultiDict
from support.misbehaving import HELLO, OK, fetch

MIB = 2**20
PIECE = bytes(MIB)
MANY = 64


async def test_a_reader_that_pauses_makes_the_provider_wait(raw, transport):
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (MANY * MIB)
    raw.play([head, *[PIECE] * MANY], HELLO)
    subject = await transport()
    answer = await subject.send("POST", raw.url, CIMultiDict(), b"")
    before = -1
    while before != raw.sent:
        before = raw.sent
        await asyncio.sleep(0.1)
    assert raw.sent < MANY * MIB / 4  # what the kernel's buffers have taken
    assert len(await answer.read()) == MANY * MIB
    await answer.close()
    _, body = await fetch(subject, raw.url)
    assert body == b"hello"
    assert raw.connections == 1


async def test_a_provider_that_reads_slowly_is_sent_a_body_that_is_never_multiplied(raw, transport):
    body = bytes(24 * MIB)

    async def slowly(reader, _writer):
        left = len(body)
        while left:
            await asyncio.sleep(0)
            left -= len(await reader.read(min(left, 2 * MIB)))

    raw.play(["early", 0.1, slowly, OK])
    subject = await transport()
    tracemalloc.start()
    try:
        await fetch(subject, raw.url, body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * len(body) + 8 * MIB  # asyncio's buffer (twice for a moment before 3.12), the server's
