"""The outermost link: every failure has a shape, every exchange an id and exactly one end."""

import asyncio
import json
import re
from urllib.parse import urlsplit

import openai
import pytest
from aiohttp import web
from attrs import evolve
from support.answers import error_of
from support.scripted import HELLO

import aigw
from aigw.config import ServerConfig

JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def url(gateway, upstream, complete, serve):
    upstream.answer()
    return await serve(gateway)


@pytest.mark.parametrize("path", ["/v1/nothing", "/v1", "/nothing", "/v1/chat/completions/", "/v2/models/x"])
async def test_an_unknown_path_is_a_404_that_says_where_the_api_is(url, http, path):
    async with http.post(url + path, json={}) as response:
        error = await error_of(response, 404, "unknown_url")
    assert "/v1" in error["message"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/chat/completions", "POST"),
        ("PUT", "/v1/embeddings", "POST"),
        ("DELETE", "/v1/audio/speech", "POST"),
        ("POST", "/v1/models", "GET"),
        ("POST", "/v1/models/m", "GET"),
        ("POST", "/health", "GET"),
    ],
)
async def test_a_wrong_method_is_told_the_right_one(url, http, method, path, allowed):
    async with http.request(method, url + path) as response:
        error = await error_of(response, 405, "method_not_allowed")
        assert allowed in response.headers["Allow"]
    assert method in error["message"]
    assert allowed in error["message"]


@pytest.mark.parametrize("given", ["abc", "req-1:2/3.4_5=+", "x" * 128])
@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1/models", "/health", "/nothing"])
async def test_a_sane_request_id_is_kept(url, http, given, path):
    async with http.get(url + path, headers={"x-request-id": given}) as response:
        assert response.headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 200, "é", "a,b", 'a"b', "{}", "a\tb"])
async def test_an_odd_request_id_is_replaced(url, http, given):
    seen = set()
    for _ in range(2):
        async with http.post(
            url + "/v1/embeddings", json={"model": "m"}, headers={"x-request-id": given}
        ) as response:
            assert response.status == 200
            seen.add(response.headers["x-request-id"])
    assert len(seen) == 2
    assert all(one.startswith("req_") for one in seen)


