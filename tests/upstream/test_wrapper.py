"""A provider in front of another passes for it."""

import aigw
from aigw.upstream.provider import BaseProvider
from aigw.upstream.wrapper import FOLLOWED


def test_a_wrapper_follows_in_everything_a_provider_can_say_of_itself():
    settings = {name for name in BaseProvider.__annotations__ if not name.startswith("_")}
    assert settings - set(FOLLOWED) <= {"wraps"}
    inner = aigw.Provider(kind="openai", api_key="sk-x")
    outer = aigw.ChaosProvider(inner, script=[])
    assert {name: getattr(outer, name) for name in FOLLOWED} == {
        name: getattr(inner, name) for name in FOLLOWED
    }
    assert outer.hosted_tools
