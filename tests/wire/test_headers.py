"""Which headers cross the gateway."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from aigw.wire.headers import (
    CREDENTIAL_HEADERS,
    FORWARDED_TO_PROVIDER,
    HOP_BY_HOP,
    retry_after_s,
    sane_request_id,
    to_client,
    to_provider,
)

NEVER = sorted(CREDENTIAL_HEADERS | HOP_BY_HOP)
EVERYTHING = (*FORWARDED_TO_PROVIDER, *NEVER, "X-Custom", "User-Agent", "Origin")


@pytest.mark.parametrize("name", FORWARDED_TO_PROVIDER)
def test_a_listed_header_goes_to_the_provider_in_any_spelling(name):
    assert to_provider(CIMultiDict({name.upper(): "a"}))[name] == "a"


@pytest.mark.parametrize("name", [*NEVER, "User-Agent", "Origin", "Content-Type"])
def test_no_other_header_goes_to_the_provider(name):
    assert not to_provider(CIMultiDict({name: "a"}))


@pytest.mark.parametrize("name", NEVER)
def test_configuration_cannot_let_credentials_or_connection_headers_through(name):
    assert not to_provider(CIMultiDict({name: "a"}), [name, name.upper()])


@given(more=st.lists(st.sampled_from(EVERYTHING) | st.text(max_size=8), max_size=5))
def test_whatever_is_configured_only_harmless_headers_go_on(more):
    picked = to_provider(CIMultiDict(dict.fromkeys(EVERYTHING, "a")), more)
    assert {name.lower() for name in picked}.isdisjoint(CREDENTIAL_HEADERS | HOP_BY_HOP)
    assert ("X-Custom" in picked) == ("X-Custom" in more)


@pytest.mark.parametrize(
    "name",
    ["retry-after", "Retry-After-Ms", "openai-processing-ms", "X-RateLimit-Limit-Tokens",
     "x-should-retry", "anthropic-ratelimit-tokens-reset", "content-disposition"],
)  # fmt: skip
def test_what_helps_the_client_comes_back(name):
    assert to_client(CIMultiDict({name: "1"})) == {name: "1"}


@pytest.mark.parametrize(
    "name",
    ["Set-Cookie", "Server", "Date", "Content-Length", "Content-Encoding", "Transfer-Encoding", "Connection",
     "Content-Type", "x-request-id", "access-control-allow-origin", "Location", "WWW-Authenticate",
     "x-ratelimit"],
)  # fmt: skip
def test_everything_else_stays_inside(name):
    assert to_client(CIMultiDict({name: "1"})) == {}


@pytest.mark.parametrize("value", ["caf\udce9", "a\x00b", "a\r\nb: c", "\x7f"])
def test_a_value_that_cannot_be_written_again_stays_where_it_is(value):
    assert not to_provider(CIMultiDict({"X-Title": value}))
    assert not to_client(CIMultiDict({"openai-model": value}))


@pytest.mark.parametrize("value", ["", "plain", "tab\there", "café", "\U0001f600"])
def test_a_value_that_can_be_written_again_goes_on(value):
    assert to_provider(CIMultiDict({"X-Title": value}))["X-Title"] == value
    assert to_client(CIMultiDict({"openai-model": value})) == {"openai-model": value}


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "1e9"}, None),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, 30.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:27:00 GMT"}, 0.0),
        ({"retry-after": "Wed, 21 Oct 2036 07:27:00 GMT"}, None),
        ({"retry-after": ""}, None),
    ],
)
def test_when_to_come_back_is_read_in_seconds(headers, seconds):
    now = datetime(2026, 10, 21, 7, 27, 30, tzinfo=UTC).timestamp()
    assert retry_after_s(CIMultiDict(headers), now) == seconds


@given(value=st.text(max_size=12))
def test_any_text_is_a_time_or_none(value):
    found = retry_after_s({"retry-after": value}, 0.0)
    assert found is None or 0 <= found < 86_400


@pytest.mark.parametrize("value", ["a", "req_1", "A.b:c/d=+-_", "x" * 128])
def test_a_sane_request_id_is_kept(value):
    assert sane_request_id(value) == value


@pytest.mark.parametrize("value", [None, "", "x" * 129, "a b", "a\n", "é", 'a"', "<a>", "\x00"])
def test_any_other_request_id_is_not(value):
    assert sane_request_id(value) is None
