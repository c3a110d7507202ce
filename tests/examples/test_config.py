import tomllib

import attrs
import pytest

from aigw.config import Config, load
from aigw.upstream.catalog import CATALOG

ENV = {"TEAM_A_KEY": "team-a-key", "OPENAI_API_KEY": "sk-fake"}
FILES = ("aigw.toml", "aigw.yaml")


def read(path, env=ENV):
    return load(path, env, known_providers=CATALOG)


@pytest.mark.parametrize("name", FILES)
async def test_check_finds_nothing_wrong(name, examples, run_python, fake_env):
    path = examples / "config" / name
    code, printed = await run_python("-m", "aigw", "check", "-c", path, env=fake_env(**ENV))
    assert code == 0, printed
    assert printed.splitlines()[:4] == [
        "configuration is valid:",
        "  listens on 127.0.0.1:8080, 2 keys",
        "  providers: local, openai",
        "  models: fast, local-*",
    ]
    assert "fake" not in printed


def test_both_formats_mean_the_same(examples):
    toml, yaml = (read(examples / "config" / name) for name in FILES)
    assert toml == yaml
    assert toml != Config()


def test_the_hash_is_that_of_the_key_it_stands_for(examples):
    from aigw.config import KeyConfig, Secret

    keys = read(examples / "config" / "aigw.toml").auth.keys
    assert keys[1].digest == KeyConfig(key=Secret("team-b-key")).digest


def test_every_section_and_every_setting_of_the_server_is_shown(examples):
    text = (examples / "config" / "aigw.toml").read_text()
    tree = tomllib.loads(text)
    assert set(tree) == {field.name for field in attrs.fields(Config)}
    for name in attrs.fields_dict(type(Config().server)):
        assert f"{name} = " in text, name


def test_what_is_not_explained_as_a_choice_is_the_default(examples):
    assert read(examples / "config" / "aigw.toml").server == Config().server


@pytest.mark.parametrize("name", FILES)
def test_the_default_address_gives_way_to_the_environment(name, examples):
    config = read(examples / "config" / name, {**ENV, "LOCAL_URL": "http://127.0.0.1:9/v1"})
    assert config.providers["local"].base_url == "http://127.0.0.1:9/v1"
