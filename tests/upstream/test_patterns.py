"""What `*` means in a pattern, and that nothing else means anything."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigw.upstream.patterns import matches

TEXTS = st.text("ab*[?]", max_size=8)


@given(TEXTS, st.text("ab[?]", max_size=8))
def test_a_star_is_any_text_and_every_other_character_itself(pattern, name):
    meant = re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL)
    assert matches(pattern, name) is bool(meant.fullmatch(name))


@pytest.mark.parametrize(
    ("pattern", "name"), [("gpt-[45]", "gpt-4"), ("gpt-?", "gpt-4"), ("[!a]*", "b"), ("a*a", "a"), ("", "a")]
)
def test_what_other_patterns_know_is_plain_text_here(pattern, name):
    assert not matches(pattern, name)
    assert matches(pattern, pattern)


def test_many_stars_take_no_longer():
    began_at = time.monotonic()
    assert not matches("a*" * 1000 + "b", "a" * 100_000)
    assert time.monotonic() - began_at < 1
