"""CORS: which web pages may call the gateway from a browser.

Owns nothing but the settings; the rules are aiohttp-cors's.
"""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from aigw.errors import ConfigError
from aigw.hooks.registry import Registry

EXPOSED = (
    "x-request-id",
    "x-aigw-provider",
    "x-aigw-model",
    "x-aigw-attempts",
    "x-aigw-fallback",
    "retry-after",
    "retry-after-ms",
)


class Cors:
    """Allow the origins in `server.cors_origins` on every URL of the gateway."""

    name = "cors"

    def __init__(self, origins: Sequence[str]) -> None:
        self._origins = tuple(origins)

    def provide(self, registry: Registry) -> None:
        registry.finish_app(self._allow)

    def _allow(self, app: web.Application) -> None:
        try:
            import aiohttp_cors  # noqa: PLC0415 - an optional dependency
        except ImportError as error:
            raise ConfigError(["server.cors_origins needs aiohttp-cors: pip install 'aigw[cors]'"]) from error
        options = aiohttp_cors.ResourceOptions(  # type: ignore[no-untyped-call]
            # Credentials here would mean cookies; API keys travel in a header that the page sets itself.
            allow_credentials=False,
            allow_headers="*",
            expose_headers=EXPOSED,
            allow_methods="*",
            max_age=600,
        )
        cors = aiohttp_cors.setup(app, defaults=dict.fromkeys(self._origins, options))
        for route in list(app.router.routes()):
            if route.method not in {"HEAD", "OPTIONS"}:
                cors.add(route)
