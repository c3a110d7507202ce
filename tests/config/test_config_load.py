"""Whole files: both formats, and all that can be wrong in them."""

import datetime as dt
import sys
from typing import get_args

import pytest
import yaml

from aigw.config import (
    Api,
    AuthConfig,
    Config,
    KeyConfig,
    ModelConfig,
    PluginsConfig,
    PoolConfig,
    ProviderConfig,
    Secret,
    ServerConfig,
    TargetConfig,
    TimeoutsConfig,
    checks,
    cross_check,
    find_config,
    load,
    loads,
    structure,
)
from aigw.errors import ConfigError

TOML = """
[server]
host = "0.0.0.0"
port = 9000
max_body_bytes = "32MiB"

[auth]
keys = [{ key = "sk-test", tenant = "team-a", models = ["*"] }]

[providers.openai]
kind = "openai"
api_key = "${OPENAI_API_KEY}"

[providers.local]
base_url = "http://127.0.0.1:8000/v1"
apis = ["chat", "embeddings"]
headers = { x-team = "a" }
timeouts = { connect_s = 3 }
pool.max_connections = 20

[models."gpt-4"]
targets = [{ provider = "openai", model = "gpt-4-turbo", weight = 3 }, "local/llama"]
prefer = "chat"
aliases = ["smart"]

[plugins]
order = ["jwt", "redact"]
disabled = ["request-log"]

[plugins.jwt]
issuer = "https://id.example"
"""

YAML = """
server: {host: 0.0.0.0, port: 9000, max_body_bytes: 32MiB}
auth:
  keys:
    - {key: sk-test, tenant: team-a, models: ["*"]}
providers:
  openai:
    kind: openai
    api_key: ${OPENAI_API_KEY}
  local:
    base_url: http://127.0.0.1:8000/v1
    apis: [chat, embeddings]
    headers: {x-team: a}
    timeouts: {connect_s: 3}
    pool: {max_connections: 20}
models:
  gpt-4:
    targets:
      - {provider: openai, model: gpt-4-turbo, weight: 3}
      - local/llama
    prefer: chat
    aliases: [smart]
plugins:
  order: [jwt, redact]
  disabled: [request-log]
  jwt: {issuer: https://id.example}
"""

UNSET = "variable OPENAI_API_KEY is not set, wanted a value for it, or ${OPENAI_API_KEY:-default}"
WANTED_APIS = f"wanted one of {', '.join(get_args(Api))}"
WANTED_URL = f"wanted {checks.base_url.wanted}"
TARGET = "models.fast.targets[0].provider"
ONE_OF = "wanted one of the providers"

ENV = {"OPENAI_API_KEY": "sk-env"}

WANTED = Config(
    server=ServerConfig(host="0.0.0.0", port=9000, max_body_bytes=2**25),
    auth=AuthConfig(keys=(KeyConfig(key=Secret("sk-test"), tenant="team-a"),)),
    providers={
        "openai": ProviderConfig(kind="openai", api_key=Secret("sk-env")),
        "local": ProviderConfig(
            base_url="http://127.0.0.1:8000/v1",
            apis=("chat", "embeddings"),
            headers={"x-team": Secret("a")},
            timeouts=TimeoutsConfig(connect_s=3.0),
            pool=PoolConfig(max_connections=20),
        ),
    },
    models={
        "gpt-4": ModelConfig(
            targets=(TargetConfig("openai", "gpt-4-turbo", 3.0), TargetConfig("local", "llama")),
            prefer="chat",
            aliases=("smart",),
        )
    },
    plugins=PluginsConfig(
        order=("jwt", "redact"), disabled=("request-log",), sections={"jwt": {"issuer": "https://id.example"}}
    ),
)


