"""The small fields of a large JSON object, read and replaced without parsing the rest.

Owns telling where the ends of the object can be cut off for sure, and that nothing in between can be one of
the fields asked for. Whatever is in doubt is refused, and the caller parses all of it. Knows bytes only.

How it is exact. The object is HEAD, a big middle, TAIL. A position is at the top level and outside of strings
- if what stands before it, closed with `}`, is an object by itself: reading goes from left to right;
- if what stands behind it, opened with `{`, is an object by itself, and the whole is valid: were the position
  inside a string, both readings would see the opposite at every quote and could not both end outside; and as
  both close as much as they open, the depth is the same.
The middle begins with an array, so any further field of the top level stands behind a `]` and a comma, or
behind other such fields. There are few of these, and to find a single byte is the fastest search there is.
The middle may also be one string, whose end is found quote by quote.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from typing import Any

import orjson
from attrs import frozen

MIN_BYTES = 16 * 1024
"""From this size on skimming costs less than parsing; a smaller object is better parsed."""

_END_SHARE, _MIN_END_BYTES = 8, 1024  # an end may take an eighth of the body: more costs what is to be saved
_HOP_BYTES, _MIN_HOPS = 2048, 32  # a step in Python costs as much as so many bytes in C
_TRIES = 8
_NEAR_BYTES = 256
_QUOTE = ord('"')
_SPACES = b" \t\r\n"
_MAY_LEAD_ON = b", \t\r\n\f\v/#"

_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_OBJECT = rb"(?!)"
for _ in range(5):  # so deep may an object be that has to be stepped over
    _OBJECT = rb'\{(?:[^"{}]++|%b|%b)*+\}' % (_STRING, _OBJECT)
_SIMPLE = rb"(?:%b|[-+.\w]++)" % _STRING
_VALUE = rb"(?:%b|%b)" % (_SIMPLE, _OBJECT)
_SIMPLE_VALUE = re.compile(_SIMPLE, re.DOTALL)
_LENIENT_VALUE = rb"(?:[\"'\[{+.\d-]|true\b|false\b|null\b|/[/*]|#)"  # code says `model: str`
_COLON = re.compile(rb"\s*+:\s*+")
_END = re.compile(rb"\s*+\}\s*+")
_UP_TO_STRING = re.compile(
    rb'\s*+\{(?:\s*+%b\s*+:\s*+%b\s*+,)*+\s*+%b\s*+:\s*+(?=")' % (_STRING, _VALUE, _STRING), re.DOTALL
)
_LETTER_ESCAPE = re.compile(rb"\\u00[4-7]")  # ASCII letters have no other
_STAND_IN = "\0stands for the middle"
_CLOSED = orjson.dumps(_STAND_IN) + b"}"


class _NotSureError(Exception):
    """The bytes may mean something else than they seem to."""


@frozen
class Skim:
    """A JSON object of which the ends were read.

    wanted: the names asked for. fields: those of them that the object has, with their values.
    """

    raw: bytes
    wanted: Collection[str]
    fields: Mapping[str, Any]
    _keys_at: Mapping[str, int]

    def has(self, name: str) -> bool:
        """Tell whether the object has this field. Raises KeyError for a name that was not asked for."""
        return self._known(name) in self.fields

    def get(self, name: str, default: object = None) -> Any:
        """Return a field's value. Raises KeyError for a name that was not asked for."""
        return self.fields.get(self._known(name), default)

    def with_changes(self, changes: Mapping[str, Any]) -> bytes | None:
        """Return the object with these fields replaced, or added at its end; all else stays byte for byte.

        None where it is too much to find out how far a field goes. Raises KeyError for a name not asked for.
        """
        values = {self._known(name): orjson.dumps(value) for name, value in changes.items()}
        try:
            cuts = [(*self._extent(name), value) for name, value in values.items() if name in self.fields]
        except _NotSureError:
            return None
        added = [
            b",%b:%b" % (_quoted(name), value) for name, value in values.items() if name not in self.fields
        ]
        end = self.raw.rindex(b"}")
        return _spliced(self.raw, [*cuts, (end, end, b"".join(added))])

    def _known(self, name: str) -> str:
        if name not in self.wanted:
            raise KeyError(f'"{name}" was not asked for; known: {", ".join(sorted(self.wanted))}')
        return name

    def _extent(self, name: str) -> tuple[int, int]:
        """Return where a field's value begins and ends."""
        colon = _COLON.match(self.raw, self._keys_at[name] + len(_quoted(name)))
        if colon is None:
            raise _NotSureError
        return colon.end(), _value_end(self.raw, colon.end())


