"""The laws of the hooks at the end of an exchange: `on_error` and `on_complete`."""

import asyncio
import json

import pytest
from aiohttp import web
from support.plugins import CHAT, STREAM, use
from support.scripted import HANG, HELLO, chunk, sse

import aigw
from aigw.config import ServerConfig


async def test_on_error_replaces_the_error_once(gateway, upstream, post, complete):
    upstream.answer({"error": {"message": "internal name"}}, status=500)
    seen = []

    async def on_error(exchange, error):
        assert not exchange.committed
        seen.append(error.kind)
        return aigw.ServerError("try later", kind=aigw.ErrorKind.UNAVAILABLE)

    use(gateway, on_error=on_error)
    status, _, text = await post(gateway)
    assert (status, json.loads(text)["error"]["message"]) == (503, "try later")
    assert seen == [aigw.ErrorKind.UPSTREAM_ERROR]
    assert complete[0].error == "service_unavailable"


async def test_on_error_is_asked_of_an_error_amid_a_stream_too(gateway, upstream, post):
    upstream.stream(sse(chunk("a"), done=False), 0.05, "cut")
    seen = []

    async def on_error(exchange, error):
        seen.append(error.kind)
        return aigw.UpstreamError("told differently")

    use(gateway, on_error=on_error)
    _, _, text = await post(gateway, STREAM)
    assert "told differently" in text
    assert seen == [aigw.ErrorKind.UPSTREAM_TRUNCATED]


async def test_on_error_is_not_asked_when_all_is_well_or_another_target_answered(gateway, upstream, post):
    upstream.raw(b"no", status=503)
    upstream.answer()
    provider = gateway.models.providers["up"]
    gateway.models.register("two", targets=[aigw.Target(provider, "a"), aigw.Target(provider, "b", weight=0)])
    seen = []

    async def on_error(exchange, error):
        seen.append(error)

    use(gateway, on_error=on_error)
    assert (await post(gateway, {**CHAT, "model": "two"}))[0] == 200
    assert seen == []


@pytest.mark.parametrize(
    ("script", "body", "ending", "status"),
    [
        ([HELLO], STREAM, "complete", 200),
        ([sse(chunk("a"), done=False), "cut"], STREAM, "failed", 200),
        ([sse(), "cut"], {"model": "nothing"}, "refused", 404),
    ],
)
async def test_on_complete_runs_once_at_every_end(
    gateway, upstream, post, complete, eventually, script, body, ending, status
):
    upstream.stream(*script)
    await post(gateway, body)
    await eventually(lambda: complete)
    await asyncio.sleep(0.05)
    assert [(record.ending, record.status) for record in complete] == [(ending, status)]


async def test_on_complete_runs_once_when_the_client_hangs_up(
    gateway, upstream, http, serve, complete, eventually
):
    upstream.stream(sse(chunk("a"), done=False), HANG)
    url = await serve(gateway)
    async with http.post(url + "/v1/chat/completions", json=STREAM) as response:
        await response.content.readany()
        response.close()
    await eventually(lambda: complete)
    await eventually(lambda: upstream.dropped)
    assert [record.ending for record in complete] == ["hung_up"]


async def test_on_complete_runs_once_when_the_gateway_stops(
    gateway, upstream, http, serve, complete, eventually
):
    upstream.stream(sse(chunk("a"), done=False), HANG)
    url = await serve(gateway)
    async with http.post(url + "/v1/chat/completions", json=STREAM) as response:
        await response.content.readany()
        assert not await gateway.drain(0.1)
        assert "shutting down" in (await response.content.read()).decode()
    await eventually(lambda: complete)
    assert len(complete) == 1


async def test_on_complete_runs_once_when_a_server_that_is_not_ours_stops(upstream, http, complete, gateway):
    upstream.stream(sse(chunk("a"), done=False), HANG)
    gateway.config = aigw.Config(server=ServerConfig(drain_timeout_s=0.1))
    parent = web.Application()
    parent.add_subapp("/ai/", gateway.make_app())
    runner = web.AppRunner(parent)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/ai/v1/chat/completions"
    async with http.post(url, json=STREAM) as response:
        await response.content.readany()
        await runner.cleanup()
        assert "shutting down" in (await response.content.read()).decode()
    assert len(complete) == 1


async def test_on_complete_that_fails_keeps_nobody_else_from_being_told(gateway, upstream, post, caplog):
    upstream.answer()
    told = []

    def broken(record):
        raise ValueError("oops")

    use(gateway, "a", on_complete=broken)
    use(gateway, "b", on_complete=lambda record: told.append(record.ending))
    assert (await post(gateway))[0] == 200
    assert len(told) == 1
    assert "plugin a failed in on_complete" in caplog.text


def retells(seen, text=None, raises=None):
    async def on_error(exchange, error):
        seen.append(error.message)
        if raises is not None:
            raise raises
        return text and aigw.ServerError(text, kind=aigw.ErrorKind.UNAVAILABLE)

    return on_error


@pytest.mark.parametrize("amid_a_stream", [False, True])
async def test_on_error_of_every_plugin_gets_the_error_as_the_one_before_has_left_it(
    gateway, upstream, post, complete, amid_a_stream
):
    upstream.stream(sse(chunk("a"), done=False), 0.05, "cut")
    seen = []
    use(gateway, "a", on_error=retells(seen, "first"))
    use(gateway, "b", on_error=retells(seen))
    use(gateway, "c", on_error=retells(seen, raises=aigw.ClientError("second")))
    use(gateway, "d", on_error=retells(seen, raises=ValueError("oops")), on_failure="open")
    use(gateway, "e", on_error=retells(seen, raises=ValueError("oops")))
    use(gateway, "f", on_error=retells(seen, "last"))
    _, _, text = await post(gateway, STREAM if amid_a_stream else {**CHAT, "model": "nothing"})
    assert seen[1:5] == ["first", "first", "second", "second"]
    assert seen[5].startswith('plugin "e" failed in on_error')
    assert len(seen) == 6
    assert '"last"' in text
    assert complete[0].message == "last"


async def test_on_error_sees_a_providers_own_error_amid_a_stream_once_and_cannot_change_it(
    gateway, upstream, post, complete
):
    own = sse({"error": {"message": "no more", "type": "server_error", "code": "server_error"}}, done=False)
    upstream.stream(sse(chunk("a"), done=False), 0.05, own)
    seen = []
    use(gateway, on_error=retells(seen, "told differently"))
    use(gateway, "q", on_error=retells(seen))
    _, _, text = await post(gateway, STREAM)
    assert seen == ["no more", "told differently"]
    assert text.count('"error"') == 1
    assert "told differently" not in text
    assert (complete[0].ending, complete[0].message) == ("failed", "no more")
