"""Redaction of JSON text while it streams: tool-call arguments stay valid JSON.

Owns the walk over JSON text cut anywhere, also inside an escape. Every string that is a value is
unescaped, redacted as a text of its own, and escaped again; keys stay. A number, or what else stands
outside of strings, becomes a string if something in it was redacted. What does not begin like a JSON
object, array or string is no JSON and is redacted as plain text. Knows no events.
"""

from __future__ import annotations

import json
import re
from typing import Protocol

from aigw_redact.redactor import Count, Redactor, TextStream

MAX_TOKEN_CHARS = 4096

_BODY = re.compile(r'(?:[^"\\]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+')
_ESCAPE_BEGUN = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?\Z")
_HIGH_SURROGATE = re.compile(r"(?<!\\)(?:\\\\)*(\\u[dD][89abAB][0-9a-fA-F]{2})\Z")
_LOW_SURROGATE_BEGUN = re.compile(r"(?:\\(?:u[0-9a-fA-F]{0,3})?)?\Z")
_TOKEN = re.compile(r'[^{}\[\]:,"\s]+')
_TO_ESCAPE = re.compile(r'["\\\x00-\x1f\ud800-\udfff]')


class Stream(Protocol):
    """A text that is redacted as it comes."""

    @property
    def holding(self) -> bool:
        """Whether some of what was fed has not been returned."""

    def feed(self, text: str) -> str: ...

    def close(self, text: str = "") -> str: ...


def redact_json(redactor: Redactor, text: str, count: Count) -> str:
    """Return whole JSON text redacted; the very same text if nothing in it is."""
    seen: list[str] = []
    out = JsonStream(redactor, seen.append).close(text)
    for name in seen:
        count(name)
    return out if seen else text


class JsonStream:
    """One JSON text as it comes in."""

    def __init__(self, redactor: Redactor, count: Count) -> None:
        self._redactor = redactor
        self._count = count
        self._plain: TextStream | None = None
        self._value: TextStream | None = None
        self._begun = False
        self._in_string = False
        self._wants_key = False
        self._above = ""
        self._token = ""
        self._carry = ""

    @property
    def holding(self) -> bool:
        inner = self._plain or self._value
        return bool(self._token or self._carry) or (inner is not None and inner.holding)

    def feed(self, text: str) -> str:
        """Take more of the text, return what is decided."""
        if not self._begun and (start := text.lstrip()):
            self._begun = True
            if start[0] not in '{["':
                self._plain = self._redactor.stream(self._count)
        return self._plain.feed(text) if self._plain else self._walk(text)

    def close(self, text: str = "") -> str:
        """Take the last of the text, return all that is left."""
        out = self.feed(text)
        if self._plain:
            return out + self._plain.close()
        out += self._end_token()
        carry, self._carry = self._carry, ""
        if self._in_string:
            out += self._say(_decode(carry)) + (_escape(self._value.close()) if self._value else "")
        return out

    def _walk(self, text: str) -> str:
        text, self._carry = self._carry + text, ""
        out: list[str] = []
        pos = 0
        while pos < len(text) and not self._carry:
            pos = self._string(text, pos, out) if self._in_string else self._between(text, pos, out)
        return "".join(out)

    def _between(self, text: str, pos: int, out: list[str]) -> int:
        if token := _TOKEN.match(text, pos):
            self._token += token[0]
            if len(self._token) > MAX_TOKEN_CHARS:
                out.append(self._end_token())
            return token.end()
        char = text[pos]
        out += (self._end_token(), char)
        if char == '"':
            self._in_string = True
            self._value = None if self._wants_key else self._redactor.stream(self._count)
        elif char in "{[":
            self._above += char
        elif char in "}]":
            self._above = self._above[:-1]
        if char in "{[}],:":
            self._wants_key = char in "{," and self._above.endswith("{")
        return pos + 1

    def _end_token(self) -> str:
        token, self._token = self._token, ""
        redacted = self._redactor.redact(token, self._count) if token else ""
        return token if redacted == token else f'"{_escape(redacted)}"'

    def _string(self, text: str, pos: int, out: list[str]) -> int:
        body = _BODY.match(text, pos)
        end = body.end() if body else pos
        if end < len(text) and text[end] == '"':
            out.append(self._say(_decode(text[pos:end])))
            if self._value is not None:
                out.append(_escape(self._value.close()))
            out.append('"')
            self._in_string, self._value = False, None
            return end + 1
        high = _HIGH_SURROGATE.search(text[pos:end])
        if high and _LOW_SURROGATE_BEGUN.match(text, end):
            end = pos + high.start(1)  # its other half may come yet
            self._carry = text[end:]
        elif end < len(text) and _ESCAPE_BEGUN.match(text, end):
            self._carry = text[end:]
        out.append(self._say(_decode(text[pos:end])))
        if end < len(text) and not self._carry:
            # No escape that JSON knows: two characters that mean themselves.
            out.append(self._say(text[end : end + 2]))
            end += 2
        return end

    def _say(self, text: str) -> str:
        return _escape(text if self._value is None else self._value.feed(text))


def _decode(body: str) -> str:
    if "\\" not in body:
        return body
    try:
        text: str = json.loads(f'"{body}"', strict=False)
    except ValueError:
        return body
    return text


def _escape(text: str) -> str:
    return _TO_ESCAPE.sub(lambda match: json.dumps(match[0])[1:-1], text)
