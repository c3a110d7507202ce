"""Every fault, whole and streamed, in every client's format: the right answer, or one proper error.

The first target is spoilt and the second is good. What is asserted of each case: what the vendor's own SDK
makes of it, how often each provider was called, what `on_complete` is told, and that nothing stays open.
"""

import asyncio

import pytest
import pytest_asyncio
from aiohttp import web
from support.sdks import SDKS, Wish

import aigw
from aigw.upstream.chaos.fault import KINDS, Fault
from aigw.upstream.demo import DemoProvider
from aigw.upstream.provider import Timeouts

QUICK = Timeouts(connect_s=0.05, first_byte_s=0.05, read_s=0.1)
SLOW = Timeouts(connect_s=5, first_byte_s=5, read_s=5)
TEXT = "Say something of some length, so that there are several chunks of it."

# What the client gets: the spoilt target's own answer after all, that of the other one, or an error.
FIRST, SECOND, ERROR = "first", "second", "error"

# (fault, outcome for a whole answer, outcome for a stream)
CASES = [
    (Fault("pass"), FIRST, FIRST),
    (Fault("latency", head_s=0.02, first_byte_s=0.01), FIRST, FIRST),
    (Fault("drip", size_bytes=500, pause_s=0.001), FIRST, FIRST),
    (Fault("status", status=400), ERROR, ERROR),
    (Fault("status", status=401), SECOND, SECOND),
    (Fault("status", status=429, retry_after_s=60), SECOND, SECOND),
    (Fault("status", status=500), SECOND, SECOND),
    (Fault("status", status=503), SECOND, SECOND),
    (Fault("status", status=503, body="<html>busy</html>"), SECOND, SECOND),
    (Fault("connect"), SECOND, SECOND),
    (Fault("hang"), SECOND, SECOND),
    (Fault("empty"), SECOND, SECOND),
    (Fault("disguise"), SECOND, SECOND),
    (Fault("garbage"), SECOND, SECOND),
    (Fault("malformed"), SECOND, SECOND),
    (Fault("disconnect"), SECOND, SECOND),
    (Fault("disconnect", at_byte=30), SECOND, SECOND),
    (Fault("stream_error"), SECOND, SECOND),
    (Fault("silent"), SECOND, SECOND),
    # A stream that has begun cannot be taken back.
    (Fault("truncate"), SECOND, ERROR),
    (Fault("disconnect", at_byte=2500), SECOND, ERROR),
    # What breaks behind the end has broken nothing; without an end of its own, a body breaks off anywhere.
    (Fault("disconnect", at_byte=10**6), SECOND, FIRST),
    (Fault("garbage", after=9), None, ERROR),
    (Fault("stream_error", after=9), None, ERROR),
    (Fault("silent", after=9), None, ERROR),
]


def name_of(fault):
    more = {"status": fault.status, "disconnect": fault.at_byte}.get(fault.kind, fault.after or "")
    return f"{fault.kind}{more}{'-page' if fault.body else ''}"


MATRIX = [
    pytest.param(number, stream, outcome, id=f"{name_of(fault)}-{'stream' if stream else 'whole'}")
    for number, (fault, whole, streamed) in enumerate(CASES)
    for stream, outcome in ((False, whole), (True, streamed))
    if outcome is not None
]

# One server and one client of each SDK for all cases: to make them takes longer than a case.
pytestmark = pytest.mark.asyncio(loop_scope="module")


class House:
    """A gateway with a model for each case, of two targets, the first spoilt, and all that it was told."""

    name = "told"

    def __init__(self):
        self.gateway = aigw.Gateway()
        self.records = []
        self.gateway.hooks.register(self)
        self.pairs = {
            (model := f"{number}-{api}-{stream}"): self.pair(model, fault)
            for number, (fault, _, _) in enumerate(CASES)
            for api in SDKS
            for stream in (False, True)
        }

    def pair(self, model, fault):
        """Make a model of its own for a case, since what befalls a target is remembered of it."""
        spoilt, good = (DemoProvider(f"{name}-{model}", pace_s=0) for name in ("spoilt", "good"))
        spoilt.timeouts = QUICK if fault.kind in {"hang", "silent"} else SLOW
        first = aigw.ChaosProvider(spoilt, name=f"{FIRST}-{model}", script=[fault], repeat=True)
        second = aigw.ChaosProvider(good, name=f"{SECOND}-{model}")
        targets = [aigw.Target(first, "demo"), aigw.Target(second, "demo", weight=0)]
        self.gateway.models.register(model, targets=targets)
        return first, second

    def on_complete(self, record):
        self.records.append(record)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house():
    """The gateway, running; when all is over nothing of it is left."""
    before = asyncio.all_tasks()
    made = House()
    runner = web.AppRunner(made.gateway.make_app(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    made.sdks = {api: make(made.url) for api, make in SDKS.items()}
    yield made
    for sdk in made.sdks.values():
        await sdk.close()
    await runner.cleanup()
    left = [task for task in asyncio.all_tasks() - before - {asyncio.current_task()} if not task.done()]
    assert not left, left


async def ask(sdk, wish, *, stream):
    """Return the text the SDK understood, or the error it raised."""
    try:
        return (await sdk.ask(wish, stream=stream)).text, None
    except sdk.fails as error:
        return None, error


@pytest.mark.parametrize("api", SDKS)
@pytest.mark.parametrize(("number", "stream", "outcome"), MATRIX)
async def test_the_client_gets_the_right_answer_or_one_proper_error(
    house, eventually, api, number, stream, outcome
):
    model = f"{number}-{api}-{stream}"
    pair = house.pairs[model]
    house.records.clear()
    async with asyncio.timeout(10):
        text, error = await ask(house.sdks[api], Wish(TEXT, model=model), stream=stream)

    if outcome == ERROR:
        assert text is None
        assert "Traceback" not in str(error)
    else:
        assert error is None
        assert TEXT in text

    await eventually(lambda: house.records and not house.gateway.in_flight)
    [record] = house.records
    assert record.provider == pair[outcome == SECOND].name
    assert record.ending == ending_of(record, outcome)
    assert (record.error is None) is (outcome != ERROR)
    assert record.stream is stream

    calls = [provider.calls for provider in pair]
    assert calls == [1, 1 if outcome == SECOND else 0]
    assert [attempt.provider for attempt in record.attempts] == [pair[0].name, pair[1].name][: sum(calls)]
    assert [provider.running for provider in pair] == [0, 0]


def ending_of(record, outcome):
    """How an exchange must have ended: an error before anything was sent is an answer of its own."""
    if outcome != ERROR:
        return "complete"
    return "refused" if record.first_token_s is None else "failed"


async def test_every_kind_of_fault_is_in_the_matrix():
    assert {fault.kind for fault, _, _ in CASES} == set(KINDS)
