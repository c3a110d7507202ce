"""Which plugins are used, in which order, with which configuration."""

import os
import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest
from attrs import field, frozen

import aigw
from aigw.config import PluginsConfig, Secret
from aigw.hooks import loader
from aigw.hooks.loader import GROUP, Found, discover, load, order, unknown_disabled
from aigw.hooks.table import Hooks


class Plain:
    def on_complete(self, record): ...


@frozen
class Settings:
    limit: int = 3
    word: str = field(default="x")
    key: Secret | None = None


class Configured(Plain):
    Config = Settings

    def __init__(self, config):
        self.config = config


def broken():
    raise OSError("no such disk")


class Dist:
    def __init__(self, name, version="1.0"):
        self.name = name
        self.version = version
        self.metadata = {"Name": name}


def point(name, value="json:JSONDecoder", dist=None):
    made = EntryPoint(name, value, GROUP)
    return made._for(dist) if dist else made


def found(name, factory=Plain):
    return Found(name, f"aigw-{name} 1.0", lambda: factory)


def named(*names):
    return {name: found(name) for name in names}


def test_discovery_says_which_distribution_a_plugin_is_from():
    plugins = discover([point("a", dist=Dist("aigw-a", "2.1")), point("b")])
    assert {name: plugin.source for name, plugin in plugins.items()} == {
        "a": "aigw-a 2.1",
        "b": "json:JSONDecoder",
    }


def test_one_name_from_two_distributions_is_refused_with_both():
    points = [point("a", dist=Dist("aigw-a")), point("a", dist=Dist("other"))]
    with pytest.raises(aigw.PluginError, match=r'"a" comes from both aigw-a 1\.0 and other 1\.0'):
        discover(points)


def test_one_distribution_seen_twice_on_the_path_is_one():
    assert list(discover([point("a", dist=Dist("aigw-a")), point("a", dist=Dist("aigw-a"))])) == ["a"]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (PluginsConfig(), ["keys", "metrics", "alpha", "zulu"]),
        (PluginsConfig(order=("zulu", "metrics")), ["zulu", "metrics", "keys", "alpha"]),
        (PluginsConfig(disabled=("metrics", "alpha")), ["keys", "zulu"]),
        (PluginsConfig(order=("zulu", "zulu", "alpha"), disabled=("zulu",)), ["alpha", "keys", "metrics"]),
        (PluginsConfig(disabled=("not-installed",)), ["keys", "metrics", "alpha", "zulu"]),
    ],
)
def test_the_order_is_the_operators_then_built_ins_then_names(config, expected):
    used = order(named("keys", "metrics"), named("zulu", "alpha"), config)
    assert [plugin.name for plugin in used] == expected


def test_unknown_names_are_told_all_at_once_with_what_was_meant():
    config = PluginsConfig(order=("metrcs", "nothing"), sections={"alpah": {}, "gone": {}})
    with pytest.raises(aigw.ConfigError) as caught:
        order(named("metrics"), named("alpha"), config)
    first, second, third, fourth = caught.value.problems
    assert first.startswith('plugins.order[0]: got "metrcs"')
    assert first.endswith('did you mean "metrics"?')
    assert "pip install aigw-nothing" in second
    assert third.startswith("plugins.alpah: ")
    assert 'did you mean "alpha"?' in third
    assert fourth.startswith("plugins.gone: ")


def test_a_built_in_that_is_not_asked_for_may_be_named_all_the_same():
    config = PluginsConfig(order=("cors", "metrics"), sections={"keys": {}})
    assert list(aigw.Gateway(aigw.Config(plugins=config)).hooks.plugins) == ["metrics", "access-log"]


def test_a_section_of_a_disabled_plugin_that_is_not_installed_is_no_mistake():
    assert order({}, {}, PluginsConfig(disabled=("gone",), sections={"gone": {"a": 1}})) == []


def test_a_plugin_gets_its_section_as_its_own_class():
    hooks = Hooks()
    config = PluginsConfig(sections={"one": {"limit": 5, "key": "sk-1"}})
    load([found("one", Configured), found("two", Configured), found("three")], config, hooks)
    assert hooks.plugins["one"].config == Settings(limit=5, key=Secret("sk-1"))
    assert hooks.plugins["two"].config == Settings()
    assert [hook.plugin for hook in hooks.on_complete] == ["one", "two", "three"]


def test_every_mistake_in_every_section_is_told_with_its_path():
    config = PluginsConfig(
        sections={"one": {"limit": "many", "wrod": "x"}, "two": {"limit": 1.5}, "three": {"a": 1}}
    )
    with pytest.raises(aigw.ConfigError) as caught:
        load([found("one", Configured), found("two", Configured), found("three")], config, Hooks())
    told = caught.value.problems
    assert len(told) == 4
    assert any(line.startswith("plugins.one.limit: ") for line in told)
    assert any("wrod" in line and "word" in line for line in told)
    assert any(line.startswith("plugins.two.limit: ") for line in told)
    assert "plugins.three: this plugin takes no configuration" in told


@frozen
class Demanding:
    limit: int


class Needy(Configured):
    Config = Demanding


