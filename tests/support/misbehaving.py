"""A provider on a raw socket, which sends whatever it is told to, whether that is HTTP or not."""

import asyncio
import socket
import struct
from contextlib import asynccontextmanager

from multidict import CIMultiDict

KEY = "sk-very-secret"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
"""What follows a broken answer in most tests: nobody can take one for the other."""

ENDS = {"close", "abort", "reset", "hold"}


class Raw:
    """A server that reads requests and answers with whatever bytes it was given, in turn.

    heads, bodies: the requests that it read whole. dropped: how many connections the client has ended.
    sent: how many bytes it got rid of. walked: how many answers it has come to the end of.
    """

    def __init__(self):
        self.heads = []
        self.bodies = []
        self.connections = 0
        self.dropped = 0
        self.sent = 0
        self.walked = 0
        self.answers = []
        self.url = ""
        self.writers = set()

    def play(self, *answers):
        """Set an answer for each request; the last one goes on for ever. An answer is a step or a list.

        Steps: bytes are written, a float is slept, and a coroutine function is called with reader and
        writer. "early" (first of all) answers before the body is read. "close" ends the connection,
        "abort" without a word of TLS, "reset" resets it, "half" ends this direction only, "hold" waits
        until the client goes away. "bytewise" writes what follows byte by byte.
        """
        self.answers = list(answers)

    async def serve(self, reader, writer):
        self.connections += 1
        self.writers.add(writer)
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while await self.one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            self.dropped += 1
        finally:
            writer.close()

    async def one(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        steps = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        steps = list(steps) if isinstance(steps, list) else [steps]
        self.heads.append(head.decode())
        try:
            if steps[0] == "early":
                steps.pop(0)
            else:
                self.bodies.append(await reader.readexactly(length_of(head)))
            return await self.walk(steps, reader, writer)
        finally:
            self.walked += 1

    async def walk(self, steps, reader, writer):
        """Do what the steps say; tell whether the connection lives on."""
        bytewise = False
        for step in steps:
            if step in ENDS:
                await getattr(self, "end_by_" + step)(reader, writer)
                return False
            if step == "bytewise":
                bytewise = True
            elif isinstance(step, float):
                await asyncio.sleep(step)
            elif callable(step):
                await step(reader, writer)
            elif step == "half":
                writer.write_eof()
            else:
                for piece in split(step) if bytewise else [step]:
                    await self.write(writer, piece)
        return True

    async def end_by_reset(self, _reader, writer):
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()

    async def end_by_close(self, _reader, _writer):
        """Let `serve` close it, at once or behind an answer."""

    async def end_by_abort(self, _reader, writer):
        writer.transport.abort()

    async def end_by_hold(self, reader, _writer):
        while await reader.read(65536):
            pass
        self.dropped += 1

    async def write(self, writer, piece):
        writer.write(piece)
        await writer.drain()
        self.sent += len(piece)
        await asyncio.sleep(0)  # twice round the loop, and the client has read this piece by itself
        await asyncio.sleep(0)


def split(data):
    """Cut into bytes, or into odd pieces where there are too many of them."""
    size = 1 if len(data) < 8192 else 997
    return [data[at : at + size] for at in range(0, len(data), size)]


def length_of(head):
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


@asynccontextmanager
async def listening(raw, context=None):
    """Run it on a free port; `raw.url` says where."""
    server = await asyncio.start_server(raw.serve, "127.0.0.1", 0, ssl=context)
    raw.url = f"{'https' if context else 'http'}://localhost:{server.sockets[0].getsockname()[1]}"
    try:
        yield raw
    finally:
        server.close()
        for writer in raw.writers:
            writer.transport.abort()
        await asyncio.sleep(0)


async def fetch(subject, url, body=b"{}", method="POST", headers=None):
    """Send a request and read the whole answer; returns the answer and its body."""
    headers = CIMultiDict(headers or {})
    headers.update({"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"})
    async with asyncio.timeout(2):
        answer = await subject.send(method, url + "/v1/x", headers, body)
        try:
            return answer, await answer.read()
        finally:
            await answer.close()


async def fetch_flowing(subject, url):
    """Send a request and have the whole answer handed on piece by piece; returns it and its body."""
    pieces = []

    def take(piece):
        pieces.append(piece)
        return True

    async with asyncio.timeout(2):
        answer = await subject.send("POST", url + "/v1/x", CIMultiDict(), b"{}")
        try:
            await answer.flow(take)
        finally:
            await answer.close()
    assert pieces.pop() == b""
    assert b"" not in pieces
    return answer, b"".join(pieces)


def chain(error):
    """Walk the exceptions that an error came from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
