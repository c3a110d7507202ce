"""Values from the environment and from files."""

import copy

import pytest

from aigw.config import ServerConfig, loads, structure
from aigw.config import interpolate as module
from aigw.config.interpolate import FAILED, MAX_FILE_BYTES, interpolate
from aigw.config.place import Place
from aigw.errors import ConfigError


def filled(tree, env=None):
    problems = []
    made = interpolate(tree, env or {}, Place("root", problems))
    return made, problems


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("${A}", "one"),
        ("x${A}y${B}z", "xoneytwoz"),
        ("${NO:-default}", "default"),
        ("${NO:-}", ""),
        ("${EMPTY:-default}", "default"),
        ("${EMPTY}", ""),
        ("${NO:-http://h:1/p}", "http://h:1/p"),
        ("$${A}", "${A}"),
        ("$$${A}", "$${A}"),
        ("$${A}${B}", "${A}two"),
        ("$A costs $5 {}", "$A costs $5 {}"),
    ],
)
def test_variables_defaults_and_escapes_are_filled_in(text, wanted):
    assert filled(text, {"A": "one", "B": "two", "EMPTY": ""}) == (wanted, [])


def test_values_are_not_interpolated_again():
    assert filled("${A}", {"A": "${B}", "B": "x"}) == ("${B}", [])


def test_every_string_of_the_tree_is_reached_and_keys_are_left():
    tree = {"${A}": [{"x": "${A}"}, 1, True, None, ("${A}",)]}
    assert filled(tree, {"A": "v"})[0] == {"${A}": [{"x": "v"}, 1, True, None, ["v"]]}


def test_an_unset_variable_names_path_and_variable():
    made, problems = filled({"a": ["x", "${NO} ${B} ${NEITHER}"]}, {"B": "hunter2"})
    assert made == {"a": ["x", FAILED]}
    assert [line.partition(",")[0] for line in problems] == [
        "root.a[1]: variable NO is not set",
        "root.a[1]: variable NEITHER is not set",
    ]


@pytest.mark.parametrize("text", ["${", "${}", "${A", "${a b}", "${1}", "${A:-${B}}", "${file:}", "${A:+x}"])
def test_a_malformed_interpolation_says_what_is_known(text):
    made, problems = filled(text, {"A": "1", "B": "2"})
    assert made is FAILED
    assert len(problems) == 1
    assert "wanted ${NAME}" in problems[0]


def test_a_file_is_read_without_its_trailing_newline(tmp_path):
    file = tmp_path / "key"
    file.write_bytes(b" sk-\xc3\xa9 \r\n\n")
    assert filled(f"Bearer ${{file:{file}}}") == ("Bearer  sk-é ", [])


def test_an_unreadable_file_names_path_and_reason(tmp_path):
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "large").write_bytes(b"x" * (MAX_FILE_BYTES + 1))
    for name, reason in {
        "absent": "No such file",
        ".": "Is a directory",
        "binary": "not UTF-8",
        "large": "too large",
        "nul\0": "not a path",
    }.items():
        made, problems = filled({"a": f"${{file:{tmp_path}/{name}}}"})
        assert made == {"a": FAILED}
        assert problems[0].startswith("root.a: file ")
        assert reason in problems[0]


def test_only_interpolated_text_becomes_a_number_or_a_truth():
    env = {"PORT": "8081", "OFF": "off", "T": "2.5", "SIZE": "1MiB", "N": "77"}
    tree = {"port": "${PORT}", "metrics": "${OFF}", "drain_timeout_s": "${T}", "max_body_bytes": "${SIZE}"}
    server = loads({"server": tree}, env).server
    assert server == ServerConfig(port=8081, metrics=False, drain_timeout_s=2.5, max_body_bytes=2**20)
    assert loads({"server": {"max_body_bytes": "${N}"}}, env).server.max_body_bytes == 77
    problems = []
    assert structure(ServerConfig, {"port": "8081", "metrics": "off"}, "server", problems) is None
    assert problems == [
        'server.port: got "8081", wanted a whole number',
        'server.metrics: got "off", wanted true or false',
    ]


def test_interpolated_values_are_not_shown_but_what_was_written_is():
    with pytest.raises(ConfigError) as caught:
        loads({"server": {"port": "${P}", "metrics": "a${P}"}}, {"P": "hunter2"})
    assert caught.value.problems == [
        'server.port: got "${P}", wanted a whole number',
        'server.metrics: got "a${P}", wanted true or false',
    ]


def test_an_empty_default_leaves_an_optional_setting_unset():
    provider = loads({"providers": {"a": {"kind": "x", "api_key": "${NO:-}"}}}, {}).providers["a"]
    assert provider.api_key is None


def test_what_reaches_the_config_is_plain_text():
    config = loads({"server": {"host": "${H}"}, "plugins": {"p": {"a": "${H}"}}}, {"H": "::1"})
    assert type(config.server.host) is str
    section = config.plugins.sections["p"]
    assert section == copy.deepcopy(section) == {"a": "::1"}
    assert "::1" not in repr(section)


def test_a_tree_without_end_is_a_config_error():
    tree = {}
    tree["server"] = tree
    with pytest.raises(ConfigError, match="levels deep"):
        loads(tree, {})
    wide = [0] * 10
    for _ in range(8):
        wide = [wide] * 10
    with pytest.raises(ConfigError, match="values"):
        loads({"x": wide}, {})


def test_a_tree_that_references_make_too_large_is_refused(monkeypatch):
    monkeypatch.setattr(module, "MAX_VALUES", 100)
    ten = ["x"] * 9
    assert filled([ten] * 9) == ([ten] * 9, [])
    with pytest.raises(ConfigError, match=r"root\[9\]\[8\]: more than 100 values, wanted fewer"):
        filled([ten] * 10)
