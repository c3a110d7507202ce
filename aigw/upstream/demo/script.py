"""What a demonstration makes: a whole body, or the script of a stream; and playing a script in time.

Owns pace and the accidents that can be steered. Knows bytes, not formats.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from typing import Any

import orjson
from attrs import frozen

from aigw.upstream.demo.refusal import steered_refusal
from aigw.upstream.demo.steering import Steering
from aigw.wire.sse import encode_frame

DONE = b"data: [DONE]\n\n"
JSON = "application/json"
EVENT_STREAM = "text/event-stream"


@frozen
class Whole:
    """An answer in one piece."""

    body: bytes
    content_type: str = JSON

    @staticmethod
    def json(tree: object) -> Whole:
        return Whole(orjson.dumps(tree))


def data_frame(tree: object) -> bytes:
    """Write one frame as the Chat and Completions APIs do: data without an event name."""
    return encode_frame(orjson.dumps(tree))


def event_frame(tree: dict[str, Any]) -> bytes:
    """Write one frame as OpenAI's newer APIs do: the event's name is the tree's `type`."""
    return encode_frame(orjson.dumps(tree), tree["type"])


def _error_frame() -> bytes:
    return data_frame(steered_refusal(500).tree())


@frozen
class Script:
    """A stream before it is played.

    frames: one chunk of the answer each, made as they are asked for.
    failure: makes the bytes that tell a failure in the middle of it, given how many frames went before.
    garbage: bytes that its format does not allow.
    """

    frames: Iterable[bytes]
    content_type: str = EVENT_STREAM
    failure: Callable[[int], bytes] = lambda _: _error_frame()
    garbage: bytes = b'data: {"demo": garbage\n\n'


async def play(script: Script, steering: Steering, pace_s: float) -> AsyncGenerator[bytes, None]:
    """Yield the frames in time. Holds nothing but the timer it waits on: closing it stops it at once."""
    pause_s = pace_s if steering.pace_s is None else steering.pace_s
    await asyncio.sleep(steering.delay_s)
    for count, frame in enumerate(script.frames):
        if count:
            await asyncio.sleep(pause_s)
        if count == steering.hang_after:
            await asyncio.Event().wait()
        if count == steering.cut_after:
            return
        if count == steering.garbage_after:
            yield script.garbage
            return
        if count == steering.error_after:
            yield script.failure(count)
            return
        yield frame
