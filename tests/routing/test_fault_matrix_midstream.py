"""A stream that breaks when it has begun, in every client's format: one proper error, or another goes on.

The first target is spoilt behind its first text, the second is good. Without `continue_streams` the client is
told, once, in its format; with it the second target's text follows the first one's in the same stream.
"""

import asyncio
import json

import pytest
import pytest_asyncio
from aiohttp import ClientSession, web
from support.responses_automaton import accept
from support.sdks import SDKS, Wish

import aigw
from aigw.pipeline.continued import PLEASE_GO_ON
from aigw.relay.legs import ESTIMATED
from aigw.upstream.chaos.fault import Fault
from aigw.upstream.demo import DemoProvider
from aigw.upstream.provider import Timeouts

QUICK = Timeouts(connect_s=0.05, first_byte_s=0.05, read_s=0.1)
SLOW = Timeouts(connect_s=5, first_byte_s=5, read_s=5)
TEXT = "Say something of some length, so that there are several chunks of it."
SAID = "Hello! You"

FAULTS = [
    Fault("truncate"),
    Fault("disconnect", at_byte=2500),
    Fault("garbage", after=9),
    Fault("malformed", after=9),
    Fault("stream_error", after=9),
    Fault("stream_error", after=9, status=429),
    Fault("silent", after=9),
]
NAMES = [f"{fault.kind}{fault.status if fault.status != 503 else ''}" for fault in FAULTS]

BODIES = {
    "chat": ("/v1/chat/completions", {"messages": [{"role": "user", "content": TEXT}], "stream": True}),
    "responses": ("/v1/responses", {"input": TEXT, "stream": True, "store": False}),
    "messages": (
        "/v1/messages",
        {"messages": [{"role": "user", "content": TEXT}], "max_tokens": 400, "stream": True},
    ),
    "gemini": (
        "/v1beta/models/{model}:streamGenerateContent?alt=sse",
        {"contents": [{"role": "user", "parts": [{"text": TEXT}]}]},
    ),
}

pytestmark = pytest.mark.asyncio(loop_scope="module")


