"""The cases, by their short names: what is asked, over how many connections, and how long."""

from attrs import frozen

from . import wire


@frozen
class Scenario:
    """One case.

    path: where it is asked. body: what. check: whether an answer's body is right and whole.
    connections: how many ask at the same time. each: answers that each of them wants, 0 for as many as
        fit into `seconds`; a scenario with `each` may take up to `seconds` before it is given up.
    chunks: of each answer, where answers are streams. spread_s: over which connections begin.
    ideal_s: how long one stream lasts where nothing stands between. once: the first round is enough.
    """

    name: str
    title: str
    body: bytes
    check: object
    path: str = "/v1/chat/completions"
    connections: int = 64
    each: int = 0
    seconds: float = 2.0
    chunks: int = 0
    spread_s: float = 0.0
    ideal_s: float = 0.0
    once: bool = False


def chat(name, title, *, size=600, ask_bytes=300, **more):
    """Return a case of whole answers of `size` bytes of text to requests of `ask_bytes`."""
    body = wire.chat_body(ask_bytes=ask_bytes, size=size)
    return Scenario(name, title, body, wire.is_whole_chat(size), **more)


def stream(name, title, *, chunks, pace_ms, **more):
    """Return a case of streams: so many chunks, the first at once, the others every `pace_ms`."""
    body = wire.chat_body(stream=True, chunks=chunks, pace_ms=pace_ms)
    ideal_s = (chunks - 1) * pace_ms / 1000
    return Scenario(name, title, body, wire.is_whole_stream(chunks), chunks=chunks, ideal_s=ideal_s, **more)


SCENARIOS = {
    each.name: each
    for each in (
        chat("a1", "600-byte answers, 1 connection", connections=1, seconds=1.0),
        chat("a64", "600-byte answers, 64 connections", seconds=3.0),
        chat("L", "20 KB answers, 64 connections", size=20_000),
        chat("f", "200 KB requests, 8 connections", ask_bytes=200_000, connections=8),
        Scenario(
            "e",
            "embeddings of 1,536 numbers, 16 connections",
            wire.embedding_body(),
            wire.is_embedding,
            path="/v1/embeddings",
            connections=16,
        ),
        stream(
            "c50",
            "50 streams at a time, 100 chunks at 5 ms: nobody is late, each chunk is read alone",
            chunks=100,
            pace_ms=5,
            connections=50,
            each=2,
            spread_s=0.5,
            seconds=60.0,
        ),
        stream(
            "c",
            "200 streams at a time, 100 chunks at 5 ms",
            chunks=100,
            pace_ms=5,
            connections=200,
            each=2,
            spread_s=0.5,
            seconds=60.0,
        ),
        stream(
            "d",
            "1,000 streams at a time, 100 chunks at 20 ms",
            chunks=100,
            pace_ms=20,
            connections=1000,
            each=1,
            spread_s=1.0,
            seconds=60.0,
            once=True,
        ),
    )
}
