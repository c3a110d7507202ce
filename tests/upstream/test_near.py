"""Which name a mistyped one may have been meant for."""

import difflib

import pytest
from hypothesis import given
from hypothesis import strategies as st

import aigw
from aigw.upstream.near import COMPARED, LOOKED_AT, NearNames
from aigw.upstream.registry import ModelRegistry

MANY = [f"acme-{size}-{number:04d}" for size in ("small", "large") for number in range(2000)]


def anyone(_name):
    return True


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("gpt-5-mimi", "gpt-5-mini"),
        ("claude-sonet", "claude-sonnet"),
        ("gpt-5-mini", "openai/gpt-5-mini"),  # begins with another letter: found by its end
        ("openai/gpt-5-mini-2026", "openai/gpt-5-mini"),
    ],
)
def test_a_mistyped_name_is_found_among_thousands(wrong, meant):
    assert NearNames([*MANY, meant]).nearest(wrong, anyone) == meant


def test_a_name_like_no_other_has_none_near():
    assert NearNames(MANY).nearest("zzz", anyone) is None
    assert NearNames([]).nearest("m", anyone) is None


def test_what_may_not_be_told_is_never_named():
    names = NearNames([*MANY, "acme-large-free"])
    assert names.nearest("acme-large-freee", lambda name: name.endswith("free")) == "acme-large-free"
    assert names.nearest("acme-large-0001x", lambda name: False) is None


def test_only_a_few_names_are_asked_after_however_many_there_are():
    asked = []
    NearNames(MANY).nearest("acme-large-0001x", asked.append)
    assert len(asked) == 2 * LOOKED_AT


@given(st.lists(st.text("ab-1", max_size=6), unique=True, max_size=COMPARED), st.text("ab-1", max_size=6))
def test_among_few_names_it_is_the_nearest_of_all(names, wrong):
    best = NearNames(names).nearest(wrong, anyone)
    all_of_them = difflib.get_close_matches(wrong, names, 1)
    assert (best is None) == (not all_of_them)
    if best is not None:
        ratios = [difflib.SequenceMatcher(None, name, wrong).ratio() for name in (best, all_of_them[0])]
        assert ratios[0] == pytest.approx(ratios[1])


def test_a_model_that_is_registered_later_is_found_too():
    registry, provider = ModelRegistry(), aigw.DemoProvider()
    registry.register("fast", provider)
    assert registry.nearest("smrt", anyone) is None
    registry.register("smart", provider)
    assert registry.nearest("smrt", anyone) == "smart"
