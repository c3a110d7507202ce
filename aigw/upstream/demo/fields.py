"""Reading request fields, with OpenAI's words for what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aigw.upstream.demo.refusal import Refusal

_TYPE_NAMES = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}


def missing(name: str) -> Refusal:
    """Return the refusal for a parameter that is not there."""
    return Refusal(f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter")


def wrong_type(name: str, value: object, wanted: str) -> Refusal:
    """Return the refusal for a parameter of another type. wanted: "an object", "an array of strings"."""
    seen = _TYPE_NAMES.get(type(value), "null")
    message = f"Invalid type for '{name}': expected {wanted}, but got {seen} instead."
    return Refusal(message, param=name, code="invalid_type")


def invalid(name: str, value: object, wanted: str) -> Refusal:
    """Return the refusal for a parameter whose value is not among the ones wanted."""
    message = f"Invalid value: '{str(value)[:100]}'. {wanted}"
    return Refusal(message, param=name, code="invalid_value")


def whole_number(tree: dict[str, Any], name: str, low: int, high: int) -> int | None:
    """Return an integer between two bounds, None when it is absent or null. A form has it as digits."""
    value = tree.get(name)
    if value is None:
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise wrong_type(name, value, "an integer")
    if not low <= value <= high:
        message = f"Invalid '{name}': expected an integer from {low} to {high}, but got {value} instead."
        raise Refusal(message, param=name, code="integer_out_of_range")
    return value


def string(tree: dict[str, Any], name: str) -> str:
    """Return a string that must be there, and must not be empty."""
    value = tree.get(name)
    if value is None:
        raise missing(name)
    if not isinstance(value, str):
        raise wrong_type(name, value, "a string")
    if not value:
        message = f"Invalid '{name}': empty string. Expected a string with minimum length 1."
        raise Refusal(message, param=name, code="empty_string")
    return value


def one_of(tree: dict[str, Any], name: str, known: Sequence[str]) -> str:
    """Return one of the known words; the first of them when it is absent or null."""
    value = tree.get(name)
    if value is None:
        return known[0]
    if value not in known:
        names = ", ".join(f"'{word}'" for word in known)
        raise invalid(name, value, f"The aigw demo can do: {names}.")
    return str(value)


def object_or_empty(tree: dict[str, Any], name: str, path: str | None = None) -> dict[str, Any]:
    """Return an object, an empty one when it is absent or null. path: its full name, for the refusal."""
    value = tree.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise wrong_type(path or name, value, "an object")
    return value


def array(tree: dict[str, Any], name: str, wanted: str) -> list[Any]:
    """Return a list that must be there and hold something."""
    value = tree.get(name)
    if value is None:
        raise missing(name)
    if not isinstance(value, list):
        raise wrong_type(name, value, wanted)
    if not value:
        message = f"Invalid '{name}': empty array. Expected an array with minimum length 1."
        raise Refusal(message, param=name, code="empty_array")
    return value
