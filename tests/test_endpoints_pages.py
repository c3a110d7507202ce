"""What the gateway answers by itself: the list of models, and how it is."""

import asyncio

import pytest
from support.answers import error_of
from support.scripted import HANG, HELLO, chunk, sse

import aigw


class Listed(aigw.BaseProvider):
    """Has models, or a reason not to tell them."""

    def __init__(self, name, models):
        super().__init__(name)
        self.listed = models
        self.asked = 0

    async def call(self, call):
        raise NotImplementedError

    async def models(self):
        self.asked += 1
        await asyncio.sleep(0.01)
        if isinstance(self.listed, Exception):
            raise self.listed
        return self.listed


async def listed(http, url):
    async with http.get(url + "/v1/models") as response:
        assert response.status == 200
        tree = await response.json()
    assert tree["object"] == "list"
    assert all(row["object"] == "model" and isinstance(row["created"], int) for row in tree["data"])
    return {row["id"]: row["owned_by"] for row in tree["data"]}


async def test_the_list_has_names_aliases_and_what_providers_say_they_have(serve, http):
    gateway = aigw.Gateway()
    one = Listed("one", ["a", "org/b"])
    gateway.models.register("fast", one, aliases=["quick", "gpt-4"])
    gateway.models.register("any-*", one)
    gateway.models.register("both", targets=[aigw.Target(Listed("two", []), "x"), aigw.Target(one, "y")])
    assert await listed(http, await serve(gateway)) == {
        "fast": "one",
        "quick": "one",
        "gpt-4": "one",
        "both": "two",
        "one/a": "one",
        "one/org/b": "one",
    }


async def test_providers_are_asked_once_also_by_many_at_a_time(serve, http):
    gateway = aigw.Gateway()
    one = Listed("one", ["a"])
    gateway.models.add_provider(one)
    url = await serve(gateway)
    lists = await asyncio.gather(*(listed(http, url) for _ in range(5)))
    assert lists == [{"one/a": "one"}] * 5
    assert await listed(http, url) == lists[0]
    assert one.asked == 1


@pytest.mark.parametrize("failure", [aigw.UpstreamError("no list"), ZeroDivisionError(), TimeoutError()])
async def test_a_provider_that_fails_does_not_keep_the_list_from_anyone(serve, http, failure, caplog):
    gateway = aigw.Gateway()
    gateway.models.register("m", Listed("broken", failure))
    gateway.models.add_provider(Listed("fine", ["a"]))
    assert await listed(http, await serve(gateway)) == {"m": "broken", "fine/a": "fine"}
    assert "broken" in caplog.text


@pytest.mark.parametrize(
    "script",
    [
        lambda up: up.answer({"error": {"message": "x"}}, status=500),
        lambda up: up.raw(b"<html>", content_type="text/html"),
        lambda up: up.answer({"data": "nonsense"}),
        lambda up: up.answer({"data": [1, {"no": "id"}]}),
    ],
)
async def test_a_provider_over_http_that_lists_nonsense_breaks_nothing(
    gateway, upstream, serve, http, script
):
    script(upstream)
    assert await listed(http, await serve(gateway)) == {"m": "up"}


async def test_a_provider_over_http_is_asked_with_its_own_key(gateway, upstream, serve, http):
    upstream.answer({"object": "list", "data": [{"id": "a"}, {"id": "b/c"}]})
    url = await serve(gateway)
    assert await listed(http, url) == {"m": "up", "up/a": "up", "up/b/c": "up"}
    await listed(http, url)
    (seen,) = upstream.seen
    assert (seen.method, seen.path, seen.body) == ("GET", "/v1/models", b"")
    assert seen.headers["Authorization"] == "Bearer sk-upstream"


async def test_an_unknown_model_is_not_shown(gateway, serve, sdk, http):
    async with http.get(await serve(gateway) + "/v1/models/nothing") as response:
        error = await error_of(response, 404, "model_not_found", "model")
    assert "nothing" in error["message"]


@pytest.mark.parametrize("path", ["/health", "/healthz", "/livez", "/readyz"])
async def test_pages_say_that_all_is_well(gateway, serve, http, path):
    async with http.get(await serve(gateway) + path) as response:
        assert response.status == 200
        assert response.content_type == "application/json"
        tree = await response.json()
    assert tree["status"] == "ok"
    assert tree.get("version") == (aigw.__version__ if path.startswith("/health") else None)


async def test_a_gateway_that_drains_is_alive_and_not_ready(gateway, upstream, serve, http, eventually):
    upstream.stream(sse(chunk("Hel"), done=False), 0.2, sse(chunk("lo"), chunk(finish="stop")))
    url = await serve(gateway)
    body = {"model": "m", "messages": [], "stream": True}
    async with http.post(url + "/v1/chat/completions", json=body) as response:
        draining = asyncio.create_task(gateway.drain(2))
        await eventually(lambda: gateway.draining)
        for path, status in (("/readyz", 503), ("/livez", 200), ("/health", 200)):
            async with http.get(url + path) as page:
                assert page.status == status
                assert (await page.json())["status"] == ("ok" if path == "/livez" else "draining")
        assert (await response.read()).endswith(b"data: [DONE]\n\n")
    assert await draining is True


async def test_what_runs_when_patience_ends_is_told_so(gateway, upstream, complete, serve, http):
    upstream.stream(sse(chunk("Hel"), done=False), HANG)
    url = await serve(gateway)
    body = {"model": "m", "messages": [], "stream": True}
    async with http.post(url + "/v1/chat/completions", json=body) as response:
        assert await gateway.drain(0.05) is False
        text = await response.text()
    assert text.startswith("data: {")
    assert "service_unavailable" in text
    assert [record.error for record in complete] == ["service_unavailable"]


async def test_what_has_not_been_answered_when_patience_ends_is_a_503(
    gateway, upstream, complete, serve, http, eventually
):
    upstream.raw(HANG)
    url = await serve(gateway)
    task = asyncio.create_task(http.post(url + "/v1/embeddings", json={"model": "m"}).__aenter__())
    await eventually(lambda: upstream.open)
    assert await gateway.drain(0.05) is False
    response = await task
    await error_of(response, 503, "service_unavailable")
    assert response.headers["retry-after"] == "1"
    assert [record.status for record in complete] == [503]


async def test_two_gateways_in_one_process_do_not_meet(upstream, serve, http):
    upstream.stream(HELLO)
    urls = []
    for name in ("one", "two"):
        gateway = aigw.Gateway()
        gateway.models.register(name, Listed(name, []))
        urls.append(await serve(gateway))
    assert [await listed(http, url) for url in urls] == [{"one": "one"}, {"two": "two"}]
