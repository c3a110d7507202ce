"""The short way in: a dictionary in place of aiohttp's router, for URLs without a variable part.

Owns finding the endpoint of a request and nothing of what happens to it: the same links answer as behind
the router, less those that have nothing to do at this endpoint. Only a process of our own takes this way; an
embedded gateway is found by the router of the application it lives in. All other requests take the long way.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, cast

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.typedefs import Handler
from attrs import frozen

from aigw.app import CHAIN, linked
from aigw.dialects.endpoints import Endpoint
from aigw.pipeline.boundary import exchanged
from aigw.relay.outlet import OWN_HTTP

if TYPE_CHECKING:
    from aigw.gateway import Gateway


@frozen
class Way:
    """Where one URL leads. match: what the router would say of it, the same for every request."""

    endpoint: Endpoint
    links: Handler
    match: web.UrlMappingMatchInfo


def shorten(runner: web.AppRunner, gateway: Gateway) -> None:
    """Let a server that runs a gateway's own application take the short way where there is one.

    To be called when it is set up. Where a plugin has put a middleware of its own into the application, or
    wants to see its responses, there is none.
    """
    app, server = runner.app, runner.server
    if server is None or tuple(app.middlewares) != CHAIN or app.on_response_prepare:
        return
    ways = ways_of(gateway, app)
    long_way = server.request_handler

    def front(request: web.Request) -> Awaitable[web.StreamResponse]:
        way = ways.get(request.raw_path)
        if (
            way is None
            or request.method != hdrs.METH_POST
            or request.version != HttpVersion11
            or hdrs.EXPECT in request.headers
        ):
            return long_way(request)
        request._match_info = way.match  # noqa: SLF001 - as Application._handle does; tests see it read again
        return exchanged(gateway, way.endpoint, request, way.links, OWN_HTTP)

    server.request_handler = cast("Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]", front)


def ways_of(gateway: Gateway, app: web.Application) -> dict[str, Way]:
    """Return the short way of each URL that has one."""
    ways = {}
    for route, endpoint in gateway.endpoints.items():
        if route.method == hdrs.METH_POST and endpoint.api is not None and not endpoint.has_model_in_path:
            match = web.UrlMappingMatchInfo({}, route)
            match.add_app(app)
            match.freeze()
            ways[endpoint.path] = Way(endpoint, linked(gateway, endpoint), match)
    return ways
