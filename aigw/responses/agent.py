"""One response from as many calls of the model as it takes: the agentic loop.

Owns when the gateway runs MCP tools itself, and the way from step to step: list the tools, ask the model,
run what it calls, ask again, until it calls nothing more, its client has to act, or a limit is reached.
Every step goes down the chain as a request of its own, so that hooks, fallbacks and limits hold for it.
"""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler

from aigw.dialects.base import Tree
from aigw.dialects.endpoints import Api
from aigw.errors import ClientError
from aigw.pipeline.exchange import Exchange
from aigw.responses.mcp.items import as_functions, is_mcp_item, is_own_item, unknown_approval
from aigw.responses.mcp.server import is_mcp, read_servers
from aigw.responses.session import Session, items_of

HOSTED = "mcp"


async def respond(
    exchange: Exchange, session: Session, request: web.Request, handler: Handler
) -> web.StreamResponse:
    """Answer, asking the model again while there are tools that the gateway runs itself."""
    fields = exchange.payload.fields
    tools, given = fields.get("tools"), fields.get("input")
    wanted = isinstance(tools, list) and any(map(is_mcp, tools))
    told = isinstance(given, list) and any(map(is_mcp_item, given))
    if not wanted and not told:
        return await handler(request)
    route = exchange.gateway.models.resolve(exchange.model)
    if route is None:  # the links behind have the words for it
        return await handler(request)
    hosted = runs_mcp(exchange)
    items = items_of(given)
    check_approvals(items, hosted=hosted)
    if wanted and not hosted:
        from aigw.responses.loop import Loop  # noqa: PLC0415 - its parts wait for the first MCP tool

        servers = read_servers(tools)
        return await Loop(exchange, session, request, handler).run(servers, items)
    if told:
        concerns = is_own_item if hosted else is_mcp_item
        exchange.payload.edit()["input"] = as_functions(items, concerns=concerns)
    return await handler(request)


def runs_mcp(exchange: Exchange) -> bool:
    """Tell whether every provider of this model runs MCP tools by itself, and is to do so."""
    route = exchange.gateway.models.resolve(exchange.model)
    if route is None or exchange.gateway.responses.config.mcp == "gateway":
        return False
    return all(
        HOSTED in target.provider.hosted_tools and Api.RESPONSES in target.provider.apis
        for target in route.targets
    )


def check_approvals(items: list[Tree], *, hosted: bool) -> None:
    """Check that every approval answers something. Raises ClientError naming the one that does not."""
    unknown = unknown_approval(items)
    if unknown is not None and not hosted:
        number, name = unknown
        raise ClientError(
            f'approval request "{name}" was not found; send it along, or continue the response it is in',
            param=f"input[{number}].approval_request_id",
            code="item_not_found",
        )
