"""No secret gets into a recording: not from where it belongs, nor from where it does not."""

import asyncio
import json
import string
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

import aigw
from aigw.dialects.endpoints import ENDPOINTS
from aigw.upstream.replay.recording import from_json
from aigw.upstream.replay.scrub import Scrubber

CHAT = next(endpoint for endpoint in ENDPOINTS if endpoint.path == "/v1/chat/completions")

# Shapes of real keys with made-up contents, and what stands before a secret in prose, logs and code.
LOOKS = [
    "sk-proj-aB3dE5gH7jK9mN1pQ3sT5vW7",
    "sk-ant-api03-aB3dE5gH7jK9mN1pQ3sT5vW7-xy_Z",
    "AIzaSyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q",
    "gsk_aB3dE5gH7jK9mN1pQ3sT5vW7",
    "hf_aBcDeFgHiJkLmNoPqRsTuVwXyZ012345",
    "ghp_aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789",
    "xoxb-123456789012-abcdefABCDEF",
    "AKIAIOSFODNN7EXAMPLE",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    "xai-aB3dE5gH7jK9mN1pQ3sT5vW7",
]
ALPHABET = string.ascii_letters + string.digits + '-_.!"\\/+ äß\N{GRINNING FACE}'


class Echo(aigw.BaseProvider):
    """Says the body it got, and the key it was called with, in chunks of some size."""

    def __init__(self, size):
        super().__init__("echo")
        self._size = size

    async def call(self, call):
        call.headers["Authorization"] = "Bearer own-key-0987654321"
        said = orjson.dumps(
            {"heard": call.body.decode(), "key": call.client_key, "own": "own-key-0987654321"}
        )

        async def body():
            for start in range(0, len(said), self._size):
                yield said[start : start + self._size]

        answer = aigw.Answer.stream(body())
        answer.headers.extend({"Set-Cookie": f"a={call.client_key}", "X-Api-Key": call.client_key or ""})
        answer.headers["openai-model"] = call.client_key or ""
        return answer


async def recorded(asked, size=10, secrets=("own-key-0987654321",)):
    """Record one exchange; return the file's bytes."""
    with TemporaryDirectory() as folder:
        provider = aigw.ReplayProvider(Echo(size), dir=folder, mode="record", secrets=secrets)
        answer = await provider.call(asked)
        await answer.read()
        await answer.close()
        return await asyncio.to_thread(only_file, folder)


def only_file(folder):
    [file] = Path(folder).iterdir()
    return file.read_bytes()


def texts_in(content):
    """Every text of a recording, as the file has it and as it is played."""
    recording = from_json("x.json", content)
    played = b"".join(chunk.content for chunk in recording.chunks).decode(errors="replace")
    return [content.decode(), str(orjson.loads(content)), played, str(recording.asked)]


def call(body, *, key=None, query="", headers=()):
    return aigw.Call(
        CHAT, "m", CHAT.path, CIMultiDict(headers), orjson.dumps(body), True, query=query, client_key=key
    )


secret = st.text(ALPHABET, min_size=8, max_size=40).filter(lambda text: len(text.strip()) >= 8)


@settings(max_examples=30, deadline=None)
@given(secret, st.integers(1, 50), st.sampled_from(["text", "deep", "key"]))
async def test_a_known_secret_is_nowhere_however_it_is_cut(text, size, place):
    body = {
        "text": {"messages": [{"role": "user", "content": f"my key is <{text}>!"}]},
        "deep": {"tools": [{"a": [{"b": text}]}]},
        "key": {text: 1},
    }[place]
    content = await recorded(call(body, key=text, headers={"Authorization": f"Bearer {text}"}), size)
    for seen in texts_in(content):
        assert text not in seen
        assert orjson.dumps(text)[1:-1].decode() not in seen
        assert json.dumps(json.dumps(text)[1:-1])[1:-1] not in seen


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(LOOKS), st.integers(1, 60), st.sampled_from([" ", "'", "\n", "(", '"', ": "]))
async def test_what_looks_like_a_key_is_nowhere_however_it_is_cut(key, size, before):
    body = {"messages": [{"role": "user", "content": f"use{before}{key}{before}now"}]}
    for seen in texts_in(await recorded(call(body, query=f"key={key}&x={key}"), size)):
        assert key not in seen
        assert key[8:24] not in seen


