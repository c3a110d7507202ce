"""Metrics of several workers added up: those that live, those that died, and those in between."""

import asyncio
from contextlib import AsyncExitStack

import orjson
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from aigw.builtin import metrics_shared
from aigw.builtin.metrics_shared import Sum, absorb, packed, sharing


class Counting(Collector):
    """What a worker counts, as far as this module cares: `Metrics` in small."""

    def __init__(self, count=0, in_flight=0):
        self.count, self.in_flight = count, in_flight
        self.registry, self.source = CollectorRegistry(), None
        self.registry.register(self)

    def collect(self):
        counter = CounterMetricFamily("seen", "Seen", labels=["model"])
        counter.add_metric(["m"], self.count)
        yield counter
        histogram = HistogramMetricFamily("took", "Took", labels=["model"])
        histogram.add_metric(["m"], [("1.0", self.count), ("+Inf", self.count + 1)], sum_value=0.5)
        yield histogram
        yield GaugeMetricFamily("running", "Running", value=self.in_flight)


@pytest.fixture
async def start(tmp_path):
    """Start workers' parts by their names; `end` ends one as a worker that was told to."""
    async with AsyncExitStack() as stack:

        async def begin(name, count=0, in_flight=0):
            counting = Counting(count, in_flight)
            counting.life = await stack.enter_async_context(AsyncExitStack())
            counting.files = tmp_path / name
            await counting.life.enter_async_context(sharing(counting, counting.files))
            return counting

        yield begin


async def scraped(counting):
    total = await counting.source()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in total.collect()
        for sample in family.samples
    }


async def killed(counting):
    """End a worker's part as SIGKILL does: the socket and the file stay as they are."""
    kept = counting.files.with_suffix(".json").read_bytes()
    await counting.life.aclose()
    counting.files.with_suffix(".json").write_bytes(kept)


async def test_every_worker_tells_the_sum_of_all_as_it_is_now(start):
    one, two, three = await start("1", 3, 1), await start("2", 4, 2), await start("3")
    three.count += 5
    samples = await scraped(one)
    assert samples["seen_total", "m"] == 12
    assert samples["took_bucket", "m", "1.0"] == 12
    assert samples["took_bucket", "m", "+Inf"] == samples["took_count", "m"] == 15
    assert samples["took_sum", "m"] == 1.5
    assert samples[("running",)] == 3
    assert samples[("aigw_workers",)] == 3
    assert samples == await scraped(two) == await scraped(three)


async def test_of_one_that_ended_all_counts_stay_and_no_gauges(start):
    one, two = await start("1", 3, 1), await start("2", 4, 2)
    two.count += 1
    await two.life.aclose()
    for _ in range(2):
        samples = await scraped(one)
        assert (samples["seen_total", "m"], samples[("running",)], samples[("aigw_workers",)]) == (8, 1, 1)
        absorb(two.files)
    assert not list(two.files.parent.glob("2.*"))


async def test_what_was_told_once_is_never_lost(start):
    one, two = await start("1"), await start("2")
    two.count = 7
    assert (await scraped(one))["seen_total", "m"] == 7
    two.count = 9
    await killed(two)
    assert (await scraped(one))["seen_total", "m"] == 7
    absorb(two.files)
    assert (await scraped(one))["seen_total", "m"] == 7


async def test_one_that_is_read_while_it_is_put_among_the_dead_counts_once(start):
    one, two = await start("1"), await start("2", 4)
    await two.life.aclose()
    kept = two.files.with_suffix(".json").read_bytes()
    absorb(two.files)
    two.files.with_suffix(".json").write_bytes(kept)
    assert (await scraped(one))["seen_total", "m"] == 4


async def test_the_dead_add_up_and_the_supervisor_remembers_a_bounded_number(start, monkeypatch):
    monkeypatch.setattr(metrics_shared, "REMEMBERED", 2)
    one = await start("0", 1)
    for name in ("1", "2", "3"):
        each = await start(name, 10)
        await each.life.aclose()
        absorb(each.files)
    assert (await scraped(one))["seen_total", "m"] == 31
    gone = orjson.loads((one.files.parent / "gone.json").read_bytes())
    assert gone["merged"] == ["2", "3"]


async def test_a_worker_that_does_not_answer_counts_as_it_last_said(start, monkeypatch):
    monkeypatch.setattr(metrics_shared, "ASK_S", 0.05)
    one, two = await start("1", 1, 1), await start("2", 4, 2)
    await two.life.aclose()

    async def silent(reader, writer):
        await reader.read()
        writer.close()

    async with await asyncio.start_unix_server(silent, two.files.with_suffix(".sock")):
        samples = await scraped(one)
    assert (samples["seen_total", "m"], samples[("running",)], samples[("aigw_workers",)]) == (5, 1, 1)


async def test_half_an_answer_is_none(start):
    one, two = await start("1", 1), await start("2", 4)
    await two.life.aclose()

    async def cut_off(_, writer):
        writer.write(b'[["seen"')
        writer.close()

    async with await asyncio.start_unix_server(cut_off, two.files.with_suffix(".sock")):
        assert (await scraped(one))["seen_total", "m"] == 5


async def test_a_file_is_written_now_and_then_without_being_asked(start, monkeypatch, eventually):
    monkeypatch.setattr(metrics_shared, "KEEP_S", 0.01)
    one = await start("1")
    one.count = 3
    file = one.files.with_suffix(".json")
    await eventually(lambda: file.exists() and b'{"model":"m"},3' in file.read_bytes())


async def test_a_folder_that_is_gone_is_told_once_and_hurts_nobody(start, monkeypatch, caplog):
    one = await start("1", 3)
    monkeypatch.setattr(metrics_shared, "_write", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    for _ in range(2):
        assert (await scraped(one))["seen_total", "m"] == 3
    assert caplog.text.count("disk full") == 1


async def test_a_path_too_long_for_a_socket_leaves_the_file(tmp_path, caplog):
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    counting = Counting(2)
    async with sharing(counting, folder / "1"):
        assert (await scraped(counting))["seen_total", "m"] == 2
    assert "lag behind" in caplog.text


def gauge(name, value):
    return packed([GaugeMetricFamily(name, "text", value=value)])


@pytest.mark.parametrize(
    ("name", "value"),
    [("aigw_in_flight", 5), ("aigw_state_up", 2), ("process_start_time_seconds", 2), ("aigw_info", 3)],
)
def test_gauges_are_added_but_for_those_of_which_one_says_it(name, value):
    total = Sum()
    for each in (3, 2):
        total.add(gauge(name, each), lives=True)
    ((sample,),) = [family.samples for family in total.collect()]
    assert sample.value == value
