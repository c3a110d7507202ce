"""Schemas: the smallest instance of each, or a refusal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.demo import JSON

from aigw.upstream.demo.scalars import Unsatisfiable, is_of_type
from aigw.upstream.demo.schema import instance


def holds(value, schema, root):
    """Check an instance against the part of JSON Schema that the tests below use."""
    if isinstance(schema, bool):
        return schema
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return holds(value, root["$defs"][name], root)
    if "type" in schema:
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        if not any(is_of_type(value, kind) for kind in kinds):
            return False
    checks = [
        "const" not in schema or value == schema["const"],
        "enum" not in schema or value in schema["enum"],
        "anyOf" not in schema or any(holds(value, option, root) for option in schema["anyOf"]),
        all(holds(value, option, root) for option in schema.get("allOf", ())),
    ]
    if isinstance(value, dict):
        known = schema.get("properties", {})
        checks += [name in value for name in schema.get("required", ())]
        checks += [holds(value[name], known.get(name, True), root) for name in value]
    elif isinstance(value, list):
        checks += [len(value) >= schema.get("minItems", 0)]
        checks += [holds(item, schema.get("items", True), root) for item in value]
    elif isinstance(value, str):
        checks += [schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", 10**6)]
    elif isinstance(value, int | float) and not isinstance(value, bool):
        checks += [value >= schema.get("minimum", value), value <= schema.get("maximum", value)]
        checks += [
            value > schema.get("exclusiveMinimum", value - 1),
            value < schema.get("exclusiveMaximum", value + 1),
        ]
        checks += [value % schema.get("multipleOf", 1) == 0 or "multipleOf" not in schema]
    return all(checks)


@st.composite
def _numbers(draw, kind):
    low = draw(st.integers(-50, 50))
    schema = {"type": kind, "minimum": low, "maximum": low + draw(st.integers(8, 60))}
    if draw(st.booleans()):
        schema["multipleOf"] = draw(st.integers(1, 8))
    elif draw(st.booleans()):
        schema["exclusiveMinimum"] = low
    return schema


_LEAVES = st.one_of(
    st.sampled_from(
        [
            {},
            True,
            {"type": "null"},
            {"type": "boolean"},
            {"type": ["null", "integer"]},
            {"$ref": "#/$defs/leaf"},
        ]
    ),
    st.integers(0, 30).map(lambda size: {"type": "string", "minLength": size}),
    st.integers(0, 3).map(lambda size: {"type": "string", "maxLength": size}),
    st.lists(st.integers() | st.text(max_size=3), min_size=1, max_size=3).map(
        lambda values: {"enum": values}
    ),
    st.integers().map(lambda value: {"const": value}),
    _numbers("integer"),
    _numbers("number"),
)


def _nested(inner):
    names = st.text("abc", min_size=1, max_size=2)
    return st.one_of(
        st.dictionaries(names, inner, max_size=3).map(
            lambda known: {"type": "object", "properties": known, "required": [*known, "z"]}
        ),
        st.tuples(inner, st.integers(0, 3)).map(
            lambda row: {"type": "array", "items": row[0], "minItems": row[1]}
        ),
        st.lists(inner, min_size=1, max_size=3).map(lambda options: {"anyOf": options}),
        inner.map(lambda one: {"allOf": [one]}),
    )


@given(st.recursive(_LEAVES, _nested, max_leaves=10))
def test_an_instance_obeys_its_schema(schema):
    root = {"allOf": [schema], "$defs": {"leaf": {"type": "string", "minLength": 7}}}
    assert holds(instance(root), root, root)


@given(
    JSON,
    st.sampled_from(
        ["properties", "items", "anyOf", "enum", "allOf", "required", "type", "minItems", "$ref"]
    ),
)
def test_a_schema_that_is_none_never_surprises(value, key):
    try:
        instance({key: value})
    except Unsatisfiable:
        return


@pytest.mark.parametrize(
    ("schema", "wanted"),
    [
        ({"type": "string", "format": "date"}, "2026-01-01"),
        ({"type": "string", "format": "email"}, "demo@example.com"),
        ({"type": "integer", "exclusiveMinimum": 3}, 4),
        ({"type": "integer", "exclusiveMinimum": True, "minimum": 3}, 4),
        ({"type": "number", "minimum": 0.25, "multipleOf": 0.1}, 0.3),
        ({"type": "number", "exclusiveMinimum": 1, "exclusiveMaximum": 1.5}, 1.25),
        ({"type": "integer", "maximum": -3, "multipleOf": 0.5}, -3),
        ({"oneOf": [False, {"const": 2}]}, 2),
        ({"prefixItems": [{"const": 1}], "items": {"const": 2}, "minItems": 3}, [1, 2, 2]),
        (
            {"type": "object", "minProperties": 2, "properties": {"b": {"const": 1}}},
            {"b": 1, "demo_1": "demo"},
        ),
        ({"allOf": [{"required": ["a"]}, {"properties": {"a": {"const": 1}}}]}, {"a": 1}),
        ({"anyOf": [{"$ref": "#"}, {"type": "null"}]}, None),
    ],
)
def test_instances_are_small_and_plain(schema, wanted):
    assert instance(schema) == wanted


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$ref": "#/nowhere"},
        {"$ref": "https://example.com/schema"},
        {"type": "array", "minItems": 10**9},
        {"type": "string", "minLength": 10**9},
        {"type": "integer", "minimum": 3, "maximum": 2},
        {"type": "object", "properties": {"self": {"$ref": "#"}}, "required": ["self"]},
        {"enum": ["a"], "type": "integer"},
    ],
)
def test_schemas_without_a_small_instance_are_refused(schema):
    with pytest.raises(Unsatisfiable):
        instance(schema)


def test_a_schema_that_doubles_at_every_level_is_refused_at_once():
    levels = {
        f"l{at}": {"type": "array", "minItems": 2, "items": {"$ref": f"#/$defs/l{at + 1}"}}
        for at in range(40)
    }
    with pytest.raises(Unsatisfiable):
        instance({"$ref": "#/$defs/l0", "$defs": {**levels, "l40": {}}})
