"""`DemoProvider`: which demonstration answers which path, and how what they made becomes an `Answer`.

Owns dispatch and the steering of whole answers; streams are played by `script`. Knows no wire format.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType

from aigw.dialects.endpoints import Api
from aigw.upstream.demo import (
    chat,
    completions,
    embeddings,
    images,
    moderations,
    responses,
    speech,
    transcription,
)
from aigw.upstream.demo.question import Question, read_question
from aigw.upstream.demo.refusal import Refusal, steered_refusal
from aigw.upstream.demo.script import Script, Whole, play
from aigw.upstream.demo.steering import Steering, read_steering
from aigw.upstream.provider import Answer, BaseProvider, Call

Handler = Callable[[Question, Steering], Script | Whole]

_HANDLERS: Mapping[str, Handler] = MappingProxyType(
    {
        "/v1/chat/completions": chat.answer,
        "/v1/completions": completions.answer,
        "/v1/responses": responses.answer,
        "/v1/embeddings": embeddings.answer,
        "/v1/moderations": moderations.answer,
        "/v1/images/generations": images.answer,
        "/v1/images/edits": images.answer,
        "/v1/images/variations": images.answer,
        "/v1/audio/speech": speech.answer,
        "/v1/audio/transcriptions": transcription.answer,
        "/v1/audio/translations": transcription.answer,
    }
)

_NOT_JSON = b'{"demo": garbage'


class DemoProvider(BaseProvider):
    """A provider that is not there: deterministic, offline, and open about it.

    pace_s: pause between the chunks of a stream, unless the message steers another.
    clock: where `created` comes from.
    """

    apis = frozenset(Api) - {Api.MESSAGES, Api.GEMINI}
    repeats_ids = True

    def __init__(
        self, name: str = "demo", *, pace_s: float = 0.02, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(name)
        self._pace_s = pace_s
        self._clock = clock

    async def call(self, call: Call) -> Answer:
        """Answer at once, or as slowly or badly as the message asks for; bad requests get OpenAI's 400."""
        try:
            question = read_question(call, created=int(self._clock()))
            steering = read_steering(question.last_text)
            if steering.error is not None:
                await asyncio.sleep(steering.delay_s)
                raise steered_refusal(steering.error)
            made = _handler(question.path)(question, steering)
            if isinstance(made, Script):
                return Answer.stream(play(made, steering, self._pace_s), made.content_type)
            return await _deliver(made, steering)
        except Refusal as refusal:
            return refusal.answer()

    async def models(self) -> list[str]:
        return ["demo", "demo-embedding", "demo-image", "demo-audio"]


def _handler(path: str) -> Handler:
    handler = _HANDLERS.get(path)
    if handler is None:
        raise Refusal(f"Invalid URL (POST {path})", status=404, code="unknown_url")
    return handler


async def _deliver(whole: Whole, steering: Steering) -> Answer:
    """Answer in one piece; what would break a stream half-way breaks this too."""
    await asyncio.sleep(steering.delay_s)
    if steering.hang_after is not None:
        await asyncio.Event().wait()
    if steering.error_after is not None:
        raise steered_refusal(500)
    if steering.garbage_after is not None:
        return Answer.whole(_NOT_JSON, whole.content_type)
    if steering.cut_after is not None:
        return Answer.whole(whole.body[: len(whole.body) // 2], whole.content_type)
    return Answer.whole(whole.body, whole.content_type)
