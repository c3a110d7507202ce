"""Fifth link: one call to one target.

Owns building the provider's request from the client's, and giving the answer back whatever happens.
Chooses nothing, and does not look into what the provider says.
"""

from __future__ import annotations

import logging
from math import inf
from time import monotonic
from urllib.parse import unquote_plus

from aiohttp import web
from aiohttp.typedefs import Handler
from multidict import istr

from aigw.dialects.base import Tree
from aigw.dialects.endpoints import Endpoint
from aigw.errors import GatewayError, UpstreamError
from aigw.hooks.table import run
from aigw.pipeline.exchange import Attempt, Exchange, bound_for_model
from aigw.pipeline.fit import must_be_fitted
from aigw.pipeline.speak import must_be_unsealed, translate_request
from aigw.upstream.provider import Answer, BaseProvider, Call
from aigw.wire.headers import to_provider

logger = logging.getLogger("aigw.upstream")

CONTENT_TYPE = istr("Content-Type")


@web.middleware
async def call(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Call the present attempt's target, and give its answer back when the links behind are done."""
    exchange = bound_for_model(request)
    if exchange is None:
        return await handler(request)
    attempt = exchange.attempts[-1]
    answer = await begin_call(exchange, attempt)
    try:
        return await handler(request)
    finally:
        exchange.watch.rest()
        await answer.close()


async def begin_call(exchange: Exchange, attempt: Attempt) -> Answer:
    """Call an attempt's target; return the head of its answer, which the caller has to close.

    Sets the deadlines on the exchange's watch, and on the attempt what there is to be known of the answer.
    """
    provider = attempt.target.provider
    hooks = exchange.gateway.hooks
    outgoing = build(exchange, attempt)
    if hooks.before_call:
        await run(hooks.before_call, exchange, attempt, outgoing)
    watch, timeouts, started_at = exchange.watch, provider.timeouts, attempt.started_at
    head_by = started_at + timeouts.first_byte_s
    watch.deadline_at = min(head_by, attempt.first_token_by) if exchange.stream else head_by
    watch.hard_deadline_at = inf if timeouts.total_s is None else started_at + timeouts.total_s
    try:
        answer = await ask(provider, outgoing)
    finally:
        attempt.key = outgoing.key
    attempt.answer = answer
    attempt.status = answer.status
    attempt.first_byte_s = monotonic() - started_at
    if hooks.after_call:
        try:
            await run(hooks.after_call, exchange, attempt, answer)
        except BaseException:
            watch.rest()
            await answer.close()
            raise
    return answer


async def ask(provider: BaseProvider, outgoing: Call) -> Answer:
    """Call the provider. One that fails in a way of its own is the provider's failure, not ours."""
    try:
        return await provider.call(outgoing)
    except GatewayError:
        raise
    except Exception as error:
        logger.exception("provider %s failed", provider.name)
        raise UpstreamError(f'provider "{provider.name}" failed', provider=provider.name) from error


def build(exchange: Exchange, attempt: Attempt) -> Call:
    """Return the call for this target: the client's own bytes wherever nothing has to be different."""
    endpoint, provider, model = attempt.endpoint, attempt.target.provider, attempt.target.model
    request = exchange.request
    headers = to_provider(request.headers, provider.forward_headers)
    if endpoint.headers:
        for name, value in endpoint.headers.items():
            headers.setdefault(name, value)
    headers[CONTENT_TYPE] = exchange.payload.content_type
    exchange.dropped = ()  # what a target before this one could not hold is no news of this one
    translated = endpoint.api is not exchange.endpoint.api
    if translated or must_be_unsealed(exchange) or must_be_fitted(exchange, attempt):
        body = translate_request(exchange, attempt)
    else:
        body = _body(exchange, attempt)
    return Call(
        endpoint,
        model,
        endpoint.path_for(model) if endpoint.has_model_in_path else endpoint.path,
        headers,
        body,
        exchange.stream,
        # To ask for the URL costs as much as to choose a target.
        query=endpoint.query if translated or "?" not in request.raw_path else _query(request, endpoint),
        client_key=exchange.credential if provider.forward_client_key else None,
    )


def _body(exchange: Exchange, attempt: Attempt) -> bytes:
    """Return the body with what must differ for this target: its model, the wish for token counts."""
    payload, endpoint, model = exchange.payload, attempt.endpoint, attempt.target.model
    changes: Tree = {}
    if not endpoint.has_model_in_path and (payload.told.get("model") != model or not payload.is_certain):
        changes["model"] = model
    exchange.usage_hidden = False
    if exchange.stream and exchange.endpoint.stream_usage:
        changes |= _wish_for_usage(exchange, attempt)
    return payload.body(changes)


def _wish_for_usage(exchange: Exchange, attempt: Attempt) -> Tree:
    """Return the field by which a stream tells its token counts, where the client has not asked for them."""
    if not exchange.gateway.config.server.stream_usage or attempt.target.provider.stream_usage != "ask":
        return {}
    options = exchange.payload.told.get("stream_options")
    known = options if isinstance(options, dict) else {}
    if known.get("include_usage"):
        return {}
    exchange.usage_hidden = True
    return {"stream_options": {**known, "include_usage": True}}


def _query(request: web.Request, endpoint: Endpoint) -> str:
    """Return the client's query without `key`, where Google's clients put their credential."""
    query = request.rel_url.raw_query_string
    if not query:
        return endpoint.query
    parts = [part for part in query.split("&") if not _is_credential(part)]
    if endpoint.query and endpoint.query not in parts:  # how the gateway reads streams, whatever the client
        parts.append(endpoint.query)
    return "&".join(parts)


def _is_credential(parameter: str) -> bool:
    return unquote_plus(parameter.partition("=")[0]).lower() in {"key", "api_key"}
