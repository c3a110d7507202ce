"""How the call of a tool fails, in the three kinds that an `mcp_call` can tell. Pure."""

from __future__ import annotations

from aigw.dialects.base import Tree

INVALID_ARGUMENTS = -32602


class ToolError(Exception):
    """A call has no result. tree: the `error` of the item. Its words are shown to client and model."""

    def __init__(self, tree: Tree) -> None:
        super().__init__(str(tree.get("message") or tree["type"]))
        self.tree = tree


def http_error(code: int, message: str) -> ToolError:
    """Return the error of a server that was not reached, or answered with an HTTP error."""
    return ToolError({"type": "http_error", "code": code, "message": message})


def protocol_error(code: int, message: str) -> ToolError:
    """Return the error that a server told in its protocol."""
    return ToolError({"type": "mcp_protocol_error", "code": code, "message": message})


def execution_error(text: str) -> ToolError:
    """Return the error of a tool that ran and failed."""
    content = [{"type": "text", "text": text, "annotations": None, "meta": None}]
    return ToolError({"type": "mcp_tool_execution_error", "content": content})


class RefusedServerError(Exception):
    """The server is at an address where clients may not send the gateway."""
