"""From configuration and environment to a gateway."""

import pytest

import aigw
from aigw.assemble import assemble, check_exposure, is_loopback, read_config, to_config
from aigw.config import AuthConfig, KeyConfig, ProviderConfig, Secret
from aigw.hooks.loader import Found
from aigw.upstream.catalog import CATALOG

ADDRESS = "http://127.0.0.1:1/v1"
OPENAI = {"OPENAI_API_KEY": "sk-test-1", "OPENAI_BASE_URL": ADDRESS}


def made(tree=None, env=None, **plugins):
    installed = {name: Found(name, "test", lambda plugin=plugin: plugin) for name, plugin in plugins.items()}
    env = env or {}
    return assemble(to_config(tree, env), env, installed=installed)


def gateway(tree=None, env=None, **plugins):
    return made(tree, env, **plugins).gateway


def problems(tree, env=None, **plugins):
    with pytest.raises(aigw.ConfigError) as caught:
        made(tree, env, **plugins)
    return caught.value.problems


def leads(gateway, name):
    route = gateway.models.resolve(name)
    return [str(target) for target in route.targets] if route else None


def model(*targets):
    return {"targets": list(targets)}


# nothing written


def test_without_configuration_the_demo_answers_every_name_and_a_note_says_so():
    assembled = made()
    assert list(assembled.gateway.models.providers) == ["demo"]
    assert leads(assembled.gateway, "gpt-anything") == ["demo/gpt-anything"]
    assert "demo provider" in assembled.notes[0]
    assert "OPENAI_API_KEY" in assembled.notes[0]


def test_a_key_in_the_environment_makes_its_provider_and_no_demo():
    assembled = made(env=OPENAI)
    assert list(assembled.gateway.models.providers) == ["openai"]
    assert assembled.notes == ()
    assert leads(assembled.gateway, "gpt-4o-mini") == ["openai/gpt-4o-mini"]
    assert leads(assembled.gateway, "openai/some-model") == ["openai/some-model"]
    assert leads(assembled.gateway, "claude-x") is None
    assert ADDRESS in repr(assembled.gateway.models.providers["openai"])


def test_every_provider_of_the_catalogue_is_made_from_its_variables():
    rows = [row for row in CATALOG.values() if row.url_env or (row.key_required and row.base_url)]
    for row in rows:
        env = dict.fromkeys(row.url_env[:1], "https://host.example")
        env |= {name: "sk-1" for name in row.key_env[:1] if row.key_required}
        assert row.name in gateway(env=env).models.providers, row.name


@pytest.mark.parametrize(
    "env", [{}, {"OPENAI_API_KEY": ""}, {"OLLAMA_API_KEY": "x"}, {"OPENAI_BASE_URL": ADDRESS}]
)
def test_an_empty_or_needless_variable_makes_no_provider(env):
    assert list(gateway(env=env).models.providers) == ["demo"]


def test_an_address_in_the_environment_that_is_none_is_told_by_its_variable():
    assert problems(None, {**OPENAI, "OPENAI_BASE_URL": "localhost:1"})[0].startswith("OPENAI_BASE_URL: ")


def test_two_keys_make_two_providers_each_with_its_families():
    both = gateway(env={**OPENAI, "ANTHROPIC_API_KEY": "sk-2"})
    assert leads(both, "gpt-4o") == ["openai/gpt-4o"]
    assert leads(both, "claude-opus-4") == ["anthropic/claude-opus-4"]


# keys


def test_the_environments_key_is_used_where_the_configuration_has_none(tmp_path):
    env = {"AIGW_API_KEY": "sk-env"}
    (key,) = read_config(None, env, tmp_path).auth.keys
    assert key.key == Secret("sk-env")
    (tmp_path / "aigw.toml").write_text('[auth]\nkeys = [{ key = "sk-file" }]\n')
    (key,) = read_config(None, env, tmp_path).auth.keys
    assert key.key == Secret("sk-file")


def test_a_key_in_the_environment_that_cannot_be_one_is_told_without_being_shown():
    told = problems(None, {"AIGW_API_KEY": "sk-1\nsk-2"})
    assert told[0].startswith("AIGW_API_KEY: wanted ")
    assert "sk-1" not in told[0]


# providers


def test_a_provider_by_kind_takes_its_key_from_the_environment():
    up = gateway({"providers": {"main": {"kind": "openai"}}}, {"OPENAI_API_KEY": "sk-1"})
    assert list(up.models.providers) == ["main", "openai"]
    assert leads(up, "main/x") == ["main/x"]
    assert leads(up, "gpt-4o") == ["main/gpt-4o"]


