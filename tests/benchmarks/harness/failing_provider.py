"""A provider that fails in every way in turn, and one that dies amid its stream: raw sockets in our loop.

`/fails/...` never gives an answer that can be used, so whoever asks has to go on to another provider.
`/dies/...` streams a few words and closes, so the client has to be told amid its answer.
"""

import asyncio
import contextlib
import itertools
import json

from .wire import WORD

WORDS_BEFORE_DEATH = 3


def _whole(status, body, *headers):
    head = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*head, "", ""]).encode() + body


_STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
FAILURES = (
    _whole("500 Internal Server Error", b'{"error": {"message": "out of order", "type": "server_error"}}'),
    _whole("503 Service Unavailable", b'{"error": {"message": "overloaded"}}'),
    _whole("200 OK", b"no JSON at all"),
    b"",  # closes without a word
    _STREAM,  # a head, and nothing behind it
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{",
)


def _chunk(delta):
    choice = {"index": 0, "delta": delta, "finish_reason": None}
    tree = {"id": "chatcmpl-x", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    frame = b"data: " + json.dumps({**tree, "choices": [choice]}).encode() + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(frame), frame)


def dying_stream():
    """Return what is said before the connection closes."""
    return _STREAM + b"".join(_chunk({"content": WORD % number}) for number in range(WORDS_BEFORE_DEATH))


@contextlib.asynccontextmanager
async def failing_provider():
    """Listen on a free port of loopback; yield it."""
    failures = itertools.cycle(FAILURES)

    async def answer(reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            await reader.readexactly(length)
            writer.write(dying_stream() if b"/dies/" in head else next(failures))
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
