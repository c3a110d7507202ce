"""Transcriptions and translations: tells size and length of the recording. Nothing is listened to.

Source: OpenAI's API reference, read 2026-11.
"""

from __future__ import annotations

import math
import wave
from collections.abc import Iterator
from io import BytesIO

from aigw.upstream.demo import words
from aigw.upstream.demo.fields import missing, one_of
from aigw.upstream.demo.question import Question, Tree
from aigw.upstream.demo.script import Script, Whole, event_frame
from aigw.upstream.demo.steering import Steering
from aigw.upstream.demo.talk import DISCLAIMER

_TRANSCRIPTIONS = "/v1/audio/transcriptions"


def answer(question: Question, steering: Steering) -> Script | Whole:
    """Answer one request. Raises Refusal."""
    if (recording := question.files.get("file")) is None:
        raise missing("file")
    form = one_of(question.tree, "response_format", ("json", "text", "verbose_json"))
    duration_s = wav_duration_s(recording)
    text = _describe(recording, duration_s)
    usage = _usage(text, duration_s)
    if question.stream and question.path == _TRANSCRIPTIONS:
        return Script(map(event_frame, _events(text, steering.chunks, usage)))
    if form == "text":
        return Whole(text.encode() + b"\n", "text/plain; charset=utf-8")
    tree: Tree = {"text": text}
    if form == "verbose_json":
        tree |= _details(question, text, duration_s or 0.0)
    # Translations tell no usage; the verbose form counts seconds alone.
    if question.path == _TRANSCRIPTIONS and (form == "json" or duration_s is not None):
        tree["usage"] = usage
    return Whole.json(tree)


def wav_duration_s(recording: bytes) -> float | None:
    """Return how long a WAV file lasts, None for anything else."""
    try:
        with wave.open(BytesIO(recording), "rb") as reader:
            return reader.getnframes() / reader.getframerate()
    except (wave.Error, EOFError, ZeroDivisionError):
        return None


def _describe(recording: bytes, duration_s: float | None) -> str:
    length = "and is no WAV file" if duration_s is None else f"and lasts {duration_s:.2f} seconds"
    return f"The recording has {len(recording)} bytes {length}. Nobody listened to it. {DISCLAIMER}"


def _usage(text: str, duration_s: float | None) -> Tree:
    if duration_s is not None:
        return {"type": "duration", "seconds": math.ceil(duration_s)}
    spoken = words.count(text)
    return {"type": "tokens", "input_tokens": 0, "output_tokens": spoken, "total_tokens": spoken}


def _details(question: Question, text: str, duration_s: float) -> Tree:
    segment = {
        "id": 0,
        "seek": 0,
        "start": 0.0,
        "end": duration_s,
        "text": text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": 0.0,
        "compression_ratio": 1.0,
        "no_speech_prob": 0.0,
    }
    task = "transcribe" if question.path == _TRANSCRIPTIONS else "translate"
    return {"task": task, "language": "english", "duration": duration_s, "segments": [segment]}


def _events(text: str, chunks: int | None, usage: Tree) -> Iterator[Tree]:
    pieces = words.exactly(text, chunks)
    for piece in pieces:
        yield {"type": "transcript.text.delta", "delta": piece}
    yield {"type": "transcript.text.done", "text": "".join(pieces), "usage": usage}
