"""The fourth link: which target is asked, and which one next."""

import pytest
from support.answers import error_of
from support.scripted import COMPLETION, CUT, HANG, HELLO, ScriptedUpstream, chunk, sse

import aigw

PATH = "/v1/chat/completions"
ASK = {"model": "two", "messages": []}
NO = {"error": {"message": "no", "code": "x"}}


@pytest.fixture
async def second(aiohttp_server):
    """Another provider over real HTTP."""
    from aiohttp import web

    scripted = ScriptedUpstream()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", scripted.handle)
    scripted.url = str((await aiohttp_server(app)).make_url("/")).rstrip("/")
    return scripted


@pytest.fixture
async def url(upstream, second, serve, records):
    gateway, _ = records
    timeouts = aigw.Timeouts(connect_s=0.1, first_byte_s=0.1)
    one = aigw.Provider(upstream.url, "k1", name="one", timeouts=timeouts)
    two = aigw.Provider(second.url, "k2", name="two")
    targets = [aigw.Target(two, "b", 0), aigw.Target(one, "a", 1)]
    gateway.models.register("two", targets=targets)
    return await serve(gateway)


@pytest.fixture
def records():
    gateway = aigw.Gateway()

    class Keep:
        name = "keep"

        def __init__(self):
            self.all = []

        def on_complete(self, record):
            self.all.append(record)

    keep = Keep()
    gateway.hooks.register(keep)
    return gateway, keep.all


FAILURES = {
    "409": lambda up: up.answer(NO, 409),
    "401": lambda up: up.answer(NO, 401),
    "402": lambda up: up.answer(NO, 402),
    "403": lambda up: up.answer(NO, 403),
    "408": lambda up: up.answer(NO, 408),
    "429": lambda up: up.answer(NO, 429, {"retry-after": "9"}),
    "500": lambda up: up.answer(NO, 500),
    "502 in HTML": lambda up: up.raw(b"<html>", status=502, content_type="text/html"),
    "503": lambda up: up.answer(NO, 503),
    "529": lambda up: up.answer(NO, 529),
    "redirect": lambda up: up.raw(b"", status=302, headers={"Location": "/"}),
    "a page with a good status": lambda up: up.raw(b"<html>", content_type="text/html"),
    "no JSON": lambda up: up.raw(b"<html>"),
    "cut before its head": lambda up: up.raw(CUT),
    "cut in its body": lambda up: up.raw(b"{", CUT),
    "silence": lambda up: up.raw(HANG),
}
STREAM_FAILURES = {
    "an empty stream": lambda up: up.stream(b""),
    "comments alone": lambda up: up.stream(b": ping\n\n", CUT),
    "a role alone": lambda up: up.stream(
        sse({**chunk(), "choices": [{"index": 0, "delta": {"role": "assistant"}}]}, done=False), CUT
    ),
    "an error frame": lambda up: up.stream(b'data: {"error": {"message": "overloaded", "code": 503}}\n\n'),
    "silence in a stream": lambda up: up.stream(b": ping\n\n", HANG),
    "no frame": lambda up: up.stream(b"data: {broken\n\n"),
}


@pytest.mark.parametrize("failure", FAILURES)
async def test_where_the_first_fails_the_second_answers(url, upstream, second, http, records, failure):
    FAILURES[failure](upstream)
    second.answer()
    async with http.post(url + PATH, json=ASK) as response:
        assert response.status == 200
        assert await response.json() == COMPLETION
        assert response.headers["x-aigw-attempts"] == "2"
        assert response.headers["x-aigw-provider"] == "two"
        assert response.headers["x-aigw-model"] == "b"
        assert "retry-after" not in response.headers
    assert len(upstream.seen) == 1
    assert len(second.seen) == 1
    assert (upstream.seen[0].json["model"], second.seen[0].json["model"]) == ("a", "b")
    (record,) = records[1]
    assert [one.provider for one in record.attempts] == ["one", "two"]
    assert record.attempts[0].error
    assert record.attempts[1].error is None
    assert (record.provider, record.error, record.ending) == ("two", None, "complete")


@pytest.mark.parametrize("failure", {**FAILURES, **STREAM_FAILURES})
async def test_a_stream_falls_back_until_its_first_content(url, upstream, second, http, records, failure):
    {**FAILURES, **STREAM_FAILURES}[failure](upstream)
    second.stream(HELLO)
    async with http.post(url + PATH, json={**ASK, "stream": True}) as response:
        assert await response.read() == HELLO
        assert response.headers["x-aigw-attempts"] == "2"
    assert len(second.seen) == 1
    assert [record.ending for record in records[1]] == ["complete"]


async def test_a_stream_that_has_begun_does_not_fall_back(url, upstream, second, http, records):
    upstream.stream(sse(chunk("Hel"), done=False), 0.05, CUT)
    second.stream(HELLO)
    async with http.post(url + PATH, json={**ASK, "stream": True}) as response:
        body = await response.read()
    assert b"Hel" in body
    assert b"upstream_truncated" in body
    assert not second.seen
    assert [record.ending for record in records[1]] == ["failed"]


