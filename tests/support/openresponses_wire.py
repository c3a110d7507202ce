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
TERMINAL = {"response.completed", "response.incomplete", "response.failed"}
# OpenAI's names for what the description calls otherwise.
RENAMED = {
    "response.reasoning_text.delta": "response.reasoning.delta",
    "response.reasoning_text.done": "response.reasoning.done",
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
    EVENTS[tree["type"]].validate_python(tree, strict=True)
    name = RENAMED.get(tree["type"], tree["type"])
    if DESCRIPTION.exists() and name in event_schemas():
        validator(event_schemas()[name]).validate({**tree, "type": name})
        if tree.get("item", {}).get("type", "message") in KNOWN_ITEMS:
            check_types(event_schemas()[name], {**tree, "type": name})


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
    assert [tree["type"] for tree in trees[:2]] == ["response.created", "response.in_progress"]
    *middle, last = trees[2:]
    assert last["type"] in TERMINAL
    assert (last["type"] == "response.failed") == failed
    if failed:
        error = middle.pop()
        assert error["type"] == "error"
        assert error["message"] == last["response"]["error"]["message"]
    done = Automaton().run(middle, failed=failed)
    assert last["response"]["output"][: len(done)] == done
    assert failed or len(last["response"]["output"]) == len(done)
    statuses = [item["status"] for item in done if "status" in item]
    assert "incomplete" not in statuses[:-1]
    assert failed or "incomplete" not in statuses or last["response"]["status"] == "incomplete"


PARTS = {
    "response.content_part": "content_index",
    "response.reasoning_summary_part": "summary_index",
}
TEXTS = {
    "response.output_text": "text",
    "response.refusal": "refusal",
    "response.reasoning_text": "text",
    "response.reasoning_summary_text": "text",
    "response.function_call_arguments": "arguments",
    "response.custom_tool_call_input": "input",
}


class Automaton:
    """One item open at a time, one part in it; what is told in pieces is what is told again whole."""

    def __init__(self):
        self.items, self.item, self.part, self.text = [], None, None, None
        self.counts = {}

    def run(self, trees, *, failed):
        for tree in trees:
            name, _, step = tree["type"].rpartition(".")
            if name in PARTS:
                getattr(self, f"part_{step}")(tree, PARTS[name])
            elif name in TEXTS:
                getattr(self, f"text_{step}")(tree, TEXTS[name])
            elif name == "response.output_item":
                getattr(self, f"item_{step}")(tree)
            else:
                assert name == "response.output_text.annotation"
                assert tree["item_id"] == self.item["id"]
        assert failed or self.item is None
        return self.items

    def item_added(self, tree):
        assert self.item is None
        assert tree["output_index"] == len(self.items)
        self.item, self.counts, self.text = tree["item"], {}, None
        assert self.item["status"] == "in_progress"

    def item_done(self, tree):
        assert self.part is None
        assert tree["output_index"] == len(self.items)
        assert tree["item"]["id"] == self.item["id"]
        assert tree["item"]["type"] == self.item["type"]
        assert tree["item"]["status"] != "in_progress"
        self.items.append(tree["item"])
        self.item = None

    def part_added(self, tree, field):
        assert self.part is None
        assert tree["item_id"] == self.item["id"]
        assert tree[field] == self.counts.get(field, 0)
        self.part, self.text = tree["part"], None

    def part_done(self, tree, field):
        assert tree["part"]["type"] == self.part["type"]
        assert tree[field] == self.counts.get(field, 0)
        if self.text is not None:
            assert self.text == tree["part"].get("text", tree["part"].get("refusal"))
        self.counts[field] = self.counts.get(field, 0) + 1
        self.part = None

    def text_delta(self, tree, _field):
        assert tree["item_id"] == self.item["id"]
        assert tree["output_index"] == len(self.items)
        self.text = (self.text or "") + tree["delta"]

    def text_done(self, tree, field):
        assert tree["item_id"] == self.item["id"]
        assert tree[field] == (self.text or "")


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
