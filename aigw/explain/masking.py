"""Keeping credentials out of what is told.

Owns which texts are secret and which names stand before one. Whatever is told of a request goes through here,
also what the client itself has put into it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import parse_qsl, quote, unquote, urlsplit, urlunsplit

from attrs import frozen

from aigw.config import Config
from aigw.config.place import looks_secret
from aigw.config.secrets import MASK
from aigw.providers.wrappers import secrets_of

MIN_VARIABLE_CHARS = 8
"""A variable's value that is shorter is no key, and would be found in every other word."""
_DECIMAL = re.compile(r"-?\d+\.\d+(e[-+]?\d+)?|inf|nan")
_SCHEMES = ("Bearer ", "Basic ", "AWS4-HMAC-SHA256 ")


@frozen
class Mask:
    """Replaces secrets by `***`. texts: the secrets, in every spelling, the longest first."""

    texts: tuple[str, ...]

    def text(self, text: str) -> str:
        for secret in self.texts:
            if secret in text:
                text = text.replace(secret, MASK)
        return text

    def tree(self, value: object) -> object:
        """Return a JSON value with no secret in any of its texts and names."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(name): self.tree(each) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.tree(each) for each in value]
        return value

    def headers(self, headers: Iterable[tuple[str, str]]) -> dict[str, str]:
        """Return headers to be shown: of a credential, its scheme is all that is."""
        return {name: self._header(name, value) for name, value in headers}

    def _header(self, name: str, value: str) -> str:
        if not looks_secret(name):
            return self.text(value)
        return next((scheme for scheme in _SCHEMES if value.startswith(scheme)), "") + MASK

    def url(self, url: str) -> str:
        """Return a URL without user, password and the values of its query that may be credentials."""
        parts = urlsplit(url)
        query = "&".join(
            f"{name}={MASK if looks_secret(name) else value}"
            for name, value in parse_qsl(parts.query, keep_blank_values=True)
        )
        host = parts.netloc.rpartition("@")[2]
        return self.text(urlunsplit((parts.scheme, host, parts.path, query, "")))


def mask_for(config: Config, env: Mapping[str, str], *credentials: str | None) -> Mask:
    """Return what hides all that configuration, environment and the caller hold as secrets."""
    found = {*secrets_of(config, env), *filter(None, credentials)}
    found = {text for text in found if not _DECIMAL.fullmatch(text)} - _open_words(config)
    found |= {value for name, value in env.items() if looks_secret(name) and len(value) >= MIN_VARIABLE_CHARS}
    found |= set(_passwords(found))
    return Mask(tuple(sorted(_spellings(found), key=lambda text: (-len(text), text))))


def _open_words(config: Config) -> set[str]:
    """Return settings whose names speak of keys and headers, though they hold none."""
    sections = config.providers.values()
    return {word for each in sections for word in (each.key_strategy, *each.forward_headers)}


def _passwords(texts: Iterable[str]) -> Iterator[str]:
    """Yield the passwords in those secrets that are URLs, as a proxy's is."""
    for text in texts:
        head, at, _ = text.partition("//")[2].rpartition("@")
        if at and (password := head.partition(":")[2]):
            yield unquote(password)


def _spellings(texts: Iterable[str]) -> Iterator[str]:
    seen = set()
    for text in texts:
        seen |= {text, quote(text, safe=""), quote(text), json.dumps(text)[1:-1]}
    yield from seen
