"""A provider that is not HTTP: a program that reads the question and prints the answer.

Run it: `python program.py tr a-z A-Z`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncGenerator
from contextlib import aclosing

from aiohttp import web

import aigw


class ProgramProvider(aigw.BaseProvider):
    """Answers chats with what a program prints, line by line as it comes; who leaves ends the program."""

    def __init__(self, name: str, *command: str) -> None:
        super().__init__(name, apis=["chat"])
        self._command = command

    async def call(self, call: aigw.Call) -> aigw.Answer:
        lines = self._run(str(call.json()["messages"][-1]["content"]))
        if call.stream:
            return aigw.Answer.stream(as_stream(call.model, lines))
        return aigw.Answer.json(as_completion(call.model, "".join([line async for line in lines])))

    async def _run(self, question: str) -> AsyncGenerator[str, None]:
        program = await asyncio.create_subprocess_exec(*self._command, stdin=PIPE, stdout=PIPE)
        try:
            program.stdin.write(question.encode())
            program.stdin.close()
            async for line in program.stdout:
                yield line.decode(errors="replace")
        finally:
            if program.returncode is None:
                program.kill()
            await program.wait()


def as_completion(model: str, text: str) -> dict[str, object]:
    """Write an answer as Chat Completions does."""
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"id": "1", "object": "chat.completion", "created": now(), "model": model, "choices": [choice]}


async def as_stream(model: str, texts: AsyncGenerator[str, None]) -> AsyncGenerator[bytes, None]:
    """Write an answer as Chat Completions streams it; closing this closes where the text comes from."""
    head = {"id": "1", "object": "chat.completion.chunk", "created": now(), "model": model}
    async with aclosing(texts):
        async for text in texts:
            yield as_frame({**head, "choices": [{"index": 0, "delta": {"content": text}}]})
    yield as_frame({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    yield b"data: [DONE]\n\n"


def as_frame(tree: dict[str, object]) -> bytes:
    """Write one event."""
    return f"data: {json.dumps(tree)}\n\n".encode()


def now() -> int:
    """Return the time as the format writes it."""
    return int(time.time())


def make_gateway(*command: str) -> aigw.Gateway:
    """Return a gateway with the model "program"."""
    gateway = aigw.Gateway()
    gateway.models.register("program", ProgramProvider("local-program", *command))
    return gateway


if __name__ == "__main__":
    app = make_gateway(*(sys.argv[1:] or ["tr", "a-z", "A-Z"])).make_app()
    web.run_app(app, host="127.0.0.1", port=8080, handler_cancellation=True)
