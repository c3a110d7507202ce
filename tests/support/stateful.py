"""A client of `/v1/responses` that says little, and a scripted provider of any format for it to talk to."""

import itertools
import json
from collections.abc import Mapping

from attrs import define

from aigw.dialects.anthropic import ANTHROPIC
from aigw.dialects.gemini import GEMINI
from aigw.dialects.openai_chat import OPENAI_CHAT
from aigw.dialects.openresponses import OPENRESPONSES
from aigw.model import (
    Choice,
    FinishReason,
    FunctionCall,
    Message,
    Response,
    TextPart,
    Usage,
    unfold,
)
from aigw.wire.sse import split_frames

CODECS = {"chat": OPENAI_CHAT, "responses": OPENRESPONSES, "messages": ANTHROPIC, "gemini": GEMINI}
APIS = tuple(CODECS)
_numbers = itertools.count(1)


def says(text, *, finish=FinishReason.STOP):
    """Return an answer of one message."""
    return _answer(Message("assistant", (TextPart(text),)), finish)


def calls(name, arguments, call_id="call_1"):
    """Return an answer of one tool call."""
    return _answer(FunctionCall(call_id, name, json.dumps(arguments)), FinishReason.TOOL_CALLS)


def _answer(item, finish):
    usage = Usage(input_tokens=3, output_tokens=2)
    name = f"resp_{next(_numbers):040d}"
    return Response(name, "up-model", 1700000000, (Choice((item,), finish),), usage)


def tell(upstream, api, answer, *, stream=False):
    """Let the scripted provider, which speaks `api`, give an answer next."""
    codec = CODECS[api]
    if not stream:
        upstream.answer(codec.encode_response(answer, None))
        return
    encoder = codec.stream_encoder(None)
    upstream.stream(b"".join([*(encoder.encode(event) for event in unfold(answer)), encoder.close()]))


@define
class Told:
    """What a client got. body: the response object or the error; events: of a stream, all of them."""

    status: int
    headers: Mapping
    body: dict
    events: list

    @property
    def id(self):
        assert self.status == 200, self.body
        return self.body["id"]

    @property
    def text(self):
        return "".join(
            part["text"]
            for item in self.body["output"]
            if item["type"] == "message"
            for part in item["content"]
        )

    @property
    def error(self):
        return self.status, self.body["error"]["code"], self.body["error"]["param"]


class Caller:
    """Talks to a gateway over one aiohttp session."""

    def __init__(self, session, url, key="sk-a", model="m"):
        self.session, self.url, self.model = session, url, model
        self.headers = {"Authorization": f"Bearer {key}"}

    async def ask(self, given=None, *, stream=False, **fields):
        """POST /v1/responses. The body of a stream is what its terminal event holds."""
        tree = {"model": self.model, "stream": stream, **fields}
        if given is not None:
            tree["input"] = given
        return await self.send("POST", "/v1/responses", tree)

    async def get(self, path, **query):
        return await self.send("GET", path, query=query)

    async def post(self, path, tree=None):
        return await self.send("POST", path, tree)

    async def delete(self, path):
        return await self.send("DELETE", path)

    async def send(self, method, path, tree=None, query=None):
        async with self.session.request(
            method, self.url + path, json=tree, params=query, headers=self.headers
        ) as response:
            data = await response.read()
            assert response.headers["x-request-id"]
            headers = response.headers
            if not response.headers["Content-Type"].startswith("text/event-stream"):
                return Told(response.status, headers, json.loads(data), [])
            *frames, done = split_frames(data)
            assert done.data == b"[DONE]"
            events = [json.loads(frame.data) for frame in frames]
            return Told(response.status, headers, events[-1]["response"], events)


def texts(listing):
    """Return the texts of the messages in a list object, as they stand in it."""
    return [
        "".join(part.get("text", "") for part in item["content"])
        for item in listing["data"]
        if item["type"] == "message"
    ]
