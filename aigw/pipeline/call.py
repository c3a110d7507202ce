"""Fifth link: one call to one target.

Owns building the provider's request from the client's, and giving the answer back whatever happens.
Chooses nothing, and does not look into what the provider says.
"""

from __future__ import annotations

import asyncio
import logging
from math import inf
from urllib.parse import unquote_plus

from aiohttp import web
from aiohttp.typedefs import Handler

from aigw.dialects.base import Tree
from aigw.dialects.endpoints import Endpoint
from aigw.errors import GatewayError, UpstreamError
from aigw.hooks.table import run
from aigw.pipeline.exchange import Attempt, Exchange, bound_for_model
from aigw.pipeline.fit import must_be_fitted
from aigw.pipeline.payload import FormPayload, says_one_model
from aigw.pipeline.speak import is_translated, must_be_unsealed, translate_request
from aigw.upstream.provider import Answer, BaseProvider, Call
from aigw.wire.headers import to_provider

logger = logging.getLogger("aigw.upstream")


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
    loop = asyncio.get_running_loop()
    watch = exchange.watch
    head_by = attempt.started_at + provider.timeouts.first_byte_s
    watch.deadline_at = min(head_by, attempt.first_token_by) if exchange.stream else head_by
    watch.hard_deadline_at = attempt.started_at + (provider.timeouts.total_s or inf)
    try:
        answer = await ask(provider, outgoing)
    finally:
        attempt.key = outgoing.key
    attempt.answer = answer
    attempt.status = answer.status
    attempt.first_byte_s = loop.time() - attempt.started_at
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
    provider = attempt.target.provider
    request = exchange.request
    headers = to_provider(request.headers, provider.forward_headers)
    for name, value in attempt.endpoint.headers.items():
        headers.setdefault(name, value)
    translated = is_translated(exchange, attempt)
    rewritten = translated or must_be_unsealed(exchange) or must_be_fitted(exchange, attempt)
    exchange.dropped = ()  # what a target before this one could not hold is no news of this one
    headers["Content-Type"] = exchange.payload.content_type
    return Call(
        endpoint=attempt.endpoint,
        model=attempt.target.model,
        path=attempt.endpoint.path_for(attempt.target.model),
        headers=headers,
        body=translate_request(exchange, attempt) if rewritten else _body(exchange, attempt),
        stream=exchange.stream,
        query=attempt.endpoint.query if translated else _query(request, attempt.endpoint),
        client_key=exchange.credential if provider.forward_client_key else None,
    )


def _body(exchange: Exchange, attempt: Attempt) -> bytes:
    payload = exchange.payload
    changes = _changes(exchange, attempt)
    if attempt.endpoint.has_model_in_path:
        return payload.body(changes)
    if "model" not in changes and not isinstance(payload, FormPayload) and not says_one_model(payload.raw):
        changes["model"] = attempt.target.model
    return payload.body(changes)


def _changes(exchange: Exchange, attempt: Attempt) -> Tree:
    """Return the fields that must differ for this target: its model name, the wish for token counts."""
    fields = exchange.payload.fields
    changes: Tree = {}
    if attempt.target.model != fields.get("model") and not attempt.endpoint.has_model_in_path:
        changes["model"] = attempt.target.model
    exchange.usage_hidden = False
    if exchange.stream and exchange.endpoint.stream_usage and exchange.gateway.config.server.stream_usage:
        options = fields.get("stream_options")
        asked = isinstance(options, dict) and options.get("include_usage")
        if not asked and attempt.target.provider.stream_usage == "ask":
            changes["stream_options"] = {
                **(options if isinstance(options, dict) else {}),
                "include_usage": True,
            }
            exchange.usage_hidden = True
    return changes


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
