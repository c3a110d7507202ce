"""What a responses answer must look like: the published description, OpenAI's types, and the automaton."""

import json
import os
import re
from functools import cache
from pathlib import Path
from typing import get_args

import pytest
from attrs import evolve
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from aigw.wire.sse import split_frames
from support.responses_automaton import accept

try:
    import openresponses_types as published
except ImportError:
    published = None

SPEC = Path(os.environ.get("AIGW_SPEC") or Path(__file__).parents[2].parent / "shared" / "spec")
DESCRIPTION = SPEC / "openresponses-2026-04-24.openapi.json"
needs_description = pytest.mark.skipif(
    not DESCRIPTION.exists(), reason=f"no {DESCRIPTION.name} in {SPEC}: set AIGW_SPEC to validate against it"
)
# One adapter a type: tried one after the other, as the bare union is, they would take seconds.
EVENTS = {
    get_args(model.model_fields["type"].annotation)[0]: TypeAdapter(model)
    for model in get_args(get_args(ResponseStreamEvent)[0])
}
KNOWN_ITEMS = {"message", "function_call", "function_call_output", "reasoning", "compaction"}
# The specification's names for what OpenAI, and so its SDK, calls otherwise.
SDK_NAMES = {
    "response.reasoning.delta": "response.reasoning_text.delta",
    "response.reasoning.done": "response.reasoning_text.done",
}


@cache
def _schemas():
    schemas = json.loads(DESCRIPTION.read_text(encoding="utf-8"))["components"]["schemas"]
    # The description says "null" where its own text and everybody else has the schema itself.
    schemas["JsonSchemaResponseFormat"]["properties"]["schema"] = {"type": ["object", "null"]}
    # "Implementors may extend": kinds it does not name are allowed beside those it names.
    for name in ("ItemField", "Tool"):
        kinds = [schemas[one["$ref"].rpartition("/")[2]] for one in schemas[name]["oneOf"]]
        known = [kind for one in kinds for kind in one["properties"]["type"]["enum"]]
        other = {"type": "object", "properties": {"type": {"not": {"enum": known}}}}
        schemas[name]["oneOf"].append(other | {"required": ["type"]})
    return schemas


@cache
def validator(name):
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is needed to validate what is written")
    return jsonschema.Draft202012Validator(
        {"$ref": f"#/components/schemas/{name}", "components": {"schemas": _schemas()}}
    )


@cache
def event_schemas():
    return {
        schema["properties"]["type"]["enum"][0]: name
        for name, schema in _schemas().items()
        if name.endswith("StreamingEvent")
    }


def check_types(name, tree):
    """Hold a tree to the specification's published types, where they are installed."""
    if published is not None:
        getattr(published, name).model_validate(typed(tree))


def typed(tree):
    """Without what the published types know less of than the specification: kinds of tools, a schema."""
    if "response" in tree:
        return {**tree, "response": typed(tree["response"])}
    if "tools" not in tree:
        return tree
    shape = tree["text"]["format"]
    shape = {**shape, "schema": None} if shape["type"] == "json_schema" else shape
    output = [item for item in tree["output"] if item["type"] in KNOWN_ITEMS]
    return {**tree, "tools": [], "output": output, "text": {**tree["text"], "format": shape}}


def check_whole(tree):
    tree = json.loads(json.dumps(tree))
    Response.model_validate(tree, strict=True)
    check_types("ResponseResource", tree)
    if DESCRIPTION.exists():
        validator("ResponseResource").validate(tree)


def check_event(tree):
    known = SDK_NAMES.get(tree["type"], tree["type"])
    EVENTS[known].validate_python({**tree, "type": known}, strict=True)
    name = tree["type"]
    if DESCRIPTION.exists() and name in event_schemas():
        validator(event_schemas()[name]).validate(tree)
        if tree.get("item", {}).get("type", "message") in KNOWN_ITEMS:
            check_types(event_schemas()[name], tree)


def events_of(data):
    """Read a stream into trees, holding to the frame's own rules."""
    assert b"\r" not in data
    *frames, last = split_frames(data)
    assert last.data == b"[DONE]"
    assert last.event is None
    trees = [json.loads(frame.data) for frame in frames]
    assert [frame.event for frame in frames] == [tree["type"] for tree in trees]
    assert [tree["sequence_number"] for tree in trees] == list(range(len(trees)))
    return trees


def check_stream(data, *, failed):
    trees = events_of(data)
    for tree in trees:
        check_event(tree)
    accept(trees, failed=failed)


WORDS = re.findall(
    r"\w+",
    """
    id object created_at model output usage type item items role assistant user content text refusal
    annotations logprobs function_call custom_tool_call function_call_output call_id name arguments input
    reasoning summary encrypted_content reasoning_text output_text input_text input_image image_url detail
    input_file file_data status incomplete incomplete_details reason error code message param delta part
    output_index content_index item_id response input_tokens output_tokens input_tokens_details tools
    tool_choice allowed_tools function custom mode format json_schema effort include instructions
    """,
)


def holds(response):
    """Of several answers the format has room for one."""
    return evolve(response, choices=response.choices[:1])


CHECKS = (check_whole, check_stream, WORDS, holds)
