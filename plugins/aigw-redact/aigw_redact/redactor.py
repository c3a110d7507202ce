"""Redaction of text, whole or as it streams: the same output, however the text is cut.

Owns the scan. One law: for patterns that keep to their `window`, what `feed` and `close` return, put
together, is what `Redactor.redact` makes of the whole text. Text is held back only while a match may
still begin in it, at most `window` characters. Knows no JSON, no events, no requests.

    decided, sent     may become a match, held    not here yet
    [.............|...............................]
                  pos                            end
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

from attrs import define, frozen

from aigw_redact.patterns import MAX_BLOCK_CHARS, Pattern

Count = Callable[[str], None]
"""Told the name of a pattern each time something was redacted."""

_LONGEST_END = 80  # of what ends a block: so much of a block's end is kept to be looked at again


def _nothing(_name: str) -> None:
    return None


@frozen
class _Hold:
    """Patterns of one window: the place from which on they are undecided."""

    window: int
    partial: re.Pattern[str] | None

    def start(self, text: str, pos: int) -> int:
        first = max(pos, len(text) - self.window + 1)
        if self.partial is None:
            return min(first, len(text))
        match = self.partial.search(text, first)
        return len(text) if match is None else match.start()


class Redactor:
    """Some patterns and what stands in their place. Holds no state of any text."""

    def __init__(self, patterns: Iterable[Pattern], replacement: str = "[{name}]") -> None:
        self.patterns: Final = tuple(patterns)
        self.replacements: Final = {p.name: replacement.replace("{name}", p.name) for p in self.patterns}
        self.holds: Final = _holds(self.patterns)
        self.context: Final = max([p.window for p in self.patterns], default=1)

    def redact(self, text: str, count: Count = _nothing) -> str:
        """Return the text with every match replaced; the very same text if there is none."""
        return TextStream(self, count).close(text)

    def stream(self, count: Count = _nothing) -> TextStream:
        """Return the state of one streamed text."""
        return TextStream(self, count)


@frozen
class _Match:
    start: int
    end: int
    pattern: Pattern


@define
class _Tail:
    """A match that goes on. room: characters it may still take."""

    pattern: Pattern
    room: int = MAX_BLOCK_CHARS


class TextStream:
    """One text as it comes in. `holding` tells whether some of it has not been returned yet."""

    def __init__(self, redactor: Redactor, count: Count = _nothing) -> None:
        self._redactor = redactor
        self._count = count
        self._text = ""
        self._pos = 0
        self._tail: _Tail | None = None

    @property
    def holding(self) -> bool:
        return self._pos < len(self._text) or self._tail is not None

    def feed(self, text: str) -> str:
        """Take more of the text, return what is decided."""
        self._text += text
        out = self._advance(final=False)
        # Look-behinds may ask for what has been sent; more than the longest window they do not see.
        cut = max(0, self._pos - self._redactor.context)
        self._text = self._text[cut:]
        self._pos -= cut
        return out

    def close(self, text: str = "") -> str:
        """Take the last of the text, return all that is left."""
        self._text += text
        out = self._advance(final=True)
        self._text, self._pos, self._tail = "", 0, None
        return out

    def _advance(self, *, final: bool) -> str:
        out: list[str] = []
        text = self._text
        matches: dict[str, _Match | None] = {}
        while not self._swallow(final=final):
            limit = len(text) if final else min(hold.start(text, self._pos) for hold in self._redactor.holds)
            match = self._first(matches)
            if match is None or match.start >= limit:
                out.append(text[self._pos : limit])
                self._pos = limit
                break
            pattern = match.pattern
            out += (text[self._pos : match.start], self._redactor.replacements[pattern.name])
            self._count(pattern.name)
            self._pos = match.end
            self._tail = _Tail(pattern) if pattern.rest or pattern.until else None
        return "".join(out)

    def _first(self, matches: dict[str, _Match | None]) -> _Match | None:
        """Return the leftmost match from here on; of two at one place, the one listed first."""
        best: _Match | None = None
        for pattern in self._redactor.patterns:
            match = matches.get(pattern.name, _UNKNOWN)
            if match is _UNKNOWN or (match is not None and match.start < self._pos):
                match = matches[pattern.name] = _find(pattern, self._text, self._pos)
            if match is not None and (best is None or match.start < best.start):
                best = match
        return best

    def _swallow(self, *, final: bool) -> bool:
        """Go on with an open match; tell whether it takes all that is there and is still open."""
        if self._tail is None:
            return False
        tail, pattern = self._tail, self._tail.pattern
        if pattern.rest is not None:
            match = pattern.rest.match(self._text, self._pos)
            self._pos = match.end() if match else self._pos
            is_open = self._pos == len(self._text) and not final
        else:
            is_open = self._swallow_block(pattern, tail, final=final)
        if not is_open:
            self._tail = None
        return is_open

    def _swallow_block(self, pattern: Pattern, tail: _Tail, *, final: bool) -> bool:
        end = min(len(self._text), self._pos + tail.room)
        match = pattern.until.search(self._text, self._pos, end) if pattern.until else None
        if match is not None:
            self._pos = match.end()
            return False
        if final or end - self._pos == tail.room:
            self._pos = end
            return False
        taken = max(0, end - self._pos - _LONGEST_END)
        self._pos += taken
        tail.room -= taken
        return True


_UNKNOWN: Final = _Match(-1, -1, Pattern("", ""))


def _find(pattern: Pattern, text: str, pos: int) -> _Match | None:
    if pattern.needles and all(text.find(needle, pos) < 0 for needle in pattern.needles):
        return None
    while pos < len(text) and (match := pattern.regex.search(text, pos)):
        size = pattern.check(match[0])
        if size:
            return _Match(match.start(), match.start() + size, pattern)
        pos = match.start() + 1
    return None


def _holds(patterns: tuple[Pattern, ...]) -> tuple[_Hold, ...]:
    """Group the patterns by window: those that can be told by a glance at the end, in one regex."""
    by_window: dict[int, list[str]] = {}
    blind = [pattern.window for pattern in patterns if pattern.partial is None]
    for pattern in patterns:
        if pattern.partial is not None:
            by_window.setdefault(pattern.window, []).append(pattern.partial)
    glances = [
        _Hold(window, re.compile("(?:" + "|".join(f"(?:{source})" for source in sources) + r")\Z"))
        for window, sources in by_window.items()
    ]
    return (*glances, _Hold(max(blind, default=1), None))
