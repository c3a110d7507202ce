"""Speech: a tone for each word, as WAV or bare PCM, in chunks or as events.

Source: OpenAI's API reference, read 2026-11 (PCM there is 24 kHz, 16 bits, mono).
"""

from __future__ import annotations

import math
import struct
import wave
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from io import BytesIO

from aigw.upstream.demo import words
from aigw.upstream.demo.fields import one_of, string
from aigw.upstream.demo.question import Question, Tree
from aigw.upstream.demo.script import Script, Whole, event_frame
from aigw.upstream.demo.steering import Steering, without_steering

SAMPLES_PER_S = 24_000
MAX_WORDS = 20
CHUNK_BYTES = 8192

_TONE_SAMPLES = 2_400
_PAUSE = bytes(2 * 600)
_LOUDNESS = 6_000
_TYPES = {"wav": "audio/wav", "pcm": "audio/pcm"}


def answer(question: Question, steering: Steering) -> Script | Whole:
    """Answer one request: the audio as it is, or events under `stream_format`. Raises Refusal."""
    text = without_steering(string(question.tree, "input"))
    form = one_of(question.tree, "response_format", tuple(_TYPES))
    way = one_of(question.tree, "stream_format", ("audio", "sse"))
    spoken = tones(text)
    chunks = _cut(_as_wav(spoken) if form == "wav" else spoken, steering.chunks)
    if way == "audio":
        return Script(chunks, _TYPES[form], failure=lambda _: b"", garbage=b"garbage from the aigw demo")
    return Script(map(event_frame, _events(chunks, words.count(text))))


def tones(text: str) -> bytes:
    """Return samples: one tone a word, its pitch from a hash of the word; at most the first twenty."""
    return b"".join(_tone(word) + _PAUSE for word in text.split()[:MAX_WORDS] or ["demo"])


def _tone(word: str) -> bytes:
    # A wave that fits a whole number of samples repeats without a click.
    period = 40 + sha256(word.encode()).digest()[0] % 80
    waves = _TONE_SAMPLES // period
    samples = [round(_LOUDNESS * math.sin(2 * math.pi * at / period)) for at in range(period)]
    return struct.pack(f"<{period}h", *samples) * waves


def _as_wav(samples: bytes) -> bytes:
    file = BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(SAMPLES_PER_S)
        writer.writeframes(samples)
    return file.getvalue()


def _cut(audio: bytes, chunks: int | None) -> Iterator[bytes]:
    size = CHUNK_BYTES if chunks is None else -(-len(audio) // chunks)
    return (audio[at : at + size] for at in range(0, len(audio), size))


def _events(chunks: Iterator[bytes], text_words: int) -> Iterator[Tree]:
    count = 0
    for count, chunk in enumerate(chunks, 1):  # noqa: B007 - its last value is the number of chunks
        yield {"type": "speech.audio.delta", "audio": b64encode(chunk).decode()}
    usage = {"input_tokens": text_words, "output_tokens": count, "total_tokens": text_words + count}
    yield {"type": "speech.audio.done", "usage": usage}