async def test_a_request_id_cannot_smuggle_a_header_in(url):
    reader, writer, path = await connect(url)
    writer.write(
        f"GET {path}/v1/models HTTP/1.1\r\nHost: localhost\r\nx-request-id: a\rset-cookie: b\r\n\r\n".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    assert b"set-cookie" not in {line.partition(b":")[0].lower() for line in re.split(rb"[\r\n]+", head)}


async def test_an_answer_says_who_gave_it(url, http, complete):
    async with http.post(url + "/v1/embeddings", json={"model": "m"}) as response:
        assert response.headers["x-aigw-provider"] == "up"
        assert response.headers["x-aigw-model"] == "up-model"
        assert response.headers["x-aigw-attempts"] == "1"
    assert complete[0].id == response.headers["x-request-id"]


async def test_an_error_says_who_it_comes_from(gateway, upstream, serve, http):
    upstream.answer({"error": {"message": "no"}}, status=400)
    async with http.post(await serve(gateway) + "/v1/embeddings", json={"model": "m"}) as response:
        assert response.headers["x-aigw-provider"] == "up"
        assert response.headers["x-aigw-model"] == "up-model"
        assert response.headers["x-aigw-attempts"] == "1"


LIMITS = {
    "x-ratelimit-limit-requests": "100",
    "x-ratelimit-remaining-tokens": "7",
    "retry-after": "3",
    "openai-processing-ms": "12",
}


@pytest.mark.parametrize("status", [200, 400, 429, 500])
async def test_the_providers_limits_are_handed_on(gateway, upstream, serve, http, status):
    upstream.answer(
        {"error": {"message": "x"}}, status=status, headers={**LIMITS, "set-cookie": "a=b", "x-own": "1"}
    )
    async with http.post(await serve(gateway) + "/v1/embeddings", json={"model": "m"}) as response:
        assert response.status in {status, 502}
        assert {name: response.headers.get(name) for name in LIMITS} == LIMITS
        assert "set-cookie" not in response.headers
        assert "x-own" not in response.headers
        assert len(response.headers.getall("retry-after")) == 1


async def test_a_stream_has_the_same_headers(gateway, upstream, serve, http):
    upstream.stream(HELLO, headers=LIMITS)
    body = {"model": "m", "stream": True, "messages": []}
    url = await serve(gateway) + "/v1/chat/completions"
    async with http.post(url, json=body, headers={"x-request-id": "mine"}) as response:
        await response.read()
        assert {name: response.headers.get(name) for name in LIMITS} == LIMITS
        assert response.headers["x-request-id"] == "mine"
        assert response.headers["x-aigw-provider"] == "up"


class Broken:
    name = "broken"

    async def rewrite_request(self, exchange, payload):
        raise ZeroDivisionError("secret detail")

    def provide(self, registry):
        registry.route("GET", "/page", self.page)

    async def page(self, request):
        raise ZeroDivisionError("secret detail")


async def test_a_mistake_of_a_plugin_is_a_500_without_its_trace(
    gateway, upstream, serve, http, caplog, complete
):
    gateway.hooks.register(Broken())
    url = await serve(gateway)
    async with http.post(url + "/v1/embeddings", json={"model": "m"}) as response:
        error = await error_of(response, 500, "hook_failed")
    assert "secret" not in json.dumps(error)
    assert "broken" in error["message"]
    assert [(record.status, record.ending) for record in complete] == [(500, "refused")]
    assert "secret detail" in caplog.text


async def test_a_mistake_in_a_plugins_page_is_a_500_without_its_trace(gateway, serve, http, caplog):
    gateway.hooks.register(Broken())
    async with http.get(await serve(gateway) + "/page") as response:
        error = await error_of(response, 500, "internal_error")
    assert "secret" not in json.dumps(error)
    assert "secret detail" in caplog.text


class Rewording:
    name = "rewording"

    async def on_error(self, exchange, error):
        return aigw.ClientError("in other words", status=418, code="teapot")


async def test_a_plugin_may_tell_an_error_in_other_words(gateway, serve, http, complete):
    gateway.hooks.register(Rewording())
    async with http.post(await serve(gateway) + "/v1/embeddings", json={"model": "nothing"}) as response:
        error = await error_of(response, 418, "teapot")
    assert error["message"] == "in other words"
    assert complete[0].error == "teapot"


async def test_a_record_tells_the_whole_story(url, http, complete):
    async with http.post(url + "/v1/chat/completions", json={"model": "m", "messages": []}) as response:
        answered = await response.read()
    (record,) = complete
    assert (record.api, record.path, record.model) == ("chat", "/v1/chat/completions", "m")
    assert (record.provider, record.upstream_model, record.status) == ("up", "up-model", 200)
    assert (record.usage.input_tokens, record.usage.output_tokens) == (3, 2)
    assert (record.tenant, record.stream, record.error) == ("anonymous", False, None)
    assert record.bytes_out == len(answered)
    assert record.bytes_in > 0
    assert [(one.provider, one.status, one.error) for one in record.attempts] == [("up", 200, None)]
    assert 0 < record.attempts[0].first_byte_s <= record.duration_s


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/embeddings", b"{", 400),
        ("/v1/embeddings", b'{"model": "nothing"}', 404),
        ("/v1/models", None, 200),
        ("/v1/models/nothing", None, 404),
    ],
)
async def test_every_exchange_is_recorded_once(url, http, complete, path, body, status):
    headers = {"Content-Type": "application/json"}
    async with http.request("POST" if body else "GET", url + path, data=body, headers=headers) as response:
        assert response.status == status
    assert [(record.status, record.ending) for record in complete] == [
        (status, "complete" if status == 200 else "refused")
    ]


