"""POST /v1/responses/{response_id}/cancel: a background response is to end now."""

from __future__ import annotations

import orjson
from aiohttp import web

from aigw.dialects.endpoints import Endpoint
from aigw.errors import ClientError
from aigw.pipeline.exchange import EXCHANGE
from aigw.responses.leases import called_off, settled
from aigw.responses.page import Page, not_there, send


async def cancel(request: web.Request) -> web.StreamResponse:
    """Cancel a background response; one that has ended is answered as it is."""
    exchange = request[EXCHANGE]
    responses = exchange.gateway.responses
    guard, name = responses.guard, request.match_info["response_id"]
    record = await guard.ask(guard.store.response(exchange.identity.tenant, name))
    if record is None:
        raise not_there("Response", name)
    if orjson.loads(record.body).get("background") is not True:
        raise ClientError(
            f'response "{name}" cannot be cancelled: it was not created with background=true',
            param="response_id",
        )
    record = await settled(responses, record)
    if record.is_running:
        record = await called_off(responses, record)
    return await send(exchange, record.body)


BACKGROUND_PAGES: tuple[Page, ...] = (
    (Endpoint("/v1/responses/{response_id}/cancel", None, own="responses"), cancel),
)
