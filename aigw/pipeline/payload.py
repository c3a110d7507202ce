"""The body of a request or of a whole answer, and how a hook may look into it and change it.

Bytes stay as they came until somebody asks for more: fields are parsed on demand, the canonical form
is decoded on demand, and the body is written again only if it was changed. Knows no provider, no client.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

import orjson

from aigw.dialects.base import Tree
from aigw.errors import ClientError, ErrorKind
from aigw.wire import multipart

_FIVE_LETTER_KEYS = re.compile(rb'"((?:[^"\\]|\\u00[0-9a-fA-F]{2}){5})"\s*:')

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

    @property
    def fields(self) -> Tree:
        if self._fields is None:
            self._fields = parse_object(self.raw)
        return self._fields

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
        if changes:
            return orjson.dumps({**self.fields, **changes})
        return orjson.dumps(self.fields) if self.changed else self.raw


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
