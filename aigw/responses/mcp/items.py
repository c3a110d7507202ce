"""Items of MCP servers, said so that a model understands them whose provider knows of no such thing.

Pure: items in, items out. A call that was run becomes a function's call and its output; one that nobody
has consented to says so in its output; lists of tools are the gateway's own notes and go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import orjson

from aigw.dialects.base import Tree
from aigw.responses.ids import is_own
from aigw.responses.mcp.names import function_name

LIST, CALL = "mcp_list_tools", "mcp_call"
REQUEST, RESPONSE = "mcp_approval_request", "mcp_approval_response"
TYPES = frozenset((LIST, CALL, REQUEST, RESPONSE))

NOT_ASKED = "This call was not run: nobody has approved it."
NOT_HERE = "This call was approved, but not run: its server is not there any more."
REFUSED = "This call was not run: the user has refused it."
CUT_OFF = "This call was broken off before it had a result."

NameOf = Callable[[str, str], str]
"""From a server's label and its tool's name to the name of the function that the model knows."""


def is_mcp_item(item: object) -> bool:
    """Tell whether an item is one of those that speak of MCP servers."""
    return isinstance(item, dict) and item.get("type") in TYPES


def is_own_item(item: Tree) -> bool:
    """Tell whether the gateway made an item, or it answers one that it made."""
    return is_own(item.get("approval_request_id") if item.get("type") == RESPONSE else item.get("id"))


def approved(items: Sequence[Tree]) -> list[Tree]:
    """Return the requests for approval that were granted and have not been run since."""
    run = {item.get("approval_request_id") for item in items if item.get("type") == CALL}
    granted = {
        item.get("approval_request_id")
        for item in items
        if item.get("type") == RESPONSE and item.get("approve") is True
    } - run
    return [item for item in items if item.get("type") == REQUEST and item.get("id") in granted]


def unknown_approval(items: Sequence[Tree]) -> tuple[int, str] | None:
    """Return the place and the id of an approval that answers no request; None where all do."""
    asked = {item.get("id") for item in items if item.get("type") == REQUEST}
    for number, item in enumerate(items):
        if item.get("type") == RESPONSE and item.get("approval_request_id") not in asked:
            return number, str(item.get("approval_request_id"))
    return None


def listed(items: Sequence[Tree], label: str) -> list[Tree] | None:
    """Return the tools of a server as they were listed last; None if they have not been."""
    for item in reversed(items):
        if item.get("type") == LIST and item.get("server_label") == label and not item.get("error"):
            tools = item.get("tools")
            return [tool for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else None
    return None


def as_functions(
    items: Sequence[Tree],
    name_of: NameOf = function_name,
    outputs: Mapping[str, str] | None = None,
    concerns: Callable[[Tree], bool] = is_mcp_item,
) -> list[Tree]:
    """Return items with functions in the place of MCP servers.

    outputs: of approved calls that have been run just now, by the id of the request for approval.
    concerns: which of the MCP items are meant; the others stay.
    """
    run = {item.get("approval_request_id") for item in items if item.get("type") == CALL}
    requests = {item.get("id"): item for item in items if item.get("type") == REQUEST}
    answers = {item.get("approval_request_id"): item for item in items if item.get("type") == RESPONSE}
    out: list[Tree] = []
    for number, item in enumerate(items):
        if not is_mcp_item(item) or not concerns(item):
            out.append(item)
            continue
        kind, name = item["type"], item.get("id")
        if kind == CALL:
            out += _pair(item, name_of, number, output_of_call(item))
        elif kind == REQUEST and name not in answers and name not in run:
            out += _pair(item, name_of, number, NOT_ASKED)
        elif kind == RESPONSE:
            asked = requests.get(item.get("approval_request_id"))
            if asked is not None and asked.get("id") not in run:
                out += _pair(asked, name_of, number, _answered(item, outputs or {}))
    return out


def _answered(response: Tree, outputs: Mapping[str, str]) -> str:
    if response.get("approve") is True:
        return outputs.get(str(response.get("approval_request_id")), NOT_HERE)
    reason = response.get("reason")
    return f"{REFUSED} The reason: {reason}" if isinstance(reason, str) and reason else REFUSED


def _pair(item: Tree, name_of: NameOf, number: int, output: str) -> list[Tree]:
    call_id = f"call_{item.get('id') or number}"[:64]
    name = name_of(str(item.get("server_label")), str(item.get("name")))
    arguments = item.get("arguments")
    call = {"type": "function_call", "call_id": call_id, "name": name}
    call["arguments"] = arguments if isinstance(arguments, str) and arguments else "{}"
    return [call, {"type": "function_call_output", "call_id": call_id, "output": output}]


def output_of_call(item: Tree) -> str:
    """Return what a call that was run says to the model: its output, or its error in words."""
    output, error = item.get("output"), item.get("error")
    if isinstance(output, str):
        return output
    return CUT_OFF if error is None else error_text(error)


def error_text(error: object) -> str:
    """Return the error of a call in words."""
    if not isinstance(error, dict):
        return str(error)
    content = error.get("content")
    if isinstance(content, list):
        texts = [part["text"] for part in content if isinstance(part, dict) and "text" in part]
        return "Error: " + "\n".join(map(str, texts))
    return f"Error: {error.get('message') or orjson.dumps(error).decode()}"
