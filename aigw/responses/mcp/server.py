"""What a request says of an MCP server: where it is, which of its tools may be used, and which freely.

Owns reading and checking a tool of type `mcp`, and how answers repeat it: without its secrets. Calls nobody.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import orjson
from attrs import field, frozen

from aigw.dialects.base import Tree
from aigw.errors import ClientError, ErrorKind

HIDDEN = "<redacted>"
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_NOT_THEIRS = frozenset(("host", "content-length", "transfer-encoding", "connection", "upgrade"))


@frozen
class Filter:
    """Which tools are meant. names: None means every name. read_only: None means both kinds."""

    names: frozenset[str] | None = None
    read_only: bool | None = None

    def matches(self, tool: Tree) -> bool:
        """Tell whether a tool, as its list has it, is among those meant."""
        if self.names is not None and tool.get("name") not in self.names:
            return False
        notes = tool.get("annotations")
        is_read_only = isinstance(notes, dict) and notes.get("readOnlyHint") is True
        return self.read_only is None or self.read_only is is_read_only


@frozen
class Approval:
    """Which tools need a person's consent. Of tools in neither filter, `others` tells."""

    always: Filter | None = None
    never: Filter | None = None
    others: bool = True

    def is_needed(self, tool: Tree) -> bool:
        if self.always is not None and self.always.matches(tool):
            return True
        if self.never is not None and self.never.matches(tool):
            return False
        return self.others


@frozen(eq=False)
class McpServer:
    """One MCP server as a request names it. place: where in the request; headers: with its credentials."""

    label: str
    url: str = field(repr=False)
    place: str
    description: str | None = None
    headers: Mapping[str, str] = field(factory=dict, repr=False)
    allowed: Filter = field(factory=Filter)
    approval: Approval = field(factory=Approval)


def is_mcp(tool: object) -> bool:
    """Tell whether a request's tool is an MCP server."""
    return isinstance(tool, dict) and tool.get("type") == "mcp"


def read_servers(tools: object) -> list[McpServer]:
    """Read the MCP servers among a request's tools. Raises ClientError naming the field that is wrong."""
    found = [
        _read_server(tool, f"tools[{number}]")
        for number, tool in enumerate(tools if isinstance(tools, list) else ())
        if is_mcp(tool)
    ]
    seen: set[str] = set()
    for server in found:
        if server.label in seen:
            raise _wrong(f"{server.place}.server_label", server.label, "a label that no other server has")
        seen.add(server.label)
    return found


def _read_server(tree: Tree, place: str) -> McpServer:
    label = tree.get("server_label")
    if not isinstance(label, str) or not label:
        raise _wrong(f"{place}.server_label", label, "a text that is not empty")
    for name in ("connector_id", "tunnel_id"):
        if tree.get(name) is not None:
            raise ClientError(
                f"{place}.{name}: only its own provider can reach it; give a server_url, "
                "or a model whose providers run MCP tools themselves",
                kind=ErrorKind.UNSUPPORTED,
                param=f"{place}.{name}",
            )
    return McpServer(
        label,
        _url(tree.get("server_url"), f"{place}.server_url"),
        place,
        tree.get("server_description") if isinstance(tree.get("server_description"), str) else None,
        _headers(tree, place),
        _filter(tree.get("allowed_tools"), f"{place}.allowed_tools") or Filter(),
        _approval(tree.get("require_approval"), f"{place}.require_approval"),
    )


def _url(value: object, param: str) -> str:
    wanted = "an http or https URL"
    if not isinstance(value, str):
        raise _wrong(param, value, wanted)
    try:
        parts = urlsplit(value)
        is_url = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_url = False
    if not is_url or not value.isprintable() or " " in value:
        raise ClientError(f"{param} must be {wanted}", param=param)
    if parts.username is not None or parts.password is not None:
        raise ClientError(f"{param} must not hold a credential; use authorization or headers", param=param)
    return value


def _headers(tree: Tree, place: str) -> dict[str, str]:
    given, token = tree.get("headers"), tree.get("authorization")
    param = f"{place}.headers"
    if given is not None and not isinstance(given, dict):
        raise ClientError(f"{param} must be an object of texts", param=param)
    headers: dict[str, str] = {}
    for name, value in (given or {}).items():
        # Values are secrets: an error names the header and nothing of what is in it.
        if not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
            raise ClientError(f"{param}: the value of a header must be a text of one line", param=param)
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _NOT_THEIRS:
            raise ClientError(f"{param}: {_seen(name)} is no header that can be set", param=param)
        headers[name] = value
    if token is None:
        return headers
    param = f"{place}.authorization"
    if not isinstance(token, str) or not token or not _HEADER_VALUE.fullmatch(token):
        raise ClientError(f"{param} must be a text of one line that is not empty", param=param)
    if any(name.lower() == "authorization" for name in headers):
        raise ClientError(f"{param} and an Authorization header exclude each other", param=param)
    return {**headers, "Authorization": f"Bearer {token}"}


def _filter(value: object, param: str) -> Filter | None:
    if value is None:
        return None
    names, read_only = value, None
    if isinstance(value, dict):
        names, read_only = value.get("tool_names"), value.get("read_only")
    is_list = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if not (is_list or (isinstance(value, dict) and names is None)):
        raise _wrong(param, value, "a list of names, or an object with tool_names and read_only")
    if read_only is not None and not isinstance(read_only, bool):
        raise _wrong(f"{param}.read_only", read_only, "true or false")
    return Filter(frozenset(names) if isinstance(names, list) else None, read_only)


def _approval(value: object, param: str) -> Approval:
    match value:
        case None | "always":
            return Approval()
        case "never":
            return Approval(others=False)
        case dict() if value.keys() <= {"always", "never"}:
            always, never = (_filter(value.get(name), f"{param}.{name}") for name in ("always", "never"))
            return Approval(always, never, others=never is not None or always is None)
    raise _wrong(param, value, '"always", "never" or an object with filters of those names')


def redacted(tool: Any) -> Any:
    """Return a tool as answers repeat it: of an MCP server neither credentials nor the rest of its URL."""
    if not is_mcp(tool):
        return tool
    told = {"allowed_tools": None, "require_approval": "always", "server_description": None, **tool}
    told["authorization"] = None
    headers = tool.get("headers")
    told["headers"] = dict.fromkeys(headers, HIDDEN) if isinstance(headers, dict) else None
    if isinstance(url := tool.get("server_url"), str):
        told["server_url"] = _origin(url)
    return told


def _origin(url: str) -> str:
    parts = urlsplit(url)
    rest = f"/{HIDDEN}" if parts.path not in {"", "/"} or parts.query else parts.path
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{rest}"


def _wrong(param: str, value: object, wanted: str) -> ClientError:
    return ClientError(f"{param} must be {wanted}, got {_seen(value)}", param=param)


def _seen(value: object) -> str:
    return orjson.dumps(value).decode()[:40]
