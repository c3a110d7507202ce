"""aiohttp's client as a `Transport`: the careful choice, which speaks through HTTP proxies too.

Owns one ClientSession and the translation of aiohttp's errors into ours. Time limits are not kept here
but by the pipeline, for every kind of provider alike: a timer per read would cost more than the read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from io import BytesIO

import aiohttp
from aiohttp import client_exceptions as failures
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from aigw.errors import ErrorKind, UpstreamError
from aigw.upstream.provider import Answer
from aigw.upstream.transport.base import TransportSettings
from aigw.upstream.transport.coding import decoder_for, unpacked_headers
from aigw.upstream.transport.handler import next_piece, strict
from aigw.upstream.transport.request import check_request
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
            connector=strict(connector),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            # aiohttp's own default ends every answer after 300 s, however well it streams.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._connect_s),
            read_bufsize=2**18,
            auto_decompress=False,  # it takes a gzip stream that breaks off for a whole one
        )

    async def close(self) -> None:
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def send(self, method: str, url: str, headers: CIMultiDict[str], body: bytes | None) -> Answer:
        if self._session is None:
            raise RuntimeError(f'provider "{self._provider}" is not open')
        try:
            check_request(method, url, headers)
            return await self._answer(method, url, headers, body)
        except UpstreamError as error:
            raise _named(error, self._provider) from error
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise self._failure(error) from error
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if not self._is_closed() or task is None or task.cancelling():
                raise
            # Closing cancels those who wait for a connection, though nobody has cancelled them.
            raise self._failure(aiohttp.ServerDisconnectedError()) from error

    def _is_closed(self) -> bool:
        """Tell whether somebody has closed it while a request was under way."""
        return self._session is None

    async def _answer(self, method: str, url: str, headers: CIMultiDict[str], body: bytes | None) -> Answer:
        try:
            response = await self._try(method, url, headers, body)
        except failures.ClientConnectorError:  # there was no connection at all
            raise
        except (aiohttp.ServerDisconnectedError, ConnectionError, failures.ClientOSError):
            # A kept-alive connection that the provider closed while we wrote to it (a new one, or one
            # that has said something, raises UpstreamError: see `Handler`). POST is not idempotent, so
            # aiohttp does not repeat it; with no byte of an answer, once is right.
            if self._is_closed():
                raise
            response = await self._try(method, url, headers, body)
        try:
            return AiohttpAnswer(response, self._provider)
        except UpstreamError:
            response.close()
            raise

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

    def __init__(self, response: aiohttp.ClientResponse, provider: str) -> None:
        self.status = response.status
        self.headers: CIMultiDict[str] | Mapping[str, str] = response.headers
        self._response = response
        self._read = partial(next_piece, response.content)
        self._provider = provider
        self._decoder = decoder_for(response.headers)
        if self._decoder is not None:
            self.headers = unpacked_headers(response.headers)

    async def chunk(self) -> bytes:
        try:
            data = await self._read()
            return data if self._decoder is None else await self._unpacked(data)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise to_upstream_error(error, self._provider, answered=True) from error

    async def _unpacked(self, data: bytes) -> bytes:
        """Return what this read unpacks to, or the first one after it that unpacks to anything."""
        assert self._decoder is not None  # noqa: S101 - chunk() has looked
        try:
            while data:
                if unpacked := self._decoder.feed(data):
                    return unpacked
                data = await self._read()
            self._decoder.close()
        except UpstreamError as error:
            self._response.close()
            raise _named(error, self._provider) from error
        return b""

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


def _named(error: UpstreamError, provider: str) -> UpstreamError:
    """Say whose failure it is: what unpacks a body does not know."""
    return UpstreamError(f'provider "{provider}": {error.message}', kind=error.kind, provider=provider)
