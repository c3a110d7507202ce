"""Which store the configuration asks for, and where its file is by default."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from aigw.config.state import StateConfig
from aigw.errors import ConfigError
from aigw.stores.base import Retention, StateStore
from aigw.stores.health import HealthStore
from aigw.stores.limits import LimitStore
from aigw.stores.memory import MemoryStore
from aigw.stores.sqlite import SqliteStore
from aigw.stores.sqlite_health import SqliteHealthStore
from aigw.stores.sqlite_limits import SqliteLimitStore


def make_store(config: StateConfig, kinds: Mapping[str, Callable[[StateConfig], StateStore]]) -> StateStore:
    """Return the store that `state` asks for, not yet open. kinds: those of plugins.

    Raises ConfigError on an unknown kind, and what a plugin's own raises.
    """
    known = {"memory": _memory, "sqlite": _sqlite} | dict(kinds)
    kind = config.kind or ("sqlite" if config.path else "memory")
    if kind not in known:
        names = ", ".join(f'"{name}"' for name in sorted(known))
        raise ConfigError([f'state.kind: got "{kind}", wanted one of {names}'])
    return known[kind](config)


def health_store_beside(store: StateStore) -> HealthStore | None:
    """Return where those who share this store share targets' health, too; None where there is no room."""
    return SqliteHealthStore(store) if isinstance(store, SqliteStore) else None


def limit_store_beside(store: StateStore) -> LimitStore | None:
    """Return where they share what they use of targets' limits."""
    return SqliteLimitStore(store) if isinstance(store, SqliteStore) else None


def retention_of(config: StateConfig) -> Retention:
    """Return how long and how much is kept, for any store."""
    return Retention(config.keep_s or None, config.max_bytes or None)


def default_path(env: Mapping[str, str]) -> Path:
    """Return where the file of "sqlite" is by default; env: the environment."""
    # The XDG rules: a folder that is not absolute counts as not set.
    folder = Path(env.get("XDG_STATE_HOME", ""))
    if not folder.is_absolute():
        folder = Path(env.get("HOME", "~")).expanduser() / ".local" / "state"
    return folder / "aigw" / "state.db"


def _memory(config: StateConfig) -> StateStore:
    return MemoryStore(retention_of(config))


def _sqlite(config: StateConfig) -> StateStore:
    path = Path(config.path).expanduser() if config.path else default_path(os.environ)
    return SqliteStore(path, retention_of(config))
