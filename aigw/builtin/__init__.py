"""The gateway's own features, written as plugins through the public hooks.

Owns which of them a configuration asks for. They come before installed plugins unless `plugins.order`
says otherwise, and can be disabled by the names used here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from aigw.builtin.access_log import AccessLog
from aigw.builtin.cors import Cors
from aigw.builtin.keys import StaticKeys
from aigw.builtin.metrics import Metrics
from aigw.builtin.targets import HealthChecks
from aigw.config import Config
from aigw.hooks.loader import Found


def builtins(config: Config) -> dict[str, Found]:
    """Return the built-in plugins by name, in their order; `wanted` are those this configuration asks for."""
    checks = {name: each.health_check for name, each in config.providers.items() if each.health_check}
    wanted: dict[str, tuple[bool, Callable[[], object]]] = {
        "keys": (bool(config.auth.keys), partial(StaticKeys, config.auth.keys)),
        "cors": (bool(config.server.cors_origins), partial(Cors, config.server.cors_origins)),
        "metrics": (config.server.metrics, Metrics),
        "access-log": (config.server.access_log, AccessLog),
        "health-checks": (bool(checks), partial(HealthChecks, checks)),
    }
    return {
        name: Found(name, "built in", partial(_itself, factory), wanted=is_wanted)
        for name, (is_wanted, factory) in wanted.items()
    }


def _itself(factory: Callable[[], object]) -> Callable[[], object]:
    return factory
