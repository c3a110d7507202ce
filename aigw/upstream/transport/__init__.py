"""HTTP clients behind one small interface, and the choice between them."""

from __future__ import annotations

from collections.abc import Callable

from aigw.upstream.transport.aiohttp_client import AiohttpTransport
from aigw.upstream.transport.base import Transport, TransportSettings
from aigw.upstream.transport.pool import PoolTransport

TRANSPORTS: dict[str, Callable[[str, TransportSettings, float], Transport]] = {
    "pool": PoolTransport,
    "aiohttp": AiohttpTransport,
}


def make_transport(
    wanted: Transport | str | None, provider: str, settings: TransportSettings | None, connect_s: float
) -> Transport:
    """Return the HTTP client a provider is to use.

    wanted: one of its own, or a name; by default our own pool, which speaks to origins only.
    Raises ValueError for a name that is none, and for the pool where a proxy is set.
    """
    if wanted is not None and not isinstance(wanted, str):
        return wanted
    settings = settings or TransportSettings()
    name = wanted or ("aiohttp" if settings.proxy else "pool")
    if name not in TRANSPORTS:
        raise ValueError(f'transport: got "{name}", wanted one of {", ".join(TRANSPORTS)}')
    if name == "pool" and settings.proxy:
        raise ValueError('transport: "pool" speaks through no proxy; wanted "aiohttp"')
    return TRANSPORTS[name](provider, settings, connect_s)
