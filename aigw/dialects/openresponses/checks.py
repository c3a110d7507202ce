"""What a request's own fields must be, before anything is made of them.

Owns the types of the fields at the top and the words of those that know only a few. A value that would be
passed over in silence is refused with its place; one that a provider may judge better is left to it.
"""

from __future__ import annotations

from typing import Any

from attrs import frozen

from aigw.dialects.base import Tree
from aigw.errors import ClientError


@frozen
class _Kind:
    """A type of JSON. name: with its article."""

    name: str
    types: tuple[type, ...]

    def holds(self, value: object) -> bool:
        if isinstance(value, bool):  # to Python a truth value is a number
            return bool in self.types
        return isinstance(value, self.types) or (
            isinstance(value, float) and int in self.types and value.is_integer()
        )


_STRING = _Kind("a string", (str,))
_BOOLEAN = _Kind("true or false", (bool,))
_NUMBER = _Kind("a number", (int, float))
_LIST = _Kind("a list", (list,))
_OBJECT = _Kind("an object", (dict,))
_COUNT = _Kind("a whole number", (int,))

_FIELDS: dict[str, _Kind] = {
    **dict.fromkeys(("instructions", "previous_response_id", "service_tier", "truncation", "user"), _STRING),
    **dict.fromkeys(("safety_identifier", "prompt_cache_key", "prompt_cache_retention"), _STRING),
    **dict.fromkeys(("background", "parallel_tool_calls", "store", "stream"), _BOOLEAN),
    **dict.fromkeys(("frequency_penalty", "presence_penalty", "temperature", "top_p"), _NUMBER),
    **dict.fromkeys(("max_output_tokens", "max_tool_calls", "top_logprobs"), _COUNT),
    **dict.fromkeys(("include", "tools"), _LIST),
    **dict.fromkeys(("metadata", "reasoning", "stream_options", "text"), _OBJECT),
}
_INNER: dict[tuple[str, str], _Kind] = {
    ("reasoning", "effort"): _STRING,
    ("reasoning", "summary"): _STRING,
    ("text", "format"): _OBJECT,
    ("text", "verbosity"): _STRING,
    ("stream_options", "include_obfuscation"): _BOOLEAN,
}
_SCHEMA = {"name": _STRING, "description": _STRING, "schema": _OBJECT, "strict": _BOOLEAN}
_WORDS: dict[str, tuple[str, ...]] = {"truncation": ("auto", "disabled")}
_LEAST: dict[str, int] = {"max_output_tokens": 0, "max_tool_calls": 0, "top_logprobs": 0}


def check_fields(tree: Tree) -> None:
    """Raise ClientError, `param` naming the place, where a field is not what it has to be. Null is fine."""
    for field, kind in _FIELDS.items():
        _check(tree.get(field), field, kind)
    for (outer, field), kind in _INNER.items():
        inner = tree.get(outer)
        if inner is not None:
            _check(inner.get(field), f"{outer}.{field}", kind)
    for field, words in _WORDS.items():
        if tree.get(field) is not None and tree[field] not in words:
            raise _wrong(field, f'"{tree[field]}"', " or ".join(f'"{word}"' for word in words))
    for field, least in _LEAST.items():
        if tree.get(field) is not None and tree[field] < least:
            raise _wrong(field, str(tree[field]), f"at least {least}")
    _check_format(tree)
    _check_metadata(tree.get("metadata") or {})


def _check(value: Any, path: str, kind: _Kind) -> None:
    if value is not None and not kind.holds(value):
        raise _wrong(path, type(value).__name__, kind.name)


def _wrong(path: str, seen: str, wanted: str) -> ClientError:
    return ClientError(f"{path}: expected {wanted}, got {seen}", param=path)


def _check_format(tree: Tree) -> None:
    shape = (tree.get("text") or {}).get("format") or {}
    if shape.get("type") == "json_schema":
        for field, kind in _SCHEMA.items():
            _check(shape.get(field), f"text.format.{field}", kind)


def _check_metadata(metadata: Tree) -> None:
    for name, value in metadata.items():
        if not isinstance(value, str):
            raise _wrong(f"metadata.{name}", type(value).__name__, "a string")