def test_a_section_replaces_the_provider_of_that_name():
    tree = {"providers": {"openai": {"kind": "openai", "base_url": "http://127.0.0.1:2/v1"}}}
    up = gateway(tree, OPENAI)
    assert list(up.models.providers) == ["openai"]
    assert "127.0.0.1:2" in repr(up.models.providers["openai"])


def test_a_provider_by_address_alone_needs_no_kind_and_no_key():
    up = gateway({"providers": {"box": {"base_url": ADDRESS}}, "models": {"m": model("box/llama")}})
    assert leads(up, "m") == ["box/llama"]


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ({"kind": "opnai"}, 'providers.p.kind: got "opnai", wanted one of '),
        (
            {"kind": "openai"},
            "providers.p.api_key: got nothing, wanted a key (or OPENAI_API_KEY in the environment)",
        ),
        ({"kind": "demo", "options": {"pace": 1}}, "providers.p.options"),
        ({"kind": "demo", "options": {"pace_s": "slow"}}, "providers.p.options.pace_s"),
    ],
)
def test_a_provider_that_cannot_be_made_is_told_with_its_path(section, told):
    (line,) = problems({"providers": {"p": section}})
    assert line.startswith(told)


def test_a_provider_that_cannot_be_made_is_told_once_and_not_by_each_model():
    tree = {"providers": {"p": {"kind": "openai"}}, "models": {"a": model("p/x"), "b": model("p/y")}}
    assert len(problems(tree)) == 1


def test_the_demo_provider_can_be_configured():
    up = gateway({"providers": {"fast": {"kind": "demo", "options": {"pace_s": 0.0}}}})
    assert leads(up, "fast/demo") == ["fast/demo"]


# models


def test_models_lead_to_their_targets():
    tree = {
        "models": {
            "fast": {
                "targets": ["demo/a", {"provider": "demo", "model": "b", "weight": 0}],
                "aliases": ["quick"],
            },
            "house-*": model("demo/*"),
            "same": model("demo"),
        }
    }
    up = gateway(tree)
    assert leads(up, "fast") == leads(up, "quick") == ["demo/a", "demo/b"]
    assert leads(up, "house-x") == ["demo/x"]
    assert leads(up, "same") == ["demo/same"]
    assert leads(up, "gpt-4o") is None


def test_a_server_on_ones_own_machine_needs_no_section():
    assert leads(gateway({"models": {"m": model("ollama/llama3")}}), "m") == ["ollama/llama3"]


def test_a_target_whose_provider_has_no_key_is_told_with_path_and_variable():
    (line,) = problems({"models": {"a.b": model("demo/x", "openai/gpt-4o")}})
    assert line.startswith('models."a.b".targets[1].provider: got "openai", wanted OPENAI_API_KEY')


# plugins


def house(make):
    class House(aigw.Plugin):
        def provide(self, registry):
            make(registry)

    return House


def test_a_kind_of_a_plugin_is_made_with_its_section():
    sections = []

    def make(name, section):
        sections.append(section)
        return aigw.DemoProvider(name)

    tree = {"providers": {"h": {"kind": "house", "options": {"rooms": 3}}}, "models": {"m": model("h/x")}}
    up = gateway(tree, house=house(lambda registry: registry.provider_kind("house", make)))
    assert leads(up, "m") == ["h/x"]
    assert sections == [ProviderConfig(kind="house", options={"rooms": 3})]


def refuses(name, section):
    raise aigw.ConfigError([f"providers.{name}.options.rooms: got none"])


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (refuses, "providers.h.options.rooms: got none"),
        (lambda name, section: int("many"), "providers.h: invalid literal"),
        (lambda name, section: aigw.DemoProvider("other"), 'providers.h: kind "house" calls it "other"'),
    ],
)
def test_a_kind_of_a_plugin_that_refuses_its_section_is_told_with_its_path(make, told):
    plugin = house(lambda registry: registry.provider_kind("house", make))
    assert problems({"providers": {"h": {"kind": "house"}}}, house=plugin)[0].startswith(told)


def test_a_kind_of_a_plugin_that_breaks_is_a_plugins_error():
    plugin = house(lambda registry: registry.provider_kind("house", lambda name, section: 1 / 0))
    with pytest.raises(aigw.PluginError, match=r'kind "house" failed to make providers\.h: ZeroDivision'):
        made({"providers": {"h": {"kind": "house"}}}, house=plugin)


def test_a_provider_of_a_plugin_is_there_and_no_demo_beside_it():
    assembled = made(house=house(lambda registry: registry.provider(aigw.DemoProvider("house"))))
    assert list(assembled.gateway.models.providers) == ["house"]
    assert assembled.notes == ()


