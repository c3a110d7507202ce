import re
from itertools import pairwise

import pytest
from aigw_redact.patterns import BUILTIN, MAX_BLOCK_CHARS, Pattern
from aigw_redact.redactor import Redactor
from hypothesis import example, given
from hypothesis import strategies as st

KEY_BLOCK = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nIBAAKC/+==\n-----END RSA PRIVATE KEY-----"
SAMPLES = {
    "private_key_block": KEY_BLOCK,
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    "bearer": "Bearer abcdef0123456789abcdef==",
    "anthropic_key": "sk-ant-api03-" + "Ab1_" * 10,
    "openai_key": "sk-proj-" + "Ab1_" * 10,
    "github_token": "ghp_" + "aB3d" * 9,
    "aws_access_key": "AKIAIOSFODNN7EXAMPLE",
    "email": "jane.doe+tag@mail.example.co.uk",
    "iban": "DE89 3704 0044 0532 0130 00",
    "credit_card": "4111 1111 1111 1111",
    "us_ssn": "078-05-1120",
    "phone": "+49 (30) 901820",
    "ipv4": "192.168.0.254",
}
LOOK_ALIKES = (
    "4111 1111 1111 1112",
    "1.2.3.4.5",
    "1.2.3",
    "DE00 3704 0044 0532 0130 00",
    "PL61 1090 1014 0000 0712 1981 2874 IS MINE",
    "2024 4111 1111 1111 1111",
    "000-12-3456",
    "sk-short",
    "task-force",
    "the bearer of responsibilities",
    "bearer responsibilities",
    "eyJhbGciOiJI",
    "a@b",
    "@home",
    "-----BEGIN CERTIFICATE-----",
    "-----BEGIN PRIVATE KEY-----",
    "github_pat_",
    "AKIAIOSFODNN7EXAMPLEX",
    "+1",
)
OWN = (
    Pattern("employee", r"\bEMP-[0-9]{6}\b", window=16),
    Pattern("project", r"(?i)(?<=project )[a-z]{3,8}$", window=12),
    Pattern("ticket", r"T[0-9]{1,6}(?![0-9])", partial="[T0-9]++", window=8),
)
everything = Redactor((*BUILTIN.values(), *OWN))

fragments = st.one_of(
    st.sampled_from([*SAMPLES.values(), *LOOK_ALIKES, "EMP-123456", "project apollo", "T42"]),
    st.sampled_from([*SAMPLES.values(), *LOOK_ALIKES]).flatmap(
        lambda text: st.integers(0, len(text)).map(lambda end: text[:end])
    ),
    st.text(alphabet='-+@. \t\n"\\09aAeyJBgsk_T:é', max_size=8),
    st.text(max_size=3),
)
texts = st.lists(fragments, max_size=8).map("".join)


def cut(text, borders):
    edges = [0, *sorted(border % (len(text) + 1) for border in borders), len(text)]
    return [text[start:end] for start, end in pairwise(edges)]


def stream(redactor, pieces):
    counts = []
    state = redactor.stream(counts.append)
    out = "".join([state.feed(piece) for piece in pieces]) + state.close()
    return out, counts


@given(texts, st.lists(st.integers(0, 10_000), max_size=40))
def test_every_cutting_of_every_text_gives_what_the_whole_gives(text, borders):
    counts = []
    whole = everything.redact(text, counts.append)
    assert stream(everything, cut(text, borders)) == (whole, counts)
    assert stream(everything, list(text)) == (whole, counts)


@given(st.lists(st.sampled_from("ab-1@. "), max_size=60).map("".join), st.lists(st.integers(0, 99)))
def test_the_law_holds_for_a_pattern_of_ones_own_that_is_as_long_as_its_window(text, borders):
    own = Redactor(
        [Pattern("own", r"a[b1]{0,5}@|\bb+?(?=-)(?<=bb)", window=8), Pattern("dots", r"\.{2,3}", window=4)]
    )
    limited = re.sub("b{3,}", "bb", text)
    assert stream(own, cut(limited, borders))[0] == own.redact(limited)


