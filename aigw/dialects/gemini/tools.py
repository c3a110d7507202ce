"""Tools and how freely the model may choose among them: `tools` and `toolConfig`."""

from __future__ import annotations

from typing import Any, Literal

from aigw.dialects.base import Tree
from aigw.dialects.dropped import lost_extras
from aigw.dialects.fields import list_of, object_of, text_of, text_or_none
from aigw.dialects.gemini.fields import NAME, camel, keep, object_at, restore
from aigw.dialects.gemini.schema import for_gemini, from_openapi
from aigw.errors import ClientError
from aigw.model import (
    CustomTool,
    Extras,
    ForeignTool,
    ForeignToolChoice,
    FunctionTool,
    Request,
    Tool,
    ToolChoice,
)

_FUNCTION = frozenset(("name", "description", "parameters", "parametersJsonSchema"))
_CONFIG = frozenset(("functionCallingConfig",))
_CALLING = frozenset(("mode", "allowedFunctionNames"))
_CONFIG_SCOPE = "@tool_config/"
_CALLING_SCOPE = "@calling/"
# The caller's schema of the OpenAPI subset, written back if nobody has changed it.
_OPENAPI = f"{NAME}:@parameters"
# VALIDATED: like AUTO, but calls keep to their schemas.
_MODE = f"{NAME}:@mode"
_MODES: dict[str, Literal["auto", "none", "required"]] = {
    "AUTO": "auto",
    "ANY": "required",
    "NONE": "none",
    "VALIDATED": "auto",
}
_WORDS = {"auto": "AUTO", "required": "ANY", "none": "NONE"}


def decode_tools(value: Any) -> tuple[Tool, ...]:
    """Read `tools`. Raises ClientError on what is no list of objects."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise ClientError(f"tools: expected a list, got {type(value).__name__}", param="tools")
    tools: list[Tool] = []
    for number, element in enumerate(value):
        path = f"tools[{number}]"
        if not isinstance(element, dict):
            raise ClientError(f"{path}: expected an object, got {type(element).__name__}", param=path)
        for key, inner in camel(element).items():
            if key == "functionDeclarations":
                tools += [_function(found, path) for found in list_of(inner)]
            elif inner is not None:
                tools.append(ForeignTool(NAME, {key: inner}))
    return tuple(tools)


def _function(tree: Any, path: str) -> FunctionTool:
    tree = camel(object_of(tree))
    if not isinstance(tree.get("name"), str):
        place = f"{path}.functionDeclarations"
        raise ClientError(f"{place}: expected each to have a name", param=place)
    extras = keep(tree, _FUNCTION)
    parameters = tree.get("parametersJsonSchema")
    if not isinstance(parameters, dict):
        parameters = None
        if isinstance(tree.get("parameters"), dict):
            extras[_OPENAPI] = tree["parameters"]
            parameters = from_openapi(tree["parameters"])
    description = text_or_none(tree.get("description"))
    return FunctionTool(tree["name"], description, parameters, extras=extras)


def decode_tool_config(tree: Tree, extras: Extras) -> ToolChoice | None:
    """Read `toolConfig`; what of it is no choice goes to `extras`."""
    config = object_at(tree, "toolConfig")
    calling = object_at(config, "functionCallingConfig")
    extras |= keep(config, _CONFIG, _CONFIG_SCOPE) | keep(calling, _CALLING, _CALLING_SCOPE)
    mode = text_of(calling.get("mode")).upper()
    if mode not in _MODES:
        return None
    names = tuple(text_of(name) for name in list_of(calling.get("allowedFunctionNames")))
    note: Extras = {_MODE: mode} if mode == "VALIDATED" else {}
    if mode == "ANY" and len(names) == 1:
        return ToolChoice("required", names[0])
    return ToolChoice(_MODES[mode], allowed=names, extras=note)


def encode_tools(tree: Tree, request: Request, dropped: list[str]) -> None:
    """Write `tools` and `toolConfig`."""
    functions: list[Tree] = []
    tools: list[Tree] = []
    for number, tool in enumerate(request.tools):
        match tool:
            case FunctionTool():
                if not functions:  # all of them in one element, at the place of the first
                    tools.append({"functionDeclarations": functions})
                functions.append(_encode_function(tool))
                dropped += [f"tools[{number}].strict"] if tool.strict else []
                dropped += lost_extras(NAME, tool.extras, f"tools[{number}]")
            case ForeignTool() if tool.origin == NAME:
                tools.append(tool.tree)
            case CustomTool() | ForeignTool():
                dropped.append(f"tools[{number}]")
    if tools:
        tree["tools"] = tools
    config = restore(request.extras, _CONFIG_SCOPE)
    calling = _encode_choice(request.tool_choice, dropped) | restore(request.extras, _CALLING_SCOPE)
    # To demand a call where there is nothing to call is an error.
    if calling and (tools or calling.get("mode") != "ANY"):
        config["functionCallingConfig"] = calling
    if config:
        tree["toolConfig"] = config


def _encode_function(tool: FunctionTool) -> Tree:
    tree: Tree = {"name": tool.name}
    if tool.description is not None:
        tree["description"] = tool.description
    original = tool.extras.get(_OPENAPI)
    if isinstance(original, dict) and from_openapi(original) == tool.parameters:
        tree["parameters"] = original
    elif tool.parameters is not None:
        tree["parametersJsonSchema"] = for_gemini(tool.parameters)
    return tree | restore(tool.extras)


def _encode_choice(choice: ToolChoice | ForeignToolChoice | None, dropped: list[str]) -> Tree:
    if choice is None:
        return {}
    if isinstance(choice, ForeignToolChoice) or choice.freeform:
        dropped.append("tool_choice")
        return {}
    if choice.name is not None:
        return {"mode": "ANY", "allowedFunctionNames": [choice.name]}
    # AUTO takes no list of names, VALIDATED does.
    word = "VALIDATED" if choice.mode == "auto" and choice.allowed else _WORDS[choice.mode]
    tree: Tree = {"mode": choice.extras.get(_MODE, word)}
    if choice.allowed:
        tree["allowedFunctionNames"] = list(choice.allowed)
    return tree
