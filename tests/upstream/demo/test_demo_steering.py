"""Steering: every accident can be asked for, and every stream closed."""

from __future__ import annotations

import asyncio

import orjson
import pytest
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter
from support.demo import CHAT, ask, ask_chunks, ask_events, ask_frames, ask_json, chat, speak


async def test_chunks_gives_exactly_that_many_pieces():
    for count in (1, 5, 100):
        text = f"hi [[demo chunks={count}]]"
        chunks = await ask_chunks(CHAT, chat(text))
        pieces = [part for chunk in chunks if (part := chunk["choices"][0]["delta"].get("content"))]
        assert len(pieces) == count
        whole = await ask_json(CHAT, chat(text))
        assert "".join(pieces) == whole["choices"][0]["message"]["content"]
        assert "[[" not in pieces[0]


async def test_pace_and_delay_take_their_time():
    loop = asyncio.get_running_loop()
    start = loop.time()
    await ask_json(CHAT, chat("[[demo delay=50ms]]"))
    assert loop.time() - start >= 0.05
    answer = await ask(CHAT, chat("[[demo pace=10ms delay=0.1s chunks=3]]", stream=True))
    start = loop.time()
    await answer.chunk()
    assert loop.time() - start >= 0.1
    await answer.read()
    assert loop.time() - start >= 0.14


@pytest.mark.parametrize(
    "path", [CHAT, "/v1/responses", "/v1/completions", "/v1/embeddings", "/v1/audio/speech"]
)
async def test_an_error_can_be_asked_for_anywhere(path):
    text = "hi [[demo error=429]]"
    field = {CHAT: {"messages": chat(text)["messages"]}, "/v1/completions": {"prompt": text}}
    answer = await ask(path, field.get(path, {"input": text}))
    assert answer.status == 429
    assert answer.headers["Retry-After"] == "1"
    error = orjson.loads(await answer.read())["error"]
    assert error["code"] == "rate_limit_exceeded"
    assert "demo" in error["message"]


@pytest.mark.parametrize("status", [400, 401, 404, 500, 503, 529])
async def test_any_error_status_can_be_asked_for(status):
    answer = await ask(CHAT, chat(f"[[demo error={status}]]", stream=True))
    assert answer.status == status
    assert "Retry-After" not in answer.headers


async def test_only_the_last_user_message_steers():
    body = chat("[[demo error=500]]")
    body["messages"] += [{"role": "assistant", "content": "sorry"}, {"role": "user", "content": "again"}]
    await ask_json(CHAT, body)


async def test_cut_ends_a_stream_without_its_mark():
    frames = await ask_frames(CHAT, chat("[[demo cut=3]]"))
    assert len(frames) == 3
    assert frames[-1].data != b"[DONE]"
    answer = await ask(CHAT, chat("[[demo cut]]"))
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(await answer.read())


async def test_garbage_is_no_json():
    *frames, last = await ask_frames(CHAT, chat("[[demo garbage=2]]"))
    assert len(frames) == 2
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(last.data)
    answer = await ask(CHAT, chat("[[demo garbage]]"))
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(await answer.read())


async def test_an_error_comes_in_mid_stream_in_the_formats_own_shape():
    *frames, last = await ask_frames(CHAT, chat("[[demo error-after=2]]"))
    assert len(frames) == 2
    assert orjson.loads(last.data)["error"]["type"] == "server_error"
    events = await ask_events("/v1/responses", {"input": "[[demo error-after=2]]"})
    for event in events:
        TypeAdapter(ResponseStreamEvent).validate_python(event)
    assert [event["type"] for event in events[2:]] == ["error", "response.failed"]
    assert [event["sequence_number"] for event in events] == [0, 1, 2, 3]
    await ask_json(CHAT, chat("[[demo error-after=2]]"), status=500)


async def test_a_binary_stream_can_break_off_too():
    for word in ("cut=1", "error-after=1"):
        _, chunks = await speak(input=f"one two three [[demo {word}]]")
        assert len(chunks) == 1


@pytest.mark.parametrize("word", ["nonsense", "pace=soon", "chunks=0", "error=200", "cut=-1", "delay=1h"])
async def test_steering_that_is_not_known_is_refused(word):
    tree = await ask_json(CHAT, chat(f"[[demo {word}]]"), status=400)
    assert word in tree["error"]["message"]


async def test_a_hanging_stream_says_nothing_and_stops_when_closed():
    before = asyncio.all_tasks()
    answer = await ask(CHAT, chat("[[demo hang]]", stream=True))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(answer.chunk(), 0.02)
    await asyncio.wait_for(answer.close(), 1)
    assert await answer.chunk() == b""
    assert asyncio.all_tasks() == before


async def test_a_stream_can_hang_after_it_began_and_be_closed_unread():
    answer = await ask(CHAT, chat("[[demo hang=2 pace=0]]", stream=True))
    assert await answer.chunk()
    assert await answer.chunk()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(answer.chunk(), 0.02)
    await answer.close()
    unread = await ask(CHAT, chat("[[demo pace=10s]]", stream=True))
    await unread.chunk()
    await asyncio.wait_for(unread.close(), 1)
    assert await unread.chunk() == b""


async def test_a_hanging_whole_answer_stops_when_its_call_is_cancelled():
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ask(CHAT, chat("[[demo hang]]")), 0.02)
