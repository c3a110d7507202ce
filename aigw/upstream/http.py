"""A provider behind HTTP: a catalogue row, a key, a transport.

Owns how a `Call` becomes a URL and headers. One class serves every vendor: what differs between them is
data (`ProviderKind`); a vendor whose behaviour differs is a plugin with a subclass of `BaseProvider`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from urllib.parse import urlencode, urlsplit

import orjson
from attrs import evolve
from multidict import CIMultiDict

from aigw.dialects.endpoints import BEARER, Api
from aigw.errors import ErrorKind, GatewayError, ServerError, UpstreamError
from aigw.upstream.catalog import CATALOG, OPENAI_APIS
from aigw.upstream.key_pool import KeyPool
from aigw.upstream.kind import ProviderKind, endpoint_path, fill_path, query_for
from aigw.upstream.provider import Answer, BaseProvider, Call, Timeouts
from aigw.upstream.transport import make_transport
from aigw.upstream.transport.base import Transport, TransportSettings
from aigw.upstream.transport.pool import PoolTransport, Prepared

MODELS_TIMEOUT_S = 5.0
MAX_KNOWN_PATHS = 1024
MAX_PREPARED = 256
"""How many requests are kept ready but for their bodies: one for each target and kind of client."""
MODELS_LIMIT_BYTES = 8 * 1024 * 1024


class Provider(BaseProvider):
    """Speaks a known wire format over HTTP.

    base_url: where it is, with or without /v1 at its end; by default the catalogue's address for `kind`.
    api_key: the credential, sent in the way the vendor wants it, and never shown. keys: several of them.
    kind: a vendor's name from the catalogue, or a row of one's own; by default any OpenAI-compatible server.
    base_path: the part of an endpoint's path that base_url stands for already (see `endpoint_path`).
    headers, query: added to every call. settings: proxy, TLS, pool.
    transport: "pool", "aiohttp", or an HTTP client of one's own.

    Raises ValueError on an unknown kind or API, and where neither kind nor base_url says where to go.
    """

    def __init__(  # noqa: PLR0913 - each is one setting of a provider, all optional
        self,
        base_url: str = "",
        api_key: str | None = None,
        *,
        name: str = "",
        kind: ProviderKind | str | None = None,
        base_path: str | None = None,
        apis: Iterable[Api | str] | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        timeouts: Timeouts | None = None,
        settings: TransportSettings | None = None,
        proxy: str | None = None,
        forward_client_key: bool = False,
        forward_headers: Iterable[str] = (),
        stream_usage: str | None = None,
        done_optional: bool | None = None,
        transport: Transport | str | None = None,
        keys: KeyPool | None = None,
    ) -> None:
        row = _row(kind, base_url, base_path)
        super().__init__(name or row.name, apis=row.apis if apis is None else apis)
        self.kind = row
        self.timeouts = timeouts or Timeouts()
        self.forward_client_key = forward_client_key
        self.forward_headers = tuple(forward_headers)
        self.stream_usage = stream_usage or row.stream_usage
        self.done_optional = row.done_optional if done_optional is None else done_optional
        self.compacts = row.compacts
        self.hosted_tools = row.hosted_tools
        self.keys = keys
        self._key = keys.keys[0].key.secret if keys is not None else api_key or None
        self._base_url = row.base_url.rstrip("/")
        self._base_path = urlsplit(self._base_url).path
        self._headers = {**row.headers, **(headers or {})}
        self._query = urlencode({**query_for(row), **(query or {})})
        self._queries = {api: urlencode({**query_for(row, api), **(query or {})}) for api in row.queries}
        settings = settings or TransportSettings()
        settings = evolve(settings, proxy=proxy) if proxy else settings
        self._transport = make_transport(transport, self.name, settings, self.timeouts.connect_s)
        self._pool = self._transport if isinstance(self._transport, PoolTransport) else None
        self._prepared: dict[tuple[object, ...], Prepared] = {}
        self._paths: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"Provider({self._base_url!r}, name={self.name!r})"

    @property
    def vendor(self) -> str:
        return self.kind.name

    async def open(self) -> None:
        await self._transport.open()

    async def close(self) -> None:
        await self._transport.close()

    async def call(self, call: Call) -> Answer:
        pool = self._pool
        if pool is None or self.keys is not None or self.forward_client_key:
            url = self.addressed(call)
            return await self._transport.send(call.method, url, call.headers, call.body)
        key = (call.method, call.path, call.model, call.endpoint, call.query, *call.headers.items())
        prepared = self._prepared.get(key)
        if prepared is None:
            if len(self._prepared) >= MAX_PREPARED:  # some clients send headers that differ each time
                self._prepared.clear()
            prepared = self._prepared[key] = pool.prepare(call.method, self.addressed(call), call.headers)
        return await pool.ask(prepared, call.body)

    def addressed(self, call: Call) -> str:
        """Put this provider's headers and credential on a call; return the URL that it goes to."""
        call.headers.update(self._headers)
        self._authorize(call.headers, call)
        return self.url_for(call)

    def url_for(self, call: Call) -> str:
        """Return the URL this call goes to. The credential is never part of it."""
        path = self._path_for(call.path, call.endpoint.api, call.model)
        own = self._queries.get(call.endpoint.api, self._query) if call.endpoint.api else self._query
        query = "&".join(part for part in (own, call.query) if part)
        return f"{self._base_url}{path}?{query}" if query else self._base_url + path

    async def ping(self, path: str) -> None:
        """Ask for a path below the base URL. Raises UpstreamError when no answer comes, or one above 499."""
        headers = CIMultiDict(self._headers)
        self._add_key(headers, self._key)
        query = f"?{self._query}" if self._query else ""
        answer = await self._transport.send("GET", self._base_url + path + query, headers, None)
        await answer.close()
        if answer.status >= 500:
            raise UpstreamError(
                f'provider "{self.name}" answered its health check with HTTP {answer.status}',
                provider=self.name,
            )

    def spare_key(self, key: str | None, error: GatewayError) -> bool:
        return self.keys is not None and self.keys.park(key, error)

    async def models(self) -> list[str]:
        """Ask the vendor which models it has. Raises UpstreamError when it does not say."""
        if not self.kind.models_path:
            return []
        headers = CIMultiDict(self._headers)
        self._add_key(headers, self._key)
        path = self._path_for("/v1" + self.kind.models_path, None, "")
        url = f"{self._base_url}{path}" + (f"?{self._query}" if self._query else "")
        async with asyncio.timeout(MODELS_TIMEOUT_S):
            answer = await self._transport.send("GET", url, headers, None)
            try:
                return _model_ids(answer.status, await answer.read(MODELS_LIMIT_BYTES), self.name)
            finally:
                await answer.close()

    def _path_for(self, path: str, api: Api | None, model: str) -> str:
        # The model list belongs to no API, and cannot lie below one model.
        template = self.kind.paths.get(api, self.kind.path) if api else self.kind.path
        if template and (api or "{model}" not in template):
            return fill_path(template, path, model)
        known = self._paths.get(path)
        if known is None:
            if len(self._paths) >= MAX_KNOWN_PATHS:  # some paths hold the model, and clients name models
                self._paths.clear()
            known = self._paths[path] = endpoint_path(path, self._base_path, self.kind.base_path)
        return known

    def _authorize(self, headers: CIMultiDict[str], call: Call) -> None:
        key = self._key
        if self.forward_client_key and call.client_key:
            key = call.client_key
        elif self.keys is not None:
            picked = self.keys.pick()
            key, call.key = picked.secret, picked.name
        if key is None and self.kind.key_required:
            wanted = " or ".join(self.kind.key_env) or "its api_key"
            raise ServerError(
                f'provider "{self.name}" has no API key; set {wanted}',
                kind=ErrorKind.MISCONFIGURED,
                provider=self.name,
            )
        self._add_key(headers, key, call.endpoint.auth)

    def _add_key(self, headers: CIMultiDict[str], key: str | None, usual: tuple[str, str] = BEARER) -> None:
        if key:
            header, prefix = self.kind.auth or usual
            headers[header] = prefix + key


