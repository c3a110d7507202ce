"""A provider of any of the four formats that gives a canonical answer, and what its client gets."""

import json

import orjson

import aigw
from aigw.dialects.anthropic import ANTHROPIC
from aigw.dialects.base import join_frames
from aigw.dialects.gemini import GEMINI
from aigw.dialects.openai_chat import OPENAI_CHAT
from aigw.dialects.openresponses import OPENRESPONSES
from aigw.model import Choice, FinishReason, FunctionCall, Message, Response, TextPart, Usage, unfold
from aigw.upstream.demo import DemoProvider
from aigw.upstream.provider import parse_apis

DIALECTS = {"chat": OPENAI_CHAT, "messages": ANTHROPIC, "gemini": GEMINI, "responses": OPENRESPONSES}
APIS = tuple(DIALECTS)
SIDES = (*APIS, "demo")
HELLO = Message("assistant", (TextPart("Hello there."),))


def answer(*items, reason=None):
    """Return an answer made of these items, with token counts."""
    calls = any(isinstance(item, FunctionCall) for item in items)
    reason = reason or (FinishReason.TOOL_CALLS if calls else FinishReason.STOP)
    return Response("resp_up", "up-model", 7, (Choice(items, reason),), Usage(5, 3))


def script(upstream, api, response, *, stream):
    """Let the provider give this answer in its format."""
    dialect = DIALECTS[api]
    if not stream:
        upstream.raw(orjson.dumps(dialect.encode_response(response, None)))
        return
    encoder = dialect.stream_encoder(None)
    upstream.stream(join_frames(encoder, unfold(response)) + encoder.close())


def house(upstream, *apis):
    """Return a gateway whose model "m" is the scripted provider's "up-model", spoken to by these APIs."""
    gateway = aigw.Gateway()
    provider = aigw.Provider(upstream.url, "sk-upstream", name="up", apis=apis)
    gateway.models.register("m", provider, rewrite="up-model")
    return gateway


def demo(*apis):
    """Return a gateway whose model "m" is the demo, spoken to by these APIs or by all it speaks."""
    gateway = aigw.Gateway()
    provider = DemoProvider(pace_s=0)
    if apis:
        provider.apis = parse_apis(apis)
    gateway.models.register("m", provider)
    return gateway


def front(upstream, side):
    """Return a gateway in front of one of SIDES: the scripted provider of an API, or the demo."""
    return demo() if side == "demo" else house(upstream, side)


def say(upstream, side, *items, stream=True):
    """Let one of SIDES answer with these items; the demo makes its own answers."""
    if side != "demo":
        script(upstream, side, answer(*items), stream=stream)


async def ask(http, url, body):
    """Ask for a response; return status, headers and the bytes of the answer."""
    async with http.post(url + "/v1/responses", json=body) as response:
        return response.status, response.headers, await response.read()


def last_response(raw, *, stream):
    """Return the response object of a whole answer, or the one that a stream ends with."""
    if not stream:
        return json.loads(raw)
    frames = [frame for frame in raw.split(b"\n\n") if b"data: {" in frame]
    return json.loads(frames[-1].partition(b"data: ")[2])["response"]


async def serve(aiohttp_server, gateway):
    """Run a gateway on its own; return its URL."""
    server = await aiohttp_server(gateway.make_app())
    return str(server.make_url("/")).rstrip("/")
