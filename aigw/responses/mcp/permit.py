"""Which MCP servers may be called: their URLs come from clients, and the gateway stands inside.

Owns the patterns of `responses.mcp_allowed` and which addresses are public. Resolves no name.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from attrs import frozen

from aigw.config.state import SERVER_PATTERN

_PORTS = {"http": "80", "https": "443"}
# Addresses that stand for others: what is behind them cannot be told.
_NAT64 = IPv6Network("64:ff9b::/96")


@frozen
class Permit:
    """What may be done with a server. anywhere: also if it is at an address that is not public."""

    anywhere: bool


def permit(url: str, allowed: Sequence[str] | None) -> Permit | None:
    """Return what may be done with a server; None if it may not be called at all.

    allowed: patterns of servers; None stands for every one at a public address. A pattern vouches for
    addresses that are not public unless its host is "*".
    """
    if allowed is None:
        return Permit(anywhere=False)
    hosts = [host for pattern in allowed if (host := _matched(url, pattern)) is not None]
    return Permit(anywhere=any(host != "*" for host in hosts)) if hosts else None


def _matched(url: str, pattern: str) -> str | None:
    """Return the host of a pattern that matches, else None. Each part is matched alone: no `*` spans two."""
    match = SERVER_PATTERN.fullmatch(pattern)
    if match is None:
        return None
    scheme, host, port, path = match.groups()
    parts = urlsplit(url)
    own_port = str(parts.port or _PORTS[parts.scheme])
    # A path that climbs is another path to the server than it is to a pattern.
    is_same = (
        parts.scheme == scheme
        and fnmatchcase((parts.hostname or "").rstrip("."), host.strip("[]").lower())
        and port in {"*", own_port, None if own_port == _PORTS[scheme] else own_port}
        and (path is None or (".." not in parts.path and fnmatchcase(parts.path or "/", path)))
    )
    return host if is_same else None


def is_public(address: str) -> bool:
    """Tell whether an IP address belongs to the internet at large."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, IPv6Address):
        inner: IPv4Address | None = found.ipv4_mapped
        if inner is not None:
            return is_public(str(inner))
        if found.sixtofour or found.teredo or found in _NAT64 or found.is_site_local:
            return False
    return found.is_global and not found.is_multicast