def _row(kind: ProviderKind | str | None, base_url: str, base_path: str | None) -> ProviderKind:
    """Return the catalogue row to use: the vendor's, at this address, or a new one for a server in none."""
    if isinstance(kind, str):
        if kind not in CATALOG:
            raise ValueError(f'unknown provider kind "{kind}"; known: {", ".join(CATALOG)}')
        kind = CATALOG[kind]
    if kind is None:
        host = urlsplit(base_url).hostname or ""
        kind = ProviderKind(name=host, title=host, base_url="", apis=OPENAI_APIS, key_required=False)
    kind = evolve(
        kind,
        base_url=base_url or kind.base_url,
        base_path=kind.base_path if base_path is None else base_path,
    )
    if urlsplit(kind.base_url).scheme not in {"http", "https"}:
        wanted = " or ".join(kind.url_env) or "base_url"
        raise ValueError(f'base_url: got "{kind.base_url}", wanted http://... or https://... ({wanted})')
    return kind


def _model_ids(status: int, body: bytes, provider: str) -> list[str]:
    """Read the ids out of a model list; some vendors wrap it in `data`, some send the bare list."""
    try:
        tree = orjson.loads(body)
    except orjson.JSONDecodeError:
        tree = None
    rows = tree.get("data") if isinstance(tree, dict) else tree
    if status != 200 or not isinstance(rows, list):
        raise UpstreamError(
            f'provider "{provider}" did not list its models (HTTP {status})', provider=provider
        )
    return [str(row["id"]) for row in rows if isinstance(row, dict) and "id" in row]
