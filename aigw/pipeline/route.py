"""Fourth link: where the request goes, and where it goes next when that fails.

Owns the choice of targets and the loop over attempts, which ends at the commit point: once a byte has
gone to the client there is no other target. Knows no HTTP and no wire format.
"""

from __future__ import annotations

import asyncio
import difflib
import random
from collections.abc import Sequence

from aiohttp import web
from aiohttp.typedefs import Handler

from aigw.dialects.endpoints import Endpoint
from aigw.errors import ClientError, ErrorKind, GatewayError, ServerError, UpstreamError
from aigw.hooks.table import first_result
from aigw.pipeline.admit import is_allowed
from aigw.pipeline.exchange import Attempt, Exchange, bound_for_model
from aigw.pipeline.speak import CannotHoldError, spoken
from aigw.pipeline.watchdog import Verdict
from aigw.upstream.registry import Target

RETRYABLE = frozenset(
    {
        ErrorKind.UPSTREAM_ERROR,
        ErrorKind.UPSTREAM_CREDENTIAL,
        ErrorKind.UPSTREAM_RATE_LIMITED,
        ErrorKind.UPSTREAM_OVERLOADED,
        ErrorKind.UPSTREAM_UNREACHABLE,
        ErrorKind.UPSTREAM_TIMEOUT,
        ErrorKind.UPSTREAM_PROTOCOL,
        ErrorKind.UPSTREAM_TRUNCATED,
        ErrorKind.MISCONFIGURED,
    }
)
"""Failures that say nothing about the request, so another target may well answer it."""


@web.middleware
async def route(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Try one target after the other until one answers."""
    exchange = bound_for_model(request)
    if exchange is None:
        return await handler(request)
    exchange.targets = await choose(exchange)
    loop = asyncio.get_running_loop()
    failures: list[GatewayError] = []
    for number, target in enumerate(exchange.targets, 1):
        endpoint = spoken_to(exchange, target)
        assert endpoint is not None  # noqa: S101 - choose() has left out those that cannot answer
        attempt = Attempt(target, endpoint, number, loop.time())
        exchange.attempts.append(attempt)
        try:
            return await handler(request)
        except asyncio.CancelledError:
            verdict = exchange.watch.recover()
            if verdict is None:
                raise
            error: GatewayError = stopped() if verdict is Verdict.STOPPED else late(target)
        except GatewayError as failure:
            error = failure
        attempt.error = error
        if exchange.committed or not (error.kind in RETRYABLE or isinstance(error, CannotHoldError)):
            raise error
        failures.append(error)
    raise most_useful(failures)


async def choose(exchange: Exchange) -> tuple[Target, ...]:
    """Return the targets to try, in order. Raises ClientError (404) where the model leads nowhere."""
    known = exchange.gateway.models.resolve(exchange.model)
    if known is None:
        raise _unknown_model(exchange)
    exchange.entry = known.entry
    exchange.prefer = known.prefer
    able = able_of(exchange, known.targets)
    if not able:
        providers = ", ".join(sorted({target.provider.name for target in known.targets}))
        raise ClientError(
            f'model "{exchange.model}": its provider ({providers}) does not speak the '
            f"{exchange.endpoint.api} API"
            + (
                "" if exchange.endpoint.codec else f", and nothing else that answers {exchange.endpoint.path}"
            ),
            kind=ErrorKind.MODEL_NOT_FOUND,
            param="model",
        )
    targets: Sequence[Target] = able if len(able) == 1 else by_weight(able)
    hooks = exchange.gateway.hooks.choose_targets
    for hook in hooks:
        chosen: Sequence[Target] | None = await first_result((hook,), exchange, targets)
        targets = targets if chosen is None else able_of(exchange, chosen)
    if not targets:
        raise ClientError(
            f'model "{exchange.model}": no target is left for this request',
            kind=ErrorKind.MODEL_NOT_FOUND,
            param="model",
        )
    return tuple(targets)


def able_of(exchange: Exchange, targets: Sequence[Target]) -> list[Target]:
    """Return those targets whose provider can answer this request, in one format or another."""
    return [target for target in targets if spoken_to(exchange, target) is not None]


def spoken_to(exchange: Exchange, target: Target) -> Endpoint | None:
    """Return the endpoint at which this target is asked; None where its provider cannot answer."""
    # Only where there is no codec does the answer depend on the model; so few are kept in mind.
    model = target.model if exchange.endpoint.codec is None else ""
    return spoken(exchange.endpoint, exchange.stream, target.provider.apis, exchange.prefer, model)


def by_weight(targets: Sequence[Target]) -> list[Target]:
    """Order targets by lot, so that each comes first as often as its weight says; weight 0 comes last."""
    if len(targets) == 2:  # the usual case, and a toss will do
        first, second = targets
        toss = random.random() * (first.weight + second.weight)  # noqa: S311
        return [first, second] if toss < first.weight else [second, first]
    # Efraimidis and Spirakis: sorting by u ** (1 / w) draws without replacement in proportion to w.
    # Order by lot does not guard a secret: the fast generator will do.
    keys = {
        target: random.random() ** (1 / target.weight) if target.weight > 0 else -1.0  # noqa: S311
        for target in targets
    }
    return sorted(targets, key=lambda target: keys[target], reverse=True)


def late(target: Target) -> UpstreamError:
    """Return the error for a target that kept the client waiting too long."""
    return UpstreamError(
        f'provider "{target.provider.name}" did not answer in time',
        kind=ErrorKind.UPSTREAM_TIMEOUT,
        provider=target.provider.name,
    )


def stopped() -> ServerError:
    """Return the error for an answer that the shutdown cut off."""
    return ServerError("the gateway is shutting down", kind=ErrorKind.UNAVAILABLE, retry_after_s=1)


def most_useful(failures: Sequence[GatewayError]) -> GatewayError:
    """Of several failures, return the one that tells the caller most; it says how many were tried."""
    ranks = (ErrorKind.UPSTREAM_RATE_LIMITED, ErrorKind.UPSTREAM_OVERLOADED, ErrorKind.UPSTREAM_ERROR)
    best = min(failures, key=lambda error: ranks.index(error.kind) if error.kind in ranks else len(ranks))
    if len(failures) > 1:
        best.message += f" ({len(failures)} targets were tried)"
        best.words = None  # the provider's own body would not say so
    return best


def _unknown_model(exchange: Exchange) -> ClientError:
    patterns = exchange.identity.models
    names = [name for name in exchange.gateway.models.names() if is_allowed(name, patterns)]
    near = difflib.get_close_matches(exchange.model, names, 1)
    hint = f'; did you mean "{near[0]}"?' if near else "; GET /v1/models lists what there is"
    return ClientError(
        f'model "{exchange.model}": no such model{hint}', kind=ErrorKind.MODEL_NOT_FOUND, param="model"
    )
