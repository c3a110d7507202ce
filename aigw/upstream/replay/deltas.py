"""Finds secrets that a stream tells piece by piece, a few letters in each of its events.

Pure. Joins what events say at the same place, so that a secret can be seen that stands whole in none of them.
Knows no format: any text of an event's JSON may be a piece.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import orjson
from attrs import define

_DATA: Final = re.compile(rb"^data: ?(\{.*\})\r?$", re.MULTILINE)

Span = tuple[int, int]
Edit = tuple[int, int, bytes]
"""Where it begins and ends, and what comes in its place."""


@define
class _Piece:
    """A text in an event: which event, where its tree holds it, and where it begins among its like."""

    event: int
    holder: Any
    key: str | int
    start: int

    @property
    def text(self) -> bytes:
        return str(self.holder[self.key]).encode("utf-8", "surrogatepass")


def edits_across(whole: bytes, find: Callable[[bytes], Sequence[Span]], mask: bytes) -> list[Edit]:
    """Return how to change an event stream so that no secret is told across its events.

    find: where in a text there are secrets. An edit replaces the JSON of one event.
    """
    found = [(match.span(1), tree) for match in _DATA.finditer(whole) if (tree := _parse(match[1]))]
    places: defaultdict[tuple[str | int, ...], list[_Piece]] = defaultdict(list)
    for number, (_, tree) in enumerate(found):
        for path, holder, key in _texts(tree, ()):
            said = places[path]
            start = said[-1].start + len(said[-1].text) if said else 0
            said.append(_Piece(number, holder, key, start))
    changed: set[int] = set()
    for pieces in places.values():
        changed |= _masked(pieces, find, mask)
    return [(*found[number][0], orjson.dumps(found[number][1])) for number in sorted(changed)]


def _masked(pieces: Sequence[_Piece], find: Callable[[bytes], Sequence[Span]], mask: bytes) -> set[int]:
    """Mask what pieces tell together; return the events in which that changed something."""
    texts = [piece.text for piece in pieces]
    spans = find(b"".join(texts))
    changed = set()
    for piece, text in zip(pieces, texts, strict=True):
        kept, at, end = b"", piece.start, piece.start + len(text)
        for begins, ends in spans:
            if ends <= at or begins >= end:
                continue
            kept += text[at - piece.start : max(at, begins) - piece.start]
            kept += mask if begins >= piece.start else b""
            at = min(ends, end)
        kept += text[at - piece.start :]
        if kept != text:
            piece.holder[piece.key] = kept.decode("utf-8", "replace")
            changed.add(piece.event)
    return changed


def _parse(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return None


def _texts(tree: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Any, str | int]]:
    entries = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in entries:
        if isinstance(value, str):
            yield (*path, key), tree, key
        elif isinstance(value, dict | list):
            yield from _texts(value, (*path, key))