class House:
    """A gateway with a model of two targets for each case, the first spoilt, and all that it was told."""

    name = "told"

    def __init__(self):
        self.gateway = aigw.Gateway()
        self.records = []
        self.gateway.hooks.register(self)
        self.pairs = {}

    def pair(self, model, fault):
        spoilt, good = (DemoProvider(f"{name}-{model}", pace_s=0) for name in ("spoilt", "good"))
        spoilt.timeouts = QUICK if fault.kind == "silent" else SLOW
        first = aigw.ChaosProvider(spoilt, name=f"first-{model}", script=[fault], repeat=True)
        second = aigw.ChaosProvider(good, name=f"second-{model}")
        targets = [aigw.Target(first, "demo"), aigw.Target(second, "demo", weight=0)]
        self.gateway.models.register(model, targets=targets)
        self.pairs[model] = (first, second)

    def on_complete(self, record):
        self.records.append(record)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house():
    """The gateway, running; when all is over nothing of it is left."""
    before = asyncio.all_tasks()
    made = House()
    for api in SDKS:
        for number, fault in enumerate(FAULTS):
            for use in ("error", "frames", "on", "onframes"):
                made.pair(f"{number}-{api}-{use}", fault)
    runner = web.AppRunner(made.gateway.make_app(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    made.sdks = {api: make(made.url) for api, make in SDKS.items()}
    async with ClientSession() as made.http:
        yield made
    for sdk in made.sdks.values():
        await sdk.close()
    await runner.cleanup()
    left = [task for task in asyncio.all_tasks() - before - {asyncio.current_task()} if not task.done()]
    assert not left, left


async def the_record(house, eventually, model, calls):
    """Return the one record there is; whatever was called has been called so often, and is over."""
    await eventually(lambda: house.records and not house.gateway.in_flight)
    [record] = house.records
    pair = house.pairs[model]
    assert [provider.calls for provider in pair] == calls
    assert [provider.running for provider in pair] == [0, 0]
    assert [attempt.provider for attempt in record.attempts] == [each.name for each in pair][: sum(calls)]
    assert record.first_token_s is not None
    return record


async def raw(house, api, model, headers):
    """Ask without an SDK; return the frames as (event, tree or text)."""
    path, body = BODIES[api]
    url = house.url + path.replace("{model}", model)
    async with house.http.post(url, json={**body, "model": model}, headers=headers) as response:
        assert response.status == 200
        text = (await response.read()).decode()
    frames = []
    for block in text.replace("\r\n", "\n").split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n") if line and not line.startswith(":"))
        if "data" in lines:
            data = lines["data"]
            frames.append((lines.get("event"), data if data == "[DONE]" else json.loads(data)))
    return frames


def ends_of(api, frames):
    """Return the frames that end a stream of this format, well or not."""
    kinds = {"responses": {"response.completed", "response.failed", "response.incomplete"}}
    if api == "responses":
        return [tree["type"] for _, tree in frames if tree != "[DONE]" and tree["type"] in kinds[api]]
    if api == "messages":
        return [tree["type"] for _, tree in frames if tree["type"] in {"message_stop", "error"}]
    if api == "gemini":
        return [
            "error" if "error" in tree else "finish"
            for _, tree in frames
            if "error" in tree or any("finishReason" in each for each in tree.get("candidates", ()))
        ]
    return [
        "done" if tree == "[DONE]" else "error" for _, tree in frames if tree == "[DONE]" or "error" in tree
    ]


GOOD_END = {"chat": "done", "responses": "response.completed", "messages": "message_stop", "gemini": "finish"}


@pytest.mark.parametrize("api", SDKS)
@pytest.mark.parametrize("number", range(len(FAULTS)), ids=NAMES)
async def test_the_sdk_raises_one_proper_error(house, eventually, api, number):
    model = f"{number}-{api}-error"
    house.records.clear()
    sdk = house.sdks[api]
    async with asyncio.timeout(10):
        with pytest.raises(sdk.fails) as raised:
            await sdk.ask(Wish(TEXT, model=model), stream=True)
    assert "Traceback" not in str(raised.value)
    record = await the_record(house, eventually, model, [1, 0])
    assert record.ending == "failed"
    assert record.error is not None
    assert record.attempts[0].error == record.error


@pytest.mark.parametrize("api", SDKS)
@pytest.mark.parametrize("number", range(len(FAULTS)), ids=NAMES)
async def test_the_stream_has_exactly_one_end(house, eventually, api, number):
    model = f"{number}-{api}-frames"
    house.records.clear()
    frames = await raw(house, api, model, {})
    [end] = ends_of(api, frames)
    assert end in {"error", "response.failed"}
    if api == "responses":
        trees = [tree for _, tree in frames if tree != "[DONE]"]
        assert [tree["type"] for tree in trees[-2:]] == ["error", "response.failed"]
        if FAULTS[number].kind != "stream_error":  # that one the provider has numbered, and its bytes pass
            assert [tree["sequence_number"] for tree in trees] == list(range(len(trees)))
    await the_record(house, eventually, model, [1, 0])


@pytest.mark.parametrize("api", SDKS)
@pytest.mark.parametrize("number", range(len(FAULTS)), ids=NAMES)
async def test_another_goes_on_where_that_is_wanted(house, eventually, api, number):
    model = f"{number}-{api}-on"
    house.records.clear()
    wish = Wish(TEXT, model=model, headers={"x-aigw-continue": "true"})
    async with asyncio.timeout(10):
        told = await house.sdks[api].ask(wish, stream=True)
    assert told.text.startswith(SAID)
    assert PLEASE_GO_ON[:20] in told.text  # the demo repeats what it is asked
    assert told.finish.lower() in {"stop", "completed", "end_turn", "finishreason.stop"}
    record = await the_record(house, eventually, model, [1, 1])
    assert record.ending == "complete"
    assert record.error is None
    assert record.provider == house.pairs[model][1].name
    assert record.attempts[0].error is not None
    assert record.usage.output_tokens > len(told.text.split(PLEASE_GO_ON[:20])[1].split())
    assert "output_tokens" in record.usage.extras[ESTIMATED]
    assert told.usage == (record.usage.input_tokens, record.usage.output_tokens)


@pytest.mark.parametrize("api", SDKS)
@pytest.mark.parametrize("number", range(len(FAULTS)), ids=NAMES)
async def test_the_joined_stream_is_one_well_formed_stream(house, eventually, api, number):
    model = f"{number}-{api}-onframes"
    house.records.clear()
    frames = await raw(house, api, model, {"x-aigw-continue": "true"})
    assert ends_of(api, frames) == [GOOD_END[api]]
    trees = [tree for _, tree in frames if tree != "[DONE]"]
    if api == "responses":
        accept(trees)
        assert [item["type"] for item in trees[-1]["response"]["output"]] == ["message"]
    elif api == "messages":
        kinds = [tree["type"] for tree in trees]
        for once in ("message_start", "content_block_start", "content_block_stop", "message_delta"):
            assert kinds.count(once) == 1
    elif api == "chat":
        assert len({tree["id"] for tree in trees}) == 1
        roles = [each["delta"]["role"] for t in trees for each in t["choices"] if each["delta"].get("role")]
        assert roles == ["assistant"]
    await the_record(house, eventually, model, [1, 1])
