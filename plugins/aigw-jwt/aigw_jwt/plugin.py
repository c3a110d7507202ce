"""The plugin: `authenticate` by token, and `setup` for keys that come from a URL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, ClassVar

from aigw.hooks.spec import Plugin
from aigw_jwt.config import JwtConfig
from aigw_jwt.fetch import FetchedKeys
from aigw_jwt.identity import read_identity
from aigw_jwt.keys import Header, read_keys
from aigw_jwt.verify import Cache, Claims, Verifier, read_header, refused

if TYPE_CHECKING:
    from aigw.gateway import Gateway
    from aigw.pipeline.exchange import Exchange, Identity


class Jwt(Plugin):
    """Names the caller by a signed token; leaves every other kind of credential to other plugins."""

    name: ClassVar[str] = "jwt"
    Config: ClassVar[type] = JwtConfig

    def __init__(self, config: JwtConfig) -> None:
        self.config = config
        self.cache = Cache(config)
        self._verifier = Verifier(config)
        self._own = read_keys(config)
        self._fetched: FetchedKeys | None = None

    async def setup(self, gateway: Gateway) -> AsyncIterator[None]:  # noqa: ARG002 - the hook's signature
        """Fetch the keys, if they are not in a file, and keep them fresh."""
        if self._own is not None:
            yield
            return
        self._fetched = FetchedKeys(self.config, self.cache.clear)
        async with self._fetched.running():
            yield

    async def authenticate(self, exchange: Exchange) -> Identity | None:
        """Return who the token names. Raises ClientError (401, 403), or ServerError (503) without keys."""
        token = exchange.credential
        header = read_header(token) if token else None
        if token is None or header is None:
            return None
        claims = self.cache.get(token)
        if claims is None:
            claims = await self._verify(token, header)
            self.cache.put(token, claims)
        return read_identity(claims, self.config)

    async def _verify(self, token: str, header: Header) -> Claims:
        self._verifier.check_algorithm(header)
        if self._own is not None:
            key = self._own.find(header)
        else:
            assert self._fetched is not None  # noqa: S101 - requests come after setup
            key = await self._fetched.find(header)
        if key is None:
            raise refused("no key is known that could have signed it (kid)")
        return self._verifier.verify(token, header, key)
