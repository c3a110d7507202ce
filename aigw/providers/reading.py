"""What every kind of section has in common: its `options`, its timeouts, and the way to its provider."""

from __future__ import annotations

from typing import TypeVar

import attrs

from aigw.config import ProviderConfig, structure
from aigw.config.place import join
from aigw.errors import ConfigError
from aigw.upstream.provider import Timeouts
from aigw.upstream.transport.base import TransportSettings
from aigw.upstream.transport.tls import make_ssl_context

T = TypeVar("T")


def read_options(cls: type[T], name: str, section: ProviderConfig) -> T:
    """Read the `options` of a section. Raises ConfigError with every mistake in them."""
    problems: list[str] = []
    options = structure(cls, section.options, f"{join('providers', name)}.options", problems)
    if options is None:
        raise ConfigError(problems)
    return options


def timeouts_of(section: ProviderConfig) -> Timeouts:
    """Return a section's timeouts as `Provider` and `BaseProvider.timeouts` take them; all are in seconds."""
    given = section.timeouts
    return Timeouts(**attrs.asdict(given))


def transport_settings(name: str, section: ProviderConfig) -> TransportSettings:
    """Return how the provider called `name` is reached: its section's pool, proxy and TLS.

    Raises ConfigError on TLS files of no use, sooner than the provider's first call.
    """
    settings = TransportSettings(
        max_connections=section.pool.max_connections,
        keepalive_s=section.pool.keepalive_s,
        proxy=section.proxy.reveal() if section.proxy else None,
        verify=section.tls.verify,
        ca_file=section.tls.ca_file,
        cert_file=section.tls.cert_file,
        key_file=section.tls.key_file,
        server_name=section.tls.server_name,
    )
    make_ssl_context(name, settings)
    return settings
