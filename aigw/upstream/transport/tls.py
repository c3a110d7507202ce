"""TLS towards a provider: what its settings mean. Owns that a file which cannot be used is named."""

from __future__ import annotations

import ssl

from aigw.errors import ConfigError
from aigw.upstream.transport.base import TransportSettings


def make_ssl_context(provider: str, settings: TransportSettings) -> ssl.SSLContext | bool:
    """Return what aiohttp wants as `ssl`. Raises ConfigError naming the file that cannot be used."""
    if settings.ca_file is None and settings.cert_file is None:
        return settings.verify
    seen = settings.ca_file
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
        if settings.cert_file is not None:  # also where we do not verify: it is how they verify us
            seen = settings.cert_file
            context.load_cert_chain(settings.cert_file, settings.key_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError([f'providers.{provider}.tls: cannot use "{seen}": {error}']) from error
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
