"""Three hundred streams that end in every way there is leave nothing behind."""

import asyncio
import gc
import itertools
import logging
import random
from pathlib import Path

import aiohttp
import pytest
from support.scripted import CUT, HANG, HELLO, Script, chunk, sse

import aigw
from aigw.pipeline.exchange import Exchange
from aigw.upstream.transport.base import TransportSettings

HEL = sse(chunk("Hel"), done=False)
DESCRIPTORS = Path("/proc/self/fd")
# What the provider does, and after how many seconds the client hangs up.
WAYS = {
    "complete": ([HELLO], None),
    "slowly": ([HEL, 0.01, HELLO], None),
    "cut before content": ([CUT], None),
    "cut behind content": ([HEL, 0.02, CUT], None),
    "no end": ([HEL], None),
    "error": ([HEL, sse({"error": {"message": "no"}}, done=False)], None),
    "early hang-up": ([HANG], 0.02),
    "hang-up behind the head": ([b": hello\n\n", HANG], 0.03),
    "late hang-up": ([HEL, HANG], 0.03),
    "hang-up in the flow": ([HEL, 0.005] * 100, 0.03),
}


class Choosing(list):
    """The script of the way that the request under way names, however many run at once."""

    def __init__(self, seen):
        super().__init__()
        self.seen = seen

    def __getitem__(self, index):
        headers = {"Content-Type": "text/event-stream"}
        return Script(200, headers, WAYS[self.seen[-1].json["user"]][0])


async def go(session, url, way):
    leave_after_s = WAYS[way][1]

    async def talk():
        body = {"model": "n", "messages": [], "stream": True, "user": way}
        async with session.post(url, json=body) as response:
            await response.read()

    task = asyncio.create_task(talk())
    if leave_after_s is not None:
        await asyncio.sleep(leave_after_s)
        task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="counts descriptors as Linux shows them")
async def test_nothing_is_left_of_streams_however_they_ended(
    gateway, upstream, serve, complete, eventually, caplog, monkeypatch
):
    caplog.set_level(logging.CRITICAL)
    settings = TransportSettings(keepalive_s=0.1)
    gateway.models.register("n", aigw.Provider(upstream.url, name="short", settings=settings))
    upstream.scripts = Choosing(upstream.seen)
    url = await serve(gateway) + "/v1/chat/completions"
    begun, watch = [], gateway.watchdog.add
    monkeypatch.setattr(gateway.watchdog, "add", lambda one: (begun.append(None), watch(one)))

    async def storm(count):
        ways = list(itertools.islice(itertools.cycle(WAYS), count))
        random.Random(7).shuffle(ways)
        async with aiohttp.ClientSession() as session:
            for at in range(0, count, 50):
                await asyncio.gather(*(go(session, url, way) for way in ways[at : at + 50]))
        await eventually(lambda: not gateway.in_flight and not upstream.open)
        upstream.seen.clear()

    def left():
        return len(asyncio.all_tasks()), len(list(DESCRIPTORS.iterdir()))

    await storm(20)  # what is made once, and kept, is made now
    await asyncio.sleep(0.5)
    before = left()
    complete.clear()
    begun.clear()
    await storm(300)
    assert 200 < len(begun) <= 300  # some clients left before their request was there
    assert len(complete) == len(begun)
    assert {record.ending.value for record in complete} == {"complete", "refused", "failed", "hung_up"}
    complete.clear()
    await eventually(lambda: left() <= before)
    assert gateway.in_flight == upstream.open == 0
    gc.collect()
    assert not [
        thing for thing in gc.get_objects() if isinstance(thing, Exchange) and thing.gateway is gateway
    ]
