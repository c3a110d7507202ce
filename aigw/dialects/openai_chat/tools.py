"""Tools and tool choice of chat completions, read and written; the old `functions` spelling too."""

from __future__ import annotations

from typing import Any

from aigw.dialects.base import Tree
from aigw.dialects.fields import list_of, object_of, text_of, text_or_none
from aigw.dialects.openai_chat.fields import LEGACY, NAME, keep, restore
from aigw.errors import ClientError
from aigw.model import (
    CustomTool,
    Extras,
    ForeignTool,
    ForeignToolChoice,
    FunctionTool,
    Tool,
    ToolChoice,
)

_FUNCTION = frozenset(("name", "description", "parameters", "strict"))
_CUSTOM = frozenset(("name", "description", "format"))
_TOOL = frozenset(("type", "function"))
_CUSTOM_TOOL = frozenset(("type", "custom"))
_OUTER = "@tool/"
# Not every allowed tool is a function: the list is kept as it came.
_ALLOWED = f"{NAME}:@allowed_tools"


def decode_tools(tree: Tree) -> tuple[Tool, ...]:
    """Read `tools` and the deprecated `functions`. Raises ClientError on what is no list of objects."""
    tools = [_decode_tool(tool, f"tools[{i}]") for i, tool in enumerate(_objects(tree, "tools"))]
    tools += [_function(function, {LEGACY: True}) for function in _objects(tree, "functions")]
    return tuple(tools)


def _objects(tree: Tree, field: str) -> list[Tree]:
    value = tree.get(field)
    if value is None:
        return []
    if not isinstance(value, list):
        raise ClientError(f"{field}: expected a list, got {type(value).__name__}", param=field)
    for number, element in enumerate(value):
        if not isinstance(element, dict):
            path = f"{field}[{number}]"
            raise ClientError(f"{path}: expected an object, got {type(element).__name__}", param=path)
    return value


def _decode_tool(tree: Tree, path: str) -> Tool:
    function = tree.get("function")
    # Some callers leave the type out.
    if tree.get("type", "function") == "function" and isinstance(function, dict):
        if not isinstance(function.get("name"), str):
            raise ClientError(f"{path}.function.name: expected a string", param=f"{path}.function.name")
        return _function(function, keep(tree, _TOOL, _OUTER))
    custom = tree.get("custom")
    if tree.get("type") == "custom" and isinstance(custom, dict):
        extras = keep(tree, _CUSTOM_TOOL, _OUTER) | keep(custom, _CUSTOM)
        return CustomTool(
            text_of(custom.get("name")),
            text_or_none(custom.get("description")),
            object_of(custom.get("format")) or None,
            extras,
        )
    return ForeignTool(NAME, tree)


def _function(tree: Tree, extras: Extras) -> FunctionTool:
    strict = tree.get("strict")
    parameters = tree.get("parameters")
    return FunctionTool(
        name=text_of(tree.get("name")),
        description=text_or_none(tree.get("description")),
        parameters=parameters if isinstance(parameters, dict) else None,
        strict=strict if isinstance(strict, bool) else None,
        extras=extras | keep(tree, _FUNCTION),
    )


def encode_tool(tool: Tool) -> Tree | None:
    """Write one tool; None when this format cannot hold it."""
    match tool:
        case FunctionTool():
            return {"type": "function", "function": _encode_function(tool), **restore(tool.extras, _OUTER)}
        case CustomTool():
            inner: Tree = {"name": tool.name}
            if tool.description is not None:
                inner["description"] = tool.description
            if tool.input_format is not None:
                inner["format"] = tool.input_format
            inner |= restore(tool.extras)
            return {"type": "custom", "custom": inner, **restore(tool.extras, _OUTER)}
        case ForeignTool():
            return tool.tree if tool.origin == NAME else None


def _encode_function(tool: FunctionTool) -> Tree:
    tree: Tree = {"name": tool.name}
    optional = {"description": tool.description, "parameters": tool.parameters, "strict": tool.strict}
    tree |= {key: value for key, value in optional.items() if value is not None}
    return tree | restore(tool.extras)


def split_legacy(tools: tuple[Tool, ...]) -> tuple[list[Tool], list[Tree]]:
    """Return the tools for `tools`, and the trees for the deprecated `functions`."""
    modern: list[Tool] = []
    functions: list[Tree] = []
    for tool in tools:
        if isinstance(tool, FunctionTool) and LEGACY in tool.extras:
            functions.append(_encode_function(tool))
        else:
            modern.append(tool)
    return modern, functions


def decode_tool_choice(tree: Tree) -> ToolChoice | ForeignToolChoice | None:
    """Read `tool_choice`, or the deprecated `function_call`."""
    choice = tree.get("tool_choice")
    if choice is not None:
        return _choice(choice)
    legacy = tree.get("function_call")
    if isinstance(legacy, dict):
        return ToolChoice("required", text_of(legacy.get("name")), extras={LEGACY: True})
    if legacy == "none":
        return ToolChoice("none", extras={LEGACY: True})
    return ToolChoice("auto", extras={LEGACY: True}) if legacy is not None else None


def _choice(choice: Any) -> ToolChoice | ForeignToolChoice:
    match choice:
        case "auto" | "none" | "required":
            return ToolChoice(choice)
        case "any":  # Mistral's word
            return ToolChoice("required")
        case {"type": "function", "function": {"name": str(name)}}:
            return ToolChoice("required", name)
        case {"type": "custom", "custom": {"name": str(name)}}:
            return ToolChoice("required", name, freeform=True)
        case {"type": "allowed_tools", "allowed_tools": {"tools": [*tools]} as inner}:
            names = tuple(_allowed_name(object_of(tool)) for tool in tools)
            mode = "required" if inner.get("mode") == "required" else "auto"
            return ToolChoice(mode, allowed=names, extras={_ALLOWED: tools})  # type: ignore[arg-type]
        case dict():
            return ForeignToolChoice(NAME, choice)
    raise ClientError("tool_choice: expected auto, none, required or an object", param="tool_choice")


def _allowed_name(tool: Tree) -> str:
    inner = tool.get(text_of(tool.get("type")))
    return text_of(object_of(inner).get("name"))


def encode_tool_choice(choice: ToolChoice | ForeignToolChoice) -> Tree | None:
    """Return the request fields that say this choice; None when this format cannot."""
    if isinstance(choice, ForeignToolChoice):
        return {"tool_choice": choice.tree} if choice.origin == NAME else None
    if LEGACY in choice.extras:
        return {"function_call": {"name": choice.name} if choice.name is not None else choice.mode}
    if choice.name is not None:
        kind = "custom" if choice.freeform else "function"
        return {"tool_choice": {"type": kind, kind: {"name": choice.name}}}
    if choice.allowed:
        tools = list_of(choice.extras.get(_ALLOWED)) or [
            {"type": "function", "function": {"name": name}} for name in choice.allowed
        ]
        inner = {"mode": choice.mode, "tools": tools}
        return {"tool_choice": {"type": "allowed_tools", "allowed_tools": inner}}
    return {"tool_choice": choice.mode}
