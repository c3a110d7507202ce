"""How a call becomes a request: URL, key and headers of a provider behind HTTP."""

import pytest
from multidict import CIMultiDict

from aigw.dialects.endpoints import ENDPOINTS, Api
from aigw.errors import ErrorKind, ServerError
from aigw.upstream.http import Provider
from aigw.upstream.kind import ProviderKind
from aigw.upstream.provider import BufferedAnswer, Call, parse_apis

CHAT = next(endpoint for endpoint in ENDPOINTS if endpoint.api is Api.CHAT)


class Recorder:
    """A transport that remembers what it was given."""

    def __init__(self):
        self.sent = []
        self.log = []

    async def open(self):
        self.log.append("open")

    async def close(self):
        self.log.append("close")

    async def send(self, method, url, headers, body):
        self.sent.append((method, url, headers, body))
        return BufferedAnswer(200, {}, b"{}")


def call_for(**fields):
    return Call(CHAT, "m", CHAT.path, CIMultiDict(fields.pop("headers", {})), b"{}", **fields)


async def send(call, *arguments, **options):
    transport = Recorder()
    provider = Provider(*arguments, transport=transport, **options)
    await provider.call(call)
    return transport.sent[0]


@pytest.mark.parametrize(
    ("base_url", "options", "url"),
    [
        ("http://h", {}, "http://h/v1/chat/completions"),
        ("http://h/", {}, "http://h/v1/chat/completions"),
        ("http://h/v1", {}, "http://h/v1/chat/completions"),
        ("http://h/api/v1/", {}, "http://h/api/v1/chat/completions"),
        ("http://h/v4", {}, "http://h/v4/chat/completions"),
        ("http://h/api", {}, "http://h/api/v1/chat/completions"),
        ("http://h", {"base_path": "/v1"}, "http://h/chat/completions"),
        ("http://h", {"query": {"a": "b c"}}, "http://h/v1/chat/completions?a=b+c"),
    ],
)
async def test_a_version_stands_in_the_url_exactly_once(base_url, options, url):
    assert (await send(call_for(), base_url, **options))[:2] == ("POST", url)


async def test_the_clients_query_follows_the_providers_own():
    sent = await send(call_for(query="x=1"), "http://h", query={"api-version": "7"})
    assert sent[1] == "http://h/v1/chat/completions?api-version=7&x=1"


async def test_the_key_is_sent_as_the_vendor_wants_it():
    row = ProviderKind("v", "V", "http://h", auth=("x-api-key", ""), headers={"X-Version": "2"})
    headers = (await send(call_for(), api_key="sk-1", kind=row, headers={"X-More": "3"}))[2]
    assert dict(headers) == {"X-Version": "2", "X-More": "3", "x-api-key": "sk-1"}


@pytest.mark.parametrize(
    ("forward", "client_key", "sent"),
    [
        (False, None, "Bearer sk-own"),
        (False, "sk-client", "Bearer sk-own"),
        (True, "sk-client", "Bearer sk-client"),
        (True, None, "Bearer sk-own"),
    ],
)
async def test_the_callers_key_goes_only_where_it_is_meant_to(forward, client_key, sent):
    headers = (await send(call_for(client_key=client_key), "http://h", "sk-own", forward_client_key=forward))[
        2
    ]
    assert headers["Authorization"] == sent


async def test_a_server_that_needs_no_key_gets_none():
    assert "Authorization" not in (await send(call_for(), "http://h"))[2]


async def test_a_missing_key_is_our_misconfiguration_and_says_what_to_set():
    with pytest.raises(ServerError, match="OPENAI_API_KEY") as caught:
        await send(call_for(), kind="openai")
    assert caught.value.kind is ErrorKind.MISCONFIGURED


@pytest.mark.parametrize(
    ("arguments", "options", "wanted"),
    [
        ((), {}, "base_url"),
        (("ftp://h",), {}, "wanted http"),
        (("h:80",), {}, "wanted http"),
        ((), {"kind": "nobody"}, 'unknown provider kind "nobody"'),
        (("http://h",), {"apis": ["sing"]}, "sing"),
    ],
)
def test_a_provider_that_leads_nowhere_is_refused_at_once(arguments, options, wanted):
    with pytest.raises(ValueError, match=wanted):
        Provider(*arguments, **options)


async def test_opening_and_closing_reach_the_transport():
    transport = Recorder()
    provider = Provider("http://h", transport=transport)
    await provider.open()
    await provider.close()
    assert transport.log == ["open", "close"]


def test_a_bare_url_is_named_after_its_host():
    assert Provider("http://models.example:8000/v1").name == "models.example"


@pytest.mark.parametrize(("names", "apis"), [([], set()), (["chat"], {Api.CHAT}), (["all"], set(Api))])
def test_apis_are_read_by_name(names, apis):
    assert parse_apis(names) == apis
