"""Steering: what a message may ask the demo to do to its own answer.

    [[demo pace=50ms chunks=100 delay=1s]]   pause between frames, pieces of text, wait before the first
    [[demo error=429]]                       an error with that status instead of an answer
    [[demo cut=3]]                           the stream breaks off after 3 frames
    [[demo garbage=3]]                       after 3 frames comes one that is no JSON, then the end
    [[demo error-after=3]]                   after 3 frames comes an error frame, then the end
    [[demo hang=3]]                          after 3 frames comes nothing any more, until it is closed

The last four may leave the number out: 0. In a whole answer they mean half of the body, a body that is no
JSON, a 500, and no answer at all. Words may be combined, and only the last message of the user counts.
Owns the syntax alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from attrs import frozen

from aigw.upstream.demo.refusal import Refusal

MAX_PAUSE_S = 600.0
MAX_CHUNKS = 10_000

_TAG = re.compile(r"\[\[demo\b([^\]]*)\]\]")
_DURATION = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)(ms|s|)")


@frozen
class Steering:
    """What the message asked for; None where it asked for nothing."""

    pace_s: float | None = None
    delay_s: float = 0.0
    chunks: int | None = None
    error: int | None = None
    cut_after: int | None = None
    garbage_after: int | None = None
    error_after: int | None = None
    hang_after: int | None = None


def read_steering(text: str) -> Steering:
    """Read every tag in a text. Raises Refusal on a word or a value that is not known."""
    found: dict[str, Any] = {}
    for tag in _TAG.findall(text):
        for word in tag.split():
            name, _, value = word.partition("=")
            if name not in _WORDS:
                raise Refusal(f"aigw demo: [[demo {word}]] is not known; known: {', '.join(_WORDS)}.")
            field, read = _WORDS[name]
            found[field] = read(word, value)
    return Steering(**found)


def without_steering(text: str) -> str:
    """Return the text without its tags."""
    return _TAG.sub("", text).strip()


def _duration_s(word: str, value: str) -> float:
    found = _DURATION.fullmatch(value)
    if found is None:
        raise Refusal(f"aigw demo: [[demo {word}]] wants a duration, as 50ms or 1.5s.")
    return min(float(found[1]) / (1000 if found[2] == "ms" else 1), MAX_PAUSE_S)


def _number(low: int, high: int, default: str = "") -> Callable[[str, str], int]:
    def read(word: str, value: str) -> int:
        value = value or default
        if not (value.isascii() and value.isdigit() and len(value) < 10 and low <= int(value) <= high):
            raise Refusal(f"aigw demo: [[demo {word}]] wants a number from {low} to {high}.")
        return int(value)

    return read


_AFTER = _number(0, MAX_CHUNKS, default="0")

_WORDS: dict[str, tuple[str, Callable[[str, str], float]]] = {
    "pace": ("pace_s", _duration_s),
    "delay": ("delay_s", _duration_s),
    "chunks": ("chunks", _number(1, MAX_CHUNKS)),
    "error": ("error", _number(400, 599)),
    "cut": ("cut_after", _AFTER),
    "garbage": ("garbage_after", _AFTER),
    "error-after": ("error_after", _AFTER),
    "hang": ("hang_after", _AFTER),
}
