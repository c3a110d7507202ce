"""A provider over real HTTP that answers what a test scripted, and remembers what it was asked."""

import asyncio
import json
from typing import Any

from aiohttp import web
from attrs import define, field

CUT = "cut"
"""Script step: drop the connection without a word."""
HANG = "hang"
"""Script step: say nothing more until the client goes away."""

Step = bytes | float | str


@define
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@define
class Script:
    status: int
    headers: dict[str, str]
    steps: list[Step]


def sse(*trees: Any, done: bool = True) -> bytes:
    """Write objects as the frames of a chat stream."""
    frames = [b"data: " + json.dumps(tree).encode() + b"\n\n" for tree in trees]
    return b"".join(frames) + (b"data: [DONE]\n\n" if done else b"")


def chunk(text: str | None = None, *, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """Return one chunk of a chat stream as OpenAI writes it."""
    delta = {} if text is None else {"content": text}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "up-model",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        **more,
    }


USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
USAGE_CHUNK = {**chunk(), "choices": [], "usage": USAGE}
HELLO = sse(chunk("Hel"), chunk("lo"), chunk(finish="stop"))
COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "up-model",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
    "usage": USAGE,
}


@define(eq=False)
class ScriptedUpstream:
    """Plays scripts in turn; the last one is played again and again."""

    scripts: list[Script] = field(factory=list)
    seen: list[Seen] = field(factory=list)
    open: int = 0
    dropped: int = 0
    url: str = ""

    def answer(
        self, tree: Any = COMPLETION, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        """Script a whole JSON answer."""
        self.raw(json.dumps(tree).encode(), status=status, headers=headers)

    def raw(
        self,
        *steps: Step,
        status: int = 200,
        content_type: str = "application/json",
        headers: dict[str, str] | None = None,
    ) -> None:
        """Script any answer: bytes are sent, floats are pauses in seconds, CUT and HANG are what they say."""
        self.scripts.append(Script(status, {"Content-Type": content_type, **(headers or {})}, list(steps)))

    def stream(self, *steps: Step, headers: dict[str, str] | None = None) -> None:
        """Script an event stream."""
        self.raw(*steps, content_type="text/event-stream", headers=headers)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.seen.append(
            Seen(request.method, request.path, request.query_string, dict(request.headers), body)
        )
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        self.open += 1
        try:
            return await self._play(script, request)
        except (asyncio.CancelledError, ConnectionError):
            self.dropped += 1
            raise
        finally:
            self.open -= 1

    async def _play(self, script: Script, request: web.Request) -> web.StreamResponse:
        steps = script.steps
        if (
            len(steps) == 1
            and isinstance(steps[0], bytes)
            and "event-stream" not in script.headers["Content-Type"]
        ):
            return web.Response(status=script.status, headers=script.headers, body=steps[0])
        if steps and steps[0] == CUT:  # before any head
            self._cut(request)
        if steps and steps[0] == HANG:
            await asyncio.Event().wait()
        response = web.StreamResponse(status=script.status, headers=script.headers)
        await response.prepare(request)
        for step in steps:
            if isinstance(step, bytes):
                await response.write(step)
            elif isinstance(step, float):
                await asyncio.sleep(step)
            elif step == CUT:
                self._cut(request)
            elif step == HANG:
                await asyncio.Event().wait()
        return response

    @staticmethod
    def _cut(request: web.Request) -> None:
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError("cut")