def test_a_provider_of_a_plugin_may_be_a_target_of_a_file(tmp_path):
    (tmp_path / "aigw.toml").write_text('models.fast = "house/x"\n')
    plugin = house(lambda registry: registry.provider(aigw.DemoProvider("house")))
    config = read_config(None, {}, tmp_path)
    installed = {"house": Found("house", "test", lambda: plugin)}
    assert leads(assemble(config, {}, installed=installed).gateway, "fast") == ["house/x"]
    with pytest.raises(aigw.ConfigError, match=r'models\.fast\.targets\[0\]\.provider: got "house"'):
        assemble(config, {}, installed={})


def test_a_target_that_leads_nowhere_is_told_with_what_was_meant():
    plugin = house(lambda registry: registry.provider(aigw.DemoProvider("house")))
    tree = {"providers": {"box": {"base_url": ADDRESS}}, "models": {"m": model("hosue/x", "opena/y")}}
    first, second = problems(tree, house=plugin)
    wanted = "wanted one of the providers: box, house; did you mean"
    assert first == f'models.m.targets[0].provider: got "hosue", {wanted} "house"?'
    assert second == f'models.m.targets[1].provider: got "opena", {wanted} "openai"?'


def test_a_key_put_where_a_provider_belongs_is_not_shown():
    (line,) = problems({"models": {"m": model("${KEY}")}}, {"KEY": "sk-very-secret"})
    assert line.startswith('models.m.targets[0].provider: got "***", wanted one of the providers: ')


@pytest.mark.parametrize("files", [{"ca_file": "no.pem"}, {"cert_file": "no.pem", "key_file": "no.key"}])
def test_tls_files_of_no_use_are_told_when_the_provider_is_made(files):
    (line,) = problems({"providers": {"box": {"base_url": ADDRESS, "tls": files}}})
    assert line.startswith('providers.box.tls: cannot use "no.pem"')


def test_a_section_that_has_the_name_of_a_plugins_provider_is_told():
    plugin = house(lambda registry: registry.provider(aigw.DemoProvider("house")))
    told = problems({"providers": {"house": {"base_url": ADDRESS}}}, house=plugin)
    assert told == ["providers.house: a plugin provides a provider of that name"]


def test_a_plugins_provider_wins_over_the_environments():
    plugin = house(lambda registry: registry.provider(aigw.DemoProvider("openai")))
    assert isinstance(gateway(env=OPENAI, house=plugin).models.providers["openai"], aigw.DemoProvider)


# files


TREES = {
    "aigw.toml": '[models.fast]\ntargets = ["demo/${MODEL}"]\n',
    "aigw.yaml": "models:\n  fast:\n    targets: ['demo/${MODEL}']\n",
    "aigw.yml": "models:\n  fast:\n    targets:\n    - demo/${MODEL}\n",
}


@pytest.mark.parametrize("name", TREES)
def test_the_file_in_the_folder_is_read_in_either_format(tmp_path, name):
    (tmp_path / name).write_text(TREES[name])
    env = {"MODEL": "x"}
    config = read_config(None, env, tmp_path)
    assert leads(assemble(config, env, installed={}).gateway, "fast") == ["demo/x"]


def test_the_file_named_comes_before_the_one_in_the_folder(tmp_path):
    (tmp_path / "aigw.toml").write_text("this is not read")
    other = tmp_path / "other.yaml"
    other.write_text(TREES["aigw.yaml"])
    assert list(read_config(other, {"MODEL": "x"}, tmp_path).models) == ["fast"]


# exposure


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "localhost"])
def test_an_open_gateway_may_listen_on_its_own_machine(host):
    assert is_loopback(host)
    check_exposure(aigw.Config(), host, authenticated=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.5", "example.com", "127.0.0.1.example.com"])
def test_an_open_gateway_may_not_listen_to_others_unless_told_so(host):
    with pytest.raises(aigw.ConfigError, match=r"auth\.keys \(or AIGW_API_KEY.*allow_anonymous"):
        check_exposure(aigw.Config(), host, authenticated=False)
    check_exposure(aigw.Config(), host, authenticated=True)
    check_exposure(aigw.Config(auth=AuthConfig(allow_anonymous=True)), host, authenticated=False)


def test_keys_are_what_makes_a_gateway_authenticated():
    config = aigw.Config(auth=AuthConfig(keys=(KeyConfig(key=Secret("sk-1")),)))
    assert assemble(config, {}, installed={}).gateway.hooks.authenticate