@pytest.fixture
def write(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def problems(path, env=None, **known):
    with pytest.raises(ConfigError) as caught:
        load(path, env or {}, **known)
    return caught.value.problems


def test_toml_and_yaml_with_the_same_keys_give_the_same_config(write):
    assert load(write("aigw.toml", TOML), ENV) == WANTED
    assert load(write("aigw.yaml", YAML), ENV) == WANTED
    assert load(write("aigw.yml", YAML), ENV) == WANTED


@pytest.mark.parametrize("name", ["aigw.toml", "aigw.yaml"])
def test_an_empty_file_is_the_default_config(write, name):
    assert load(write(name, ""), {}) == Config()
    assert load(write(name, b"\xef\xbb\xbf# only a comment\n"), {}) == Config()


def test_empty_yaml_sections_are_defaults(write):
    assert load(
        write("a.yaml", "server:\nauth: {keys: }\nmodels:\nplugins: {order: , jwt: }\n"), {}
    ) == Config(plugins=PluginsConfig(sections={"jwt": {}}))


def test_the_first_file_of_a_folder_is_found(tmp_path):
    assert find_config(tmp_path) is None
    for name in ("aigw.yml", "aigw.yaml", "aigw.toml"):
        (tmp_path / name).touch()
        assert find_config(tmp_path) == tmp_path / name


def test_all_mistakes_come_at_once_each_with_the_files_name(write):
    lines = problems(
        write(
            "aigw.toml",
            """
            serve = {}
            [server]
            port = 70000
            [auth]
            keys = [{ key = "sk-1" }, { key = "sk-1", tenat = "x" }]
            [providers.openai]
            kind = "openai"
            api_key = "${OPENAI_API_KEY}"
            [providers.local]
            base_url = "localhost"
            apis = ["chat", "embedings"]
            [providers.none]
            [models.fast]
            targets = ["openia/gpt", { provider = "local", weigth = 1 }]
            [plugins]
            jwt = 3
            """,
        )
    )
    assert all(line.startswith("aigw.toml: ") for line in lines)
    assert [line.removeprefix("aigw.toml: ") for line in lines] == [
        f"providers.openai.api_key: {UNSET}",
        'unknown key "serve"; did you mean "server"?',
        "server.port: got 70000, wanted a whole number from 0 to 65535",
        'auth.keys[1]: unknown key "tenat"; did you mean "tenant"?',
        "auth.keys[1]: wanted a key of its own, not that of [0] again",
        f'providers.local.apis[1]: got "embedings", {WANTED_APIS}; did you mean "embeddings"?',
        f'providers.local.base_url: got "localhost", {WANTED_URL}',
        "providers.none: wanted kind (a provider of the catalogue) or base_url",
        'models.fast.targets[1]: unknown key "weigth"; did you mean "weight"?',
        "plugins.jwt: got 3, wanted a table",
        f'{TARGET}: got "openia", {ONE_OF}: local, none, openai; did you mean "openai"?',
    ]


def test_targets_may_use_the_catalogues_names(write):
    path = write("aigw.toml", '[models.fast]\ntargets = ["groq/llama"]')
    assert load(path, {}, known_providers={"groq"}).models["fast"].targets == (TargetConfig("groq", "llama"),)
    assert problems(path, known_providers={"grok"}) == [
        f'aigw.toml: {TARGET}: got "groq", {ONE_OF}: a name under [providers]; did you mean "grok"?'
    ]


def test_targets_are_not_looked_at_where_plugins_may_bring_their_provider():
    tree = {"models": {"fast": {"targets": ["house/x"], "aliases": ["fast"]}}}
    with pytest.raises(ConfigError) as caught:
        loads(tree, {}, known_providers=None)
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].startswith("models.fast.aliases[0]")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ('"a/x"', [("a", "x")]),
        ('"a"', [("a", None)]),
        ('["a/x", "b/y/z"]', [("a", "x"), ("b", "y/z")]),
        ('["a/x", { provider = "b", weight = 0 }]', [("a", "x"), ("b", None)]),
        ('"${WHERE}"', [("b", "env")]),
    ],
)
def test_a_model_may_be_written_as_its_targets_alone(write, written, meant):
    path = write("aigw.toml", f"[models]\nfast = {written}\n")
    (found,) = load(path, {"WHERE": "b/env"}, known_providers=None).models.values()
    assert [(target.provider, target.model) for target in found.targets] == meant


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("3", "models.fast: got 3, wanted text, a list or a table"),
        ('""', 'models.fast.targets[0]: got "", wanted "provider/model"'),
        ('["a/", 3]', 'models.fast.targets[0]: got "a/", wanted "provider/model"'),
        ("[]", "models.fast.targets: got an empty list, wanted a list of at least one"),
    ],
)
def test_a_model_that_is_neither_targets_nor_a_table_is_told(write, written, told):
    assert f"aigw.toml: {told}" in problems(write("aigw.toml", f"[models]\nfast = {written}\n"))


