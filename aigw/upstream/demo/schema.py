"""A small valid instance of a JSON schema: what the demo answers when it is asked for a structure.

Owns the walk over the schema: references, alternatives, objects, arrays. Not covered: `pattern`, `not`,
`if`/`then`/`else`, `contains`, `uniqueItems`, `dependent*`. Pure. Source: JSON Schema 2020-12, and
draft 4 to 7 where they spell the same things otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import unquote

from attrs import define

from aigw.upstream.demo.scalars import Unsatisfiable, is_of_type, number, string

MAX_WORK = 50_000
MAX_ITEMS = 10_000
MAX_DEPTH = 100

_SCALARS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "integer": partial(number, whole=True),
    "number": partial(number, whole=False),
    "boolean": lambda _: True,
    "null": lambda _: None,
}
_ALTERNATIVES = ("anyOf", "oneOf")
_HINTS = {
    "object": ("properties", "required", "additionalProperties", "minProperties"),
    "array": ("items", "prefixItems", "minItems"),
    "string": ("minLength", "maxLength", "format"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}


def instance(schema: object) -> Any:
    """Return the smallest instance found: required properties only, the first alternative that works.

    Raises Unsatisfiable when there is none, or none small enough.
    """
    return _Maker(schema).make(schema, frozenset(), 0)


@define
class _Maker:
    """One walk. A reference met again inside itself is a dead end: a smallest instance never needs it."""

    root: object
    work_left: int = MAX_WORK

    def make(self, schema: object, path: frozenset[str], depth: int) -> Any:
        rules, path = self._flatten(schema, path, depth)
        if "const" in rules:
            return rules["const"]
        if isinstance(rules.get("enum"), list):
            return _first_of_type(rules["enum"], rules.get("type"))
        for name in _ALTERNATIVES:
            if isinstance(rules.get(name), list):
                return self._first_that_works(name, rules, path, depth)
        kind = _kind(rules)
        if kind == "object":
            return self._object(rules, path, depth)
        if kind == "array":
            return self._array(rules, path, depth)
        scalar = _SCALARS.get(kind)
        return string(rules) if scalar is None else scalar(rules)

    def _flatten(
        self, schema: object, path: frozenset[str], depth: int
    ) -> tuple[dict[str, Any], frozenset[str]]:
        """Merge a schema with what its `$ref` and `allOf` name; the path gains the references followed."""
        if schema is False:
            raise Unsatisfiable("the schema allows nothing")
        if not isinstance(schema, dict):
            schema = {}
        self._pay(1 + len(schema), depth)
        rules = {key: value for key, value in schema.items() if key not in ("$ref", "allOf")}
        branches = list(schema["allOf"]) if isinstance(schema.get("allOf"), list) else []
        before = path
        if isinstance(reference := schema.get("$ref"), str):
            if reference in path:
                raise Unsatisfiable(f"{reference} contains itself")
            before = path | {reference}
            branches.append(self._resolve(reference))
        path = before
        for branch in branches:
            more, more_path = self._flatten(branch, before, depth + 1)
            rules = _merge(more, rules)
            path |= more_path
        return rules, path

    def _pay(self, work: int, depth: int) -> None:
        """Count work, so that a schema made to be slow is refused instead."""
        self.work_left -= work
        if self.work_left < 0 or depth > MAX_DEPTH:
            raise Unsatisfiable("the smallest instance is too large")

    def _resolve(self, reference: str) -> object:
        """Follow a JSON pointer from the root. Raises Unsatisfiable where it leads nowhere."""
        place: Any = self.root
        if not reference.startswith("#"):
            raise Unsatisfiable(f"{reference} is outside of the schema")
        for step in unquote(reference[1:]).split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            if isinstance(place, list) and key.isascii() and key.isdigit() and int(key[:6]) < len(place):
                place = place[int(key)]
            elif isinstance(place, dict) and key in place:
                place = place[key]
            else:
                raise Unsatisfiable(f"{reference} is not in the schema")
        return place

    def _first_that_works(self, name: str, rules: dict[str, Any], path: frozenset[str], depth: int) -> Any:
        rest = {key: value for key, value in rules.items() if key != name}
        reason = Unsatisfiable(f"{name} is empty")
        for option in rules[name]:
            try:
                found, inner_path = self._flatten(option, path, depth + 1)
                return self.make(_merge(found, rest), inner_path, depth + 1)
            except Unsatisfiable as error:
                reason = error
        raise reason

    def _object(self, rules: dict[str, Any], path: frozenset[str], depth: int) -> dict[str, Any]:
        properties = rules.get("properties")
        known = properties if isinstance(properties, dict) else {}
        others = rules.get("additionalProperties", True)
        self._pay(len(known), depth)
        required = rules.get("required")
        wanted = list(dict.fromkeys(map(str, required if isinstance(required, list) else ())))
        least = _count(rules, "minProperties")
        wanted += sorted(known.keys() - wanted)[: max(0, least - len(wanted))]
        wanted += [f"demo_{at}" for at in range(len(wanted), least)]
        return {name: self.make(known.get(name, others), path, depth + 1) for name in wanted}

    def _array(self, rules: dict[str, Any], path: frozenset[str], depth: int) -> list[Any]:
        items = rules.get("items", True)
        first = items if isinstance(items, list) else rules.get("prefixItems")
        first = first if isinstance(first, list) else []
        rest = rules.get("additionalItems", True) if isinstance(items, list) else items
        least = _count(rules, "minItems")
        return [self.make(first[at] if at < len(first) else rest, path, depth + 1) for at in range(least)]


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Put two schemas that must both hold into one; what cannot be combined is taken from `over`."""
    merged = {**base, **over}
    if isinstance(base.get("properties"), dict) and isinstance(over.get("properties"), dict):
        merged["properties"] = {**base["properties"], **over["properties"]}
    if isinstance(base.get("required"), list) and isinstance(over.get("required"), list):
        merged["required"] = list(dict.fromkeys(map(str, [*base["required"], *over["required"]])))
    for name in _ALTERNATIVES:
        # Both must hold: one is tried within each option of the other.
        if name in base and name in over:
            merged[name] = [{"allOf": [option], name: base[name]} for option in over[name]]
    return merged


def _kind(rules: dict[str, Any]) -> str:
    kind = rules.get("type")
    if isinstance(kind, list):
        return next((str(name) for name in kind if name != "null"), "null")
    if isinstance(kind, str):
        return kind
    return next((name for name, hints in _HINTS.items() if any(hint in rules for hint in hints)), "string")


def _first_of_type(values: list[Any], kind: object) -> Any:
    kinds = kind if isinstance(kind, list) else [kind]
    for value in values:
        if kind is None or any(is_of_type(value, name) for name in kinds):
            return value
    raise Unsatisfiable("no value of the enum has the schema's type")


def _count(rules: dict[str, Any], name: str) -> int:
    value = rules.get(name, 0)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int):
        return 0
    if value > MAX_ITEMS:
        raise Unsatisfiable(f"{name} {value} is too large for a demonstration")
    return max(0, value)
