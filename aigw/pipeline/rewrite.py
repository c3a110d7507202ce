"""Third link: what the request says, as plugins want it to be said.

Owns the moment of `rewrite_request`, and that a changed model is the one that is routed.
"""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler

from aigw.hooks.table import run
from aigw.pipeline.admit import read_model
from aigw.pipeline.exchange import bound_for_model


@web.middleware
async def rewrite(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let plugins change the request."""
    exchange = bound_for_model(request)
    if exchange is not None and exchange.gateway.hooks.rewrite_request:
        await run(exchange.gateway.hooks.rewrite_request, exchange, exchange.payload)
        if exchange.payload.changed:
            read_model(exchange)
    return await handler(request)
