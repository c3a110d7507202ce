"""Google's access tokens: fetched by google-auth, renewed before they expire.

Owns that the event loop never waits for a file or for Google: that is done in a thread, once at a time. What
a token is used for is not its business.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from inspect import isawaitable
from typing import Any, Protocol

import requests
from attrs import field, frozen
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, RefreshError, TransportError
from google.auth.transport.requests import Request

from aigw.errors import ErrorKind, GatewayError, ServerError, UpstreamError

logger = logging.getLogger("aigw.vertex")

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
EARLY_S = 240.0
"""A token that ends within this time is renewed while it serves on; Google's metadata server gives out a
new one only when the old one has less than five minutes left."""
LAST_MOMENT_S = 10.0
"""A token that ends within this time is not used any more: requests wait for the new one."""
GAP_S = 10.0
"""How long Google is left alone after it was asked, while the old token is still good."""
REQUEST_TIMEOUT_S = 10.0

Load = Callable[[], tuple[Any, str | None]]
"""Returns credentials of google-auth, and the project they belong to if they tell. May block."""


@frozen
class Token:
    """One access token. project, quota_project: what its credentials tell. ends_at: UTC; None is never."""

    text: str = field(repr=False)
    project: str | None = None
    quota_project: str | None = None
    ends_at: dt.datetime | None = None

    def left_s(self) -> float:
        if self.ends_at is None:
            return float("inf")
        return (self.ends_at - dt.datetime.now(dt.UTC)).total_seconds()


class TokenSource(Protocol):
    """Whoever has tokens."""

    async def get(self) -> Token:
        """Return a token that is good now. Raises GatewayError when there is none."""

    def refused(self, token: Token) -> None:
        """Take note that Google did not accept a token."""

    async def close(self) -> None:
        """Stop renewing."""


class GivenTokens:
    """Tokens that a function of one's own provides; it decides itself when a new one is needed."""

    def __init__(self, provide: Callable[[], str | Awaitable[str]]) -> None:
        self._provide = provide

    async def get(self) -> Token:
        given = self._provide()
        return Token(await given if isawaitable(given) else given)

    def refused(self, token: Token) -> None:
        """Nothing is kept that could be dropped."""

    async def close(self) -> None:
        """Nothing runs."""


class GoogleTokens:
    """Tokens from google-auth's credentials. proxy: used for Google's token endpoint."""

    def __init__(self, load: Load, provider: str, *, proxy: str | None = None) -> None:
        self._load = load
        self._provider = provider
        self._proxy = proxy
        self._credentials: Any = None
        self._project: str | None = None
        self._session: requests.Session | None = None
        self._token: Token | None = None
        self._asked_at = float("-inf")
        self._asking: asyncio.Task[Token] | None = None

    async def get(self) -> Token:
        """Return a token; it is waited for only where there is none, or its end is near."""
        token = self._token
        left_s = token.left_s() if token is not None else 0.0
        if token is not None and left_s > EARLY_S:
            return token
        if token is not None and left_s > LAST_MOMENT_S:
            if self._may_ask():
                self._ask()
            return token
        return await asyncio.shield(self._ask())

    def refused(self, token: Token) -> None:
        """Fetch a new token next time; not where this one is new itself, for then that is not the reason."""
        if token is self._token and self._may_ask():
            self._token = None

    async def close(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            with suppress(asyncio.CancelledError, GatewayError):
                await self._asking
        if self._session is not None:
            self._session.close()

    def _may_ask(self) -> bool:
        return asyncio.get_running_loop().time() - self._asked_at >= GAP_S

    def _ask(self) -> asyncio.Task[Token]:
        if self._asking is None:
            self._asking = asyncio.create_task(self._renew(), name="aigw-vertex token")
            self._asking.add_done_callback(self._asked)
        return self._asking

    def _asked(self, task: asyncio.Task[Token]) -> None:
        self._asking = None
        # Those who wait get the failure as well; with the old token in use nobody waits.
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.warning("provider %s: no access token came: %s", self._provider, error)

    async def _renew(self) -> Token:
        self._asked_at = asyncio.get_running_loop().time()
        try:
            self._token = await asyncio.to_thread(self._fetch)
        except DefaultCredentialsError as error:
            raise ServerError(
                f'provider "{self._provider}" has no Google credentials; set options.credentials_file, '
                "GOOGLE_APPLICATION_CREDENTIALS, or log in with gcloud",
                kind=ErrorKind.MISCONFIGURED,
                provider=self._provider,
            ) from error
        except TransportError as error:
            text = "the token endpoint cannot be reached"
            raise self._failed(text, ErrorKind.UPSTREAM_UNREACHABLE) from error
        except RefreshError as error:
            if error.retryable:
                text = "the token endpoint does not work at the moment"
                raise self._failed(text, ErrorKind.UPSTREAM_UNREACHABLE) from error
            text = "Google refuses the gateway's credential"
            raise self._failed(text, ErrorKind.UPSTREAM_CREDENTIAL) from error
        except (GoogleAuthError, ValueError, OSError) as error:
            text = "the gateway's credential cannot be used"
            raise self._failed(text, ErrorKind.UPSTREAM_CREDENTIAL) from error
        return self._token

    def _fetch(self) -> Token:
        """Load the credentials if that has not been done, and have them renewed; runs in a thread."""
        if self._credentials is None:
            self._credentials, self._project = self._load()
        if self._session is None:
            self._session = requests.Session()
            if self._proxy:
                self._session.proxies = {"http": self._proxy, "https": self._proxy}
        request = partial(Request(self._session), timeout=REQUEST_TIMEOUT_S)
        self._credentials.refresh(request)
        ends_at = self._credentials.expiry  # in UTC, though it does not say so
        return Token(
            self._credentials.token,
            self._project,
            getattr(self._credentials, "quota_project_id", None),
            None if ends_at is None else ends_at.replace(tzinfo=dt.UTC),
        )

    def _failed(self, what: str, kind: ErrorKind) -> UpstreamError:
        return UpstreamError(f'provider "{self._provider}": {what}', kind=kind, provider=self._provider)
