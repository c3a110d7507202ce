"""The agentic loop over one exchange: its steps, its limits and its one end.

Owns what happens between two calls of the model, and that client, keeper and record see one answer. The
exchange is lent to each step and is put right again when the loop ends, however it ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler

from aigw.dialects.base import Tree
from aigw.dialects.openresponses import OPENRESPONSES
from aigw.dialects.openresponses.echo import echo
from aigw.errors import ErrorKind, GatewayError, ServerError, UpstreamError
from aigw.hooks.table import retold
from aigw.model import Usage
from aigw.pipeline.exchange import Exchange
from aigw.pipeline.payload import JsonPayload
from aigw.relay.ending import Ending
from aigw.responses.choices import chosen, freed, offered, without_mcp
from aigw.responses.composer import Composer
from aigw.responses.ids import new_response_id
from aigw.responses.mcp.items import approved, as_functions
from aigw.responses.mcp.server import McpServer, redacted
from aigw.responses.mcp.toolbox import Toolbox, toolbox_for
from aigw.responses.relaying import ClientStream, StepOutlet
from aigw.responses.runner import Runner
from aigw.responses.session import Session
from aigw.responses.step import Step

ECHOED = ("tools", "tool_choice", "max_tool_calls", "parallel_tool_calls")
"""What answers repeat of the client's request, and not of what the model was sent in its place."""


