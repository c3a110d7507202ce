"""AWS keys: given ones, or those that botocore's chain finds, renewed before they expire.

Owns that the event loop never waits for a file, a process or a metadata service: whatever the chain does is
done in a thread, once at a time. What keys are used for is not its business.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Any, Protocol

from attrs import field, frozen
from botocore.credentials import RefreshableCredentials  # type: ignore[import-untyped]
from botocore.exceptions import (  # type: ignore[import-untyped]
    BotoCoreError,
    ClientError,
    HTTPClientError,
    MetadataRetrievalError,
)
from botocore.exceptions import ConnectionError as AwsConnectionError

from aigw.errors import ErrorKind, GatewayError, ServerError, UpstreamError

logger = logging.getLogger("aigw.bedrock")

LAST_MOMENT_S = 30
"""Keys that end within this time are waited for; before that, the old ones serve while new ones come."""
GAP_S = 10.0
"""How long the chain is left alone after it was asked, while the old keys are still good."""


@frozen
class AwsKeys:
    """What botocore signs with. The names are botocore's."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


class KeySource(Protocol):
    """Whoever has keys."""

    async def get(self) -> AwsKeys:
        """Return keys that are good now. Raises GatewayError when there are none."""

    async def close(self) -> None:
        """Stop renewing."""


class GivenKeys:
    """Keys that were written down."""

    def __init__(self, keys: AwsKeys) -> None:
        self._keys = keys

    async def get(self) -> AwsKeys:
        return self._keys

    async def close(self) -> None:
        """Nothing runs."""


class ChainKeys:
    """Keys from botocore's default chain: environment, profile, SSO, web identity, container, instance."""

    def __init__(self, session: Any, provider: str) -> None:
        self._session = session
        self._provider = provider
        self._found: Any = None
        self._keys: AwsKeys | None = None
        self._asked_at = float("-inf")
        self._asking: asyncio.Task[AwsKeys] | None = None

    async def get(self) -> AwsKeys:
        """Return keys; they are waited for only where there are none, or their end is near."""
        if self._keys is not None and not self._ends_within(None):
            return self._keys
        if self._keys is not None and not self._ends_within(LAST_MOMENT_S):
            if asyncio.get_running_loop().time() - self._asked_at >= GAP_S:
                self._ask()
            return self._keys
        return await asyncio.shield(self._ask())

    async def close(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            with suppress(asyncio.CancelledError, GatewayError):
                await self._asking

    def _ends_within(self, seconds: int | None) -> bool:
        """Tell whether the keys end soon; None is the time at which AWS advises to renew them."""
        if not isinstance(self._found, RefreshableCredentials):
            return False
        return bool(self._found.refresh_needed(refresh_in=seconds))

    def _ask(self) -> asyncio.Task[AwsKeys]:
        if self._asking is None:
            self._asking = asyncio.create_task(self._renew(), name="aigw-bedrock keys")
            self._asking.add_done_callback(self._asked)
        return self._asking

    def _asked(self, task: asyncio.Task[AwsKeys]) -> None:
        self._asking = None
        # Those who wait get the failure as well; with the old keys in use nobody waits.
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.warning(
                "provider %s: AWS keys could not be had: %r", self._provider, error.__cause__ or error
            )

    async def _renew(self) -> AwsKeys:
        self._asked_at = asyncio.get_running_loop().time()
        try:
            found = await asyncio.to_thread(self._look)
        except (HTTPClientError, AwsConnectionError, MetadataRetrievalError) as error:
            raise self._failed("cannot be reached", ErrorKind.UPSTREAM_UNREACHABLE) from error
        except (BotoCoreError, ClientError, RuntimeError) as error:  # RuntimeError: new keys that are old
            raise self._failed("gave none", ErrorKind.UPSTREAM_CREDENTIAL) from error
        if found is None:
            raise ServerError(
                f'provider "{self._provider}" has no AWS credentials; set api_key, options.access_key, '
                "options.profile, or what AWS's default chain finds",
                kind=ErrorKind.MISCONFIGURED,
                provider=self._provider,
            )
        self._keys = found
        return found

    def _look(self) -> AwsKeys | None:
        """Ask the chain; runs in a thread."""
        if self._found is None:
            self._found = self._session.get_credentials()
        if self._found is None:
            return None
        frozen_now = self._found.get_frozen_credentials()
        return AwsKeys(frozen_now.access_key, frozen_now.secret_key, frozen_now.token)

    def _failed(self, what: str, kind: ErrorKind) -> UpstreamError:
        text = f'provider "{self._provider}": where its AWS credentials come from {what}'
        return UpstreamError(text, kind=kind, provider=self._provider)