async def test_pages_and_unknown_urls_are_no_exchanges(url, http, complete):
    for path in ("/health", "/metrics", "/nothing"):
        async with http.get(url + path) as response:
            await response.read()
    assert complete == []


async def test_an_upstreams_400_is_an_error_of_its_attempt_too(gateway, upstream, serve, http, complete):
    upstream.answer({"error": {"message": "no", "code": "odd"}}, status=400)
    async with http.post(await serve(gateway) + "/v1/embeddings", json={"model": "m"}) as response:
        assert response.status == 400
    assert [(one.status, one.error) for one in complete[0].attempts] == [(400, "odd")]


async def test_a_stream_that_breaks_is_an_error_of_its_attempt_too(gateway, upstream, serve, http, complete):
    from support.scripted import CUT, chunk, sse

    upstream.stream(sse(chunk("Hel"), done=False), 0.05, CUT)
    body = {"model": "m", "stream": True, "messages": []}
    async with http.post(await serve(gateway) + "/v1/chat/completions", json=body) as response:
        assert response.status == 200
        assert b'"error"' in await response.read()
    (record,) = complete
    assert (record.ending, record.status, record.error) == ("failed", 200, "upstream_truncated")
    assert [one.error for one in record.attempts] == ["upstream_truncated"]


class Pondering:
    name = "pondering"

    def __init__(self):
        self.reached = asyncio.Event()

    async def on_error(self, exchange, error):
        self.reached.set()
        await asyncio.Event().wait()


async def test_a_client_that_leaves_while_its_error_is_worded_has_hung_up(
    gateway, serve, http, complete, eventually
):
    pondering = Pondering()
    gateway.hooks.register(pondering)
    url = await serve(gateway)
    task = asyncio.create_task(http.post(url + "/v1/embeddings", json={"model": "x"}).__aenter__())
    await pondering.reached.wait()
    task.cancel()
    await eventually(lambda: complete)
    assert [(record.ending, record.status) for record in complete] == [("hung_up", 499)]


async def connect(url):
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    return reader, writer, parts.path


async def test_a_client_that_leaves_amid_its_body_has_hung_up(url, complete, upstream, eventually, caplog):
    _, writer, path = await connect(url)
    head = f"POST {path}/v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    writer.write(head.encode() + b'Content-Length: 100\r\n\r\n{"model": ')
    await asyncio.sleep(0.05)
    writer.transport.abort()
    await eventually(lambda: complete)
    assert [(record.ending, record.status) for record in complete] == [("hung_up", 499)]
    assert not upstream.seen
    assert "mistake of ours" not in caplog.text


async def test_a_client_that_waits_to_be_asked_for_its_body_is_asked(url):
    reader, writer, path = await connect(url)
    head = f"POST {path}/v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    writer.write(head.encode() + b"Content-Length: 13\r\nExpect: 100-continue\r\n\r\n")
    assert b"100 Continue" in await reader.readuntil(b"\r\n\r\n")
    writer.write(b'{"model":"m"}')
    assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()


async def test_a_connection_can_be_used_again_after_an_error(url):
    reader, writer, path = await connect(url)
    for body, status in ((b"{", b"400"), (b'{"model":"m"}', b"200"), (b'{"model":"x"}', b"404")):
        head = f"POST {path}/v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        writer.write(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        assert status in answer.splitlines()[0]
        (length,) = [line for line in answer.lower().splitlines() if line.startswith(b"content-length")]
        await reader.readexactly(int(length.partition(b":")[2]))
    writer.close()
    await writer.wait_closed()


