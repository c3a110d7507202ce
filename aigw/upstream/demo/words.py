"""Text in words: what the demo takes for tokens. Counting, cutting, and splitting into a stream's pieces."""

from __future__ import annotations

import re
from itertools import cycle, islice, pairwise

from attrs import frozen

_WORD = re.compile(r"\s*\S+")
_MAX_PIECE = 12


def count(text: str) -> int:
    """Return how many words there are between the white space."""
    return len(text.split())


def cut(text: str, length: int) -> str:
    """Return the text on one line, at most this long, with an ellipsis where something was left out."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"


def split(text: str) -> list[str]:
    """Return the words, each with the white space before it; joined they are the text but for its end."""
    return _WORD.findall(text)


def into(text: str, chunks: int | None) -> list[str]:
    """Split a structure's text into pieces that join to it again: so many if it is long enough."""
    if chunks is None:
        return [word[at : at + _MAX_PIECE] for word in split(text) for at in range(0, len(word), _MAX_PIECE)]
    return _grouped(list(text), chunks)


def exactly(text: str, chunks: int | None) -> list[str]:
    """Split prose into exactly so many pieces, saying it again from the start where it is too short."""
    pieces = split(text)
    if chunks is None or not pieces:
        return pieces
    if len(pieces) >= chunks:
        return _grouped(pieces, chunks)
    again = [pieces[0] if pieces[0][0].isspace() else " " + pieces[0], *pieces[1:]]
    return pieces + list(islice(cycle(again), chunks - len(pieces)))


def _grouped(parts: list[str], chunks: int) -> list[str]:
    chunks = max(1, min(chunks, len(parts)))
    marks = [at * len(parts) // chunks for at in range(chunks + 1)]
    return ["".join(parts[start:end]) for start, end in pairwise(marks)]


@frozen
class Limits:
    """Where a text must end. words: at most so many. stops: it ends before the first of these."""

    words: int | None = None
    stops: tuple[str, ...] = ()

    def hold(self, pieces: list[str]) -> tuple[list[str], bool]:
        """Return the pieces that are allowed, and whether the number of words made the cut."""
        pieces = _before_stop(pieces, self.stops)
        if self.words is None:
            return pieces, False
        kept: list[str] = []
        left = self.words
        for piece in pieces:
            words = split(piece)
            kept.append("".join(words[:left]) if len(words) > left else piece)
            left -= len(words)
            if left < 0:
                return [piece for piece in kept if piece], True
        return kept, False


def _before_stop(pieces: list[str], stops: tuple[str, ...]) -> list[str]:
    text = "".join(pieces)
    places = [place for stop in stops if stop and (place := text.find(stop)) >= 0]
    if not places:
        return pieces
    kept: list[str] = []
    left = min(places)
    for piece in pieces:
        kept.append(piece[:left])
        left -= len(piece)
        if left <= 0:
            break
    return [piece for piece in kept if piece]
