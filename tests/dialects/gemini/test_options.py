"""Sampling, thinking, shape of the output, tools: read, written, and translated from other formats."""

import pytest

from aigw.dialects.gemini import GEMINI
from aigw.model import (
    Message,
    ReasoningOptions,
    Request,
    ResponseFormat,
    TextPart,
    ToolChoice,
)

USER = {"role": "user", "parts": [{"text": "hi"}]}


def decode(tree, **fields):
    return GEMINI.decode_request({"model": "gemini-2.5-flash", "stream": False, **tree, **fields})


def encode(request):
    return GEMINI.encode_request(request)


def round_trip(tree):
    encoded = encode(decode(tree))
    assert encoded.dropped == ()
    return encoded.tree


@pytest.mark.parametrize(
    ("config", "options"),
    [
        ({"thinkingBudget": 0}, ReasoningOptions(enabled=False)),
        ({"thinkingBudget": -1}, ReasoningOptions(adaptive=True)),
        ({"thinkingBudget": 512}, ReasoningOptions(budget_tokens=512)),
        ({"thinkingLevel": "low"}, ReasoningOptions(effort="low")),
        ({"includeThoughts": False}, ReasoningOptions(include_thoughts=False)),
    ],
)
def test_thinking_in_both_directions(config, options):
    tree = {"contents": [USER], "generationConfig": {"thinkingConfig": config}}
    request = decode(tree, model="gemini-3-pro")
    assert request.reasoning == options
    assert encode(request).tree == tree


def test_a_level_is_written_as_the_caller_spelt_it():
    tree = {"contents": [USER], "generationConfig": {"thinkingConfig": {"thinkingLevel": "HIGH"}}}
    request = decode(tree, model="gemini-3-pro")
    assert request.reasoning.effort == "high"
    assert encode(request).tree == tree


@pytest.mark.parametrize(
    ("options", "model", "config"),
    [
        (ReasoningOptions(effort="low"), "gemini-3-pro", {"thinkingLevel": "low"}),
        (ReasoningOptions(effort="xhigh"), "gemini-3-pro", {"thinkingLevel": "high"}),
        (ReasoningOptions(effort="medium"), "gemini-2.5-pro", {"thinkingBudget": 8192}),
        (ReasoningOptions(effort="none"), "gemini-2.5-pro", {"thinkingBudget": 0}),
        (ReasoningOptions(effort="high", budget_tokens=99), "gemini-3-pro", {"thinkingBudget": 99}),
        (
            ReasoningOptions(effort="high", summary="auto"),
            "gemini-3",
            {"thinkingLevel": "high", "includeThoughts": True},
        ),
    ],
)
def test_thinking_of_other_formats(options, model, config):
    tree = encode(Request(model, (Message("user", (TextPart("hi"),)),), reasoning=options)).tree
    assert tree["generationConfig"]["thinkingConfig"] == config


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ({"responseMimeType": "application/json"}, "json_object"),
        ({"responseMimeType": "text/plain"}, "text"),
        ({"responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}}, "json_schema"),
        ({"responseMimeType": "text/x.enum", "responseSchema": {"enum": ["a"]}}, None),
    ],
)
def test_the_shape_of_the_output_in_both_directions(config, kind):
    tree = {"contents": [USER], "generationConfig": config}
    found = decode(tree).response_format
    assert (found and found.kind) == kind
    assert round_trip(tree) == tree


def test_a_schema_of_another_format_loses_only_words_gemini_refuses():
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "const": {"const": "x"},
            "n": {"type": "integer", "exclusiveMinimum": 0, "examples": [1]},
            "a": {"type": "array", "items": {"anyOf": [{"type": "null"}, {"const": 1}]}},
        },
        "additionalProperties": False,
    }
    request = Request("m", response_format=ResponseFormat("json_schema", "n", schema, strict=True))
    assert encode(request).tree["generationConfig"]["responseJsonSchema"] == {
        "type": "object",
        "properties": {
            "const": {"enum": ["x"]},
            "n": {"type": "integer", "minimum": 1},
            "a": {"type": "array", "items": {"anyOf": [{"type": "null"}, {"enum": [1]}]}},
        },
        "additionalProperties": False,
    }


def test_a_schema_nested_beyond_reason_is_left_as_it_is():
    deep = {}
    for _ in range(400):
        deep = {"type": "OBJECT", "properties": {"x": deep}}
    tree = {"contents": [USER], "tools": [{"functionDeclarations": [{"name": "f", "parameters": deep}]}]}
    assert round_trip(tree) == tree


@pytest.mark.parametrize(
    ("config", "choice"),
    [
        ({"mode": "AUTO"}, ToolChoice("auto")),
        ({"mode": "NONE"}, ToolChoice("none")),
        ({"mode": "ANY"}, ToolChoice("required")),
        ({"mode": "ANY", "allowedFunctionNames": ["f"]}, ToolChoice("required", "f")),
        (
            {"mode": "VALIDATED", "allowedFunctionNames": ["f"]},
            ToolChoice("auto", allowed=("f",), extras={"gemini:@mode": "VALIDATED"}),
        ),
    ],
)
def test_tool_choice_in_both_directions(config, choice):
    tools = [{"functionDeclarations": [{"name": "f"}]}]
    tree = {"contents": [USER], "tools": tools, "toolConfig": {"functionCallingConfig": config}}
    assert decode(tree).tool_choice == choice
    assert round_trip(tree) == tree
