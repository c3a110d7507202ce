"""What is put into a gateway so that it says what it does, and calls nobody.

Owns the point where a request stops: behind every plugin's `before_call`, where the provider would be called.
Each target then fails in a way that says nothing about it, so that the route goes on to the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from attrs import define, evolve, field

from aigw.config.models import ShadowConfig
from aigw.dialects.base import Tree
from aigw.errors import GatewayError, ServerError
from aigw.hooks.table import Hook
from aigw.pipeline.attempts import OverdueError
from aigw.pipeline.exchange import Attempt, Exchange, Record
from aigw.pipeline.shadow import Shadows
from aigw.responses.agent import runs_mcp
from aigw.responses.mcp.server import is_mcp
from aigw.routing.router import Router, SeatGroup
from aigw.routing.seats import Seat, Trace
from aigw.upstream.http import Provider
from aigw.upstream.listing import Listing
from aigw.upstream.provider import BaseProvider, Call
from aigw.upstream.wrapper import WrapperProvider


class NotCalledError(OverdueError):
    """Stands for a provider's answer. Of this kind of failure no target's health is told."""


@define(eq=False)
class Outgoing:
    """A call as it stood when it would have been made.

    url: None where the provider makes it in a way of its own. behind: wrappers that the call goes through.
    keys: the names of those it may be made with, where there are several.
    """

    call: Call
    dropped: tuple[str, ...]
    url: str | None = None
    behind: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()


@define(eq=False)
class Noted:
    """A plugin that comes behind all others, and keeps what it sees. exchange: the request when it ended."""

    name = "explain"
    calls: dict[Attempt, Outgoing] = field(factory=dict)
    exchange: Exchange | None = None
    notes: list[str] = field(factory=list)

    async def admit(self, exchange: Exchange) -> None:
        exchange.trace = []
        self._leave_servers_alone(exchange)

    async def before_call(self, exchange: Exchange, attempt: Attempt, call: Call) -> None:
        """Keep the call. Raises NotCalledError in place of an answer, or what the provider refuses it for."""
        outgoing = Outgoing(call, exchange.dropped)
        provider = attempt.target.provider
        while isinstance(provider, WrapperProvider):
            outgoing.behind += (provider.name,)
            (provider,) = provider.wraps
        if isinstance(provider, Provider):
            with suppress(*([ServerError] if outgoing.behind else [])):  # what is played back needs no key
                outgoing.url = provider.addressed(call)
            if provider.keys is not None and call.key is not None:
                outgoing.keys = tuple(pooled.key.name for pooled in provider.keys.keys)
        attempt.key = call.key
        self.calls[attempt] = outgoing
        raise NotCalledError("nobody is called")

    def on_complete(self, record: Record) -> None:
        self.exchange = record.exchange

    def _leave_servers_alone(self, exchange: Exchange) -> None:
        # Which tools an MCP server has is known by asking it alone.
        if exchange.endpoint.path != "/v1/responses" or runs_mcp(exchange):
            return
        tools = exchange.payload.fields.get("tools")
        if not isinstance(tools, list):
            return
        servers = [tool for tool in tools if is_mcp(tool)]
        if servers:
            exchange.payload.edit()["tools"] = [tool for tool in tools if not is_mcp(tool)]
            names = ", ".join(map(_label, servers))
            self.notes.append(f"MCP servers are not asked, so their tools are not in the body: {names}")

    def unless_called(self, hook: Hook) -> Hook:
        """Return an `on_error` hook that does not hear of the failures made up here."""

        async def call(exchange: Exchange, error: GatewayError) -> Any:
            return None if self.calls else await hook.call(exchange, error)

        return evolve(hook, call=call)


def _label(tool: Tree) -> str:
    return str(tool.get("server_label", "?"))


@define(eq=False)
class NotedRouter(Router):
    """A router that keeps the groups it has ordered."""

    groups: list[SeatGroup] = field(init=False, factory=list)

    def order(
        self, exchange: Exchange, groups: Sequence[SeatGroup], now: float, trace: Trace | None = None
    ) -> Sequence[Seat]:
        self.groups += [group for group in groups if group not in self.groups]
        return super().order(exchange, groups, now, trace)


@define(eq=False)
class NotedShadows(Shadows):
    """Casts no shadow, and keeps which one there would be."""

    config: ShadowConfig | None = None

    def cast(self, exchange: Exchange, config: ShadowConfig) -> None:  # noqa: ARG002
        self.config = config


class NotedListing(Listing):
    """Lists what is registered, and asks no provider."""

    async def _ask(self, provider: BaseProvider) -> list[str]:  # noqa: ARG002
        return []