def skim(raw: bytes, wanted: Collection[str]) -> Skim | None:
    """Read the ends of a JSON object; return None where that does not tell all about the wanted fields.

    wanted: names of ASCII letters, digits and underscores. A spelling that some server may take for one of
    them (letter case, escapes, a second time, no quotes) is a doubt, too. What else the middle holds is not
    checked: whether it is valid JSON is for the provider to say.
    """
    try:
        return _skimmed(raw, frozenset(wanted))
    except _NotSureError:
        return None


def _skimmed(raw: bytes, wanted: frozenset[str]) -> Skim:
    middle, head = _head(raw)
    if raw[middle] == _QUOTE:
        found = _tail(raw, _string_end(raw, middle))
    else:
        found = _tail_behind_arrays(raw, middle, wanted)
    if found is None:
        raise _NotSureError
    tail_at, tail = found
    keys_at = _keys_in(head, raw[:middle], wanted)
    for name, at in _keys_in(tail, raw[tail_at:], wanted).items():
        if name in keys_at:
            raise _NotSureError
        keys_at[name] = tail_at + at
    fields = {name: tail[name] if at >= tail_at else head[name] for name, at in keys_at.items()}
    if _STAND_IN in fields.values():
        raise _NotSureError
    return Skim(raw, wanted, fields, keys_at)


def _head(raw: bytes) -> tuple[int, dict[str, Any]]:
    """Return where the big middle begins, and the fields before it; the middle's own has a stand-in."""
    limit = _end_bytes(raw)
    found = None
    for at in _arrays(raw, limit):
        head = _parsed(raw[:at] + _CLOSED)
        if head is not None:
            found = at, head
        if found is not None and (head is None or raw.find(b"]", at, at + _NEAR_BYTES) < 0):
            break
    if found is None:
        string = _UP_TO_STRING.match(raw, 0, _MIN_END_BYTES)
        head = None if string is None else _parsed(raw[: string.end()] + _CLOSED)
        if string is None or head is None:
            raise _NotSureError
        found = string.end(), head
    return found


def _arrays(raw: bytes, limit: int) -> Iterator[int]:
    """Yield where an array may begin as the value of a field."""
    at = -1
    for _ in range(_TRIES):
        at = raw.find(b"[", at + 1, limit)
        if at < 0:
            return
        if raw[at - 1] == ord(":") or raw[at - 1] in _SPACES:
            yield at


