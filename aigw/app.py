"""The web application: the chain, the routes, and nothing else.

Owns the order of the links, in one tuple, and which URL leads where. A request for a model passes every
link, whichever endpoint it came through; each link is a file in `aigw.pipeline`, but for `converse`, which
stands with its state in `aigw.responses`.

    client -- boundary -> auth -> admit -> converse -> rewrite -> route -> call -> deliver -> answer
                 |        |       |          |            |        |  ^     |          |
                 |       401  413, 429   past items,    edits     404 +-----+     == commit: the head goes ==
                 |                       own tools           next target, until   relay.pump until the end
                 |                                           the first content    exactly one terminal event
                 +--> on_complete(record): exactly once, on success, error, hang-up and shutdown
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.typedefs import Handler

from aigw.dialects.endpoints import ENDPOINTS, LISTINGS, TARGETS, Endpoint
from aigw.pages import health, list_models, list_targets, live, ready, show_model
from aigw.pipeline.admit import admit
from aigw.pipeline.auth import auth
from aigw.pipeline.boundary import boundary
from aigw.pipeline.call import call
from aigw.pipeline.deliver import answer, deliver
from aigw.pipeline.exchange import GATEWAY
from aigw.pipeline.rewrite import rewrite
from aigw.pipeline.route import route
from aigw.responses.background_pages import BACKGROUND_PAGES
from aigw.responses.conversations import CONVERSATION_PAGES
from aigw.responses.converse import SERVED, converse
from aigw.responses.pages import RESPONSE_PAGES
from aigw.responses.websocket import WEBSOCKET_PAGES

if TYPE_CHECKING:
    from aigw.gateway import Gateway

CHAIN = (boundary, auth, admit, converse, rewrite, route, call, deliver)
PAGES = (("/health", health), ("/healthz", health), ("/livez", live), ("/readyz", ready))
ANSWERED_HERE = (
    *zip(LISTINGS, (list_models, show_model), strict=True),
    (TARGETS, list_targets),
    *RESPONSE_PAGES,
    *BACKGROUND_PAGES,
    *CONVERSATION_PAGES,
    *WEBSOCKET_PAGES,
)
"""Endpoints that authenticate as all others do, and reach no model by themselves."""
OWN_ROUTES = (
    *((endpoint.method, endpoint.path) for endpoint in ENDPOINTS),
    *((endpoint.method, endpoint.path) for endpoint, _ in ANSWERED_HERE),
    *(("GET", path) for path, _ in PAGES),
)


def build(gateway: Gateway) -> web.Application:
    """Return the application of a gateway, to be run on its own or mounted with `add_subapp`."""
    app = web.Application(middlewares=CHAIN, client_max_size=gateway.config.server.max_body_bytes)
    app[GATEWAY] = gateway
    for endpoint in ENDPOINTS:
        path = endpoint.path.replace("{model}", "{model:.+}")
        gateway.endpoints[app.router.add_route(endpoint.method, path, answer)] = endpoint
    for endpoint, handler in ANSWERED_HERE:
        gateway.endpoints[app.router.add_route(endpoint.method, endpoint.path, handler)] = endpoint
    for path, page in PAGES:
        app.router.add_get(path, page)
    for method, path, own in gateway.registry.routes:
        app.router.add_route(method, path, own)
    gateway.registry.finish(app)
    gateway.links = linked(gateway)
    app.on_shutdown.append(gateway.drain_on_shutdown)
    app.cleanup_ctx.append(gateway.running)
    return app


def linked(gateway: Gateway, endpoint: Endpoint | None = None) -> Handler:
    """Return the links behind `boundary` as one handler: of an endpoint, those that have work to do there.

    Without one they are for turns that are no HTTP request of their own.
    """
    idle: set[object] = set()
    if endpoint is not None and endpoint.path not in SERVED:
        idle.add(converse)
    if not gateway.hooks.rewrite_request:
        idle.add(rewrite)
    handler: Handler = answer
    for link in reversed(CHAIN[1:]):
        if link not in idle:
            handler = partial(link, handler=handler)
    return handler
