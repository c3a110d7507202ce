"""aigw: an AI gateway. One endpoint in front of many LLM providers.

    gateway = aigw.Gateway()
    gateway.models.register("gpt-4", aigw.Provider("https://api.openai.com/v1", api_key="..."))
    app = gateway.make_app()

What is named here is the public API; everything else may change between versions. A name's module is imported
when the name is first asked for: a process that serves loads only what its configuration needs.
"""

from __future__ import annotations

import os
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from aigw.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    from aiohttp import web

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


_NAMES_OF = {
    "config": ("Config",),
    "errors": ("ClientError", "ConfigError", "ErrorKind", "GatewayError", "ServerError", "UpstreamError"),
    "gateway": ("Gateway",),
    "hooks.spec": ("Plugin",),
    "hooks.table": ("PluginError",),
    "pipeline.exchange": ("Attempt", "Exchange", "Identity", "Record"),
    "providers.reading": ("timeouts_of", "transport_settings"),
    "upstream.chaos": ("ChaosProvider", "Fault"),
    "upstream.demo": ("DemoProvider",),
    "upstream.http": ("Provider",),
    "upstream.provider": ("Answer", "BaseProvider", "Call", "Timeouts"),
    "upstream.registry": ("Target",),
    "upstream.replay": ("ReplayProvider",),
}
_HOMES = {name: f"aigw.{module}" for module, names in _NAMES_OF.items() for name in names}

if not TYPE_CHECKING:  # a checker that sees it takes every name for a good one

    def __getattr__(name):  # noqa: ANN001, ANN202 - seen by no checker
        """Import what a public name stands for, or the module of that name below this one."""
        if name in _HOMES:
            value = getattr(import_module(_HOMES[name]), name)
        elif not name.startswith("_") and find_spec(f"{__name__}.{name}"):
            value = import_module(f"{__name__}.{name}")
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value  # asked for once
        return value

    def __dir__():  # noqa: ANN202
        return sorted({*globals(), *__all__})


def make_app(
    config: Config | Mapping[str, Any] | str | Path | None = None, env: Mapping[str, str] | None = None
) -> web.Application:
    """Return a gateway's application from configuration: a file's path, a dict, a `Config`, or none.

    env: where keys and `${VAR}` come from; by default the process's environment.
    Raises ConfigError with every mistake, PluginError for an installed plugin that cannot be used.
    """
    from aigw.assemble import assemble, to_config  # noqa: PLC0415 - as for the names above

    env = os.environ if env is None else env
    return assemble(to_config(config, env), env).gateway.make_app()
