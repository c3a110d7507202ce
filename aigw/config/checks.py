"""Validators of single values, for the schema here and for plugins' own attrs classes.

Each raises `Wanted` with what would have been right. Path and value seen are added by `structure`,
which knows whether the value may be shown; so no message here ever holds a value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar
from urllib.parse import urlsplit

from attrs import frozen

T = TypeVar("T")

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SPACE_OR_CONTROL = re.compile(r"[\x00-\x20\x7f]")
_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]*")
_HASH = re.compile(r"sha256:[0-9a-f]{64}")
_SIZE = re.compile(r"(\d{1,15})(?: *(B|KB|MB|GB|KiB|MiB|GiB))?")
_UNIT_BYTES = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


_NOTHING: Mapping[str, Wanted] = {}


class Wanted(ValueError):  # noqa: N818 - raise Wanted("a port") reads as its sentence
    """A value is wrong: `wanted` says what would be right, and never repeats the value.

    inside: where the value is a list or a table, the mistakes of its items by index or key.
    """

    def __init__(
        self, wanted: str = "", *, inside: Mapping[int, Wanted] | Mapping[str, Wanted] = _NOTHING
    ) -> None:
        self.wanted = wanted
        self.inside: list[tuple[int | str, Wanted]] = list(inside.items())
        parts = [f"[{key!r}] wanted {mistake}" for key, mistake in self.inside]
        super().__init__("; ".join([wanted, *parts] if wanted else parts))


@frozen
class Check(Generic[T]):
    """An attrs validator: None passes (the field's type says whether None is allowed)."""

    wanted: str
    holds: Callable[[T], bool]

    def __call__(self, _instance: object, _attribute: object, value: T | None) -> None:
        if value is not None and not self.holds(value):
            raise Wanted(self.wanted)


def each(check: Check[T]) -> Callable[[object, object, Sequence[T] | None], None]:
    """Return a validator that applies `check` to every item of a list."""

    def validator(_instance: object, _attribute: object, value: Sequence[T] | None) -> None:
        wrong = {i: Wanted(check.wanted) for i, item in enumerate(value or ()) if not check.holds(item)}
        if wrong:
            raise Wanted(inside=wrong)

    return validator


def each_value(check: Check[T]) -> Callable[[object, object, Mapping[str, T]], None]:
    """Return a validator that applies `check` to every value of a table."""

    def validator(_instance: object, _attribute: object, value: Mapping[str, T]) -> None:
        wrong = {key: Wanted(check.wanted) for key, item in value.items() if not check.holds(item)}
        if wrong:
            raise Wanted(inside=wrong)

    return validator


def each_key(check: Check[str]) -> Callable[[object, object, Mapping[str, object]], None]:
    """Return a validator that applies `check` to every key of a table."""

    def validator(_instance: object, _attribute: object, value: Mapping[str, object]) -> None:
        wrong = {key: Wanted(check.wanted) for key in value if not check.holds(key)}
        if wrong:
            raise Wanted(inside=wrong)

    return validator


def between(low: int, high: int) -> Check[int]:
    """Return a check for whole numbers, both ends included."""
    return Check(f"a whole number from {low} to {high}", lambda value: low <= value <= high)


def _is_http_url(text: str) -> bool:
    if _SPACE_OR_CONTROL.search(text):
        return False
    try:
        parts = urlsplit(text)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and port_is_fine


def _is_base_url(text: str) -> bool:
    return _is_http_url(text) and not {"@", "?", "#"} & set(text)


def _is_origin(text: str) -> bool:
    return text == "*" or (_is_base_url(text) and text.count("/") == 2)


positive: Check[float] = Check("a number greater than 0", lambda value: 0 < value < math.inf)
not_negative: Check[float] = Check("a number, 0 or more", lambda value: 0 <= value < math.inf)
count: Check[int] = Check("a whole number, 0 or more", lambda value: value >= 0)
at_least_one: Check[int] = Check("a whole number, 1 or more", lambda value: value >= 1)
filled: Check[str] = Check("text that is not empty", bool)
some: Check[Sequence[object]] = Check("a list of at least one", bool)
header_name: Check[str] = Check(
    "a header name of letters, digits and -", lambda text: bool(_TOKEN.fullmatch(text))
)
plain_name: Check[str] = Check(
    "a name of letters, digits, '.', '_' and '-'", lambda text: bool(_NAME.fullmatch(text))
)
url_path: Check[str] = Check(
    "a path that begins with /, as /v1",
    lambda text: text.startswith("/") and not {"?", "#"} & set(text) and not _SPACE_OR_CONTROL.search(text),
)
base_url: Check[str] = Check(
    "an absolute http:// or https:// URL without credentials or query, as http://127.0.0.1:8000/v1",
    _is_base_url,
)
http_url: Check[str] = Check("an absolute http:// or https:// URL", _is_http_url)
origin: Check[str] = Check("* or an origin, as https://app.example.com", _is_origin)
key_hash: Check[str] = Check("sha256: and 64 lower-case hex digits", lambda text: bool(_HASH.fullmatch(text)))
one_line: Check[str] = Check(
    "text of one line without control characters", lambda text: not _CONTROL.search(text)
)


def size_bytes(value: int | str) -> int:
    """Convert "32MiB" or "10 MB" to bytes; whole numbers are bytes already."""
    if isinstance(value, int):
        return value
    match = _SIZE.fullmatch(value)
    if match is None:
        raise Wanted("a size in bytes, or with a unit, as 10MB or 32MiB")
    return int(match[1]) * _UNIT_BYTES.get(match[2] or "B", 1)
