"""The body of a request or of a whole answer, and how a hook may look into it and change it.

Bytes stay as they came until somebody asks for more: fields are parsed on demand, the canonical form
is decoded on demand, and the body is written again only if it was changed. The few small fields that every
request is asked for are read and replaced without parsing a large body. Knows no provider, no client.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

import orjson

from aigw.dialects.base import Tree
from aigw.errors import ClientError, ErrorKind
from aigw.wire import multipart
from aigw.wire.skim import MIN_BYTES, Skim, skim

_FIVE_LETTER_KEYS = re.compile(rb'"((?:[^"\\]|\\u00[0-9a-fA-F]{2}){5})"\s*:')

_MODEL = re.compile(rb'"model"\s*+:\s*+("(?:[^"\\]++|\\.)*+")')
SPLICED_BYTES = 1024
"""From this size on putting a model into the bytes costs less than writing all of them again."""
_MODEL_ALONE = frozenset({"model"})

SMALL_FIELDS = frozenset({"model", "stream", "stream_options", "fallbacks"})
"""What every request is asked for, and what differs for a target: `told` and `body` are cheap for these."""

T = TypeVar("T")
"""The canonical form: `model.Request` for what comes in, `model.Response` for what goes out."""


class Payload(Generic[T]):
    """A body with fields. This base is the empty one, before anything was read.

    fields: top-level fields by name. To look at, not to change: changes go through `edit`.
    """

    content_type = "application/json"
    raw = b""
    changed = False

    @property
    def fields(self) -> Tree:
        return {}

    @property
    def names(self) -> Iterable[str]:
        """Names of all that the body holds, files too; one that came twice may be named twice."""
        return self.fields

    @property
    def told(self) -> Mapping[str, Any]:
        """Those of the SMALL_FIELDS that the body has, and maybe others; no more is parsed than it takes."""
        return self.fields

    @property
    def is_certain(self) -> bool:
        """Whether every parser must find the same model in the bytes that `body()` gives."""
        return True

    def spellings(self, name: str) -> list[str]:
        """Return what a server may take for one of the SMALL_FIELDS: its name in any letter case."""
        return [found for found in self.names if len(found) == len(name) and found.lower() == name]

    def edit(self) -> Tree:
        """Return the fields to be changed in place; the body is written again from them."""
        raise ClientError("this request has no body to change")

    def decoded(self) -> T | None:
        """Return the canonical form, or None where this endpoint has none."""
        return None

    def replace(self, value: T) -> None:  # noqa: ARG002
        """Put a canonical form in place of the body."""
        raise ClientError("this endpoint has no canonical form")

    def body(self, changes: Tree | None = None) -> bytes:
        """Return the bytes to send: the very ones that came, if nothing was changed.

        changes: fields that are different this time; the payload itself stays as it is.
        """
        if changes:
            raise ClientError("this request has no body to change")
        return self.raw


class JsonPayload(Payload[T]):
    """A JSON object."""

    def __init__(
        self,
        raw: bytes,
        fields: Tree | None = None,
        *,
        decode: Callable[[Tree], T] | None = None,
        encode: Callable[[T], Tree] | None = None,
    ) -> None:
        self.raw = raw
        self._fields = fields
        self._decode = decode
        self._encode = encode
        self._decoded: T | None = None
        self._skimmed: Skim | None = None
        self._may_be_skimmed = len(raw) >= MIN_BYTES and fields is None

    @property
    def fields(self) -> Tree:
        if self._fields is None:
            self._fields = parse_object(self.raw)
        return self._fields

    @property
    def told(self) -> Mapping[str, Any]:
        if self._fields is not None:
            return self._fields
        ends = self._ends()
        return self.fields if ends is None else ends.fields

    @property
    def is_certain(self) -> bool:
        return self.changed or self._ends() is not None or says_one_model(self.raw)

    def spellings(self, name: str) -> list[str]:
        ends = self._ends()
        if ends is None:
            return super().spellings(name)
        return [name] if ends.has(name) else []  # with any other there would be no ends

    def _ends(self) -> Skim | None:
        """Return the ends of a large body as it came; None where it has to be parsed, or was changed."""
        if self.changed:
            return None
        if self._may_be_skimmed:
            self._may_be_skimmed = False
            if self._fields is None:
                self._skimmed = skim(self.raw, SMALL_FIELDS)
        return self._skimmed

    def edit(self) -> Tree:
        self.changed = True
        self._decoded = None
        return self.fields

    def decoded(self) -> T | None:
        if self._decoded is None and self._decode is not None:
            self._decoded = self._decode(self.fields)
        return self._decoded

    def replace(self, value: T) -> None:
        if self._encode is None:
            super().replace(value)
            return
        self._fields = self._encode(value)
        self._decoded = value
        self.changed = True

    def body(self, changes: Tree | None = None) -> bytes:
        if not changes:
            return orjson.dumps(self.fields) if self.changed else self.raw
        written = None
        ends = self._ends() if changes.keys() <= SMALL_FIELDS else None
        if ends is not None:
            written = ends.with_changes(changes)
        elif len(self.raw) > SPLICED_BYTES and not self.changed and changes.keys() == _MODEL_ALONE:
            written = _with_model(self.raw, self.fields, changes["model"])
        return orjson.dumps({**self.fields, **changes}) if written is None else written


class FormPayload(Payload[T]):
    """A multipart form. `fields` holds its text fields; files cannot be changed, only passed on."""

    def __init__(self, raw: bytes, content_type: str) -> None:
        self.raw = raw
        self.content_type = content_type
        self._boundary = multipart.boundary_of(content_type)
        self._parts = multipart.parse(raw, self._boundary)
        self._fields: dict[str, Any] = multipart.text_fields(raw, self._parts)

    @property
    def fields(self) -> Tree:
        return self._fields

    @property
    def names(self) -> Iterable[str]:
        return [part.name for part in self._parts]

    def edit(self) -> Tree:
        self.changed = True
        return self._fields

    def body(self, changes: Tree | None = None) -> bytes:
        if not self.changed and not changes:
            return self.raw
        fields = {**self._fields, **(changes or {})}
        return multipart.rebuild(self.raw, self._boundary, self._parts, fields)


def parse_object(raw: bytes) -> Tree:
    """Parse a JSON object. Raises ClientError that says where the JSON breaks, or what stands instead."""
    try:
        tree = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ClientError(
            f"the body is not valid JSON: {error.msg.split(':')[0]} at {where}"
            if raw
            else "the body is empty",
            kind=ErrorKind.INVALID_JSON,
        ) from None
    if not isinstance(tree, dict):
        raise ClientError(
            f"the body must be a JSON object, got {_json_type(tree)}", kind=ErrorKind.INVALID_JSON
        )
    return tree


def _with_model(raw: bytes, fields: Tree, model: str) -> bytes | None:
    """Return the bytes with another model in them; None where it does not stand there once, for everyone."""
    if "model" not in fields or not says_one_model(raw):
        return None
    found = _MODEL.match(raw, raw.rfind(b'"model"'))
    if found is None:
        return None
    start, end = found.span(1)
    return b"".join((raw[:start], orjson.dumps(model), raw[end:]))


def _json_type(value: object) -> str:
    names = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def says_one_model(raw: bytes) -> bool:
    """Tell whether every JSON parser must find the same model in these bytes.

    A key given twice, or spelt with escapes, is read differently by different parsers: a caller could
    be checked for one model and served another. Such a body is written again from what we parsed.
    """
    if raw.count(b'"model"') != 1:
        return False
    return b"\\u00" not in raw or not any(b"\\" in key for key in _FIVE_LETTER_KEYS.findall(raw))