def test_a_plugin_that_lacks_its_settings_says_what_to_do_about_it():
    with pytest.raises(aigw.ConfigError) as caught:
        load([found("one", Needy), found("two")], PluginsConfig(), Hooks())
    missing, what_to_do = caught.value.problems
    assert missing == "plugins.one.limit: missing, wanted a whole number"
    assert what_to_do.startswith("plugins.one: aigw-one 1.0 is installed but not configured; ")
    assert what_to_do.endswith('write a section [plugins.one], or put "one" in plugins.disabled')
    with pytest.raises(aigw.ConfigError) as caught:
        load([found("one", Needy)], PluginsConfig(sections={"one": {"limit": "x"}}), Hooks())
    assert len(caught.value.problems) == 1


def test_an_installed_plugin_with_a_built_ins_name_is_refused_with_both():
    with pytest.raises(aigw.PluginError, match=r'"keys" of aigw-keys 1\.0 has the name of the built-in'):
        order(named("keys"), named("keys", "alpha"), PluginsConfig(disabled=("keys",)))


def test_a_disabled_name_that_nobody_has_is_a_note_with_what_was_meant():
    config = PluginsConfig(disabled=("metrcs", "alpha", "gone-for-good"))
    gateway = aigw.Gateway(aigw.Config(plugins=config), installed=named("alpha"))
    assert gateway.notes == [
        'plugins.disabled[0]: no plugin is called "metrcs" here; did you mean "metrics"?',
        'plugins.disabled[2]: no plugin is called "gone-for-good" here',
    ]
    assert unknown_disabled(["gone-for-good", "alpha", "metrcs"], config) == []


def test_a_plugin_that_refuses_to_be_made_is_told_in_its_own_words():
    def refuses():
        raise aigw.ConfigError(["plugins.a.disk: got none", "no disk"])

    with pytest.raises(aigw.ConfigError) as caught:
        load([found("a", refuses)], PluginsConfig(), Hooks())
    assert caught.value.problems == ["plugins.a.disk: got none", 'plugin "a": no disk']


def test_all_plugins_that_cannot_be_used_are_told_at_once():
    with pytest.raises(aigw.PluginError, match=r'(?s)plugin "a" .*plugin "b" '):
        load([found("a", broken), found("b", broken)], PluginsConfig(), Hooks())


def test_the_code_of_installed_plugins_can_be_watched(monkeypatch):
    points = [point("a", "json.decoder:X"), point("b", "difflib:X"), point("c", "aigw_not_there:X")]
    monkeypatch.setattr(loader, "entry_points", lambda group: points)
    assert [place.name for place in loader.code()] == ["json", "difflib.py"]


def test_a_plugin_that_cannot_be_imported_names_its_distribution():
    plugins = discover([point("a", "aigw_not_there:Plugin", Dist("aigw-a", "2.1"))])
    with pytest.raises(aigw.PluginError, match=r'plugin "a" \(aigw-a 2\.1\) cannot be imported: .*not_there'):
        load(plugins.values(), PluginsConfig(), Hooks())


def test_a_plugin_that_cannot_be_made_names_its_distribution():
    with pytest.raises(aigw.PluginError, match=r'plugin "a" \(aigw-a 1\.0\) cannot be made: .*no such disk'):
        load([found("a", broken)], PluginsConfig(), Hooks())


def test_a_gateway_uses_what_it_is_told_is_installed():
    config = aigw.Config(plugins=PluginsConfig(order=("two",), disabled=("metrics", "access-log")))
    gateway = aigw.Gateway(config, installed=named("one", "two"))
    assert list(gateway.hooks.plugins) == ["two", "one"]


SOURCE = """
from attrs import frozen

@frozen
class Settings:
    word: str = "hello"

class Shout:
    Config = Settings

    def __init__(self, config):
        print("made with", config.word)

    async def rewrite_response(self, exchange, payload): ...
"""


def test_an_installed_distribution_is_found_and_used(tmp_path):
    info = tmp_path / "site" / "aigw_shout-0.3.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: aigw-shout\nVersion: 0.3\n")
    (info / "entry_points.txt").write_text("[aigw.plugins]\nshout = aigw_shout:Shout\n")
    (tmp_path / "site" / "aigw_shout.py").write_text(SOURCE)
    (tmp_path / "aigw.toml").write_text('[plugins.shout]\nword = "hey"\n')
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}

    def run():
        command = [sys.executable, "-m", "aigw", "plugins"]
        return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)

    used = run()
    assert used.returncode == 0, used.stderr
    assert "made with hey" in used.stdout
    assert "shout: rewrite_response" in used.stdout.splitlines()
    (tmp_path / "aigw.toml").write_text('[plugins]\ndisabled = ["shout"]\n')
    assert "shout: installed (aigw-shout 0.3), disabled" in run().stdout.splitlines()
    (tmp_path / "aigw.toml").write_text("[plugins.shout]\nwordd = 1\n")
    wrong = run()
    assert (wrong.returncode, wrong.stderr) == (1, "")
    assert 'shout: plugins.shout: unknown key "wordd"' in wrong.stdout
    assert "access-log: on_complete" in wrong.stdout.splitlines()
