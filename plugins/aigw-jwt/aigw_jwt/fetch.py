"""Keys from a URL: fetched at start, refreshed in the background, and for a key id not seen before.

Owns the session, the task that refreshes, and what an outage means: old keys stay in use, and with no
keys at all tokens are refused as "not now", never as wrong. One fetch runs at a time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp

from aigw.errors import ErrorKind, ServerError
from aigw_jwt.config import JwtConfig
from aigw_jwt.keys import Header, KeySet, parse_jwks

logger = logging.getLogger("aigw.jwt")

MAX_JWKS_BYTES = 1024 * 1024


class FetchedKeys:
    """The keys behind `jwks_url`, while `running` is entered. on_change: told when they are others."""

    def __init__(self, config: JwtConfig, on_change: Callable[[], None]) -> None:
        self.keys: KeySet | None = None
        self._url = config.jwks_url or ""
        self._refresh_s = config.refresh_s
        self._gap_s = config.min_refresh_gap_s
        self._timeout = aiohttp.ClientTimeout(total=config.fetch_timeout_s)
        self._on_change = on_change
        self._session: aiohttp.ClientSession | None = None
        self._lock = asyncio.Lock()
        self._tried_at = float("-inf")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Fetch the keys, keep them fresh, and close everything at the end."""
        async with aiohttp.ClientSession(timeout=self._timeout) as session:
            self._session = session
            await self._fetch()
            refreshing = asyncio.create_task(self._refresh(), name="aigw-jwt keys")
            try:
                yield
            finally:
                refreshing.cancel()
                with suppress(asyncio.CancelledError):
                    await refreshing
                self._session = None

    async def find(self, header: Header) -> Any | None:
        """Return the key for a token's header; None when the URL does not list it.

        Raises ServerError (503) while there are no keys at all.
        """
        key = None if self.keys is None else self.keys.find(header)
        # Without a key id there is nothing new to ask for.
        if key is None and (self.keys is None or "kid" in header):
            await self._fetch_unless_recent()
            key = None if self.keys is None else self.keys.find(header)
        if self.keys is None:
            raise ServerError(
                "the keys that tokens are verified with cannot be fetched at the moment; try again",
                kind=ErrorKind.UNAVAILABLE,
                status=503,
                retry_after_s=self._gap_s,
            )
        return key

    async def _fetch_unless_recent(self) -> None:
        async with self._lock:
            if asyncio.get_running_loop().time() - self._tried_at >= self._gap_s:
                await self._fetch_locked()

    async def _refresh(self) -> None:
        while True:
            await asyncio.sleep(self._gap_s if self.keys is None else self._refresh_s)
            await self._fetch()

    async def _fetch(self) -> None:
        async with self._lock:
            await self._fetch_locked()

    async def _fetch_locked(self) -> None:
        self._tried_at = asyncio.get_running_loop().time()
        try:
            keys = parse_jwks(await self._get())
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            state = "there are none yet" if self.keys is None else "the old ones stay in use"
            logger.warning("the keys at %s could not be fetched, %s: %r", self._url, state, error)
            return
        if self.keys is None or self.keys.keys != keys.keys:
            logger.info("%d keys were fetched from %s", len(keys.keys), self._url)
            self.keys = keys
            self._on_change()

    async def _get(self) -> bytes:
        assert self._session is not None  # noqa: S101 - `running` is entered
        async with self._session.get(self._url) as answer:
            if answer.status != 200:
                raise ValueError(f"it answered with status {answer.status}")
            document = bytearray()
            async for chunk in answer.content.iter_any():
                document += chunk
                if len(document) > MAX_JWKS_BYTES:
                    raise ValueError(f"it is larger than {MAX_JWKS_BYTES} bytes")
            return bytes(document)
