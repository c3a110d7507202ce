"""The way to an MCP server: HTTP that goes to public addresses alone, unless the operator vouches.

Owns that the address which was judged is the one that is connected to: a name is resolved here, once, and
TLS still asks for the name. Redirects are the client library's, which follows none to another origin.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Mapping
from functools import lru_cache

import httpx2

from aigw.responses.mcp.failure import RefusedServerError
from aigw.responses.mcp.permit import is_public

CONNECT_S = 10.0


class GuardedTransport(httpx2.AsyncBaseTransport):
    """Sends requests to public addresses. Raises RefusedServerError for every other one."""

    def __init__(self) -> None:
        self._inner = httpx2.AsyncHTTPTransport(verify=_tls())

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        url = request.url
        addresses = await _addresses(url.host, url.port or (443 if url.scheme == "https" else 80))
        if not all(map(is_public, addresses)):
            raise RefusedServerError
        request.extensions = {**request.extensions, "sni_hostname": url.host}
        try:
            for address in addresses[:-1]:
                request.url = url.copy_with(host=address)
                with contextlib.suppress(httpx2.ConnectError):
                    return await self._inner.handle_async_request(request)
            request.url = url.copy_with(host=addresses[-1])
            return await self._inner.handle_async_request(request)
        finally:
            request.url = url  # what a redirect is held to, and what its target is told from

    async def aclose(self) -> None:
        await self._inner.aclose()


async def _addresses(host: str, port: int) -> list[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise httpx2.ConnectError("the name does not resolve") from error
    return list(dict.fromkeys(str(info[4][0]) for info in found))


def http_client(headers: Mapping[str, str], timeout_s: float, *, anywhere: bool) -> httpx2.AsyncClient:
    """Return a client for one server. anywhere: also at an address that is not public."""
    # No proxies from the environment: what goes through one is connected to where nobody has looked.
    return httpx2.AsyncClient(
        headers=dict(headers),
        # How long an answer may take is its asker's affair; between two of them a stream may be silent.
        timeout=httpx2.Timeout(timeout_s, connect=min(CONNECT_S, timeout_s), read=None),
        transport=httpx2.AsyncHTTPTransport(verify=_tls()) if anywhere else GuardedTransport(),
        trust_env=False,
        follow_redirects=False,
    )


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    # Reading the certificates takes as long as many a tool.
    return httpx2.create_ssl_context()
