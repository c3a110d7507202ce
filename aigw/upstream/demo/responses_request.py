"""Reading a Responses request. Source: OpenAI's API reference, read 2026-11."""

from __future__ import annotations

from typing import Any

import orjson

from aigw.upstream.demo import words
from aigw.upstream.demo.chat_request import MAX_WORDS
from aigw.upstream.demo.fields import invalid, missing, object_or_empty, string, whole_number, wrong_type
from aigw.upstream.demo.question import Tree, text_of
from aigw.upstream.demo.refusal import Refusal
from aigw.upstream.demo.steering import Steering
from aigw.upstream.demo.talk import Prompt
from aigw.upstream.demo.tools import read_toolbox
from aigw.upstream.demo.words import Limits


def refuse_state(tree: Tree) -> None:
    """Refuse what only a server that keeps responses can do."""
    if tree.get("previous_response_id") is not None:
        name = string(tree, "previous_response_id")
        message = f"Previous response with id '{name[:100]}' not found: the aigw demo keeps none."
        raise Refusal(message, param="previous_response_id", code="previous_response_not_found")
    for name in ("conversation", "background"):
        if tree.get(name):
            message = f"The aigw demo keeps no responses, so '{name}' is not supported."
            raise Refusal(message, param=name, code="unsupported_parameter")


def read_prompt(tree: Tree, steering: Steering) -> Prompt:
    """Read a request. Raises Refusal on what OpenAI would refuse."""
    items = _read_items(tree.get("input"))
    results: list[str] = []
    for item in reversed(items):
        if item.get("type") != "function_call_output":
            break
        results.insert(0, _output_text(item.get("output")))
    texts = [text_of(item.get("content")) for item in items] + results
    if isinstance(instructions := tree.get("instructions"), str):
        texts.append(instructions)
    text_options = object_or_empty(tree, "text")
    return Prompt(
        text=next((text_of(item["content"]) for item in reversed(items) if item.get("role") == "user"), ""),
        prompt_words=sum(map(words.count, texts)),
        results=tuple(results),
        toolbox=read_toolbox(tree),
        structure=_read_structure(object_or_empty(text_options, "format", "text.format")),
        limits=Limits(whole_number(tree, "max_output_tokens", 1, MAX_WORDS)),
        chunks=steering.chunks,
    )


def _read_items(value: Any) -> list[Tree]:
    if value is None:
        raise missing("input")
    if isinstance(value, str):
        return [{"role": "user", "content": value}]
    if not isinstance(value, list):
        raise wrong_type("input", value, "a string or an array of objects")
    for at, item in enumerate(value):
        if not isinstance(item, dict):
            raise wrong_type(f"input[{at}]", item, "an object")
        if "role" not in item and "type" not in item:
            raise missing(f"input[{at}].role")
        if item.get("role") is not None and not isinstance(item.get("content"), str | list):
            raise wrong_type(f"input[{at}].content", item.get("content"), "a string or an array of objects")
    return value


def _output_text(output: object) -> str:
    """Return a tool's result as text; pictures and files in it as the JSON they came in."""
    return output if isinstance(output, str) else text_of(output) or orjson.dumps(output).decode()


def _read_structure(form: Tree) -> Any:
    """Return None for prose, {} for any object, else the schema."""
    match form.get("type", "text"):
        case "text":
            return None
        case "json_object":
            return {}
        case "json_schema":
            if not isinstance(form.get("name"), str):
                raise missing("text.format.name")
            return object_or_empty(form, "schema", "text.format.schema") or {"type": "object"}
        case other:
            known = "Supported values are: 'json_object', 'json_schema', and 'text'."
            raise invalid("text.format.type", other, known)