EVENTS = {
    "chat": lambda text: {"id": "1", "choices": [{"index": 0, "delta": {"content": text}}]},
    "messages": lambda text: {"type": "content_block_delta", "index": 0, "delta": {"text": text}},
    "responses": lambda text: {"type": "response.output_text.delta", "delta": text},
    "gemini": lambda text: {"candidates": [{"content": {"parts": [{"text": text}]}}]},
}


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([*LOOKS, "a secret of mine"]),
    st.integers(1, 9),
    st.integers(1, 60),
    st.sampled_from([*EVENTS]),
)
def test_a_secret_told_letter_by_letter_is_nowhere(key, letters, size, api):
    said = f"Your key is {key}, so keep it. \N{GRINNING FACE}"
    pieces = [said[start : start + letters] for start in range(0, len(said), letters)]
    stream = b"".join(b"data: %s\n\n" % orjson.dumps(EVENTS[api](piece)) for piece in pieces)
    chunks = [stream[start : start + size] for start in range(0, len(stream), size)]
    cleaned = b"".join(Scrubber(["a secret of mine"]).events(chunks))
    told = "".join(text_of(orjson.loads(line[6:])) for line in cleaned.split(b"\n\n")[:-1])
    assert told == said.replace(key, "***")


class Speller(aigw.BaseProvider):
    """Says the caller's own key letter by letter."""

    async def call(self, call):
        async def body():
            for letter in call.client_key:
                yield b"data: %s\n\n" % orjson.dumps(EVENTS["chat"](letter))

        return aigw.Answer.stream(body())


async def test_a_model_that_spells_the_key_is_not_recorded_spelling_it(tmp_path):
    provider = aigw.ReplayProvider(Speller("speller"), dir=tmp_path, mode="record")
    answer = await provider.call(call({}, key="plain words"))
    await answer.read()
    played = await (await aigw.ReplayProvider(dir=tmp_path).call(call({}))).read()
    assert "".join(text_of(orjson.loads(line[6:])) for line in played.split(b"\n\n")[:-1]) == "***"


def text_of(event):
    """The piece of text in an event of any of the formats."""
    while not isinstance(event, str):
        names = [
            name for name in ("candidates", "content", "parts", "choices", "delta", "text") if name in event
        ]
        event = event[0] if isinstance(event, list) else event[names[0]]
    return event


@given(st.lists(st.binary(max_size=20), max_size=8))
def test_events_without_a_secret_stay_as_they_are(chunks):
    chunks = [*chunks, b'data: {"a":  ["x", {"b": "y"}]}\n\n', *chunks]
    assert Scrubber(["a secret of mine"]).events(chunks) == chunks


@pytest.mark.parametrize(
    "tree",
    [
        {"api_key": "hunter2hunter2"},
        {"tools": [{"type": "mcp", "authorization": "hunter2hunter2"}]},
        {"tools": [{"headers": {"X-Anything": "hunter2hunter2"}}]},
        {"arguments": '{"password": "hunter2hunter2"}'},
        {"text": "Authorization: Basic aHVudGVyMmh1bnRlcjI="},
        {"text": "client_secret=hunter2hunter2&x=1"},
        {"text": "postgres://me:hunter2hunter2@db/x"},
        {"text": "-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----"},
        {"passwords": [], "password": ["hunter2hunter2"]},
    ],
)
async def test_what_is_called_a_secret_is_one(tree):
    for seen in texts_in(await recorded(call(tree), 7)):
        assert "hunter2" not in seen
        assert "aHVudGVyMmh1" not in seen


async def test_of_headers_only_those_are_written_that_are_known_to_be_harmless():
    headers = {"Cookie": "c=1", "X-Forwarded-Tenant": "acme", "anthropic-beta": "b", "api-key": "k"}
    tree = orjson.loads(await recorded(call({}, headers=headers)))
    assert tree["request"]["headers"] == {"anthropic-beta": "b"}
    assert set(tree["answer"]["headers"]) == {"content-type", "openai-model"}


@pytest.mark.parametrize(
    "text",
    [
        "a task-oriented-approach to basic knowledge",
        '{"max_tokens": 4096, "prompt_cache_key": "foobar", "token": "Hello"}',
        "chatcmpl-7QyqpwdfhqwajicIEznoc6Q47XAyW",
        "https://example.com/a?b=c",
        "The secretary has a monkey.",
    ],
)
def test_what_is_no_secret_stays(text):
    assert Scrubber().text(text) == text


@given(st.lists(st.binary(max_size=20), max_size=8))
def test_chunks_without_a_secret_stay_as_they_are(chunks):
    assert Scrubber(["a secret of mine"]).chunks(chunks) == chunks


@given(st.binary(max_size=30), st.integers(0, 30), st.integers(0, 60))
def test_cuts_do_not_change_what_is_masked(noise, first, second):
    scrubber = Scrubber(["a secret of mine"])
    whole = noise + b" a secret of mine, sk-abcdefgh12 " + noise
    first, second = sorted((first, second))
    pieces = [whole[:first], whole[first:second], whole[second:]]
    assert b"".join(scrubber.chunks(pieces)) == scrubber.join([whole])
    assert b"secret of mine" not in scrubber.join(pieces)
