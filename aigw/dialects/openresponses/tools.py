"""Tools and tool choice, read and written. A hosted tool is the provider's own and stays as it came."""

from __future__ import annotations

from typing import Any

from aigw.dialects.base import Tree
from aigw.dialects.fields import list_of, object_of, put, text_of, text_or_none
from aigw.dialects.openresponses.fields import DEFAULT_STRICT, NAME, keep, restore
from aigw.errors import ClientError
from aigw.model import (
    CustomTool,
    ForeignTool,
    ForeignToolChoice,
    FunctionTool,
    Tool,
    ToolChoice,
)

_FUNCTION = frozenset(("type", "name", "description", "parameters", "strict"))
_CUSTOM = frozenset(("type", "name", "description", "format"))
# Not every allowed tool is a function: the list is kept as it came.
_ALLOWED = f"{NAME}:@allowed_tools"


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
    kind = text_of(tree.get("type"))
    if kind not in {"function", "custom"}:
        return ForeignTool(NAME, tree)
    name = tree.get("name")
    if not isinstance(name, str):
        raise ClientError(f"{path}.name: expected a string", param=f"{path}.name")
    description = text_or_none(tree.get("description"))
    if kind == "custom":
        return CustomTool(name, description, object_of(tree.get("format")) or None, keep(tree, _CUSTOM))
    strict, parameters = tree.get("strict"), tree.get("parameters")
    extras = keep(tree, _FUNCTION)
    if not isinstance(strict, bool):
        extras |= {DEFAULT_STRICT: True}
    return FunctionTool(
        name,
        description,
        parameters if isinstance(parameters, dict) else None,
        strict if isinstance(strict, bool) else None,
        extras,
    )


def encode_tool(tool: Tool) -> Tree | None:
    """Write one tool; None when this format cannot hold it."""
    match tool:
        case FunctionTool():
            tree: Tree = {"type": "function", "name": tool.name}
            put(tree, "description", tool.description)
            put(tree, "parameters", tool.parameters)
            put(tree, "strict", _strict(tool))
            return tree | restore(tool.extras)
        case CustomTool():
            tree = {"type": "custom", "name": tool.name}
            put(tree, "description", tool.description)
            put(tree, "format", encode_grammar(tool.input_format))
            return tree | restore(tool.extras)
        case ForeignTool():
            return tool.tree if tool.origin == NAME else None


def _strict(tool: FunctionTool) -> bool | None:
    # Left out it means true here, and false in every other format.
    if tool.strict is None and DEFAULT_STRICT not in tool.extras:
        return False
    return tool.strict


def encode_grammar(grammar: Tree | None) -> Tree | None:
    """Write the format of a free text; chat puts a grammar's fields one level deeper."""
    inner = None if grammar is None else grammar.get("grammar")
    return {"type": "grammar", **inner} if isinstance(inner, dict) else grammar


def decode_tool_choice(choice: Any) -> ToolChoice | ForeignToolChoice | None:
    """Read `tool_choice`. Raises ClientError on what is neither a word nor an object."""
    match choice:
        case None:
            return None
        case "auto" | "none" | "required":
            return ToolChoice(choice)
        case {"type": "function", "name": str(name)}:
            return ToolChoice("required", name)
        case {"type": "custom", "name": str(name)}:
            return ToolChoice("required", name, freeform=True)
        case {"type": "allowed_tools", "tools": [_, *_] as tools}:
            names = tuple(text_of(object_of(tool).get("name")) for tool in tools)
            word = text_of(choice.get("mode"))
            mode = word if word in {"required", "none"} else "auto"
            return ToolChoice(mode, allowed=names, extras={_ALLOWED: tools})  # type: ignore[arg-type]
        case {"type": "allowed_tools"}:  # taken for no limit at all, it would be the opposite of one
            raise ClientError(
                "tool_choice.tools: expected a list of at least one tool", param="tool_choice.tools"
            )
        case {"type": "function" | "custom"}:
            raise ClientError("tool_choice.name: expected a string", param="tool_choice.name")
        case dict():
            return ForeignToolChoice(NAME, choice)
    raise ClientError("tool_choice: expected auto, none, required or an object", param="tool_choice")


def encode_tool_choice(choice: ToolChoice | ForeignToolChoice) -> str | Tree | None:
    """Write a choice; None when this format cannot say it."""
    if isinstance(choice, ForeignToolChoice):
        return choice.tree if choice.origin == NAME else None
    if choice.name is not None:
        return {"type": "custom" if choice.freeform else "function", "name": choice.name}
    if choice.allowed:
        tools = list_of(choice.extras.get(_ALLOWED)) or [
            {"type": "function", "name": name} for name in choice.allowed
        ]
        return {"type": "allowed_tools", "mode": choice.mode, "tools": tools}
    return choice.mode
