"""Ends that are rare: slow readers of whole answers, headers that cannot be written, large uploads."""

import asyncio
import json

import aiohttp
import pytest
from attrs import evolve
from support.scripted import CUT, HELLO, chunk, sse

import aigw
from aigw.pipeline.watchdog import Verdict, Watch, Watchdog

ASK = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
async def http():
    async with aiohttp.ClientSession(read_bufsize=2**14) as session:
        yield session


async def test_a_client_that_reads_a_whole_answer_slowly_gets_all_of_it(
    gateway, upstream, serve, http, complete, eventually
):
    provider = gateway.models.providers["up"]
    provider.timeouts = evolve(provider.timeouts, read_s=0.6, total_s=1.2)
    upstream.answer({"pad": "x" * 2**24})
    async with http.post(await serve(gateway) + "/v1/chat/completions", json=ASK) as response:
        await asyncio.sleep(1.6)
        assert len((await response.json())["pad"]) == 2**24
    await eventually(lambda: complete)
    assert [record.ending for record in complete] == ["complete"]


async def test_a_shutdown_does_not_put_a_second_answer_behind_one_that_is_being_read(
    gateway, upstream, serve, complete, eventually
):
    upstream.answer({"pad": "x" * 2**24})
    url = aiohttp.client.URL(await serve(gateway))
    reader, writer = await asyncio.open_connection(url.host, url.port, limit=1024)
    body = json.dumps(ASK).encode()
    path = url.path.rstrip("/") + "/v1/chat/completions"
    head = f"POST {path} HTTP/1.1\r\nContent-Type: application/json\r\nHost: localhost\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    assert not await gateway.drain(0.05)
    answer = await reader.read()
    writer.close()
    assert b"HTTP/1.1" not in answer
    assert answer.endswith(b'x"}')
    assert len(complete) == 1


@pytest.mark.parametrize("stream", [True, False])
async def test_a_provider_header_that_cannot_be_written_again_is_left_out(
    gateway, upstream, serve, http, stream
):
    upstream.raw(
        HELLO if stream else b"{}",
        content_type="text/event-stream" if stream else "application/json",
        headers={"openai-model": "caf\udce9", "x-ratelimit-limit-requests": "1"},
    )
    url = await serve(gateway) + "/v1/chat/completions"
    async with http.post(url, json={**ASK, "stream": stream}) as response:
        assert response.status == 200
        assert response.headers["x-ratelimit-limit-requests"] == "1"
        await response.read()


async def test_a_large_request_reaches_the_provider_byte_for_byte(gateway, upstream, serve, http):
    upstream.answer()
    gateway.models.register("same", gateway.models.providers["up"])
    body = json.dumps({**ASK, "model": "same", "pad": "x" * 3 * 2**20}).encode()
    headers = {"Content-Type": "application/json"}

    async def pieces():
        for at in range(0, len(body), 65536):
            yield body[at : at + 65536]

    async with http.post(
        await serve(gateway) + "/v1/chat/completions", data=pieces(), headers=headers
    ) as response:
        assert response.status == 200
    assert upstream.seen[0].body == body


async def test_a_compressed_answer_arrives_unpacked_and_says_so(gateway, serve, http, aiohttp_server):
    async def handle(request):
        response = aiohttp.web.json_response({"text": "x" * 5000})
        response.enable_compression(aiohttp.web.ContentCoding.gzip)
        return response

    app = aiohttp.web.Application()
    app.router.add_post("/{tail:.*}", handle)
    server = await aiohttp_server(app)
    gateway.models.register("z", aigw.Provider(str(server.make_url("/")), name="zip"))
    url = await serve(gateway) + "/v1/chat/completions"
    headers = {"Accept-Encoding": "identity"}
    async with http.post(url, json={**ASK, "model": "z"}, headers=headers) as response:
        body = await response.read()
    assert json.loads(body) == {"text": "x" * 5000}
    assert "Content-Encoding" not in response.headers
    assert response.headers["Content-Length"] == str(len(body))