def _tail_behind_arrays(raw: bytes, middle: int, wanted: frozenset[str]) -> tuple[int, dict[str, Any]] | None:
    """Return where the tail begins and what it holds: so much that no wanted name can stand before it.

    Goes from one `]` to the one before it. What follows must be no field of a wanted name, nor lead to one.
    """
    doubt = _doubt(wanted, rb"#|/[/*]" if b"\n" in raw or b"\r" in raw else rb"/\*")
    first_at = len(raw) - _end_bytes(raw)
    found = None
    tries = _TRIES
    at = len(raw)
    for _ in range(_MIN_HOPS + len(raw) // _HOP_BYTES):
        at = raw.rfind(b"]", middle, at)
        if at < 0:
            return found
        if found is not None and (raw[at + 1] not in _MAY_LEAD_ON or doubt.match(raw, at) is None):
            continue
        longer = _tail(raw, at + 1) if at >= first_at and tries else None
        if longer is None and found is not None:
            return None
        found = longer
        tries -= 1
    # There are many: one search for what is in doubt takes longer for each byte, but nothing for each `]`.
    return None if found is None or doubt.search(raw, middle, found[0]) else found


@lru_cache(maxsize=64)
def _doubt(wanted: frozenset[str], comment: bytes) -> re.Pattern[bytes]:
    """Return what finds a `]` with, behind it, a field that may have a wanted name or lead to one that has.

    Fields with short values are stepped over. A field that ends its object, or whose value is an array (the
    end of which will be looked at), is none. For lenient servers, names without quotes and comments count.
    """
    names = b"|".join(re.escape(name).encode() for name in sorted(wanted)) or rb"(?!)"
    other = rb'"(?!(?i:%b)")[^"\\\x80-\xff]*+"\s*+:\s*+' % names
    return re.compile(
        rb"\]\s*+(?:,\s*+(?:%b%b\s*+,\s*+)*+(?!%b(?:%b\s*+\}|\[))" % (other, _VALUE, other, _VALUE)
        + rb"(?:%b\s*+:|'?(?i:%b)'?\s*+:\s*+%b|%b)|%b)" % (_STRING, names, _LENIENT_VALUE, comment, comment),
        re.DOTALL,
    )


def _tail(raw: bytes, at: int) -> tuple[int, dict[str, Any]] | None:
    """Return where the fields begin that stand behind a value, and what they are; None if they are not."""
    while raw[at : at + 1] and raw[at] in _SPACES:
        at += 1
    if raw[at : at + 1] != b",":
        return (at, {}) if _END.fullmatch(raw, at) else None
    if len(raw) - at > _end_bytes(raw):
        return None
    fields = _parsed(b"{" + raw[at + 1 :])
    return (at, fields) if fields else None  # nothing behind the comma is not JSON


def _keys_in(fields: Mapping[str, Any], part: bytes, wanted: frozenset[str]) -> dict[str, int]:
    """Return where the wanted names stand that an end has as fields.

    Refuses one that is given twice, with escapes or in another letter case.
    """
    if b"\\u00" in part and _LETTER_ESCAPE.search(part):
        raise _NotSureError
    keys_at = {}
    for name in fields:
        if name in wanted:
            key = _quoted(name)
            at = part.find(key)
            if at < 0 or part.find(key, at + 1) >= 0:
                raise _NotSureError
            keys_at[name] = at
        elif name.casefold() in wanted:
            raise _NotSureError
    return keys_at


def _string_end(raw: bytes, at: int) -> int:
    """Return where the string ends that begins here."""
    for _ in range(_MIN_HOPS + len(raw) // _HOP_BYTES):
        at = raw.find(b'"', at + 1)
        before = raw[max(at - _NEAR_BYTES, 0) : at]
        escapes = len(before) - len(before.rstrip(b"\\"))
        if at < 0 or escapes == _NEAR_BYTES:
            break
        if escapes % 2 == 0:
            return at + 1
    raise _NotSureError


def _value_end(raw: bytes, at: int) -> int:
    """Return where the value ends that begins here, in JSON that was parsed."""
    simple = _SIMPLE_VALUE.match(raw, at)
    if simple is not None:
        return simple.end()
    closer, end = (b"]" if raw[at : at + 1] == b"[" else b"}"), at
    for _ in range(_TRIES):
        end = raw.find(closer, end) + 1
        if end == 0:
            break
        try:
            orjson.loads(raw[at:end])
        except orjson.JSONDecodeError:
            continue
        return end
    raise _NotSureError


def _spliced(raw: bytes, cuts: list[tuple[int, int, bytes]]) -> bytes:
    pieces: list[bytes | memoryview] = []
    view = memoryview(raw)  # so that the middle is copied once
    at = 0
    for begin, end, value in sorted(cuts):
        pieces += (view[at:begin], value)
        at = end
    return b"".join((*pieces, view[at:]))


def _parsed(part: bytes) -> dict[str, Any] | None:
    """Return the object that these bytes are, or None."""
    try:
        tree = orjson.loads(part)
    except orjson.JSONDecodeError:
        return None
    return tree if isinstance(tree, dict) else None


def _end_bytes(raw: bytes) -> int:
    return max(len(raw) // _END_SHARE, _MIN_END_BYTES)


def _quoted(name: str) -> bytes:
    return b'"%b"' % name.encode()