@given(texts)
def test_a_single_pattern_without_a_check_is_what_re_sub_makes(text):
    redactor = Redactor([BUILTIN["email"]])
    assert redactor.redact(text) == BUILTIN["email"].regex.sub("[email]", text)


@given(texts, st.lists(st.integers(0, 10_000), max_size=40))
def test_never_more_than_a_window_is_held_back(text, borders):
    state = everything.stream()
    for piece in cut(text, borders):
        state.feed(piece)
        assert len(state._text) - state._pos < everything.context


@pytest.mark.parametrize("name", BUILTIN)
def test_every_built_in_pattern_finds_its_sample_alone_and_in_a_sentence(name):
    redactor = Redactor(BUILTIN.values())
    assert redactor.redact(SAMPLES[name]) == f"[{name}]"
    assert redactor.redact(f"It is {SAMPLES[name]}, keep it.") == f"It is [{name}], keep it."
    assert redactor.redact(f'"{SAMPLES[name]}"') == f'"[{name}]"'


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("4111 1111 1111 1112", "4111 1111 1111 1112"),
        ("2024 4111 1111 1111 1111", "2024 [credit_card]"),
        ("378282246310005 and 3782 822463 10005", "[credit_card] and [credit_card]"),
        ("PL61 1090 1014 0000 0712 1981 2874 IS MINE", "[iban] IS MINE"),
        ("DE00 3704 0044 0532 0130 00", "DE00 3704 0044 0532 0130 00"),
        ("bearer responsibilities", "bearer responsibilities"),
        ("1.2.3.4.5 and 127.0.0.1.", "1.2.3.4.5 and [ipv4]."),
        ("000-12-3456", "000-12-3456"),
        ("0.5241864482339303 no.5241864482339303", "0.5241864482339303 no.[credit_card]"),
        ("write to a@b.com. Or c@d.org", "write to [email]. Or [email]"),
        ("AKIAIOSFODNN7EXAMPLEX", "AKIAIOSFODNN7EXAMPLEX"),
    ],
)
def test_look_alikes_are_told_apart(text, wanted):
    assert Redactor(BUILTIN.values()).redact(text) == wanted


@pytest.mark.parametrize("name", BUILTIN)
def test_ordinary_words_are_not_held_back_once_the_next_has_begun(name):
    state = Redactor([BUILTIN[name]]).stream()
    sent = state.feed("Once upon a time, in 2024, a gateway - ") + state.feed("small; (x)")
    assert sent == "Once upon a time, in 2024, a gateway - small; (x)"


def test_a_key_block_without_an_end_is_redacted_up_to_a_limit_or_a_quote():
    redactor = Redactor([BUILTIN["private_key_block"]])
    head = "-----BEGIN PRIVATE KEY-----"
    assert redactor.redact(head + "A" * 100) == "[private_key_block]"
    assert redactor.redact(head + "A" * MAX_BLOCK_CHARS + "B") == "[private_key_block]B"
    assert redactor.redact(head + 'AAA\\" rest') == '[private_key_block]\\" rest'
    text = head + "A" * (MAX_BLOCK_CHARS + 7)
    assert stream(redactor, cut(text, range(0, 16_000, 37)))[0] == "[private_key_block]" + "A" * 7


@example("sk-" + "a" * 5000)
@given(st.text(alphabet="sk-a", max_size=30))
def test_a_key_of_any_length_is_redacted_whole(text):
    redactor = Redactor([BUILTIN["openai_key"]])
    assert stream(redactor, list(text))[0] == redactor.redact(text)


def test_an_unchanged_text_is_the_very_same_text():
    text = "nothing to see here"
    assert everything.redact(text) == text


def test_empty_matches_redact_nothing():
    assert Redactor([Pattern("own", r"\b|q*")]).redact("ab xx") == "ab xx"
