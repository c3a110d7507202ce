"""One call of the model within a response: its events, told as those of the whole response.

Owns telling a function's call as that of an MCP tool where it is one, and what the step has left to do.
Runs nothing: that is the loop's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from attrs import define, field

from aigw.dialects.base import Tree
from aigw.responses.composer import Composer
from aigw.responses.ids import new_item_id
from aigw.responses.mcp.items import CALL, REQUEST
from aigw.responses.mcp.toolbox import McpTool

ENDS = frozenset(("response.completed", "response.incomplete", "response.failed"))
CLIENT_CALLS = frozenset(
    (
        *("function_call", "custom_tool_call", "computer_call"),
        *("local_shell_call", "shell_call", "apply_patch_call"),
    )
)
"""Calls that the client itself has to run."""


@define(eq=False)
class McpCall:
    """A call of an MCP tool that the model has made. place: that of its item; None where it has none yet.

    call_id: what its output is to be called towards the model. approval: the request that was granted.
    """

    tool: McpTool
    id: str
    place: int | None = None
    call_id: str = ""
    arguments: str = ""
    approval: str | None = None

    def item(self, status: str, output: str | None = None, error: Tree | None = None) -> Tree:
        """Return the `mcp_call` item in one of its states."""
        return {
            "id": self.id,
            "type": CALL,
            "status": status,
            "approval_request_id": self.approval,
            "arguments": self.arguments,
            "error": error,
            "name": self.tool.name,
            "output": output,
            "server_label": self.tool.server.label,
        }

    def request(self) -> Tree:
        """Return the item that asks a person for consent."""
        return {
            "id": new_item_id(REQUEST),
            "type": REQUEST,
            "arguments": self.arguments,
            "name": self.tool.name,
            "server_label": self.tool.server.label,
        }


@define(eq=False)
class Step:
    """One call of the model.

    Items are told one after the other: what follows a call that is still to be run waits until it has been.
    Runs of several calls do not wait for each other, as all of them are known when the step has ended.

    tools: MCP tools by the names the model knows. items: what it put out, as it did, to be shown to it again.
    calls: MCP calls that may be run. asks_approval, calls_client: the client has to do something first.
    response: what the provider said at the end; None if there was no end.
    """

    composer: Composer
    tools: Mapping[str, McpTool]
    items: list[Tree] = field(factory=list)
    calls: list[McpCall] = field(factory=list)
    asks_approval: bool = False
    calls_client: bool = False
    response: Tree | None = None
    _places: dict[object, int] = field(factory=dict)
    _mcp: dict[object, McpCall] = field(factory=dict)
    _done: set[object] = field(factory=set)
    _held: deque[Tree] = field(factory=deque)
    _waits: McpCall | None = None

    @property
    def has_failed(self) -> bool:
        return self.response is None or self.response.get("status") == "failed"

    @property
    def is_whole(self) -> bool:
        return self.response is not None and self.response.get("status") == "completed"

    def feed(self, tree: Tree) -> bytes:
        """Take one event of the provider's stream; return the frames of the client's."""
        if tree.get("type") in ENDS:
            return self._ended(tree)
        if tree.get("type") == "response.output_item.done":
            self._note(tree.get("output_index"), tree["item"])
        if self._waits is not None:
            self._held.append(tree)
            return b""
        return self._tell(tree)

    def resume(self) -> bytes:
        """The call that was told last has been run: tell what follows it, as far as the next call."""
        self._waits = None
        out = b""
        while self._held and self._waits is None:
            out += self._tell(self._held.popleft())
        return out

    def abandon(self) -> bytes:
        """No call is going to be run: tell all that is left, and keep what there is of a last item."""
        out = b""
        while self._waits is not None:
            call, self._waits = self._waits, None
            out += self._cut_off(call) + self.resume()
        items = (self.response or {}).get("output") or ()
        for index, place in self._places.items():
            if index not in self._done and isinstance(index, int) and index < len(items):
                self.composer.output[place] = items[index]
        unfinished = [call for index, call in self._mcp.items() if index not in self._done]
        return out + b"".join(map(self._cut_off, unfinished))

    def _cut_off(self, call: McpCall) -> bytes:
        return b"" if call.place is None else self.composer.done(call.place, call.item("incomplete"))

    # What the step has left to do.

    def _note(self, index: object, item: Tree) -> None:
        if index in self._done:
            return
        self._done.add(index)
        call = self._call_of(index, item)
        if call is None:
            self.items.append(item)
            self.calls_client = self.calls_client or item.get("type") in CLIENT_CALLS
            return
        call.call_id, call.arguments = str(item.get("call_id")), str(item.get("arguments") or "{}")
        if call.tool.needs_approval:
            self.asks_approval = True  # the model is shown this call when there is an answer
            return
        self.items.append(item)
        self.calls.append(call)

    def _call_of(self, index: object, item: Tree) -> McpCall | None:
        tool = self.tools.get(item.get("name", "")) if item.get("type") == "function_call" else None
        if tool is None:
            return None
        if index not in self._mcp:
            self._mcp[index] = McpCall(tool, new_item_id(CALL))
        return self._mcp[index]

    def _ended(self, tree: Tree) -> bytes:
        response: Tree = tree["response"]
        out = self.composer.begin(response)
        items = response.get("output") if response.get("status") == "completed" else None
        for index, item in enumerate(items or ()):  # some servers tell an item in the last event alone
            if index not in self._done:
                out += self.feed({"type": "response.output_item.done", "output_index": index, "item": item})
        self.composer.count(response.get("usage"))
        self.response = response
        return out

    # What the client is told.

    def _tell(self, tree: Tree) -> bytes:
        name, index = str(tree.get("type")), tree.get("output_index")
        match name:
            case "response.created" | "response.queued" | "response.in_progress":
                return self.composer.begin(tree["response"])
            case "response.output_item.added":
                return self._added(index, tree["item"])
            case "response.output_item.done":
                return self._item_done(index, tree["item"])
        if index in self._mcp:
            return self._about_call(name, self._mcp[index], tree)
        if index is not None:
            tree = {**tree, "output_index": self._places.get(index, len(self.composer.output))}
        return self.composer.event(name, tree)

    def _added(self, index: object, item: Tree) -> bytes:
        call = self._call_of(index, item)
        if call is None:
            self._places[index], frames = self.composer.add(item)
            return frames
        if call.tool.needs_approval:
            return b""
        # One that has been told in one piece has its arguments already; here they are still to come.
        shown = {**call.item("in_progress"), "arguments": ""}
        call.place, frames = self.composer.add(shown)
        return frames + self.composer.about("response.mcp_call.in_progress", call.place)

    def _about_call(self, name: str, call: McpCall, tree: Tree) -> bytes:
        if call.place is None:
            return b""
        match name:
            case "response.function_call_arguments.delta":
                return self.composer.about(
                    "response.mcp_call_arguments.delta", call.place, delta=tree.get("delta")
                )
            case "response.function_call_arguments.done":
                return self.composer.about(
                    "response.mcp_call_arguments.done", call.place, arguments=tree.get("arguments")
                )
            case _:
                return b""

    def _item_done(self, index: object, item: Tree) -> bytes:
        call = self._call_of(index, item)
        if call is not None and call.tool.needs_approval:
            return self.composer.whole(call.request())
        is_new = (index not in self._places) if call is None else (call.place is None)
        out = self._added(index, item) if is_new else b""
        if call is None:
            return out + self.composer.done(self._places[index], item)
        self._waits = call
        return out
