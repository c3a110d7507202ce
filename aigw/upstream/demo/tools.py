"""Function tools: reading the ones offered, and choosing the ones to call.

Reads both of OpenAI's spellings (a tool's fields under `function`, or beside `type`). Tools of other
types are left alone: the demo calls functions only.
"""

from __future__ import annotations

import json
import re
from typing import Any

from attrs import frozen

from aigw.upstream.demo.fields import missing, object_or_empty, wrong_type
from aigw.upstream.demo.refusal import Refusal
from aigw.upstream.demo.scalars import Unsatisfiable
from aigw.upstream.demo.schema import instance

MIN_NOUN = 4
"""Letters a word must have before it tells what a text is about."""

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_TOOL_WORD = re.compile(r"\btools?\b", re.IGNORECASE)


@frozen
class Tool:
    """A function on offer. schema: of its arguments."""

    name: str
    schema: Any


@frozen
class Toolbox:
    """The tools the demo may call. forced: it must call one, whatever was said."""

    tools: tuple[Tool, ...] = ()
    forced: bool = False
    parallel: bool = True

    def pick(self, text: str) -> tuple[Tool, ...]:
        """Return the tools to call: those the text names, or is about, or the first when one must be."""
        named = tuple(tool for tool in self.tools if _names(text, tool.name))
        named = named or tuple(tool for tool in self.tools if _is_about(text, tool.name))
        if named:
            return named if self.parallel else named[:1]
        if self.forced or _TOOL_WORD.search(text):
            return self.tools[:1]
        return ()


def read_toolbox(tree: dict[str, Any]) -> Toolbox:
    """Read `tools`, `tool_choice` and `parallel_tool_calls`. Raises Refusal on what is no tool."""
    tools = _read_tools(tree.get("tools"))
    parallel = tree.get("parallel_tool_calls") is not False
    choice = tree.get("tool_choice")
    if choice == "none":
        return Toolbox()
    if choice is None or choice == "auto":
        return Toolbox(tools, parallel=parallel)
    if not tools:
        message = "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified."
        raise Refusal(message, param="tool_choice")
    if choice == "required":
        return Toolbox(tools, forced=True, parallel=parallel)
    if not isinstance(choice, dict):
        message = "Invalid 'tool_choice': expected 'none', 'auto', 'required' or an object that names a tool."
        raise Refusal(message, param="tool_choice", code="invalid_value")
    if choice.get("type") == "allowed_tools":
        allowed = choice.get("allowed_tools", choice)
        return _only(tools, allowed.get("tools") or [], allowed.get("mode") == "required", parallel)
    return _only(tools, [choice], True, parallel)


def arguments(tool: Tool) -> str:
    """Return arguments as JSON text. Raises Refusal when the tool's schema allows none."""
    schema = {"type": "object", **(tool.schema if isinstance(tool.schema, dict) else {})}
    return example(schema, f"Invalid schema for function '{tool.name}'", "tools")


def example(schema: object, complaint: str, param: str) -> str:
    """Return an instance of a schema as JSON text, spaced so that it streams in several words."""
    try:
        return json.dumps(instance(schema), ensure_ascii=False)
    except Unsatisfiable as error:
        message = f"{complaint}: the aigw demo found no instance, {error}."
        raise Refusal(message, param=param, code="invalid_schema") from error


def _read_tools(raw: object) -> tuple[Tool, ...]:
    if raw is None:
        return ()
    if not isinstance(raw, list):
        raise wrong_type("tools", raw, "an array of objects")
    tools = []
    for at, item in enumerate(raw):
        if not isinstance(item, dict):
            raise wrong_type(f"tools[{at}]", item, "an object")
        if item.get("type") != "function":
            continue
        nested = "function" in item
        spec = object_or_empty(item, "function", f"tools[{at}].function") if nested else item
        if not isinstance(name := spec.get("name"), str) or not name:
            raise missing(f"tools[{at}].function.name" if nested else f"tools[{at}].name")
        tools.append(Tool(name, spec.get("parameters")))
    return tuple(tools)


def _only(tools: tuple[Tool, ...], wanted: list[Any], forced: bool, parallel: bool) -> Toolbox:
    names = []
    for item in wanted:
        spec = item.get("function", item) if isinstance(item, dict) else {}
        names.append(spec.get("name") if isinstance(spec, dict) else None)
    known = {tool.name for tool in tools}
    if unknown := [name for name in names if name not in known]:
        message = f"Tool choice '{unknown[0]}' not found in 'tools' parameter."
        raise Refusal(message, param="tool_choice", code="invalid_value")
    return Toolbox(tuple(tool for tool in tools if tool.name in names), forced, parallel)


def _is_about(text: str, name: str) -> bool:
    """Tell whether a text has the last word of a tool's name in it, as "weather" of get_weather."""
    noun = _WORD.findall(name)[-1:]
    return bool(noun) and len(noun[0]) >= MIN_NOUN and _names(text, noun[0])


def _names(text: str, name: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE) is not None
