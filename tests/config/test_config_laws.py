"""Laws for any tree and any text: a Config or a ConfigError, and no secret in either."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from aigw.config import Config, load, loads
from aigw.errors import ConfigError


def outcome(tree, env=None):
    """A Config and no problems, or no Config and problems."""
    try:
        return loads(tree, env or {}), []
    except ConfigError as error:
        return None, error.problems


def is_lawful(config, problems):
    "\n".join(problems).encode()
    in_one_line = not any("\n" in line for line in problems)
    return isinstance(config, Config) != bool(problems) and in_one_line


WORDS = """
    server auth providers models plugins keys key key_hash port host apis headers targets provider aliases
    weight kind base_url api_key proxy timeouts options order max_body_bytes tls cors_origins a ${A}
"""
NAMES = st.sampled_from(WORDS.split())
LEAVES = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["${A}", "${B}", "${B:-}", "chat", "a/b", "http://a", "$${", "1MiB"]),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.dates(),
    st.datetimes(),
    st.times(),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(NAMES | st.text(max_size=3), inner, max_size=5)
    ),
    max_leaves=25,
)
CONFIGS = st.dictionaries(NAMES, TREES, max_size=5)


@settings(max_examples=400, deadline=None)
@given(CONFIGS)
def test_any_tree_loads_or_is_a_config_error(tree):
    assert is_lawful(*outcome(tree, {"A": "x"}))


SECTIONS = st.fixed_dictionaries(
    {},
    optional={
        "server": st.dictionaries(NAMES, LEAVES, max_size=4),
        "auth": st.fixed_dictionaries(
            {"keys": st.lists(st.dictionaries(NAMES, TREES, max_size=3), max_size=3)}
        ),
        "providers": st.dictionaries(
            st.text(max_size=3), st.dictionaries(NAMES, TREES, max_size=6), max_size=3
        ),
        "models": st.dictionaries(
            st.text(max_size=3),
            st.fixed_dictionaries({"targets": st.lists(TREES, max_size=3), "aliases": TREES}),
            max_size=3,
        ),
        "plugins": TREES,
    },
)


@settings(max_examples=400, deadline=None)
@example({"models": {"m": {"targets": ["0"]}}, "providers": {"\n": {"base_url": "http://a"}}})
@given(SECTIONS)
def test_any_tree_near_the_schema_loads_or_is_a_config_error(tree):
    assert is_lawful(*outcome(tree, {"A": "x"}))


@settings(deadline=None)
@given(st.text(max_size=60) | st.binary(max_size=60))
def test_any_yaml_and_toml_text_loads_or_is_a_config_error(tmp_path_factory, text):
    for name in ("any.yaml", "any.toml"):
        path = tmp_path_factory.getbasetemp() / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
        try:
            told = load(path, {})
        except ConfigError as error:
            told = error.problems
        assert told


CANARY = "hunter22-canary"


def planted(tree):
    """Every leaf becomes the canary, or a list of it."""
    if isinstance(tree, dict):
        return {key: planted(item) for key, item in tree.items()}
    return [planted(item) for item in tree] if isinstance(tree, list) else CANARY


@given(TREES, st.sampled_from(["api_key", "headers", "proxy"]))
def test_secrets_of_a_provider_never_stand_in_a_problem_or_repr(tree, name):
    assert CANARY not in repr(outcome({"providers": {"a": {"kind": "x", name: planted(tree)}}}))


@given(TREES)
def test_client_keys_never_stand_in_a_problem_or_repr(tree):
    assert CANARY not in repr(outcome({"auth": {"keys": planted(tree)}}))


def sourced(tree):
    """Every leaf comes from the environment."""
    if isinstance(tree, dict):
        return {key: sourced(item) for key, item in tree.items()}
    return [sourced(item) for item in tree] if isinstance(tree, list) else "${CANARY}"


@settings(max_examples=400, deadline=None)
@given(SECTIONS)
def test_values_of_the_environment_never_stand_in_a_problem(tree):
    assert CANARY not in repr(outcome(sourced(tree), {"CANARY": CANARY})[1])
