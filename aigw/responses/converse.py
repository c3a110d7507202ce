"""The link that gives a request its past and its answer a future: state, in front of any provider.

Owns the order of what a request for a response may want beside an answer. Every other request passes.
Stands before `rewrite`, so that plugins see the whole request, with all that it refers to.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from aiohttp import web
from aiohttp.typedefs import Handler

from aigw.pipeline.exchange import Exchange, bound_for_model
from aigw.responses.agent import respond
from aigw.responses.background import start
from aigw.responses.compact import COMPACT_PATH, compacted
from aigw.responses.compaction import SEALED, opened
from aigw.responses.context import expand, refers
from aigw.responses.counting import COUNT_PATH, counted
from aigw.responses.keeper import ResponseKeeper, heed_outage
from aigw.responses.session import Session, items_of, read_session
from aigw.responses.truncation import shortened


@web.middleware
async def converse(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Serve the requests of this room, each in its way, and let all others pass."""
    exchange = bound_for_model(request)
    serve = None if exchange is None else SERVED.get(exchange.endpoint.path)
    if exchange is None or serve is None:
        return await handler(request)
    return await serve(exchange, request, handler)


async def answered(exchange: Exchange, request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer a request for a response."""
    session = await open_session(exchange)
    link = partial(shortened, exchange, handler)
    if session.background:
        return await start(exchange, session, request, link)
    return await respond(exchange, session, request, link)


async def open_session(exchange: Exchange) -> Session:
    """Read what the request says of others, expand it, and have its answer kept."""
    responses = exchange.gateway.responses
    session = read_session(exchange.identity.tenant, exchange.payload.fields)
    exchange.answer_id = session.id
    exchange.echo = session.echo
    heed_outage(exchange, session)
    if session.continues or refers(session.input):
        await expand(exchange, session, responses.guard)
        exchange.patch = session.patch
    elif SEALED in exchange.payload.raw:
        exchange.payload.edit()["input"] = opened(items_of(session.input))
    if session.stored or exchange.recent is not None:
        guard = responses.guard
        exchange.keeper = ResponseKeeper(session, guard, guard.store.save, refuse=responses.refuse)
    return session


SERVED: Mapping[str, Callable[[Exchange, web.Request, Handler], Awaitable[web.StreamResponse]]] = {
    "/v1/responses": answered,
    COMPACT_PATH: compacted,
    COUNT_PATH: counted,
}
"""What this link does, by the path of the endpoint."""
