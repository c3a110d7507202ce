"""Mixed traffic of every sort that a gateway meets, and what a right answer to each is.

Owns the kinds, their shares, and the checks. A kind is a coroutine that asks and raises `WrongError`; those
that hang up get no answer, so nothing but what the gateway keeps of them can be wrong.
"""

import asyncio
import json
import random
import re

from attrs import define, field

from .plain_client import READ_BYTES, BrokenError, Connections, exchange, request_bytes
from .wire import (
    KEY,
    MODEL,
    chat_body,
    embedding_body,
    is_embedding,
    is_whole_chat,
    is_whole_stream,
    steering,
)

CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
OTHER_KEY = "sk-bench-other"
CHUNKS, PACE_MS, SIZE = 40, 5, 600
_WORDS = re.compile(rb"tk(\d{5}) ")
_WANTED = [b"%05d" % number for number in range(CHUNKS)]
TURNS = 4
SLOW_PAUSE_S = 0.02


class WrongError(Exception):
    """An answer that is not what it must be; says what came."""


def _shown(answer):
    body = bytes(answer.body)
    return f"{answer.status}, {len(body)} bytes: {body[:200]!r} ... {body[-80:]!r}"


def _must(is_right, answer):
    if not is_right:
        raise WrongError(_shown(answer))


@define
class Traffic:
    """The kinds of requests to one gateway. chance: decides all that is not said; seeded, runs are alike."""

    connections: Connections
    chance: random.Random
    asked: dict[str, int] = field(factory=dict)
    wrong: dict[str, int] = field(factory=dict)
    samples: list[str] = field(factory=list)

    @property
    def port(self):
        return self.connections.port

    async def one(self, name=None):
        """Ask one request (or conversation) of a kind, by default of one that chance picks; count it."""
        name = name or self.chance.choices([*KINDS], [share for share, _ in KINDS.values()])[0]
        self.asked[name] = self.asked.get(name, 0) + 1
        try:
            await KINDS[name][1](self)
        except (WrongError, BrokenError, TimeoutError, OSError, ValueError, KeyError) as error:
            self.wrong[name] = self.wrong.get(name, 0) + 1
            if len(self.samples) < 50:
                self.samples.append(f"{name}: {type(error).__name__}: {error}")


async def chat_whole(self):
    answer = await self.connections.ask("POST", CHAT, chat_body(size=SIZE))
    _must(answer.status == 200 and is_whole_chat(SIZE)(bytes(answer.body)), answer)


async def chat_stream(self):
    body = chat_body(stream=True, chunks=CHUNKS, pace_ms=PACE_MS)
    answer = await self.connections.ask("POST", CHAT, body)
    _must(answer.status == 200 and is_whole_stream(CHUNKS)(bytes(answer.body)), answer)


async def chat_large(self):
    """A long request, a long answer."""
    answer = await self.connections.ask("POST", CHAT, chat_body(ask_bytes=200_000, size=100_000))
    _must(answer.status == 200 and is_whole_chat(100_000)(bytes(answer.body)), answer)


async def messages_stream(self):
    """Anthropic's format in front of a provider of OpenAI's."""
    said = steering(chunks=CHUNKS, pace_ms=PACE_MS)
    tree = {
        "model": MODEL,
        "max_tokens": 999,
        "stream": True,
        "messages": [{"role": "user", "content": said}],
    }
    answer = await self.connections.ask("POST", MESSAGES, json.dumps(tree).encode())
    body = bytes(answer.body)
    ends = body.count(b"event: message_stop") == 1 and b'"stop_reason":"end_turn"' in body
    _must(answer.status == 200 and ends and _WORDS.findall(body) == _WANTED, answer)


