"""A provider that costs next to nothing: fixed answers, whole or as a paced stream, on a bare protocol."""

import asyncio
import json
import sys

import httptools
import uvloop

PORT = int(sys.argv[1])
PACE_S, CHUNKS = 0.005, 100


def _chunk(delta, **more):
    choice = {"index": 0, "delta": delta, "finish_reason": more.pop("finish", None)}
    tree = {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    frame = b"data: " + json.dumps({**tree, **more}).encode() + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(frame), frame)


USAGE = {"prompt_tokens": 10, "completion_tokens": 100, "total_tokens": 110}
MESSAGE = {"role": "assistant", "content": "word " * 60}
ANSWER = {
    "id": "c-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": MESSAGE, "finish_reason": "stop"}],
    "usage": USAGE,
}
BODY = json.dumps(ANSWER).encode()
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
    len(BODY),
    BODY,
)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
TEXT = _chunk({"content": "word "})
DONE = b"%x\r\n%b\r\n0\r\n\r\n" % (14, b"data: [DONE]\n\n")
TAIL = _chunk({}, finish="stop") + _chunk({}, usage=USAGE) + DONE


class Provider(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        self.body = b""
        self.parser = httptools.HttpRequestParser(self)

    def data_received(self, data):
        self.parser.feed_data(data)

    def on_body(self, body):
        self.body += body

    def on_message_complete(self):
        body, self.body = self.body, b""
        if b'"stream":true' in body or b'"stream": true' in body:
            self.transport.write(HEAD)
            asyncio.get_running_loop().call_later(PACE_S, self.go_on, CHUNKS)
        else:
            self.transport.write(WHOLE)

    def go_on(self, left):
        if self.transport.is_closing():
            return
        self.transport.write(TEXT if left else TAIL)
        if left:
            asyncio.get_running_loop().call_later(PACE_S, self.go_on, left - 1)


async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Provider, "127.0.0.1", PORT, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
