from pathlib import Path

import pytest

from aigw.config.state import StateConfig
from aigw.errors import ConfigError
from aigw.stores.base import Retention
from aigw.stores.choose import default_path, make_store, retention_of
from aigw.stores.memory import MemoryStore
from aigw.stores.sqlite import SqliteStore


def test_an_embedded_gateway_keeps_state_in_memory():
    assert isinstance(make_store(StateConfig(), {}), MemoryStore)
    assert isinstance(make_store(StateConfig(kind="memory"), {}), MemoryStore)


def test_sqlite_is_made_where_the_configuration_says(tmp_path):
    store = make_store(StateConfig(kind="sqlite", path=str(tmp_path / "here.db")), {})
    assert isinstance(store, SqliteStore)
    assert store.path == tmp_path / "here.db"
    assert list(tmp_path.iterdir()) == []


def test_sqlite_has_a_place_of_its_own(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert make_store(StateConfig(kind="sqlite"), {}).path == tmp_path / "aigw" / "state.db"


@pytest.mark.parametrize(
    ("env", "path"),
    [
        ({"XDG_STATE_HOME": "/x", "HOME": "/home/me"}, "/x/aigw/state.db"),
        ({"XDG_STATE_HOME": "", "HOME": "/home/me"}, "/home/me/.local/state/aigw/state.db"),
        ({"XDG_STATE_HOME": "not/absolute", "HOME": "/home/me"}, "/home/me/.local/state/aigw/state.db"),
        ({"HOME": "/home/me"}, "/home/me/.local/state/aigw/state.db"),
    ],
)
def test_the_default_path_follows_the_users_folders(env, path):
    assert default_path(env) == Path(path)


def test_a_plugins_kind_gets_its_settings():
    made = []
    config = StateConfig(kind="other", options={"url": "x"})
    make_store(config, {"other": lambda settings: made.append(settings) or MemoryStore()})
    assert made == [config]


def test_an_unknown_kind_is_refused_with_those_there_are():
    with pytest.raises(ConfigError) as failure:
        make_store(StateConfig(kind="redis"), {"other": lambda config: MemoryStore()})
    wanted = 'state.kind: got "redis", wanted one of "memory", "other", "sqlite"'
    assert failure.value.problems == [wanted]


def test_zero_sets_no_limit():
    assert retention_of(StateConfig(keep_s=0, max_bytes=0)) == Retention(None, None)
    assert retention_of(StateConfig(keep_s=60, max_bytes="1KiB")) == Retention(60, 1024)
