"""A client of bare sockets: it can be as slow, as rude or as early gone as no SDK lets one be.

Owns connections and HTTP; knows nothing of what is asked.
"""

import asyncio
import contextlib

import httptools
from attrs import define, field

from .wire import KEY

READ_BYTES = 2**16
LIMIT_S = 30.0


class BrokenError(Exception):
    """The answer did not come whole; says how far it came."""


@define
class Answer:
    """What came back. headers: names in lower case."""

    status: int = 0
    headers: dict[str, str] = field(factory=dict)
    body: bytearray = field(factory=bytearray)
    is_whole: bool = False

    def on_header(self, name, value):
        self.headers[name.decode().lower()] = value.decode("latin-1")

    def on_body(self, piece):
        self.body += piece

    def on_message_complete(self):
        self.is_whole = True


def request_bytes(port, method, path, body=b"", key=KEY, **headers):
    """Return a whole HTTP request."""
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        f"Authorization: Bearer {key}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Connections:
    """Connections to one port of loopback, kept and used again; as many as are needed at a time."""

    def __init__(self, port, *, kept=8):
        self.port, self._kept, self._idle = port, kept, []

    @contextlib.asynccontextmanager
    async def fresh(self, **options):
        """Yield (reader, writer) of a connection that nobody uses again; it is closed at once at the end."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, **options)
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    async def ask(self, method, path, body=b"", key=KEY, **headers):
        """Ask and return the Answer, read as fast as it comes. Raises BrokenError or TimeoutError."""
        question = request_bytes(self.port, method, path, body, key, **headers)
        while self._idle:
            pair = self._idle.pop()
            if not pair[1].is_closing() and not pair[0].at_eof():
                break
            pair[1].transport.abort()
        else:
            pair = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            async with asyncio.timeout(LIMIT_S):
                answer = await exchange(*pair, question)
        except BaseException:
            pair[1].transport.abort()
            raise
        self._give_back(pair, answer)
        return answer

    def _give_back(self, pair, answer):
        if len(self._idle) < self._kept and answer.headers.get("connection", "").lower() != "close":
            self._idle.append(pair)
        else:
            pair[1].transport.abort()

    def close(self):
        for _, writer in self._idle:
            writer.transport.abort()
        self._idle.clear()


async def exchange(reader, writer, question, *, pause_s=0.0, read_bytes=READ_BYTES):
    """Write a request, read its answer; wait a while before each read. Raises BrokenError."""
    writer.write(question)
    answer = Answer()
    parser = httptools.HttpResponseParser(answer)
    while not answer.is_whole:
        if pause_s:
            await asyncio.sleep(pause_s)
        piece = await reader.read(read_bytes)
        if not piece:
            raise BrokenError(f"closed behind {len(answer.body)} bytes: {bytes(answer.body[-100:])!r}")
        parser.feed_data(piece)
        answer.status = parser.get_status_code() if answer.headers or answer.is_whole else 0
    return answer
