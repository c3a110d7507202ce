"""What a client is told when a provider fails, in each of the ways in which providers do."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from support.answers import error_of
from support.scripted import CUT, HANG

import aigw

PATH = "/v1/chat/completions"
ASK = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
SECRET = "sk-upstream"
OWN_WORDS = {
    "error": {
        "message": "Invalid 'messages[0].role'",
        "type": "invalid_request_error",
        "param": "messages[0].role",
        "code": "invalid_value",
        "inner": {"unknown": [1, None]},
    },
    "request": "abc",
}


@pytest.fixture
async def ask(gateway, upstream, complete, serve, http):
    """Ask once, check the error, return it with the response."""

    async def run(status, code=None, param=None, stream=False):
        url = await serve(gateway)
        async with http.post(url + PATH, json={**ASK, "stream": stream}) as response:
            error = await error_of(response, status, code, param)
        assert [(record.status, record.ending) for record in complete] == [(status, "refused")]
        return error, response

    return run


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [400, 404, 409, 413, 422, 451])
async def test_a_providers_own_words_are_handed_on(gateway, upstream, serve, http, status, stream):
    upstream.answer(OWN_WORDS, status=status)
    async with http.post(await serve(gateway) + PATH, json={**ASK, "stream": stream}) as response:
        assert response.status == status
        assert response.content_type == "application/json"
        assert await response.json() == OWN_WORDS
    assert len(upstream.seen) == (2 if status == 409 else 1)  # a conflict may be over a moment later


LEAK = {
    "error": {
        "message": f"Incorrect API key provided: {SECRET}, account org-hidden",
        "code": "invalid_api_key",
    }
}


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_credential_of_ours_is_no_fault_of_the_client(ask, upstream, status):
    upstream.answer(LEAK, status=status)
    error, response = await ask(502, "upstream_credential_refused")
    assert '"up"' in error["message"]
    assert str(status) in error["message"]
    assert "hidden" not in json.dumps(error)
    assert "sk-" not in json.dumps(error)
    assert "www-authenticate" not in response.headers


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_key_of_the_clients_own_is_its_own_fault(upstream, serve, http, status):
    gateway = aigw.Gateway()
    provider = aigw.Provider(upstream.url, name="up", forward_client_key=True)
    gateway.models.register("m", provider)
    upstream.answer({"error": {"message": "Incorrect API key", "code": "invalid_api_key"}}, status=status)
    headers = {"Authorization": "Bearer sk-client"}
    async with http.post(await serve(gateway) + PATH, json=ASK, headers=headers) as response:
        error = await error_of(response, status)
    assert error["message"] == "Incorrect API key"


async def test_a_rate_limit_says_when_to_come_back(ask, upstream):
    tree = {
        "error": {"message": "slow down", "type": "requests", "code": "rate_limit_exceeded", "param": None}
    }
    upstream.answer(tree, status=429, headers={"retry-after": "20", "retry-after-ms": "19500"})
    error, response = await ask(429, "rate_limit_exceeded")
    assert error["type"] == "requests"
    assert response.headers["retry-after"] == "20"
    assert response.headers["retry-after-ms"] == "19500"


async def test_a_rate_limit_that_names_a_date_is_told_in_seconds(ask, upstream):
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    upstream.answer(
        {"error": {"message": "x", "param": None, "type": "t", "code": "c"}}, 429, {"retry-after": date}
    )
    _, response = await ask(429)
    assert 50 <= int(response.headers["retry-after"]) <= 60


@pytest.mark.parametrize(
    ("status", "told", "code"),
    [
        (500, 502, None),
        (502, 502, "upstream_error"),
        (503, 503, None),
        (504, 504, None),
        (529, 503, None),
    ],
)
async def test_a_failing_provider_is_told_as_such(ask, upstream, status, told, code):
    upstream.answer({"error": {"message": "it broke"}}, status=status)
    error, _ = await ask(told, code)
    assert error["message"] == "it broke"
    assert error["type"] == "server_error"


@pytest.mark.parametrize("status", [400, 404, 500, 502, 503])
async def test_a_page_in_html_is_not_handed_on(ask, upstream, status):
    upstream.raw(b"<html><h1>nginx/1.2 at 10.0.0.7</h1></html>", status=status, content_type="text/html")
    error, _ = await ask(502 if status == 500 else status)
    assert "nginx" not in error["message"]
    assert str(status) in error["message"]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_never_followed(ask, upstream, status):
    upstream.raw(b"", status=status, headers={"Location": upstream.url + "/elsewhere"})
    _, response = await ask(502)
    assert "location" not in response.headers
    assert len(upstream.seen) == 1


async def test_a_provider_that_is_not_there_is_a_502(serve, http, complete, unused_tcp_port):
    gateway = aigw.Gateway()
    gateway.models.register("m", aigw.Provider(f"http://127.0.0.1:{unused_tcp_port}", SECRET, name="gone"))
    async with http.post(await serve(gateway) + PATH, json=ASK) as response:
        error = await error_of(response, 502, "upstream_unreachable")
    assert '"gone"' in error["message"]
    assert str(unused_tcp_port) not in error["message"]
    assert response.headers["x-aigw-provider"] == "gone"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "body",
    [b"<html>hello</html>", b"{broken", b"[]", b"null", b"", b'{"a": 1', b"data: x\n\n"],
)
async def test_a_good_status_with_a_body_that_is_no_object_is_a_502(ask, upstream, body, stream):
    upstream.raw(body, content_type="application/json")
    error, _ = await ask(502, "upstream_protocol_error", stream=stream)
    assert '"up"' in error["message"]
    assert "html" not in error["message"]


async def test_a_connection_that_is_cut_before_the_head_is_a_502(ask, upstream):
    upstream.raw(CUT)
    await ask(502, "upstream_unreachable")


async def test_a_whole_answer_that_is_cut_is_a_502(ask, upstream):
    upstream.raw(b'{"id": 1, ', 0.02, CUT)
    await ask(502, "upstream_truncated")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_provider_that_says_nothing_is_given_up_in_time(upstream, serve, http, stream):
    gateway = aigw.Gateway()
    timeouts = aigw.Timeouts(first_byte_s=0.1)
    gateway.models.register("m", aigw.Provider(upstream.url, name="up", timeouts=timeouts))
    upstream.raw(HANG)
    url = await serve(gateway)
    now = asyncio.get_running_loop().time
    began = now()
    async with http.post(url + PATH, json={**ASK, "stream": stream}) as response:
        error = await error_of(response, 504, "upstream_timeout")
    assert now() - began < 1.0
    assert '"up"' in error["message"]


async def test_a_good_stream_that_says_nothing_is_given_up_in_time(upstream, serve, http, eventually):
    gateway = aigw.Gateway()
    timeouts = aigw.Timeouts(connect_s=0.1, first_byte_s=0.1)
    gateway.models.register("m", aigw.Provider(upstream.url, name="up", timeouts=timeouts))
    upstream.stream(b": comment\n\n", HANG)
    async with http.post(await serve(gateway) + PATH, json={**ASK, "stream": True}) as response:
        await error_of(response, 504, "upstream_timeout")
    await eventually(lambda: not upstream.open)


async def test_an_error_frame_before_any_content_is_a_real_status(ask, upstream):
    upstream.stream(b'data: {"error": {"message": "too many", "code": "rate_limit_exceeded"}}\n\n')
    error, _ = await ask(429, "rate_limit_exceeded", stream=True)
    assert error["message"] == "too many"


@pytest.mark.parametrize("body", [b"", b": only a comment\n\n"])
async def test_an_empty_stream_is_a_502(ask, upstream, body):
    upstream.stream(body)
    await ask(502, stream=True)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "content_type", ["text/html", "text/plain; charset=utf-8", "application/octet-stream"]
)
async def test_a_page_with_a_good_status_is_a_502(ask, upstream, content_type, stream):
    upstream.raw(b"<html>please log in at 10.0.0.7</html>", content_type=content_type)
    error, _ = await ask(502, "upstream_protocol_error", stream=stream)
    assert "10.0.0.7" not in error["message"]
