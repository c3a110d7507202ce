"""Metrics: what is counted, in a form that Prometheus reads, and never without bound."""

import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.scripted import CUT, HELLO, USAGE_CHUNK, chunk, sse

import aigw
from aigw.builtin import metrics
from aigw.config import ServerConfig

PATH = "/v1/chat/completions"


async def ask(http, url, model="m", stream=False):
    async with http.post(url + PATH, json={"model": model, "messages": [], "stream": stream}) as response:
        await response.read()


async def scrape(http, url):
    """Return every sample as {(name, ((label, value), ...)): value}."""
    async with http.get(url + "/metrics") as response:
        assert response.status == 200
        assert response.content_type == "text/plain"
        text = await response.text()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def pick(samples, name, **labels):
    """Add up the samples of one name that have these labels."""
    found = [
        value for (known, pairs), value in samples.items() if known == name and labels.items() <= set(pairs)
    ]
    return sum(found)


@pytest.fixture
async def url(gateway, upstream, serve):
    upstream.answer()
    return await serve(gateway)


async def test_requests_attempts_and_tokens_are_counted(url, http):
    for _ in range(3):
        await ask(http, url)
    samples = await scrape(http, url)
    labels = {"api": "chat", "model": "m", "provider": "up", "status": "200"}
    assert pick(samples, "aigw_requests_total", **labels) == 3
    assert pick(samples, "aigw_attempts_total", provider="up", outcome="ok") == 3
    assert pick(samples, "aigw_tokens_total", provider="up", model="m", kind="input") == 9
    assert pick(samples, "aigw_tokens_total", provider="up", model="m", kind="output") == 6
    assert pick(samples, "aigw_endings_total", api="chat", mode="whole", ending="complete") == 3
    assert pick(samples, "aigw_in_flight") == 0
    assert pick(samples, "aigw_info", version=aigw.__version__) == 1


async def test_histograms_are_cumulative_and_end_in_infinity(url, http):
    for _ in range(3):
        await ask(http, url)
    samples = await scrape(http, url)
    name = "aigw_request_duration_seconds"
    buckets = [
        (float(dict(pairs)["le"]), value)
        for (known, pairs), value in samples.items()
        if known == name + "_bucket"
    ]
    values = [value for _, value in sorted(buckets)]
    assert values == sorted(values)
    assert max(buckets)[0] == float("inf")
    assert values[-1] == pick(samples, name + "_count") == 3
    assert 0 < pick(samples, name + "_sum") < 3


async def test_streams_are_counted_with_tokens_and_time_to_first_token(gateway, upstream, serve, http):
    upstream.stream(HELLO[: HELLO.index(b"data: [DONE]")] + sse(USAGE_CHUNK))
    url = await serve(gateway)
    await ask(http, url, stream=True)
    samples = await scrape(http, url)
    assert pick(samples, "aigw_endings_total", mode="stream", ending="complete") == 1
    assert pick(samples, "aigw_tokens_total", kind="output") == 2
    assert pick(samples, "aigw_time_to_first_token_seconds_count", provider="up") == 1


async def test_failures_are_counted_by_kind_and_ending(gateway, upstream, serve, http):
    upstream.answer({"error": {"message": "x"}}, status=500)
    upstream.answer({"error": {"message": "x"}}, status=500)  # the retry
    upstream.answer({"error": {"message": "x", "code": "odd"}}, status=400)
    upstream.stream(sse(chunk("Hel"), done=False), 0.05, CUT)
    url = await serve(gateway)
    await ask(http, url)
    await ask(http, url)
    await ask(http, url, stream=True)
    await ask(http, url, model="unknown")
    samples = await scrape(http, url)
    assert pick(samples, "aigw_endings_total", ending="refused") == 3
    assert pick(samples, "aigw_endings_total", ending="failed", mode="stream") == 1
    assert pick(samples, "aigw_requests_total", status="502") == 1
    assert pick(samples, "aigw_requests_total", status="404", model="unknown", provider="none") == 1
    assert pick(samples, "aigw_attempts_total", outcome="ok") == 0
    assert pick(samples, "aigw_attempts_total", outcome="upstream_truncated") == 1
    assert pick(samples, "aigw_attempts_total", provider="up") == 4


async def test_made_up_names_add_no_series(gateway, upstream, serve, http):
    upstream.answer()
    gateway.models.register("free/*", gateway.models.providers["up"])
    url = await serve(gateway)
    await ask(http, url, model="nothing-0")
    await ask(http, url, model="free/0")
    await ask(http, url, model="up/0")
    before = (await scrape(http, url)).keys()
    for at in range(1, 500):
        await ask(http, url, model=f"nothing-{at}")
        await ask(http, url, model=f"free/{at}")
        await ask(http, url, model=f"up/{at}")
    samples = await scrape(http, url)
    assert samples.keys() == before
    assert pick(samples, "aigw_requests_total", model="free/*") == 500
    assert pick(samples, "aigw_requests_total", model="up/*") == 500
    assert pick(samples, "aigw_requests_total", model="unknown") == 500


async def test_past_the_limit_everything_new_is_called_other(gateway, upstream, serve, http, monkeypatch):
    monkeypatch.setattr(metrics, "MAX_SERIES", 5)
    provider = gateway.models.providers["up"]
    for at in range(10):
        gateway.models.register(f"model-{at}", provider)
        upstream.answer({"error": {"message": "x", "code": f"made-up-{at}"}}, status=400)
    url = await serve(gateway)
    for at in range(10):
        await ask(http, url, model=f"model-{at}")
    samples = await scrape(http, url)
    assert pick(samples, "aigw_requests_total", model="other") == 5
    assert pick(samples, "aigw_attempts_total", outcome="other") == 5
    assert pick(samples, "aigw_requests_total") == 10
    assert pick(samples, "aigw_attempts_total") == 10


async def test_labels_that_need_escapes_are_escaped(gateway, upstream, serve, http):
    upstream.answer()
    gateway.models.register('a"b\\c', gateway.models.providers["up"])
    url = await serve(gateway)
    await ask(http, url, model='a"b\\c')
    assert pick(await scrape(http, url), "aigw_requests_total", model='a"b\\c') == 1


async def test_metrics_can_be_turned_off(serve, http):
    gateway = aigw.Gateway(aigw.Config(server=ServerConfig(metrics=False)))
    async with http.get(await serve(gateway) + "/metrics") as response:
        assert response.status == 404
        assert (await response.json())["error"]["code"] == "unknown_url"


async def test_what_is_being_answered_now_is_counted(gateway, upstream, serve, http, eventually):
    upstream.stream(sse(chunk("Hel"), done=False), 0.1, sse(chunk("lo"), chunk(finish="stop")))
    url = await serve(gateway)
    body = {"model": "m", "messages": [], "stream": True}
    async with http.post(url + PATH, json=body) as response:
        assert pick(await scrape(http, url), "aigw_in_flight") == 1
        await response.read()
    await eventually(lambda: not gateway.in_flight)
    assert pick(await scrape(http, url), "aigw_in_flight") == 0
