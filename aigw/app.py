"""The web application: the chain, the routes, and nothing else.

Owns the order of the links, in one tuple, and which URL leads where. A request for a model passes every
link, whichever endpoint it came through; each link is a file in `aigw.pipeline`.

    client -- boundary -> auth -> admit -> rewrite -> route -> call -> deliver -> answer
                 |         |       |          |       |   ^      |        |         |
                 |        401   413, 429    edits    404  +------+        |     == commit: headers go out ==
                 |                                    next target, until  |     relay.pump until the end
                 |                                    the first content  <+     exactly one terminal event
                 +--> on_complete(record): exactly once, on success, error, hang-up and shutdown
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from aigw.dialects.endpoints import ENDPOINTS, LISTINGS
from aigw.pages import health, list_models, live, ready, show_model
from aigw.pipeline.admit import admit
from aigw.pipeline.auth import auth
from aigw.pipeline.boundary import boundary
from aigw.pipeline.call import call
from aigw.pipeline.deliver import answer, deliver
from aigw.pipeline.exchange import GATEWAY
from aigw.pipeline.rewrite import rewrite
from aigw.pipeline.route import route

if TYPE_CHECKING:
    from aigw.gateway import Gateway

CHAIN = (boundary, auth, admit, rewrite, route, call, deliver)
PAGES = (("/health", health), ("/healthz", health), ("/livez", live), ("/readyz", ready))
OWN_ROUTES = (
    *((endpoint.method, endpoint.path) for endpoint in (*ENDPOINTS, *LISTINGS)),
    *(("GET", path) for path, _ in PAGES),
)


def build(gateway: Gateway) -> web.Application:
    """Return the application of a gateway, to be run on its own or mounted with `add_subapp`."""
    app = web.Application(middlewares=CHAIN, client_max_size=gateway.config.server.max_body_bytes)
    app[GATEWAY] = gateway
    for endpoint in ENDPOINTS:
        path = endpoint.path.replace("{model}", "{model:.+}")
        gateway.endpoints[app.router.add_route(endpoint.method, path, answer)] = endpoint
    for endpoint, handler in zip(LISTINGS, (list_models, show_model), strict=True):
        gateway.endpoints[app.router.add_route(endpoint.method, endpoint.path, handler)] = endpoint
    for path, page in PAGES:
        app.router.add_get(path, page)
    for method, path, own in gateway.registry.routes:
        app.router.add_route(method, path, own)
    gateway.registry.finish(app)
    app.on_shutdown.append(gateway.drain_on_shutdown)
    app.cleanup_ctx.append(gateway.running)
    return app
