"""What the gateway answers by itself: the list of models, and how it is.

Owns the shapes of these answers (the list's is OpenAI's). Calls no model.
"""

from __future__ import annotations

import orjson
from aiohttp import web

from aigw.errors import ClientError, ErrorKind
from aigw.pipeline.admit import is_allowed
from aigw.pipeline.exchange import ANONYMOUS, EXCHANGE, GATEWAY, Exchange
from aigw.relay.delivery import WholeDelivery
from aigw.routing.rows import key_rows, target_rows
from aigw.version import __version__


async def list_models(request: web.Request) -> web.StreamResponse:
    """GET /v1/models: every model this caller may use."""
    exchange = request[EXCHANGE]
    rows = [_row(name, owner) for name, owner in (await _visible(exchange)).items()]
    return await _send(exchange, {"object": "list", "data": rows})


async def show_model(request: web.Request) -> web.StreamResponse:
    """GET /v1/models/{id}: one model; a name that only a pattern matches is there, too."""
    exchange = request[EXCHANGE]
    name = request.match_info["model"]
    route = exchange.gateway.models.resolve(name)
    patterns = exchange.identity.models
    # What a caller may not use it need not know of: the same answer as for a model that is not there.
    if route is None or not ("*" in patterns or is_allowed(name, patterns)):
        raise ClientError(f'model "{name}": no such model', kind=ErrorKind.MODEL_NOT_FOUND, param="model")
    return await _send(exchange, _row(name, route.targets[0].provider.name))


async def list_targets(request: web.Request) -> web.StreamResponse:
    """GET /aigw/targets: how every target and key is, for administrators."""
    exchange = request[EXCHANGE]
    check_admin(exchange)
    gateway = exchange.gateway
    now = gateway.router.clock()
    providers = gateway.models.providers.values()
    tree: dict[str, object] = {
        "object": "list",
        "data": list(target_rows(gateway.router.board, gateway.models, now)),
        "keys": list(key_rows(providers, now)),
    }
    return await _send(exchange, tree)


def check_admin(exchange: Exchange) -> None:
    """Raise ClientError (403) unless the caller may see the gateway's own state.

    A gateway without keys answers its own machine alone, and whoever is there may; unless it was opened
    to everyone.
    """
    is_owner = exchange.identity is ANONYMOUS and not exchange.gateway.config.auth.allow_anonymous
    if not (exchange.identity.is_admin or is_owner):
        raise ClientError("only an administrator's key may see this", kind=ErrorKind.PERMISSION)


async def health(request: web.Request) -> web.Response:
    """GET /health: it runs, and which version."""
    gateway = request.app[GATEWAY]
    return _json({"status": "draining" if gateway.draining else "ok", "version": __version__})


async def live(_request: web.Request) -> web.Response:
    """GET /livez: the event loop turns."""
    return _json({"status": "ok"})


async def ready(request: web.Request) -> web.Response:
    """GET /readyz: send requests here, or (503) no more."""
    gateway = request.app[GATEWAY]
    if gateway.draining or not gateway.started:
        return _json({"status": "draining" if gateway.draining else "starting"}, status=503)
    return _json({"status": "ok"})


async def _visible(exchange: Exchange) -> dict[str, str]:
    models = await exchange.gateway.listing.models()
    patterns = exchange.identity.models
    if "*" in patterns:
        return models
    return {name: owner for name, owner in models.items() if is_allowed(name, patterns)}


def _row(name: str, owner: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 0, "owned_by": owner}


async def _send(exchange: Exchange, tree: dict[str, object]) -> web.StreamResponse:
    return await WholeDelivery(200, {"x-request-id": exchange.id}, orjson.dumps(tree)).send(exchange)


def _json(tree: dict[str, str], status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(tree), status=status, content_type="application/json")