@pytest.mark.parametrize(
    "steps", [[b"[1]"], [b"<html>"], [b""], [b'{"a":'], [b'{"a":', CUT], [b"{", b'"a": 1', CUT]]
)
async def test_a_whole_answer_that_is_none_is_a_bad_gateway(gateway, upstream, serve, http, complete, steps):
    upstream.raw(*steps)
    async with http.post(await serve(gateway) + "/v1/chat/completions", json=ASK) as response:
        assert response.status == 502
        assert (await response.json())["error"]["code"].startswith("upstream_")
    assert [record.ending for record in complete] == ["refused"]


@pytest.mark.parametrize("stream", [True, False])
async def test_a_page_is_no_answer_of_a_model(gateway, upstream, serve, http, stream):
    upstream.raw(b"<html>please log in</html>", content_type="text/html")
    async with http.post(
        await serve(gateway) + "/v1/chat/completions", json={**ASK, "stream": stream}
    ) as response:
        assert response.status == 502
        assert (await response.json())["error"]["code"] == "upstream_protocol_error"


@pytest.mark.parametrize("content_type", ["text/plain", "application/problem+json"])
async def test_json_under_another_name_is_still_json(gateway, upstream, serve, http, content_type):
    upstream.raw(b'{"a": 1}', content_type=content_type)
    async with http.post(await serve(gateway) + "/v1/chat/completions", json=ASK) as response:
        assert response.headers["Content-Type"] == "application/json"
        assert await response.json() == {"a": 1}


async def test_a_stream_of_one_read_is_sent_and_ended_at_once(gateway, upstream, serve, http, complete):
    upstream.stream(sse(chunk("a")), 0.6)
    loop = asyncio.get_running_loop()
    async with http.post(
        await serve(gateway) + "/v1/chat/completions", json={**ASK, "stream": True}
    ) as response:
        start = loop.time()
        await response.read()
        assert loop.time() - start < 0.5  # the end is not held back for the provider's connection


# The watchdog as a unit.


class Request:
    transport = object()


async def _watch(**fields):
    task = asyncio.create_task(asyncio.sleep(10))
    await asyncio.sleep(0)
    return Watch(Request(), task, **fields)


@pytest.mark.parametrize(
    ("fields", "verdict"),
    [
        ({}, None),
        ({"deadline_at": 5.0}, Verdict.LATE),
        ({"hard_deadline_at": 5.0}, Verdict.LATE),
        ({"deadline_at": 50.0}, None),
    ],
)
async def test_a_watch_is_late_behind_either_deadline(fields, verdict):
    watch = await _watch(**fields)
    watch.judge(10.0)
    assert watch.verdict is verdict
    watch.task.cancel()
    await asyncio.gather(watch.task, return_exceptions=True)


async def test_a_client_that_is_gone_comes_before_every_other_verdict():
    watch = await _watch(deadline_at=5.0)
    watch.request = type("Gone", (), {"transport": None})()
    watch.judge(10.0)
    assert watch.verdict is Verdict.GONE
    assert watch.client_is_gone
    assert watch.recover() is None
    assert watch.verdict is Verdict.GONE
    await asyncio.gather(watch.task, return_exceptions=True)


async def test_a_cancellation_is_recovered_from_once_and_never_one_from_elsewhere():
    said = []

    async def work():
        watch = Watch(Request(), asyncio.current_task())
        watch.cancel(Verdict.LATE)
        watch.cancel(Verdict.STOPPED)  # the first verdict stands
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            said.append(watch.recover())
            said.append(watch.recover())
        asyncio.current_task().cancel()
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            said.append(watch.recover())
            raise

    (result,) = await asyncio.gather(asyncio.create_task(work()), return_exceptions=True)
    assert said == [Verdict.LATE, None, None]
    assert isinstance(result, asyncio.CancelledError)


async def test_the_watchdog_sleeps_when_there_is_nothing_to_watch(eventually):
    dog = Watchdog()
    watch = await _watch(deadline_at=0.0)
    dog.add(watch)
    assert len(dog) == 1
    await eventually(watch.task.cancelled)
    dog.remove(watch)
    await eventually(lambda: dog._timer is None)
    dog.add(watch)
    dog.close()
    assert dog._timer is None
