"""What an operator may say of models, and how mistakes in it are told."""

import pytest

from aigw.config import Config, loads
from aigw.errors import ConfigError


def problems(tree):
    with pytest.raises(ConfigError) as caught:
        loads(tree, {})
    return caught.value.problems


def test_profiles_are_none_unless_they_are_written():
    config = Config()
    assert (config.profiles, config.server.fix_parameters) == ({}, False)


def test_a_profile_is_read_from_a_file():
    section = {
        "drop": ["sampling.temperature", "tools.strict"],
        "rename": {"max_completion_tokens": "max_tokens"},
        "values": {"reasoning.effort": {"minimal": "low"}},
        "defaults": {"store": False, "openresponses:include": ["x"]},
        "max_output_tokens": 4096,
        "thinking": "budget",
        "apis": ["chat"],
    }
    profile = loads({"profiles": {"gpt-5*": section}}, {}).profiles["gpt-5*"]
    assert profile.drop == ("sampling.temperature", "tools.strict")
    assert (profile.max_output_tokens, profile.thinking, profile.apis) == (4096, "budget", ("chat",))
    assert profile.defaults == {"store": False, "openresponses:include": ["x"]}


@pytest.mark.parametrize(
    ("section", "place", "hint"),
    [
        ({"drop": ["sampling.temprature"]}, "drop[0]", 'did you mean "sampling.temperature"?'),
        ({"drop": "sampling.top_p"}, "drop", "a list"),
        ({"values": {"effort": {"a": "b"}}}, "values.effort", "one of sampling.temperature"),
        ({"values": {"reasoning.effort": {}}}, 'values."reasoning.effort"', "at least one"),
        ({"defaults": {"tools.strict": True}}, 'defaults."tools.strict"', "a place such as"),
        ({"max_output_tokens": 0}, "max_output_tokens", "1 or more"),
        ({"thinking": "deep"}, "thinking", "none, budget, adaptive"),
        ({"apis": ["chats"]}, "apis[0]", 'did you mean "chat"?'),
        ({"dorp": []}, "", 'unknown key "dorp"'),
    ],
)
def test_a_mistake_in_a_profile_is_told_with_its_place(section, place, hint):
    (line,) = problems({"profiles": {"m": section}})
    assert line.startswith(f"profiles.m.{place}" if place else "profiles.m:"), line
    assert hint in line


def test_a_target_that_names_no_profile_is_told():
    tree = {
        "providers": {"p": {"base_url": "http://a"}},
        "models": {"m": {"targets": [{"provider": "p", "profile": "smal"}]}},
        "profiles": {"small": {}},
    }
    (line,) = problems(tree)
    assert line == (
        'models.m.targets[0].profile: got "smal", wanted one of the profiles: small; did you mean "small"?'
    )