def test_aliases_that_collide_are_mistakes():
    target = (TargetConfig("a"),)
    config = Config(
        providers={"a": ProviderConfig(kind="a")},
        models={
            "x": ModelConfig(targets=target, aliases=("y", "z", "x")),
            "y": ModelConfig(targets=target, aliases=("z", "w", "w")),
        },
    )
    assert cross_check(config) == [
        'models.x.aliases[0]: got "y", wanted a name that models.y does not use already',
        'models.x.aliases[2]: got "x", wanted a name that models.x does not use already',
        'models.y.aliases[0]: got "z", wanted a name that models.x.aliases[1] does not use already',
        'models.y.aliases[2]: got "w", wanted a name that models.y.aliases[1] does not use already',
    ]


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("a.toml", "[server\n", "line 1, column 8: Expected ']' at the end of a table declaration"),
        ("a.toml", "a = 1\na = 2\n", "line 2, column 6: Cannot overwrite a value"),
        ("a.toml", "a = ", "line 1, column 5: Invalid value"),
        ("a.toml", "a = " + "9" * 5000, "a number is too large"),
        ("a.toml", "a = " + "[" * 5000, "tables or lists are nested too deep"),
        ("a.yaml", "a: [1,\n", "line 2, column 1: while parsing a flow node; expected the node content,"),
        ("a.yaml", "a: 1\nb: {c: 1,\n c: 2}", "line 3, column 2: this key is written already on line 2"),
        ("a.yaml", "a: 2024-99-99", "line 1, column 4: a value that its type does not allow"),
        ("a.yaml", "a: !!int hunter22", "line 1, column 4: a value that its type does not allow"),
        ("a.yaml", "api_key: *hunter22", "line 1, column 10: found undefined alias ***"),
        (
            "a.yaml",
            "api_key: !hunter22 x",
            "line 1, column 10: could not determine a constructor",
        ),
        ("a.yaml", "a: 1\n--- \nb: 1", "line 2, column 1: expected a single document in the stream"),
        ("a.yaml", "a: \x00", "a character that YAML does not allow"),
        ("a.yaml", "[" * 5000, "tables or lists are nested too deep"),
        ("a.yaml", "- a\n- b", "got *** (a list), wanted a table"),
        ("a.yaml", "just text", "got *** (text), wanted a table"),
        ("a.yaml", "1: x", "a key is a number, wanted text (in quotes)"),
        ("a.yaml", "server: &a {server: *a}", "more than"),
        ("a.json", "{}", "got a file of type .json, wanted .toml, .yaml or .yml"),
        ("a.toml", b"a = '\xff'", "byte 5 is not UTF-8, wanted a text file"),
    ],
)
def test_a_file_that_cannot_be_parsed_says_where_and_shows_no_secret(write, name, text, line):
    (told,) = problems(write(name, text))[:1]
    assert told.startswith(f"{name}: ")
    assert line in told
    assert "hunter22" not in told


def test_a_file_that_cannot_be_read_says_why(tmp_path):
    assert problems(tmp_path / "no.toml") == ["no.toml: cannot be read: No such file or directory"]
    (tmp_path / "dir.toml").mkdir()
    assert problems(tmp_path / "dir.toml") == ["dir.toml: cannot be read: Is a directory"]


def test_yaml_merges_are_no_duplicates(write):
    text = """
    server: &s {host: a}
    plugins:
      base: &b {<<: *s, x: 1}
      more: {<<: *b, x: 2}
    """
    sections = load(write("a.yaml", text), {}).plugins.sections
    assert sections == {"base": {"host": "a", "x": 1}, "more": {"host": "a", "x": 2}}


def test_without_pyyaml_the_error_says_what_to_install(write, monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    monkeypatch.delitem(sys.modules, "aigw.config.yaml_tree", raising=False)
    monkeypatch.delattr("aigw.config.yaml_tree", raising=False)
    assert problems(write("a.yaml", "a: 1")) == [
        "a.yaml: YAML needs a package more: pip install 'aigw[yaml]'"
    ]


def test_a_plugins_section_keeps_what_its_own_class_needs():
    from attrs import frozen

    @frozen
    class Jwt:
        secret: Secret
        leeway_s: float = 1.0

    sections = loads({"plugins": {"jwt": {"secret": "${S}", "leeway_s": "${L}"}}}, {"S": "s", "L": "3"})
    section = sections.plugins.sections["jwt"]
    assert structure(Jwt, section, "plugins.jwt", []) == Jwt(Secret("s"), 3.0)


def test_a_yaml_dump_of_a_date_is_refused_as_text(write):
    path = write("a.yaml", yaml.safe_dump({"providers": {"a": {"api_version": dt.date(2024, 6, 1)}}}))
    assert "got a date, wanted text (in quotes)" in problems(path)[0]
