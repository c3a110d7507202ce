"""The tools of all MCP servers of one response: what the model calls them, listing them, running them.

Owns the sessions as long as the response is made, and the time that all of it may take. Knows no events.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from aigw.config.state import ResponsesConfig
from aigw.dialects.base import Tree
from aigw.errors import ClientError, ErrorKind, UpstreamError
from aigw.responses.mcp.failure import RefusedServerError, ToolError, http_error
from aigw.responses.mcp.items import listed
from aigw.responses.mcp.names import function_name
from aigw.responses.mcp.permit import permit
from aigw.responses.mcp.server import McpServer

if TYPE_CHECKING:
    from aigw.responses.mcp.connection import Connection

_NO_PARAMETERS: Tree = {"type": "object", "properties": {}}


@frozen
class McpTool:
    """One tool of one server. function: what the model calls it. tree: as its server lists it."""

    server: McpServer
    function: str
    tree: Tree = field(repr=False)

    @property
    def name(self) -> str:
        return str(self.tree.get("name"))

    @property
    def needs_approval(self) -> bool:
        return self.server.approval.is_needed(self.tree)

    def as_function(self) -> Tree:
        """Return it as a function that is offered to the model."""
        words = [self.server.description, self.tree.get("description")]
        schema = self.tree.get("input_schema")
        parameters = {**_NO_PARAMETERS, **schema} if isinstance(schema, dict) else _NO_PARAMETERS
        return {
            "type": "function",
            "name": self.function,
            "description": "\n\n".join(str(text) for text in words if text) or None,
            "parameters": parameters,
            "strict": False,
        }


class Toolbox:
    """The MCP servers of one response. tools: by the names that the model knows them by."""

    def __init__(
        self,
        connections: Mapping[McpServer, Connection],
        tools_timeout_s: float,
        taken: Iterable[str],
    ) -> None:
        """Begin with no tools. taken: names of the client's own functions."""
        self.tools: dict[str, McpTool] = {}
        self._servers = {server.label: server for server in connections}
        self._taken = set(taken)
        self._deadline_at = asyncio.get_running_loop().time() + tools_timeout_s
        self._connections = {server.label: connection for server, connection in connections.items()}

    @property
    def is_late(self) -> bool:
        """The time that all of its tools together may take is over."""
        return asyncio.get_running_loop().time() >= self._deadline_at

    async def list_tools(self, label: str, items: Sequence[Tree]) -> list[Tree] | None:
        """Make a server's tools known. Returns the list if it was fetched, None if `items` have it already.

        Raises UpstreamError (424) when the server cannot list its tools, ClientError if it may not be called.
        """
        server = self._servers[label]
        known = listed(items, label)
        names = server.allowed.names
        if known is not None and (names is None or names <= {tool.get("name") for tool in known}):
            self._learn(server, known)
            return None
        try:
            found = await self._connections[label].list_tools()
        except ToolError as error:
            raise unlisted(server, error) from error
        except RefusedServerError as error:
            raise forbidden(server) from error
        return self._learn(server, found)

    def _learn(self, server: McpServer, tools: Sequence[Tree]) -> list[Tree]:
        kept = [tool for tool in tools if server.allowed.matches(tool)]
        for tree in kept:
            name = function_name(server.label, str(tree.get("name")), self._taken)
            self._taken.add(name)
            self.tools[name] = McpTool(server, name, tree)
        return kept

    def name_of(self, label: str, name: str) -> str:
        """Return what the model calls a tool, also one that is not here any more."""
        for tool in self.tools.values():
            if tool.server.label == label and tool.name == name:
                return tool.function
        return function_name(label, name)

    def find(self, label: object, name: object) -> McpTool | None:
        """Return a server's tool by its own name; None if it is not among those allowed."""
        found = (tool for tool in self.tools.values() if tool.server.label == label and tool.name == name)
        return next(found, None)

    async def call(self, tool: McpTool, arguments: str) -> str:
        """Run a tool and return what it said. Raises ToolError."""
        left_s = self._deadline_at - asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(max(left_s, 0)):
                return await self._connections[tool.server.label].call(tool.name, arguments)
        except TimeoutError:
            raise http_error(504, "the time for the tools of this response is over") from None
        except RefusedServerError as error:
            raise http_error(403, forbidden(tool.server).message) from error

    async def close(self) -> None:
        """End all sessions."""
        await asyncio.gather(*(connection.close() for connection in self._connections.values()))


async def toolbox_for(servers: Sequence[McpServer], config: ResponsesConfig, taken: Iterable[str]) -> Toolbox:
    """Return a toolbox of which nothing is open yet. taken: names of the client's own functions.

    Raises ClientError for a server that may not be called, and where the client library is missing.
    """
    permits = {server: permit(server.url, config.mcp_allowed) for server in servers}
    library = await client_library(servers[0])
    connections: dict[McpServer, Connection] = {}
    for server, permitted in permits.items():
        if permitted is None:
            raise forbidden(server)
        connections[server] = library.Connection(
            server, anywhere=permitted.anywhere, timeout_s=config.tool_timeout_s
        )
    return Toolbox(connections, config.tools_timeout_s, taken)


async def client_library(wanted: McpServer) -> Any:
    """Return the module that has the client library: an extra, and one that takes long to import."""
    if importlib.util.find_spec("mcp") is None:
        raise ClientError(
            "this gateway cannot ask MCP servers: its operator has to install aigw[mcp]",
            kind=ErrorKind.UNSUPPORTED,
            param=wanted.place,
            status=501,
        )
    name = "aigw.responses.mcp.connection"
    return sys.modules.get(name) or await asyncio.to_thread(importlib.import_module, name)


def forbidden(server: McpServer) -> ClientError:
    """Return the error for a server that clients may not have called."""
    return ClientError(
        f'{server.place}.server_url: this gateway does not call that server for "{server.label}"; '
        "its operator can allow it with responses.mcp_allowed",
        kind=ErrorKind.PERMISSION,
        param=f"{server.place}.server_url",
    )


def unlisted(server: McpServer, error: ToolError) -> UpstreamError:
    """Return the error for a server whose tools are not to be had."""
    return UpstreamError(
        f'Error retrieving tool list from MCP server "{server.label}": {error}',
        param="tools",
        code=str(error.tree["type"]),
        status=424,
    )
