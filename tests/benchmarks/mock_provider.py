"""A provider that costs next to nothing: made-up answers, whole or as a paced stream, on a bare protocol.

`python mock_provider.py PORT`. What it answers is steered from the request's text, see harness/wire.py.
Everything it says is rendered once and kept; a stream's chunks go out at fixed times counted from its
first, so that its length does not grow with what stands between.
"""

import asyncio
import json
import sys
from functools import lru_cache

import httptools
import uvloop
from harness.wire import MODEL, WORD, steered, text_of

EMBEDDING_SIZE = 1536
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def _chunked(data):
    return b"%x\r\n%b\r\n" % (len(data), data)


def _frame(choices, usage=None):
    tree = {
        "id": "chatcmpl-mock0000000000000000000000",
        "object": "chat.completion.chunk",
        "created": 1764000000,
        "model": MODEL,
        "system_fingerprint": "fp_mock",
        "choices": choices,
    }
    if usage is not None:
        tree["usage"] = usage
    return _chunked(b"data: " + json.dumps(tree, separators=(",", ":")).encode() + b"\n\n")


def _delta(finish_reason=None, **delta):
    return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}]


def _usage(output_tokens):
    return {"prompt_tokens": 10, "completion_tokens": output_tokens, "total_tokens": 10 + output_tokens}


@lru_cache(maxsize=64)
def stream_of(chunks):
    """Return what goes out at each beat: the head with the first chunk, the others, the last with the end."""
    beats = [_frame(_delta(content=WORD % number)) for number in range(chunks)]
    beats[0] = HEAD + _frame(_delta(role="assistant", content="")) + beats[0]
    end = (_frame(_delta("stop")), _frame([], _usage(chunks)), _chunked(b"data: [DONE]\n\n"), b"0\r\n\r\n")
    beats[-1] += b"".join(end)
    return beats


def _whole(tree):
    body = json.dumps(tree, separators=(",", ":")).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
        len(body),
        body,
    )


@lru_cache(maxsize=64)
def whole_of(size):
    message = {"role": "assistant", "content": text_of(size), "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    tree = {"id": "chatcmpl-mock", "object": "chat.completion", "created": 1764000000, "model": MODEL}
    return _whole({**tree, "choices": [choice], "usage": _usage(100)})


@lru_cache(maxsize=1)
def embedding():
    values = [number / 31415 for number in range(EMBEDDING_SIZE)]
    data = [{"object": "embedding", "index": 0, "embedding": values}]
    usage = {"prompt_tokens": 60, "total_tokens": 60}
    return _whole({"object": "list", "data": data, "model": MODEL, "usage": usage})


class Provider(asyncio.Protocol):
    """One connection; a request's body decides what it gets."""

    def __init__(self, loop):
        self._loop = loop

    def connection_made(self, transport):
        self._transport = transport
        self._pieces = []
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data):
        self._parser.feed_data(data)

    def on_url(self, url):
        self._is_embedding = url.endswith(b"/embeddings")

    def on_body(self, piece):
        self._pieces.append(piece)

    def on_message_complete(self):
        body = b"".join(self._pieces)
        self._pieces.clear()
        wanted = steered(body[:4096])
        if self._is_embedding:
            answer = (self._transport.write, embedding())
        elif b'"stream":true' in body or b'"stream": true' in body:
            answer = (self._begin, stream_of(wanted["chunks"]), wanted["pace_ms"] / 1000)
        else:
            answer = (self._transport.write, whole_of(wanted["size"]))
        if wanted["delay_ms"]:
            self._loop.call_later(wanted["delay_ms"] / 1000, *answer)
        else:
            answer[0](*answer[1:])

    def _begin(self, beats, pace_s):
        if pace_s:
            self._beat(beats, 0, self._loop.time(), pace_s)
        else:
            self._transport.writelines(beats)

    def _beat(self, beats, number, began, pace_s):
        if self._transport.is_closing():
            return
        self._transport.write(beats[number])
        number += 1
        if number < len(beats):
            self._loop.call_at(began + number * pace_s, self._beat, beats, number, began, pace_s)


async def main(port):
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Provider(loop), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
