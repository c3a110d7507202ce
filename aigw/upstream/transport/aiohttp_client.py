"""aiohttp's client as a `Transport`: the careful choice, which speaks through HTTP proxies too.

Owns one ClientSession and the translation of aiohttp's errors into ours. Time limits are not kept here
but by the pipeline, for every kind of provider alike: a timer per read would cost more than the read.
"""

from __future__ import annotations

import asyncio
from io import BytesIO

import aiohttp
from aiohttp import client_exceptions as failures
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from aigw.errors import ErrorKind, UpstreamError
from aigw.upstream.provider import Answer
from aigw.upstream.transport.base import TransportSettings
from aigw.upstream.transport.tls import make_ssl_context

LARGE_BODY_BYTES = 2**20


class AiohttpTransport:
    """One ClientSession, made to forward bytes: no cookies, no header of its own, no limit in all."""

    def __init__(self, provider: str, settings: TransportSettings, connect_s: float = 10.0) -> None:
        self._provider = provider
        self._settings = settings
        self._connect_s = connect_s
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        settings = self._settings
        connector = aiohttp.TCPConnector(
            limit=settings.max_connections,
            keepalive_timeout=settings.keepalive_s,
            ssl=make_ssl_context(self._provider, settings),
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            # aiohttp's own default ends every answer after 300 s, however well it streams.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._connect_s),
            read_bufsize=2**18,
        )

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(self, method: str, url: str, headers: CIMultiDict[str], body: bytes | None) -> Answer:
        if self._session is None:
            raise RuntimeError(f'provider "{self._provider}" is not open')
        try:
            response = await self._try(method, url, headers, body)
        except (aiohttp.ServerDisconnectedError, ConnectionError, failures.ClientOSError) as first:
            if isinstance(first, failures.ClientConnectorError):  # there was no connection at all
                raise self._failure(first) from first
            # A kept-alive connection that the provider closed while we wrote to it. POST is not
            # idempotent, so aiohttp does not repeat it; with no byte of an answer, once is right.
            try:
                response = await self._try(method, url, headers, body)
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
                raise self._failure(error) from error
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise self._failure(error) from error
        return AiohttpAnswer(response, self._provider)

    async def _try(
        self, method: str, url: str, headers: CIMultiDict[str], body: bytes | None
    ) -> aiohttp.ClientResponse:
        assert self._session is not None  # noqa: S101 - send() has looked
        return await self._session.request(
            method,
            URL(url, encoded=True),
            # aiohttp warns of large bodies given as bytes, and writes them without letting others run.
            data=body if body is None or len(body) <= LARGE_BODY_BYTES else BytesIO(body),
            headers=headers,
            allow_redirects=False,  # a redirect would carry the key to wherever it points
            proxy=self._settings.proxy,
            server_hostname=self._settings.server_name,
        )

    def _failure(self, error: Exception) -> UpstreamError:
        if isinstance(error, aiohttp.ClientResponseError):  # its repr shows the headers, the key among them
            error.request_info = error.request_info._replace(headers=CIMultiDictProxy(CIMultiDict()))
            error.args = (error.request_info, error.history)
        return to_upstream_error(error, self._provider)


class AiohttpAnswer(Answer):
    """A ClientResponse whose body is pulled read by read, without its line API and its limits."""

    names_failures = True

    def __init__(self, response: aiohttp.ClientResponse, provider: str) -> None:
        self.status = response.status
        self.headers = response.headers
        self._response = response
        self._read = response.content.readany
        self._provider = provider

    async def chunk(self) -> bytes:
        try:
            return await self._read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise to_upstream_error(error, self._provider, answered=True) from error

    async def close(self) -> None:
        # Gives the connection back if the body was read to its end, and drops it otherwise.
        if not self._response.closed:
            self._response.close()


_EXPLANATIONS: tuple[tuple[type[Exception], ErrorKind, str], ...] = (
    (aiohttp.ServerTimeoutError, ErrorKind.UPSTREAM_TIMEOUT, "no connection within the time allowed"),
    (asyncio.TimeoutError, ErrorKind.UPSTREAM_TIMEOUT, "no connection within the time allowed"),
    (
        failures.ClientConnectorCertificateError,
        ErrorKind.UPSTREAM_UNREACHABLE,
        "its certificate is not valid",
    ),
    (failures.ClientConnectorSSLError, ErrorKind.UPSTREAM_UNREACHABLE, "the TLS handshake failed"),
    (failures.ClientConnectorDNSError, ErrorKind.UPSTREAM_UNREACHABLE, "its host name is not known"),
    (failures.ClientProxyConnectionError, ErrorKind.UPSTREAM_UNREACHABLE, "the proxy does not answer"),
    (failures.ClientHttpProxyError, ErrorKind.UPSTREAM_UNREACHABLE, "the proxy refused"),
    (failures.ClientConnectorError, ErrorKind.UPSTREAM_UNREACHABLE, "it refused the connection"),
    (failures.InvalidURL, ErrorKind.MISCONFIGURED, "its URL is not valid"),
    (failures.ServerDisconnectedError, ErrorKind.UPSTREAM_UNREACHABLE, "it closed the connection"),
    (failures.ClientPayloadError, ErrorKind.UPSTREAM_TRUNCATED, "its answer breaks off"),
    (failures.ClientResponseError, ErrorKind.UPSTREAM_PROTOCOL, "its answer is not valid HTTP"),
)


def to_upstream_error(error: Exception, provider: str, *, answered: bool = False) -> UpstreamError:
    """Name what an HTTP client's exception means. Addresses stay in the chained exception, for the log."""
    known = (row[1:] for row in _EXPLANATIONS if isinstance(error, row[0]))
    kind, text = next(known, (ErrorKind.UPSTREAM_UNREACHABLE, "the connection broke"))
    if answered and kind is ErrorKind.UPSTREAM_UNREACHABLE:
        kind, text = ErrorKind.UPSTREAM_TRUNCATED, "its answer breaks off"
    return UpstreamError(f'provider "{provider}": {text}', kind=kind, provider=provider)
