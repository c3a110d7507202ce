"""Runs what a step of the loop leaves to do: listing tools and calling them, several at a time.

Owns how that is told, and how many calls there may be. Asks no model.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from attrs import define, field

from aigw.dialects.base import Tree
from aigw.responses.composer import Composer
from aigw.responses.ids import new_item_id
from aigw.responses.mcp.failure import ToolError, execution_error
from aigw.responses.mcp.items import CALL, LIST, error_text
from aigw.responses.mcp.server import McpServer
from aigw.responses.mcp.toolbox import Toolbox
from aigw.responses.step import McpCall, Step

T = TypeVar("T")


@define(eq=False)
class Runner:
    """Lists and calls tools, and tells it.

    write: sends frames to the client. calls_left: of `max_tool_calls`; None sets no limit.
    approved: what approved calls have said, by the id of the request for approval.
    """

    toolbox: Toolbox
    composer: Composer
    write: Callable[[bytes], Awaitable[None]]
    calls_left: int | None = None
    approved: dict[str, str] = field(factory=dict)

    @property
    def is_used_up(self) -> bool:
        return self.calls_left is not None and self.calls_left <= 0

    async def list_tools(self, servers: Sequence[McpServer], items: Sequence[Tree]) -> None:
        """List the tools of all servers. Raises UpstreamError (424), ClientError."""
        async with running([self.toolbox.list_tools(server.label, items) for server in servers]) as tasks:
            for server, tools in zip(servers, await asyncio.gather(*tasks), strict=True):
                if tools is not None:
                    await self.write(self._listed(server, tools))

    def _listed(self, server: McpServer, tools: list[Tree]) -> bytes:
        item: Tree = {"id": new_item_id(LIST), "type": LIST, "server_label": server.label, "tools": []}
        place, out = self.composer.add(item)
        out += self.composer.about("response.mcp_list_tools.in_progress", place)
        out += self.composer.about("response.mcp_list_tools.completed", place)
        return out + self.composer.done(place, {**item, "tools": tools, "error": None})

    async def run_approved(self, requests: Sequence[Tree]) -> None:
        """Run what a person has approved, as far as its tool is still there."""
        calls: list[McpCall] = []
        for request in requests:
            tool = self.toolbox.find(request.get("server_label"), request.get("name"))
            if tool is not None:
                call = McpCall(tool, new_item_id(CALL), approval=str(request.get("id")))
                call.arguments = str(request.get("arguments") or "{}")
                calls.append(call)
        outputs = await self._run(calls, self._begun, lambda: b"")
        self.approved = {str(call.approval): text for call, text in zip(calls, outputs, strict=True)}

    def _begun(self, call: McpCall) -> bytes:
        call.place, frames = self.composer.add(call.item("in_progress"))
        return frames + self.composer.about("response.mcp_call.in_progress", call.place)

    async def run(self, step: Step) -> list[Tree]:
        """Run the calls of a step; return what the model is to be shown of each, in their order."""
        texts = await self._run(step.calls, lambda _: b"", step.resume)
        return [
            {"type": "function_call_output", "call_id": call.call_id, "output": text}
            for call, text in zip(step.calls, texts, strict=True)
        ]

    async def _run(
        self, calls: Sequence[McpCall], begun: Callable[[McpCall], bytes], behind: Callable[[], bytes]
    ) -> list[str]:
        """Run calls at the same time, and tell of one after the other."""
        texts: list[str] = []
        async with running([self._outcome(call, refused=self._take()) for call in calls]) as tasks:
            for call, task in zip(calls, tasks, strict=True):
                await self.write(begun(call))
                assert call.place is not None  # noqa: S101
                item, text = await task
                told = self.composer.about(f"response.mcp_call.{item['status']}", call.place)
                await self.write(told + self.composer.done(call.place, item) + behind())
                texts.append(text)
        return texts

    def _take(self) -> bool:
        """Count a call; tell whether it is one too many."""
        if self.calls_left is None:
            return False
        self.calls_left -= 1
        return self.calls_left < 0

    async def _outcome(self, call: McpCall, *, refused: bool) -> tuple[Tree, str]:
        """Run one call; return its item and what the model is told."""
        try:
            if refused:
                raise execution_error("This call was not run: max_tool_calls is reached.")
            text = await self.toolbox.call(call.tool, call.arguments)
        except ToolError as error:
            return call.item("failed", error=error.tree), error_text(error.tree)
        return call.item("completed", text), text


@asynccontextmanager
async def running(all_of: Sequence[Coroutine[Any, Any, T]]) -> AsyncIterator[list[asyncio.Task[T]]]:
    """Run several at a time; none of them outlives this."""
    tasks = [asyncio.create_task(each) for each in all_of]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
