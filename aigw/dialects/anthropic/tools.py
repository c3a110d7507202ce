"""Tools and tool choice, read and written."""

from __future__ import annotations

from typing import Any

from aigw.dialects.anthropic.fields import NAME, keep, restore
from aigw.dialects.base import Tree
from aigw.dialects.fields import bool_or_none, object_of, put, text_of, text_or_none
from aigw.errors import ClientError
from aigw.model import ForeignTool, ForeignToolChoice, FunctionTool, Request, Tool, ToolChoice

_TOOL = frozenset(("name", "description", "input_schema", "strict"))
_CHOICE = frozenset(("type", "name", "disable_parallel_tool_use"))
_MODES = {"auto": "auto", "any": "required", "none": "none"}
_WORDS = {mode: word for word, mode in _MODES.items()}


def decode_tools(value: Any) -> tuple[Tool, ...]:
    """Read `tools`. Raises ClientError on what is no list of objects."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise ClientError(f"tools: expected a list, got {type(value).__name__}", param="tools")
    return tuple(_decode_tool(tool, f"tools[{number}]") for number, tool in enumerate(value))


def _decode_tool(tree: Any, path: str) -> Tool:
    if not isinstance(tree, dict):
        raise ClientError(f"{path}: expected an object, got {type(tree).__name__}", param=path)
    if (
        tree.get("type", "custom") != "custom" and tree["type"] is not None
    ):  # run by the provider, or known to it by its type
        return ForeignTool(NAME, tree)
    if not isinstance(tree.get("name"), str):
        raise ClientError(f"{path}.name: expected a string", param=f"{path}.name")
    schema = tree.get("input_schema")
    return FunctionTool(
        name=tree["name"],
        description=text_or_none(tree.get("description")),
        parameters=schema if isinstance(schema, dict) else None,
        strict=bool_or_none(tree.get("strict")),
        extras=keep(tree, _TOOL),
    )


def encode_tools(request: Request, dropped: list[str]) -> list[Tree]:
    """Write the tools. Where the caller allows some of them only, the others are left out."""
    choice = request.tool_choice
    allowed = choice.allowed if isinstance(choice, ToolChoice) else ()
    tools: list[Tree] = []
    for number, tool in enumerate(request.tools):
        tree = _encode_tool(tool)
        if tree is None:
            dropped.append(f"tools[{number}]")
        elif not allowed or tree.get("name") in allowed:
            tools.append(tree)
    return tools


def _encode_tool(tool: Tool) -> Tree | None:
    if isinstance(tool, ForeignTool):
        return tool.tree if tool.origin == NAME else None
    if not isinstance(tool, FunctionTool):
        return None
    tree: Tree = {"name": tool.name}
    put(tree, "description", tool.description)
    schema = tool.parameters if tool.parameters is not None else {"type": "object", "properties": {}}
    tree["input_schema"] = schema if "type" in schema else {"type": "object", **schema}
    put(tree, "strict", tool.strict)
    return tree | restore(tool.extras)


def decode_tool_choice(value: Any) -> tuple[ToolChoice | ForeignToolChoice | None, bool | None]:
    """Read `tool_choice`: the choice, and whether the model may call several tools at once."""
    if value is None:
        return None, None
    if not isinstance(value, dict):
        raise ClientError(f"tool_choice: expected an object, got {type(value).__name__}", param="tool_choice")
    disabled = bool_or_none(value.get("disable_parallel_tool_use"))
    parallel = None if disabled is None else not disabled
    extras = keep(value, _CHOICE)
    match value.get("type"):
        case "tool":
            return ToolChoice("required", text_of(value.get("name")), extras=extras), parallel
        case "auto":
            return ToolChoice("auto", extras=extras), parallel
        case "any":
            return ToolChoice("required", extras=extras), parallel
        case "none":
            return ToolChoice("none", extras=extras), parallel
    return ForeignToolChoice(NAME, value), None


def encode_tool_choice(request: Request, dropped: list[str]) -> Tree | None:
    """Write `tool_choice`, which also says whether several calls at once are welcome."""
    choice, parallel = request.tool_choice, request.parallel_tool_calls
    if isinstance(choice, ForeignToolChoice):
        if choice.origin == NAME:
            return choice.tree
        dropped.append("tool_choice")
        choice = None
    if choice is None:
        return {"type": "auto", "disable_parallel_tool_use": True} if parallel is False else None
    if choice.name is not None:
        tree: Tree = {"type": "tool", "name": choice.name}
    else:
        tree = {"type": _WORDS[choice.mode]}
    if parallel is not None and choice.mode != "none":
        tree["disable_parallel_tool_use"] = not parallel
    return tree | restore(choice.extras)


def forces_a_call(tree: Tree | None) -> bool:
    """Say whether a `tool_choice` leaves the model no answer without a call."""
    return text_of(object_of(tree).get("type")) in {"any", "tool"}
