"""Reading a Chat Completions request, and the fields that Completions shares with it."""

from __future__ import annotations

from typing import Any

from aigw.upstream.demo import words
from aigw.upstream.demo.fields import array, invalid, missing, object_or_empty, whole_number, wrong_type
from aigw.upstream.demo.question import Tree, text_of
from aigw.upstream.demo.refusal import Refusal
from aigw.upstream.demo.steering import Steering
from aigw.upstream.demo.talk import Prompt
from aigw.upstream.demo.tools import read_toolbox
from aigw.upstream.demo.words import Limits

MAX_WORDS = 1_000_000_000
MAX_STOPS = 4

_ROLES = ("system", "assistant", "user", "function", "tool", "developer")


def read_prompt(tree: Tree, steering: Steering) -> Prompt:
    """Read a chat request. Raises Refusal on what OpenAI would refuse."""
    messages = array(tree, "messages", "an array of objects")
    said = [_read_message(message, f"messages[{at}]") for at, message in enumerate(messages)]
    results: list[str] = []
    for role, text in reversed(said):
        if role not in ("tool", "function"):
            break
        results.insert(0, text)
    return Prompt(
        text=next((text for role, text in reversed(said) if role == "user"), ""),
        prompt_words=sum(words.count(text) for _, text in said),
        results=tuple(results),
        toolbox=read_toolbox(tree),
        structure=_read_structure(object_or_empty(tree, "response_format")),
        limits=read_limits(tree),
        chunks=steering.chunks,
    )


def read_limits(tree: Tree) -> Limits:
    """Read `stop`, `max_tokens` and its newer name."""
    stop = tree.get("stop")
    stops = [] if stop is None else [stop] if isinstance(stop, str) else stop
    if not isinstance(stops, list) or not all(isinstance(word, str) for word in stops):
        raise wrong_type("stop", stop, "a string or an array of strings")
    if len(stops) > MAX_STOPS:
        message = f"Invalid 'stop': array too long. Expected an array with maximum length {MAX_STOPS}."
        raise Refusal(message, param="stop", code="array_above_max_length")
    limit = whole_number(tree, "max_completion_tokens", 1, MAX_WORDS)
    return Limits(limit or whole_number(tree, "max_tokens", 1, MAX_WORDS), tuple(stops))


def wants_usage(tree: Tree) -> bool:
    """Say whether a stream shall end with token counts. Raises Refusal when there is no stream."""
    options = object_or_empty(tree, "stream_options")
    if tree.get("stream_options") is not None and tree.get("stream") is not True:
        message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise Refusal(message, param="stream_options")
    return options.get("include_usage") is True


def _read_message(message: Any, place: str) -> tuple[str, str]:
    if not isinstance(message, dict):
        raise wrong_type(place, message, "an object")
    role = message.get("role")
    if role is None:
        raise missing(f"{place}.role")
    if role not in _ROLES:
        names = ", ".join(f"'{name}'" for name in _ROLES)
        raise invalid(f"{place}.role", role, f"Supported values are: {names}.")
    content = message.get("content")
    if not isinstance(content, str | list) and not (content is None and role == "assistant"):
        raise wrong_type(f"{place}.content", content, "a string or an array of objects")
    return role, text_of(content)


def _read_structure(form: Tree) -> Any:
    """Return None for prose, {} for any object, else the schema."""
    match form.get("type", "text"):
        case "text":
            return None
        case "json_object":
            return {}
        case "json_schema":
            spec = object_or_empty(form, "json_schema", "response_format.json_schema")
            if not isinstance(spec.get("name"), str):
                raise missing("response_format.json_schema.name")
            return object_or_empty(spec, "schema", "response_format.json_schema.schema") or {"type": "object"}
        case other:
            known = "Supported values are: 'json_object', 'json_schema', and 'text'."
            raise invalid("response_format.type", other, known)
