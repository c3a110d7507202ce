"""Takes secrets out of what is about to be written: known ones, and what looks like one.

Owns what a secret looks like. Works on bytes, since a provider's chunks may cut a secret, or a character, in
two. Knows no file and no format beyond JSON's way to escape a text.
Source: the vendors' documentation of their keys' prefixes, read 2026-11.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode

from aigw.upstream.replay.deltas import Edit, Span, edits_across
from aigw.wire.headers import is_returned

MASK: Final = "***"
MIN_SECRET_CHARS: Final = 6
"""A shorter text is not taken for a secret: masking each "key" would leave nothing to read."""

_REQUEST_HEADERS: Final = frozenset(
    {"accept", "content-type", "openai-beta", "anthropic-beta", "anthropic-version"}
)
_NAMES: Final = (
    rb"(?:(?:x[_-]?(?:goog[_-]?)?)?api[_-]?key|(?:access|refresh|id|auth|session|bearer)[_-]?token"
    rb"|(?:client|app)[_-]?secret|secret(?:[_-]?(?:access[_-]?)?key)?|private[_-]?key"
    rb"|pass(?:word|wd|phrase)|(?:proxy[_-]?)?authorization|(?:set[_-]?)?cookies?|credentials?)"
)
_SECRET_NAME: Final = re.compile(_NAMES.decode(), re.IGNORECASE)
_SECRET_PARAMETER: Final = re.compile(
    _NAMES.decode() + "|key|token|sig|signature|code|x-amz-(?:signature|security-token)", re.IGNORECASE
)
# `(?<!...)` keeps "task-oriented" and the middle of base64 out of it.
_LOOKS: Final = rb"""
    -----BEGIN[ ][A-Z ]*PRIVATE[ ]KEY-----.*?-----END[ ][A-Z ]*PRIVATE[ ]KEY-----
  | (?<![A-Za-z0-9_-])(?:
        (?:sk|pk|rk)-[A-Za-z0-9_-]{8,}
      | AIza[A-Za-z0-9_-]{30,} | ya29\.[A-Za-z0-9_.-]{16,}
      | (?:gsk|hf|r8|fw|ghp|gho|ghs|ghu|ghr|github_pat|glpat|tgp_v1|sk_live|rk_live)[_-][A-Za-z0-9_-]{12,}
      | (?:xai|pplx|nvapi|csk)-[A-Za-z0-9_-]{12,}
      | xox[abeprs]-[A-Za-z0-9-]{10,}
      | A(?:KIA|SIA)[A-Z0-9]{16}
      | eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+
    )
  | (?i:(?<=bearer[ ])|(?<=bearer%20))(?=[^\s"'\\]*[0-9])[A-Za-z0-9._~+/=-]{8,}
  | (?i:(?<=basic[ ]))(?=[^\s"'\\]*[0-9=])[A-Za-z0-9+/=]{8,}
  | (?<=://)[^\s/@"'\\]+:[^\s/@"'\\]+(?=@)
  | (?P<name>(?<![A-Za-z0-9])(?i:NAMES)\\*["']?\s*[:=]\s*\\*["']?(?:(?i:basic|bearer)\s+)?)
    (?P<value>[^\s"'\\,;&{}\[\]]{4,})
""".replace(b"NAMES", _NAMES)


class Scrubber:
    """Masks secrets. known: texts that are secret whatever they look like."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._known = frozenset(text for text in known if len(text) >= MIN_SECRET_CHARS)
        forms = {form for text in self._known for form in _forms(text)}
        longest_first = sorted(forms, key=len, reverse=True)
        exact = rb"|".join(re.escape(form) for form in longest_first)
        # Verbose mode would drop the spaces of a known secret, so it holds for the looks alone.
        self._pattern = re.compile(
            rb"(?:" + exact + rb")|(?x:" + _LOOKS + rb")" if exact else rb"(?x:" + _LOOKS + rb")", re.DOTALL
        )

    def knowing(self, *more: str | None) -> Scrubber:
        """Return a scrubber that knows these secrets, too."""
        new = {text for text in more if text} - self._known
        return Scrubber({*self._known, *new}) if new else self

    def text(self, text: str) -> str:
        """Return a text with every secret in it replaced by `***`."""
        content = text.encode("utf-8", "surrogatepass")
        return self.join([content]).decode("utf-8", "surrogatepass")

    def tree(self, tree: Any) -> Any:
        """Return a JSON tree without the secrets in its texts and below names of secrets."""
        if isinstance(tree, str):
            return self.text(tree)
        if isinstance(tree, list):
            return [self.tree(item) for item in tree]
        if isinstance(tree, dict):
            return {self.text(key): self._entry(key, value) for key, value in tree.items()}
        return tree

    def found(self, tree: Any) -> Iterator[str]:
        """Yield the secrets that `tree` takes out, for whoever looks for them where they are repeated."""
        if isinstance(tree, str):
            content = tree.encode("utf-8", "surrogatepass")
            for match in self._pattern.finditer(content):
                start, end = _span(match)
                yield content[start:end].decode("utf-8", "replace")
        elif isinstance(tree, list):
            for item in tree:
                yield from self.found(item)
        elif isinstance(tree, dict):
            for name, value in tree.items():
                yield from self.found(name)
                yield from _texts(value) if self._is_masked(name, value) else self.found(value)

    def query(self, query: str) -> str:
        """Return a URL's query without its secrets."""
        pairs = parse_qsl(query, keep_blank_values=True)
        kept = [
            (name, MASK if _SECRET_PARAMETER.fullmatch(name) else self.text(value)) for name, value in pairs
        ]
        return urlencode(kept, safe="*")

    def request_headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Pick what of a request's headers may be written: those that are known to change the answer."""
        return {
            name.lower(): self.text(value)
            for name, value in headers.items()
            if name.lower() in _REQUEST_HEADERS
        }

    def answer_headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Pick what of an answer's headers may be written: its type, and what clients are shown."""
        return {
            name.lower(): self.text(value)
            for name, value in headers.items()
            if name.lower() == "content-type" or is_returned(name)
        }

    def join(self, chunks: Sequence[bytes]) -> bytes:
        """Return the chunks as one, scrubbed."""
        return b"".join(self.chunks(chunks))

    def chunks(self, chunks: Sequence[bytes]) -> list[bytes]:
        """Return the chunks scrubbed, each cut where it was, also where a secret went across a cut."""
        edits = [(*span, MASK.encode()) for span in self._spans(b"".join(chunks))]
        return _edited(chunks, edits)

    def events(self, chunks: Sequence[bytes]) -> list[bytes]:
        """Like `chunks`, for an event stream: also finds what is told across several events."""
        cleaned = self.chunks(chunks)
        return _edited(cleaned, edits_across(b"".join(cleaned), self._spans, MASK.encode()))

    def _spans(self, content: bytes) -> list[Span]:
        return [_span(match) for match in self._pattern.finditer(content)]

    def _entry(self, name: str, value: Any) -> Any:
        return _masked(value) if self._is_masked(name, value) else self.tree(value)

    @staticmethod
    def _is_masked(name: str, value: Any) -> bool:
        # A table below "password" is a schema's property of that name, but headers are a table themselves.
        if isinstance(value, dict):
            return name.lower() == "headers"
        return isinstance(value, str | list) and _SECRET_NAME.fullmatch(name) is not None


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _masked(item) for key, item in value.items()}
    return [_masked(item) for item in value] if isinstance(value, list) else MASK


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def _span(match: re.Match[bytes]) -> Span:
    return match.span("value") if match["value"] is not None else match.span()


def _edited(chunks: Sequence[bytes], edits: Sequence[Edit]) -> list[bytes]:
    """Return the chunks with edits of their whole made; each goes into the chunk in which it begins."""
    whole = b"".join(chunks)
    changed, start = [], 0
    for chunk in chunks:
        end = start + len(chunk)
        changed.append(_between(whole, start, end, edits))
        start = end
    return changed


def _between(whole: bytes, start: int, end: int, edits: Sequence[Edit]) -> bytes:
    parts, at = [], start
    for begins, ends, instead in edits:
        if ends <= at or begins >= end:
            continue
        parts.append(whole[at : max(at, begins)])
        if begins >= start:
            parts.append(instead)
        at = min(ends, end)
    parts.append(whole[at:end])
    return b"".join(parts)


def _forms(text: str) -> Iterable[bytes]:
    """Yield how a text may stand in bytes: as it is, in JSON, in JSON within JSON, or in a URL."""
    escaped = {text}
    for _ in range(3):  # the last is for arguments of a tool's call in a message that is quoted itself
        yield from (form.encode("utf-8", "surrogatepass") for form in escaped)
        escaped = {json.dumps(form, ensure_ascii=plain)[1:-1] for form in escaped for plain in (True, False)}
    yield quote(text, safe="", errors="surrogatepass").encode()