async def messages_whole(self):
    tree = {"model": MODEL, "max_tokens": 9, "messages": [{"role": "user", "content": steering(size=SIZE)}]}
    answer = await self.connections.ask("POST", MESSAGES, json.dumps(tree).encode())
    said = json.loads(answer.body)
    words = _WORDS.findall(said["content"][0]["text"].encode())
    _must(answer.status == 200 and said["stop_reason"] == "end_turn" and len(words) == SIZE // 8, answer)


async def responses_chain(self):
    """A conversation that is kept, turns whole or streamed; then looked at, by others too, or deleted."""
    previous, turns = None, self.chance.randint(1, TURNS)
    for _ in range(turns):
        previous = await _turn(self, previous)
    found = await self.connections.ask("GET", f"{RESPONSES}/{previous}/input_items?limit=100&order=asc")
    items = json.loads(found.body)["data"]
    _must(found.status == 200 and len(items) == 2 * turns - 1, found)
    hidden = await self.connections.ask("GET", f"{RESPONSES}/{previous}", key=OTHER_KEY)
    _must(hidden.status == 404, hidden)
    if self.chance.random() < 0.3:
        gone = await self.connections.ask("DELETE", f"{RESPONSES}/{previous}")
        _must(gone.status == 200, gone)
        found = await self.connections.ask("GET", f"{RESPONSES}/{previous}")
        _must(found.status == 404, found)


async def _turn(self, previous):
    """Ask for one more response of a chain; return its id."""
    streamed = self.chance.random() < 0.5
    said = steering(chunks=CHUNKS, pace_ms=PACE_MS, size=SIZE)
    tree = {"model": MODEL, "input": said, "stream": streamed}
    if previous:
        tree["previous_response_id"] = previous
    answer = await self.connections.ask("POST", RESPONSES, json.dumps(tree).encode())
    _must(answer.status == 200, answer)
    if not streamed:
        response, wanted = json.loads(answer.body), SIZE // 8
    else:
        events = [json.loads(line[6:]) for line in bytes(answer.body).split(b"\n") if line[:7] == b"data: {"]
        deltas = "".join(each["delta"] for each in events if each["type"] == "response.output_text.delta")
        _must(_WORDS.findall(deltas.encode()) == _WANTED, answer)
        _must([each["type"] for each in events].count("response.completed") == 1, answer)
        response, wanted = events[-1]["response"], CHUNKS
    text = response["output"][0]["content"][0]["text"]
    whole = len(_WORDS.findall(text.encode())) == wanted
    _must(whole and response["status"] == "completed" and response["store"] is True, answer)
    return response["id"]


async def embeddings(self):
    answer = await self.connections.ask("POST", "/v1/embeddings", embedding_body())
    _must(answer.status == 200 and is_embedding(bytes(answer.body)), answer)


async def wrong_key(self):
    key = f"sk-{self.chance.getrandbits(64):x}"
    answer = await self.connections.ask("POST", CHAT, chat_body(), key=key)
    _must(answer.status == 401 and b'"error"' in answer.body and key.encode() not in answer.body, answer)


async def unknown_model(self):
    body = chat_body().replace(b'"model": "m"', b'"model": "m-%x"' % self.chance.getrandbits(64))
    answer = await self.connections.ask("POST", CHAT, body)
    _must(answer.status == 404 and b"no such model" in answer.body, answer)


async def invalid_json(self):
    answer = await self.connections.ask("POST", CHAT, chat_body()[: self.chance.randint(1, 100)])
    _must(answer.status == 400 and b'"error"' in answer.body, answer)


async def fallback_whole(self):
    """The first provider fails, each time in another way; the second answers."""
    body = chat_body(size=SIZE).replace(b'"model": "m"', b'"model": "flaky"')
    answer = await self.connections.ask("POST", CHAT, body)
    _must(answer.status == 200 and is_whole_chat(SIZE)(bytes(answer.body)), answer)


async def fallback_stream(self):
    body = chat_body(stream=True, chunks=CHUNKS, pace_ms=PACE_MS)
    answer = await self.connections.ask("POST", CHAT, body.replace(b'"model": "m"', b'"model": "flaky"'))
    _must(answer.status == 200 and is_whole_stream(CHUNKS)(bytes(answer.body)), answer)


async def broken_stream(self):
    """The provider dies amid its answer: one error event, and no mark of success."""
    body = chat_body(stream=True).replace(b'"model": "m"', b'"model": "broken"')
    answer = await self.connections.ask("POST", CHAT, body)
    told = answer.body.count(b'"error"') == 1 and b"[DONE]" not in answer.body
    _must(answer.status == 200 and told and len(_WORDS.findall(answer.body)) == 3, answer)


async def slow_reader(self):
    """A client that takes a long answer in small bites, with little room on its side."""
    body = chat_body(stream=True, chunks=1000, pace_ms=0)
    async with self.connections.fresh(limit=2048) as (reader, writer):
        question = request_bytes(self.port, "POST", CHAT, body)
        answer = await exchange(reader, writer, question, pause_s=SLOW_PAUSE_S, read_bytes=4096)
    _must(answer.status == 200 and is_whole_stream(1000)(bytes(answer.body)), answer)


async def slow_writer(self):
    """A client whose upload comes in pieces."""
    question = request_bytes(self.port, "POST", CHAT, chat_body(ask_bytes=20_000, size=SIZE))
    async with self.connections.fresh() as (reader, writer):
        for start in range(0, len(question) - 4000, 4000):
            writer.write(question[start : start + 4000])
            await asyncio.sleep(SLOW_PAUSE_S)
        answer = await exchange(reader, writer, question[start + 4000 :])
    _must(answer.status == 200 and is_whole_chat(SIZE)(bytes(answer.body)), answer)


async def gone_before(self):
    """The client hangs up before the answer."""
    wanted = {"delay_ms": 500, "chunks": CHUNKS}
    tree = {"model": MODEL, "input": steering(**wanted), "stream": self.chance.random() < 0.5}
    chat = chat_body(stream=self.chance.random() < 0.5, **wanted)
    path, body = self.chance.choice(((CHAT, chat), (RESPONSES, json.dumps(tree).encode())))
    async with self.connections.fresh() as (_, writer):
        writer.write(request_bytes(self.port, "POST", path, body))
        await asyncio.sleep(self.chance.uniform(0.0, 0.2))


async def gone_amid(self):
    """The client hangs up amid a stream."""
    body = chat_body(stream=True, chunks=1000, pace_ms=PACE_MS)
    async with self.connections.fresh() as (reader, writer):
        writer.write(request_bytes(self.port, "POST", CHAT, body))
        for _ in range(self.chance.randint(1, 10)):
            async with asyncio.timeout(10):
                piece = await reader.read(READ_BYTES)
            if not piece:
                raise WrongError("the stream ended early")


async def gone_amid_translated(self):
    """The client of another format hangs up amid a stream that would have been kept."""
    said = steering(chunks=1000, pace_ms=PACE_MS)
    tree = {"model": MODEL, "stream": True, "input": said}
    async with self.connections.fresh() as (reader, writer):
        writer.write(request_bytes(self.port, "POST", RESPONSES, json.dumps(tree).encode()))
        for _ in range(self.chance.randint(1, 10)):
            async with asyncio.timeout(10):
                await reader.read(READ_BYTES)


async def gone_amid_upload(self):
    """The client hangs up amid its own request: in the head, or in the body."""
    question = request_bytes(self.port, "POST", CHAT, chat_body(ask_bytes=100_000))
    async with self.connections.fresh() as (_, writer):
        writer.write(question[: self.chance.choice((50, 250, 5_000, 90_000))])
        await asyncio.sleep(self.chance.uniform(0.0, 0.1))


KINDS = {
    each.__name__: (share, each)
    for share, each in (
        (20, chat_whole),
        (16, chat_stream),
        (1, chat_large),
        (8, messages_stream),
        (4, messages_whole),
        (3, responses_chain),
        (6, embeddings),
        (4, wrong_key),
        (4, unknown_model),
        (4, invalid_json),
        (4, fallback_whole),
        (3, fallback_stream),
        (2, broken_stream),
        (1, slow_reader),
        (2, slow_writer),
        (3, gone_before),
        (3, gone_amid),
        (2, gone_amid_translated),
        (3, gone_amid_upload),
    )
}
"""Name: (share, coroutine of a Traffic)."""

KEYS = {KEY: "bench", OTHER_KEY: "other"}
"""Keys and the tenants that they name."""