class Loop:
    """Makes one response."""

    def __init__(self, exchange: Exchange, session: Session, request: web.Request, handler: Handler) -> None:
        self._exchange = exchange
        self._request = request
        self._handler = handler
        self._payload = exchange.payload
        self._outlet, self._keeper = exchange.outlet, exchange.keeper
        self._stream = ClientStream(exchange, exchange.outlet) if exchange.stream else None
        self._composer = Composer({"id": session.id, **session.patch, **echoed(exchange)})
        self._usage: Usage | None = None
        self._first_token_s: float | None = None
        self._headers: dict[str, str] = {}

    async def run(self, servers: Sequence[McpServer], items: Sequence[Tree]) -> web.StreamResponse:
        """Make the response and send it. Raises what the boundary is to tell, as long as nothing was sent."""
        fields, config = self._payload.fields, self._exchange.gateway.responses.config
        toolbox = await toolbox_for(servers, config, names_of(fields["tools"]))
        runner = Runner(toolbox, self._composer, self._write, self._composer.patch["max_tool_calls"])
        try:
            await self._prepare(runner, servers, items)
            return await self._steps(runner, items, config.max_tool_steps)
        except asyncio.CancelledError:
            if self._exchange.watch.recover() is None:
                raise
            return await self._fail(
                ServerError("the gateway is shutting down", kind=ErrorKind.UNAVAILABLE, retry_after_s=1)
            )
        except GatewayError as error:
            return await self._fail(error)
        finally:
            self._give_back()
            try:
                if self._stream is not None:
                    await self._stream.close()
            finally:
                await toolbox.close()

    async def _prepare(self, runner: Runner, servers: Sequence[McpServer], items: Sequence[Tree]) -> None:
        """List the tools, and run what was approved. What there is to tell waits for the model's answer."""
        self._exchange.watch.rest()
        await runner.list_tools(servers, items)
        await runner.run_approved(approved(items))

    async def _steps(self, runner: Runner, items: Sequence[Tree], most: int) -> web.StreamResponse:
        toolbox = runner.toolbox
        context = as_functions(items, toolbox.name_of, runner.approved)
        choice = chosen(self._payload.fields.get("tool_choice"), list(toolbox.tools.values()))
        for _ in range(most):
            is_last = runner.is_used_up
            step = await self._ask(toolbox, context, choice, without_tools=is_last)
            response = step.response or {}
            if not step.is_whole or not step.calls or is_last:
                return await self._end(step.abandon() + self._composer.end(response))
            outputs = await runner.run(step)
            if step.calls_client or step.asks_approval:
                return await self._end(self._composer.end(response))
            if toolbox.is_late:
                return await self._end(self._composer.incomplete(response, "tools_timeout"))
            context = [*context, *step.items, *outputs]
            choice = freed(choice)
        return await self._end(self._composer.incomplete(response, "max_tool_steps"))

    async def _ask(
        self, toolbox: Toolbox, context: list[Tree], choice: object, *, without_tools: bool
    ) -> Step:
        """Ask the model once. Raises what the step has failed with, unless the client was told already."""
        exchange = self._exchange
        step = Step(self._composer, toolbox.tools)
        outlet = StepOutlet(self._stream, step.feed)
        tools = offered(self._payload.fields["tools"], toolbox.tools.values())
        if without_tools:
            choice = without_mcp(choice, tools, toolbox.tools.values())
        exchange.payload = self._request_of(context, tools, choice)
        exchange.outlet, exchange.keeper, exchange.patch = outlet, None, None
        exchange.stream, exchange.committed = True, False
        exchange.answer_id = new_response_id()  # items are named after it, and must not be named twice
        await self._handler(self._request)
        self._headers = outlet.headers
        self._count()
        if step.has_failed and (self._stream is None or step.response is None):
            raise exchange.error or UpstreamError(
                "the model's answer has no end", kind=ErrorKind.UPSTREAM_TRUNCATED
            )
        return step

    def _request_of(self, context: list[Tree], tools: list[Any], choice: object) -> JsonPayload[Any]:
        fields = {**self._payload.fields, "input": context, "stream": True}
        fields.pop("max_tool_calls", None)
        fields |= {"tools": tools, "tool_choice": choice}
        for name in ("tools", "tool_choice"):
            if not tools or fields[name] is None:
                del fields[name]
        return JsonPayload(
            orjson.dumps(fields),
            fields,
            decode=OPENRESPONSES.decode_request,
            encode=lambda canonical: OPENRESPONSES.encode_request(canonical).tree,
        )

    def _count(self) -> None:
        """Take note of what the step has cost; what the record says is to be of all steps."""
        exchange = self._exchange
        if exchange.usage is not None:
            self._usage = exchange.usage if self._usage is None else self._usage + exchange.usage
        if self._first_token_s is None:
            self._first_token_s = exchange.first_token_s
        exchange.usage = exchange.ending = None

    async def _write(self, frames: bytes) -> None:
        if self._stream is not None:
            await self._stream.write(frames)

    async def _end(self, frames: bytes) -> web.StreamResponse:
        """Send the end, or all of it, once it is kept."""
        exchange, keeper = self._exchange, self._keeper
        response = self._composer.response
        if self._stream is not None:
            if keeper is not None:
                frames = await keeper.before_end(exchange, frames)
            await self._write(frames)
            sent = await self._stream.end()
            exchange.ending = Ending.FAILED if exchange.error else Ending.COMPLETE
            return sent
        body = orjson.dumps(response)
        headers = {**self._headers, "Content-Type": "application/json"}
        if keeper is not None:
            body = await keeper.before_whole(exchange, headers, body)
        exchange.status, exchange.committed = 200, True
        whole = await self._outlet.send_whole(exchange, 200, headers, body)
        exchange.bytes_sent = len(body)
        return whole

    async def _fail(self, error: GatewayError) -> web.StreamResponse:
        """Tell a failure in the stream; where there is none yet, the boundary has a status for it."""
        if self._stream is None or not self._stream.is_open:
            raise error
        exchange = self._exchange
        exchange.error = await retold(exchange.gateway.hooks.on_error, exchange, error)
        return await self._end(self._composer.fail(exchange.error))

    def _give_back(self) -> None:
        ending = self._exchange.ending
        self._count()
        exchange = self._exchange
        exchange.ending = ending
        exchange.payload, exchange.outlet, exchange.keeper = self._payload, self._outlet, self._keeper
        exchange.usage, exchange.first_token_s = self._usage, self._first_token_s
        exchange.stream = self._stream is not None
        if self._stream is not None:
            exchange.committed = self._stream.is_open
            exchange.bytes_sent = self._stream.sent


def echoed(exchange: Exchange) -> Tree:
    """Return what answers repeat of the request, without the secrets in it."""
    told = echo(exchange.asked())
    told["tools"] = [redacted(tool) for tool in told["tools"]]
    return {name: told[name] for name in ECHOED}


def names_of(tools: Sequence[Any]) -> list[str]:
    """Return the names of the client's own functions among a request's tools."""
    names = [tool.get("name") for tool in tools if isinstance(tool, dict)]
    return [name for name in names if isinstance(name, str)]
