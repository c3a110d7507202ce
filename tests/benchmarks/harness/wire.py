"""What the load asks, and what a right answer is: bytes of HTTP, no I/O.

The mock provider is steered from the message text, since that is what every gateway passes on:
`mock:chunks=100,pace_ms=5`. It numbers what it says, so an answer that lost a piece is found out.
"""

import json
import re

KEY = "sk-bench"
MODEL = "m"
WORD = "tk%05d "
_WORDS = re.compile(rb"tk(\d{5}) ")
_STEERING = re.compile(rb"mock:([a-z_]+=\d+(?:,[a-z_]+=\d+)*)")
DEFAULTS = {"size": 600, "chunks": 100, "pace_ms": 5, "delay_ms": 0}
"""size: bytes of a whole answer's text. chunks: of a stream. delay_ms: before the first byte."""


def steering(**wanted):
    """Return the words that tell the mock provider what to answer."""
    return "mock:" + ",".join(f"{name}={value}" for name, value in {**DEFAULTS, **wanted}.items())


def steered(body):
    """Return what a request's bytes ask of the mock provider, as in DEFAULTS."""
    found = _STEERING.search(body)
    pairs = (pair.split(b"=") for pair in found[1].split(b",")) if found else ()
    return {**DEFAULTS, **{name.decode(): int(value) for name, value in pairs}}


def words(count):
    """Return numbered words: a text that shows when a piece of it is missing."""
    return "".join(WORD % number for number in range(count))


def text_of(size):
    """Return a text of about `size` bytes, never shorter than one word."""
    return words(max(1, size // len(WORD % 0)))


def chat_body(*, stream=False, ask_bytes=300, **wanted):
    """Return a chat request of about `ask_bytes`."""
    said = steering(**wanted)
    messages = [{"role": "user", "content": said + " " + "word " * ((ask_bytes - len(said)) // 5)}]
    return json.dumps({"model": MODEL, "messages": messages, "stream": stream}).encode()


def embedding_body():
    return json.dumps({"model": MODEL, "input": "word " * 60}).encode()


def request(port, path, body):
    """Return a whole HTTP request, as a client's SDK would send it."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {KEY}\r\n"
        "Accept: application/json\r\nUser-Agent: load/1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def is_whole_chat(size):
    """Return a check for answers to be JSON with the whole text."""
    text = text_of(size).encode()
    return lambda body: text in body and b'"finish_reason"' in body and body.rstrip().endswith(b"}")


def is_whole_stream(chunks):
    """Return a check for streams: every chunk, in order, then one mark of the end, and nothing behind."""
    wanted = [b"%05d" % number for number in range(chunks)]

    def check(body):
        ends = body.count(b"data: [DONE]") == 1 and body.rstrip().endswith(b"data: [DONE]")
        return ends and _WORDS.findall(body) == wanted

    return check


def is_embedding(body):
    return b'"embedding"' in body and b'"usage"' in body and body.rstrip().endswith(b"}")


def has_first_word(piece):
    return b"tk00000 " in piece
