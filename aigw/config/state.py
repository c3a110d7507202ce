"""Settings of what is kept between requests, and of how stateful responses run."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

from attrs import field, frozen

from aigw.config import checks

SERVER_PATTERN = re.compile(r"(https?)://([^/:\[\]]+|\[[^\]]*\])(?::(\d+|\*))?(/.*)?")
"""Scheme, host, port and path of a pattern; each is matched alone, so that no `*` spans two of them."""

_SERVER = checks.Check[str](
    'a scheme, a host, and if need be a port and a path, as in "https://*.example.com/*"',
    lambda pattern: SERVER_PATTERN.fullmatch(pattern) is not None,
)

_SERVERS: Callable[[object, object, tuple[str, ...] | None], None] = checks.each(_SERVER)


@frozen
class StateConfig:
    """Where responses and conversations are kept, how long, and what happens when that place fails.

    kind: "sqlite", "memory", or one that a plugin provides; None is SQLite for `python -m aigw` and wherever
        a path is given, and memory for an embedded gateway.
    path: the file of "sqlite"; by default `aigw/state.db` in the user's own folder for such data.
    keep_s: seconds since its last use after which a response or a conversation goes; 0 keeps it for ever.
    max_bytes: about how much is kept before the oldest go; also text with a unit. 0 sets no limit.
    outage: "answer" without storing, and say so; or "refuse" what would have to be stored.
    patience_s: how long a request waits for the store before that counts as an outage.
    options: for stores that plugins bring, which read them with a class of their own.
    """

    kind: str | None = field(default=None, validator=checks.filled)
    path: str | None = field(default=None, validator=checks.filled)
    keep_s: float = field(default=30 * 86400.0, validator=checks.not_negative)
    max_bytes: int = field(default=2**30, converter=checks.size_bytes, validator=checks.count)
    outage: Literal["answer", "refuse"] = "answer"
    patience_s: float = field(default=2.0, validator=checks.positive)
    options: dict[str, object] = field(factory=dict, repr=False)


@frozen
class ResponsesConfig:
    """How stateful responses run.

    max_background: background responses that may run at a time in one process; more wait in the queue.
    websocket_max_s: how long a WebSocket connection may live.
    max_tool_steps: how often the model is asked again within one response while the gateway runs its tools.
    tool_timeout_s: how long one call of such a tool may take. tools_timeout_s: all of them in one response.
    mcp: who runs the tools of MCP servers: the "provider" where it does that itself, else the gateway; or
        always the "gateway".
    mcp_allowed: patterns of the MCP servers that clients may name, as "https://*.example.com/*" or
        "http://127.0.0.1:*"; a server that one with a host other than "*" matches may be at any address.
        None allows every server at a public address.
    """

    max_background: int = field(default=100, validator=checks.at_least_one)
    websocket_max_s: float = field(default=3600.0, validator=checks.positive)
    max_tool_steps: int = field(default=16, validator=checks.at_least_one)
    tool_timeout_s: float = field(default=60.0, validator=checks.positive)
    tools_timeout_s: float = field(default=600.0, validator=checks.positive)
    mcp: Literal["provider", "gateway"] = "provider"
    mcp_allowed: tuple[str, ...] | None = field(default=None, validator=_SERVERS)
