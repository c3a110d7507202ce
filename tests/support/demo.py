"""Questions to the embedded demo provider, asked without a gateway around it."""

from __future__ import annotations

import orjson
from hypothesis import strategies as st
from multidict import CIMultiDict

from aigw.dialects.endpoints import ENDPOINTS
from aigw.upstream.demo import DemoProvider
from aigw.upstream.provider import Call
from aigw.wire.sse import split_frames

ENDPOINT = {endpoint.path: endpoint for endpoint in ENDPOINTS}
CHAT = "/v1/chat/completions"
NOW = 1_800_000_000
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
            "required": ["city", "days"],
        },
    },
}
CLOCK = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object"}}}


def demo():
    return DemoProvider(pace_s=0, clock=lambda: NOW)


async def ask(path, body, **headers):
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return await demo().call(Call(ENDPOINT[path], "demo", path, CIMultiDict(headers), raw))


async def ask_json(path, body, status=200, **headers):
    answer = await ask(path, body, **headers)
    tree = orjson.loads(await answer.read())
    assert answer.status == status, tree
    return tree


async def ask_frames(path, body):
    answer = await ask(path, {**body, "stream": True})
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/event-stream"
    return split_frames(await answer.read())


async def ask_chunks(path, body):
    *frames, done = await ask_frames(path, body)
    assert done.data == b"[DONE]"
    return [orjson.loads(frame.data) for frame in frames]


async def ask_events(path, body):
    frames = await ask_frames(path, body)
    events = [orjson.loads(frame.data) for frame in frames]
    assert [frame.event for frame in frames] == [event["type"] for event in events]
    return events


def chat(text, **more):
    return {"model": "m-1", "messages": [{"role": "user", "content": text}], **more}


def form(files, **fields):
    parts = [(f'name="{name}"', value.encode()) for name, value in fields.items()]
    parts += [(f'name="{name}"; filename="f"', content) for name, content in files.items()]
    body = b"".join(
        b"--xx\r\nContent-Disposition: form-data; " + head.encode() + b"\r\n\r\n" + content + b"\r\n"
        for head, content in parts
    )
    return body + b"--xx--\r\n"


async def ask_form(path, files, status=200, **fields):
    return await ask_json(
        path, form(files, **fields), status, **{"Content-Type": "multipart/form-data; boundary=xx"}
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-10, 10) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


async def speak(**body):
    answer = await ask("/v1/audio/speech", {"model": "s", "voice": "alloy", **body})
    chunks = []
    while chunk := await answer.chunk():
        chunks.append(chunk)
    return answer, chunks
