"""First link: who is asking. Nothing of the body is read for a stranger.

Owns the order of authenticators and what an open gateway means. Knows no kind of credential: static keys
and tokens are plugins.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

from aigw.errors import ClientError, ErrorKind
from aigw.hooks.table import first_result
from aigw.pipeline.exchange import ANONYMOUS, EXCHANGE, Exchange, Identity


@web.middleware
async def auth(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Name the caller, or answer 401."""
    exchange = request.get(EXCHANGE)
    if exchange is not None:
        exchange.identity = await identify(exchange)
    return await handler(request)


async def identify(exchange: Exchange) -> Identity:
    """Return who asks. Raises ClientError (401) when nobody vouches for the caller."""
    authenticators = exchange.gateway.hooks.authenticate
    if not authenticators:
        return _anonymous(exchange)
    identity: Identity | None = await first_result(authenticators, exchange)
    if identity is not None:
        return identity
    if exchange.credential is None:
        raise ClientError(
            "no API key was sent; send it as `Authorization: Bearer <key>`", kind=ErrorKind.AUTHENTICATION
        )
    raise ClientError("the API key is not known here", kind=ErrorKind.AUTHENTICATION)


def _anonymous(exchange: Exchange) -> Identity:
    """With no authenticator the gateway is open, and then on loopback only: it spends its owner's money."""
    config = exchange.gateway.config
    if config.auth.allow_anonymous:
        return ANONYMOUS
    request = exchange.request
    if not is_local(request):
        raise ClientError(
            "this gateway has no keys configured, so it answers its own machine only; "
            "set auth.keys or AIGW_API_KEY, or auth.allow_anonymous to open it",
            kind=ErrorKind.AUTHENTICATION,
        )
    if is_foreign_page(request, config.server.cors_origins):
        raise ClientError(
            f'this gateway has no keys configured, so web pages of "{request.headers["Origin"][:80]}" may '
            "not use it; set auth.keys, or list the page in server.cors_origins",
            kind=ErrorKind.PERMISSION,
        )
    if is_foreign_host(request, config.server.host):
        host = request.headers["Host"]
        raise ClientError(
            f'this gateway has no keys configured, so it does not answer as "{host[:80]}"; call it as '
            "localhost or 127.0.0.1, or set auth.keys or AIGW_API_KEY",
            kind=ErrorKind.PERMISSION,
        )
    return ANONYMOUS


def is_local(request: web.BaseRequest) -> bool:
    """Tell whether a request was made on this machine; one that a proxy hands on counts as made elsewhere."""
    if "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        return False
    return not request.remote or _is_loopback(request.remote)  # a Unix socket has no peer address


def is_foreign_page(request: web.BaseRequest, allowed: Sequence[str]) -> bool:
    """Tell whether a web page from elsewhere asks: a browser on this machine does so for any page it shows.

    CORS would keep the answer from the page, but a form is sent, and paid for, without a preflight.
    """
    origin = request.headers.get("Origin")
    if origin is None or origin in allowed or "*" in allowed:
        return False
    try:
        page = urlsplit(origin)
    except ValueError:
        return True
    if page.scheme not in {"http", "https", ""}:  # an extension or a desktop application; "null" has none
        return False
    return not _is_own_name(page.hostname)


def is_foreign_host(request: web.BaseRequest, own: str) -> bool:
    """Tell whether a request was meant for another host: a page's own domain can be made to lead here.

    Its requests are then of the same origin, so neither CORS nor an Origin header would give them away.
    own: one more name that is ours.
    """
    host = request.headers.get("Host")
    if not host or not request.remote:  # every browser sends it, and none speaks to a Unix socket
        return False
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return True
    return not (name == own.lower() or _is_own_name(name))


def _is_own_name(host: str | None) -> bool:
    return host == "localhost" or _is_loopback(host or "")


def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    # A socket for both families shows an IPv4 peer as ::ffff:127.0.0.1.
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback
