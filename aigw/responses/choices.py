"""What a model is offered instead of MCP servers: functions, and a choice among them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from aigw.dialects.base import Tree
from aigw.errors import ClientError
from aigw.responses.mcp.server import is_mcp
from aigw.responses.mcp.toolbox import McpTool


def offered(tools: Sequence[Any], found: Iterable[McpTool]) -> list[Any]:
    """Return a request's tools with each MCP server's own in its place."""
    by_label: dict[str, list[Tree]] = {}
    for tool in found:
        by_label.setdefault(tool.server.label, []).append(tool.as_function())
    out: list[Any] = []
    for each in tools:
        out += by_label.get(each["server_label"], []) if is_mcp(each) else [each]
    return out


def chosen(choice: object, found: Sequence[McpTool]) -> object:
    """Return a `tool_choice` in which functions stand for MCP tools. Raises ClientError if none is left."""
    if not isinstance(choice, dict):
        return choice
    if is_mcp(choice):
        return _only(_functions(choice, found, "tool_choice"))
    if choice.get("type") != "allowed_tools" or not isinstance(choice.get("tools"), list):
        return choice
    allowed: list[Any] = []
    for number, tool in enumerate(choice["tools"]):
        is_one = is_mcp(tool)
        allowed += _functions(tool, found, f"tool_choice.tools[{number}]") if is_one else [tool]
    return {**choice, "tools": allowed}


def _functions(choice: Tree, found: Sequence[McpTool], param: str) -> list[Tree]:
    label, name = choice.get("server_label"), choice.get("name")
    functions = [
        {"type": "function", "name": tool.function}
        for tool in found
        if tool.server.label == label and name in {None, tool.name}
    ]
    if not functions:
        which = f'no server "{label}"' if name is None else f'no tool "{name}" of a server "{label}"'
        raise ClientError(f"{param}: there is {which} among the tools", param=param)
    return functions


def _only(functions: list[Tree]) -> Tree:
    if len(functions) == 1:
        return functions[0]
    return {"type": "allowed_tools", "mode": "required", "tools": functions}


def freed(choice: object) -> object:
    """Return a choice for the steps behind the first: a call that was forced has been made."""
    if choice == "required":
        return "auto"
    if isinstance(choice, dict):
        if choice.get("type") != "allowed_tools":
            return "auto"
        return {**choice, "mode": "auto"} if choice.get("mode") == "required" else choice
    return choice


def without_mcp(choice: object, tools: Sequence[Any], found: Iterable[McpTool]) -> object:
    """Return a choice in which no MCP tool can be called any more; the client's own tools still can."""
    names = {tool.function for tool in found}
    allowed = choice["tools"] if isinstance(choice, dict) and choice.get("tools") else tools
    own = [
        {name: tool[name] for name in ("type", "name") if name in tool}
        for tool in allowed
        if isinstance(tool, dict) and tool.get("name") not in names
    ]
    if choice == "none" or not own:
        return "none"
    return {"type": "allowed_tools", "mode": "auto", "tools": own}
