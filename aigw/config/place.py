"""Where in the operator's tree we are, and how a mistake there is told.

Owns the one-line form of a problem - path, value seen, value wanted - and the decision whether the
value may be shown. Knows no schema.
"""

from __future__ import annotations

import datetime as dt
import difflib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Self

from attrs import evolve, field, frozen

from aigw.config.secrets import MASK, Interpolated, Secret

_SECRET_NAME = re.compile(
    "key|token|secret|passw|authorization|credential|cookie|headers|proxy|query", re.IGNORECASE
)
_BARE_KEY = re.compile(r"[0-9A-Za-z_-]+")
_URL_CREDENTIALS = re.compile(r"(//|^[^@/]*?:(?!//)).*@", re.DOTALL)
_URL_QUERY = re.compile(r"(//[^?]*)\?.*", re.DOTALL)
_SHOWN_CHARS = 60
_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "true or false"),
    ((int, float), "a number"),
    ((str, Secret), "text"),
    (Mapping, "a table"),
    ((list, tuple), "a list"),
    ((dt.date, dt.time), "a date"),
)


@frozen
class Place:
    """A path, the list that its problems go to, and whether values here are secrets.

    Everything below a key that looks like a secret's is hidden.
    """

    path: str
    problems: list[str] = field(repr=False)
    hidden: bool = False

    def key(self, name: str) -> Self:
        """Return the place of a table's entry."""
        path = join(self.path, name)
        return evolve(self, path=path, hidden=self.hidden or looks_secret(name))

    def item(self, index: int) -> Self:
        """Return the place of a list's item."""
        return evolve(self, path=f"{self.path}[{index}]")

    def secret(self) -> Self:
        """Return this place with its values hidden, whatever its keys are called."""
        return evolve(self, hidden=True)

    def say(self, text: str) -> None:
        """Add a problem that shows no value."""
        self.problems.append(f"{self.path}: {text}" if self.path else text)

    def refuse(self, value: object, wanted: str, candidates: Iterable[str] = ()) -> None:
        """Add a problem: the value seen (unless hidden), what was wanted, and the nearest candidate."""
        openly = isinstance(value, str) and not isinstance(value, Interpolated) and not self.hidden
        hint = did_you_mean(value, candidates) if openly and isinstance(value, str) else ""
        self.say(f"got {show(value, hidden=self.hidden)}, wanted {wanted}{hint}")


def join(path: str, name: str) -> str:
    """Append a table's key to a path, quoted where a bare key could not say it."""
    key = name if _BARE_KEY.fullmatch(name) else quote(name)
    return f"{path}.{key}" if path else key


def listed(names: Iterable[str]) -> str:
    """Return tables' keys as they may stand in a message, quoted where a bare key could not say them."""
    return ", ".join(join("", name) for name in sorted(names))


def looks_secret(name: str) -> bool:
    """Tell whether what stands below a key of this name is never shown."""
    return _SECRET_NAME.search(name) is not None


def kind_of(value: object) -> str:
    """Name what a value is in the words that files are written about."""
    if value is None:
        return "nothing"
    name = next((name for kind, name in _KINDS if isinstance(value, kind)), f"a {type(value).__name__}")
    if isinstance(value, str | Secret | list | tuple | Mapping) and not value:
        return f"{'' if name == 'text' else 'an '}empty {name.removeprefix('a ')}"
    return name


def show(value: object, *, hidden: bool) -> str:
    """Return a short text for a value. An interpolated one shows what the file says, as `"${PORT}"`."""
    if value is None:
        return "nothing"
    if hidden or isinstance(value, Secret):
        return f"{MASK} ({kind_of(value)})"
    if isinstance(value, Interpolated):
        return quote(value.source)
    if isinstance(value, str):
        return quote(_URL_QUERY.sub(rf"\1?{MASK}", _URL_CREDENTIALS.sub(rf"\1{MASK}@", value)))
    # Digits of huge integers are refused by str() itself.
    if isinstance(value, float) or (isinstance(value, int) and value.bit_length() <= 64):
        return str(value).lower()
    return kind_of(value)


def quote(text: str) -> str:
    """Quote a text for a message, on one line and shortened."""
    short = text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 3] + "..."
    quoted = json.dumps(short, ensure_ascii=False)
    return quoted.encode("utf-8", "backslashreplace").decode()


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """Return `; did you mean "x"?` for the nearest candidate, or nothing when none is near."""
    lowered = {candidate.lower(): candidate for candidate in candidates}
    near = difflib.get_close_matches(name[:200].lower(), lowered, n=1, cutoff=0.6)
    return f"; did you mean {quote(lowered[near[0]])}?" if near else ""
