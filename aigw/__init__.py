"""aigw: an AI gateway. One endpoint in front of many LLM providers.

    gateway = aigw.Gateway()
    gateway.models.register("gpt-4", aigw.Provider("https://api.openai.com/v1", api_key="..."))
    app = gateway.make_app()

What is named here is the public API; everything else may change between versions.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from aigw.assemble import assemble as _assemble
from aigw.assemble import to_config as _to_config
from aigw.config import Config
from aigw.errors import ClientError, ConfigError, ErrorKind, GatewayError, ServerError, UpstreamError
from aigw.gateway import Gateway
from aigw.hooks.spec import Plugin
from aigw.hooks.table import PluginError
from aigw.pipeline.exchange import Attempt, Exchange, Identity, Record
from aigw.providers.reading import timeouts_of, transport_settings
from aigw.upstream.chaos import ChaosProvider, Fault
from aigw.upstream.demo import DemoProvider
from aigw.upstream.http import Provider
from aigw.upstream.provider import Answer, BaseProvider, Call, Timeouts
from aigw.upstream.registry import Target
from aigw.upstream.replay import ReplayProvider
from aigw.version import __version__

__all__ = [
    "Answer",
    "Attempt",
    "BaseProvider",
    "Call",
    "ChaosProvider",
    "ClientError",
    "Config",
    "ConfigError",
    "DemoProvider",
    "ErrorKind",
    "Exchange",
    "Fault",
    "Gateway",
    "GatewayError",
    "Identity",
    "Plugin",
    "PluginError",
    "Provider",
    "Record",
    "ReplayProvider",
    "ServerError",
    "Target",
    "Timeouts",
    "UpstreamError",
    "__version__",
    "make_app",
    "timeouts_of",
    "transport_settings",
]


def make_app(
    config: Config | Mapping[str, Any] | str | Path | None = None, env: Mapping[str, str] | None = None
) -> web.Application:
    """Return a gateway's application from configuration: a file's path, a dict, a `Config`, or none.

    env: where keys and `${VAR}` come from; by default the process's environment.
    Raises ConfigError with every mistake, PluginError for an installed plugin that cannot be used.
    """
    env = os.environ if env is None else env
    return _assemble(_to_config(config, env), env).gateway.make_app()