SDK_ERRORS = {
    400: openai.BadRequestError,
    404: openai.NotFoundError,
    409: openai.ConflictError,
    422: openai.UnprocessableEntityError,
    429: openai.RateLimitError,
    500: openai.InternalServerError,
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", SDK_ERRORS)
async def test_the_sdk_raises_its_own_error_with_all_its_parts(gateway, upstream, serve, sdk, status, stream):
    error = {"message": "no", "type": "odd", "param": "n", "code": "odd_code"}
    upstream.answer({"error": error}, status=status)
    client = sdk(await serve(gateway), default_headers={"x-request-id": "mine"})
    with pytest.raises(SDK_ERRORS[status]) as raised:
        await client.chat.completions.create(model="m", messages=[], stream=stream)
    assert (raised.value.code, raised.value.param) == ("odd_code", "n")
    assert raised.value.request_id == "mine"


async def test_a_mistake_of_ours_is_a_500_without_its_trace(url, http, monkeypatch, caplog, complete):
    def chosen(exchange, trace):
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr("aigw.pipeline.route.chosen", chosen)
    async with http.post(url + "/v1/embeddings", json={"model": "m"}) as response:
        error = await error_of(response, 500, "internal_error")
    assert "secret" not in json.dumps(error)
    assert "secret detail" in caplog.text
    assert complete[0].id in caplog.text
    assert [(record.status, record.ending) for record in complete] == [(500, "refused")]


class Stumbling:
    name = "stumbling"

    def __init__(self, on_failure):
        self.on_failure = on_failure

    async def on_error(self, exchange, error):
        raise ZeroDivisionError


@pytest.mark.parametrize(("on_failure", "status"), [("closed", 500), ("open", 404)])
async def test_a_plugin_that_fails_to_word_an_error_fails_as_it_wants_to(
    gateway, serve, http, complete, caplog, on_failure, status
):
    gateway.hooks.register(Stumbling(on_failure))
    async with http.post(await serve(gateway) + "/v1/embeddings", json={"model": "x"}) as response:
        await error_of(response, status, param="model" if status == 404 else None)
    assert [record.status for record in complete] == [status]
    assert "stumbling failed in on_error" in caplog.text


class Pages:
    name = "pages"

    def provide(self, registry):
        registry.route("GET", "/moved", self.moved)
        registry.route("GET", "/closed", self.closed)
        registry.route("GET", "/forbidden", self.forbidden)
        registry.route("GET", "/stream", self.stream)

    async def moved(self, request):
        raise web.HTTPFound("/elsewhere")

    async def closed(self, request):
        raise aigw.ClientError("closed today", kind=aigw.ErrorKind.PERMISSION)

    async def forbidden(self, request):
        raise web.HTTPForbidden

    async def stream(self, request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"piece")
        return response


async def test_pages_of_plugins_are_answered_like_all_others(gateway, serve, http):
    gateway.hooks.register(Pages())
    url = await serve(gateway)
    async with http.get(url + "/moved", allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (302, "/elsewhere")
    async with http.get(url + "/closed") as response:
        await error_of(response, 403, "permission_denied")
    async with http.get(url + "/forbidden") as response:
        await error_of(response, 403)
    async with http.get(url + "/stream") as response:
        assert await response.read() == b"piece"


@web.middleware
async def reading(request, handler):
    await request.read()
    return await handler(request)


async def test_a_body_that_the_parent_application_has_read_is_read_by_us_too(
    gateway, upstream, http, aiohttp_server
):
    upstream.answer()
    parent = web.Application(middlewares=[reading])
    parent.add_subapp("/ai/", gateway.make_app())
    url = (await aiohttp_server(parent)).make_url("/ai/v1/embeddings")
    async with http.post(url, json={"model": "m", "input": "x"}) as response:
        assert response.status == 200
    assert upstream.seen[0].json["input"] == "x"
    gateway.config = evolve(gateway.config, server=ServerConfig(max_body_bytes=20))
    async with http.post(url, data=pieces(b'{"model": "m", "input": "x"}'), headers=JSON) as response:
        await error_of(response, 413, "request_too_large")


async def pieces(body):
    yield body
