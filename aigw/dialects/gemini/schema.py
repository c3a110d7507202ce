"""Schemas: the OpenAPI subset of Gemini's `parameters` and `responseSchema`, and JSON schema proper.

The vocabulary holds JSON schema. The OpenAPI subset is read into it; what is written is JSON schema
always, in the fields that take it, less the keywords Gemini refuses.
Source: Schema in the Gemini API reference, and its guide to structured output, read 2026-11.
"""

from __future__ import annotations

from typing import Any

from aigw.dialects.base import Tree
from aigw.dialects.gemini.fields import camel, int_or_none

# A schema nested deeper than that is an attack, and stays as it came.
_MAX_DEPTH = 60

_ONE = frozenset(("items", "additionalProperties", "not", "if", "then", "else", "contains"))
_MANY = frozenset(("anyOf", "oneOf", "allOf", "prefixItems"))
_NAMED = frozenset(("properties", "$defs", "definitions", "patternProperties", "defs"))
_COUNTS = frozenset(("minItems", "maxItems", "minProperties", "maxProperties", "minLength", "maxLength"))
_REFUSED = frozenset(("$schema", "discriminator", "examples", "$comment"))


def from_openapi(schema: Tree, depth: int = 0) -> Tree:
    """Turn a schema of the OpenAPI subset into JSON schema."""
    if depth > _MAX_DEPTH:
        return schema
    tree: Tree = {}
    for key, value in camel(schema).items():
        if key == "type" and isinstance(value, str):
            if value != "TYPE_UNSPECIFIED":
                tree[key] = value.lower()
        elif key in _COUNTS:
            count = int_or_none(value)
            tree[key] = value if count is None else count
        elif key != "nullable":
            tree[key] = _inner(key, value, from_openapi, depth)
    if schema.get("nullable") is True:
        _make_nullable(tree)
    return tree


def _make_nullable(tree: Tree) -> None:
    if isinstance(tree.get("type"), str):
        tree["type"] = [tree["type"], "null"]
        if isinstance(tree.get("enum"), list):
            tree["enum"] = [*tree["enum"], None]
    elif isinstance(tree.get("anyOf"), list):
        tree["anyOf"] = [*tree["anyOf"], {"type": "null"}]


def for_gemini(schema: Tree, depth: int = 0) -> Tree:
    """Return a JSON schema without the keywords Gemini refuses, saying the same where it can."""
    if depth > _MAX_DEPTH:
        return schema
    tree: Tree = {}
    for key, value in schema.items():
        if key == "const":
            tree["enum"] = [value]
        elif key in {"exclusiveMinimum", "exclusiveMaximum"}:
            _inclusive(tree, schema, key, value)
        elif key not in _REFUSED:
            tree[key] = _inner(key, value, for_gemini, depth)
    return tree


def _inclusive(tree: Tree, schema: Tree, key: str, value: Any) -> None:
    # Among integers the bound beside it says the same; among others it is as near as can be said.
    bound = "minimum" if key == "exclusiveMinimum" else "maximum"
    if isinstance(value, bool) or not isinstance(value, int | float) or bound in schema:
        return
    step = 1 if bound == "minimum" else -1
    tree[bound] = value + step if schema.get("type") == "integer" and isinstance(value, int) else value


def _inner(key: str, value: Any, convert: Any, depth: int) -> Any:
    if key in _ONE and isinstance(value, dict):
        return convert(value, depth + 1)
    if key in _MANY and isinstance(value, list):
        return [convert(element, depth + 1) if isinstance(element, dict) else element for element in value]
    if key in _NAMED and isinstance(value, dict):
        return {
            name: convert(element, depth + 1) if isinstance(element, dict) else element
            for name, element in value.items()
        }
    return value