@pytest.mark.parametrize("status", [400, 404, 413, 422])
async def test_a_fault_of_the_request_is_not_tried_again(url, upstream, second, http, records, status):
    upstream.answer(NO, status=status)
    second.answer()
    async with http.post(url + PATH, json=ASK) as response:
        assert response.status == status
        assert response.headers["x-aigw-attempts"] == "1"
    assert not second.seen
    assert len(records[1][0].attempts) == 1


@pytest.mark.parametrize(
    ("first", "then", "status", "provider", "asked"),
    [
        ("500", "429", 429, "two", ["one", "two", "one"]),
        ("429", "500", 429, "one", ["one", "two", "two"]),
        ("500", "503", 503, "two", ["one", "two", "one"]),
        ("401", "500", 502, "two", ["one", "two", "two"]),
        ("silence", "401", 504, "one", ["one", "two"]),
        ("cut before its head", "500", 502, "two", ["one", "two", "one"]),
    ],
)
async def test_where_all_fail_the_most_useful_error_is_told(
    url, upstream, second, http, records, first, then, status, provider, asked
):
    FAILURES[first](upstream)
    FAILURES[then](second)
    async with http.post(url + PATH, json=ASK) as response:
        error = await error_of(response, status)
        assert response.headers["x-aigw-attempts"] == str(len(asked))
        assert response.headers["x-aigw-provider"] == provider
        assert ("retry-after" in response.headers) == (status == 429)
    assert "2 targets were tried: one/a " in error["message"]
    assert [one.provider for one in records[1][0].attempts] == asked
    assert all(one.error for one in records[1][0].attempts)
    assert len(records[1]) == 1


async def test_a_target_that_does_not_speak_the_api_is_passed_over(upstream, second, serve, http):
    gateway = aigw.Gateway()
    one = aigw.Provider(upstream.url, name="one", apis=["embeddings"])
    two = aigw.Provider(second.url, name="two", apis=["chat"])
    gateway.models.register("two", targets=[aigw.Target(one, "a"), aigw.Target(two, "b", 0)])
    second.answer()
    async with http.post(await serve(gateway) + PATH, json=ASK) as response:
        assert response.status == 200
        assert response.headers["x-aigw-attempts"] == "1"
    assert not upstream.seen


async def test_a_model_whose_provider_does_not_speak_the_api_is_a_404(upstream, serve, http):
    gateway = aigw.Gateway()
    gateway.models.register("two", aigw.Provider(upstream.url, name="one", apis=["embeddings"]))
    async with http.post(await serve(gateway) + PATH, json=ASK) as response:
        error = await error_of(response, 404, "model_not_found", "model")
    assert "chat" in error["message"]
    assert "one" in error["message"]


@pytest.mark.parametrize(
    ("asked", "hint"), [("twoo", "two"), ("tow", "two"), ("nothing-alike", "/v1/models")]
)
async def test_an_unknown_model_is_a_404_that_helps(url, http, records, asked, hint):
    async with http.post(url + PATH, json={**ASK, "model": asked}) as response:
        error = await error_of(response, 404, "model_not_found", "model")
    assert asked in error["message"]
    assert hint in error["message"]
    assert records[1][0].attempts == ()


async def test_a_hint_names_no_model_that_the_caller_may_not_use(gateway, serve, http):
    class Doorman:
        name = "doorman"

        async def authenticate(self, exchange):
            return aigw.Identity("t", models=("sec*",))

    gateway.hooks.register(Doorman())
    gateway.models.register("my-secret-model", gateway.models.providers["up"])
    async with http.post(await serve(gateway) + PATH, json={**ASK, "model": "secret-model"}) as response:
        error = await error_of(response, 404, "model_not_found", "model")
    assert "my-secret" not in error["message"]


class Choosing:
    name = "choosing"

    def __init__(self, choose):
        self.choose = choose

    async def choose_targets(self, exchange, targets):
        return self.choose(targets)


async def test_a_plugin_may_reorder_targets(records, url, upstream, second, serve, http):
    gateway = aigw.Gateway()
    gateway.hooks.register(Choosing(lambda targets: list(reversed(targets))))
    one, two = aigw.Provider(upstream.url, name="one"), aigw.Provider(second.url, name="two")
    gateway.models.register("two", targets=[aigw.Target(one, "a"), aigw.Target(two, "b", 0)])
    second.answer()
    async with http.post(await serve(gateway) + PATH, json=ASK) as response:
        assert response.headers["x-aigw-provider"] == "two"
    assert not upstream.seen


async def test_a_plugin_that_leaves_no_target_is_a_404(gateway, upstream, serve, http):
    gateway.hooks.register(Choosing(lambda targets: []))
    async with http.post(await serve(gateway) + PATH, json={**ASK, "model": "m"}) as response:
        await error_of(response, 404, "model_not_found", "model")
    assert not upstream.seen
