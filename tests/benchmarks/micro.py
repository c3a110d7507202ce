"""What single steps cost: a table of pytest-benchmark.

    pytest tests/benchmarks/micro.py

Its name keeps it out of the test run. Each step is called as the gateway calls it, and looked at once: a
step that went wrong is fast.
"""

import asyncio
from functools import partial
from types import SimpleNamespace

import orjson
import pytest
from benchmarks.harness.pieces import DIALECTS, answer, pieces_of, question
from benchmarks.harness.wire import KEY
from multidict import CIMultiDict, CIMultiDictProxy

import aigw
from aigw.builtin.keys import StaticKeys
from aigw.config import KeyConfig, Secret
from aigw.dialects.endpoints import ENDPOINTS
from aigw.model import TextDelta, unfold
from aigw.relay.passthrough import PassthroughRelay
from aigw.stores.base import ResponseRecord
from aigw.stores.memory import MemoryStore
from aigw.stores.sqlite import SqliteStore
from aigw.wire.headers import to_client, to_provider
from aigw.wire.sse import SseFramer

pytestmark = pytest.mark.benchmark(max_time=0.2, min_time=0.001)

dialects = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
pairs = pytest.mark.parametrize(
    ("theirs", "ours"),
    [pytest.param(a, b, id=f"{a.name}-{b.name}") for a in DIALECTS for b in DIALECTS if a is not b],
)
LINE = b'data: {"choices":[{"index":0,"delta":{"content":"word "},"finish_reason":null}]}\n\n'
NAMED = b'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"text":"word "}}\n\n'


@pytest.mark.benchmark(group="SSE framer, a read")
@pytest.mark.parametrize(
    ("read", "frames"),
    [
        pytest.param(LINE, 1, id="one-line"),
        pytest.param(NAMED, 1, id="named"),
        pytest.param(LINE * 10, 10, id="ten-at-once"),
        pytest.param(LINE[20:] + LINE[:20], 1, id="cut"),
    ],
)
def test_framer(benchmark, read, frames):
    framer = SseFramer()
    framer.feed(LINE[:20] if read[:1] != LINE[:1] and read is not NAMED else b"")
    assert len(benchmark(framer.feed, read)) == frames


@pytest.mark.benchmark(group="pass-through relay, a chunk")
@dialects
def test_relay(benchmark, dialect):
    before, text, _ = pieces_of(dialect)
    relay = PassthroughRelay(dialect.grammar)
    for piece in before:
        relay.feed(piece)
    assert relay.has_content
    assert benchmark(relay.feed, text) == text


@pytest.mark.benchmark(group="decoder, a text chunk")
@dialects
def test_decoder(benchmark, dialect):
    before, text, _ = pieces_of(dialect)
    decoder = dialect.stream_decoder()
    for piece in before:
        decoder.feed(piece)
    assert [type(event) for event in benchmark(decoder.feed, text)] == [TextDelta]


@pytest.mark.benchmark(group="encoder, a text chunk")
@dialects
def test_encoder(benchmark, dialect):
    encoder = dialect.stream_encoder(None)
    for event in unfold(answer()):
        encoder.encode(event)
        if isinstance(event, TextDelta):
            break
    assert b"word " in benchmark(encoder.encode, event)


@pytest.mark.benchmark(group="a request of 4 turns from one format into another, bytes to bytes")
@pairs
def test_request(benchmark, theirs, ours):
    told_by_the_path = {"model": "m", "stream": False}  # in Gemini's format
    body = orjson.dumps({**theirs.encode_request(question()).tree, **told_by_the_path})

    def translate():
        return orjson.dumps(ours.encode_request(theirs.decode_request(orjson.loads(body))).tree)

    assert benchmark(translate).count(b"word ") == body.count(b"word ")


@pytest.mark.benchmark(group="a whole answer from one format into another, bytes to bytes")
@pairs
def test_answer(benchmark, theirs, ours):
    body = orjson.dumps(theirs.encode_response(answer("word " * 60), None))

    def translate():
        return orjson.dumps(ours.encode_response(theirs.decode_response(orjson.loads(body)), None))

    assert benchmark(translate).count(b"word ") == 60


@pytest.mark.benchmark(group="picking headers")
@pytest.mark.parametrize("pick", [to_provider, to_client], ids=lambda pick: pick.__name__)
def test_headers(benchmark, pick):
    names = (
        "Host",
        "Authorization",
        "Accept",
        "Content-Type",
        "User-Agent",
        "Date",
        "x-ratelimit-limit-requests",
    )
    headers = CIMultiDictProxy(CIMultiDict(dict.fromkeys(names, "value")))
    assert "Authorization" not in benchmark(pick, headers)


@pytest.fixture(scope="module")
def gateway():
    """A gateway with some models, the one that is asked among them."""
    gateway, provider = aigw.Gateway(), aigw.DemoProvider()
    for number in range(20):
        gateway.models.register(f"other-{number}", provider)
    targets = [aigw.Target(provider, f"model-{number}", number + 1.0) for number in range(2)]
    gateway.models.register("m", targets=targets, aliases=["also"])
    gateway.models.register("vendor/*", provider)
    return gateway


@pytest.mark.benchmark(group="model lookup")
@pytest.mark.parametrize("name", ["m", "also", "vendor/large"])
def test_lookup(benchmark, gateway, name):
    assert benchmark(gateway.models.resolve, name) is not None


@pytest.mark.benchmark(group="choice between two targets by weight")
def test_choice(benchmark, gateway):
    chat = next(endpoint for endpoint in ENDPOINTS if endpoint.path == "/v1/chat/completions")
    seats = gateway.router.seated(gateway.models.resolve("m").groups, lambda _target: chat)
    assert len(benchmark(gateway.router.order, None, seats, gateway.router.clock())) == 2


@pytest.mark.benchmark(group="key hashed and looked up")
def test_key(benchmark):
    keys = StaticKeys([KeyConfig(key=Secret(KEY), tenant="bench")])
    exchange = SimpleNamespace(credential=KEY)

    def authenticate():
        try:
            keys.authenticate(exchange).send(None)
        except StopIteration as done:
            return done.value

    assert benchmark(authenticate).tenant == "bench"


@pytest.mark.benchmark(group="one response saved, one at a time")
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_save(benchmark, tmp_path, kind):
    store = MemoryStore() if kind == "memory" else SqliteStore(tmp_path / "state.db")
    record = partial(ResponseRecord, "bench", created_at=0.0, status="completed", body=b"a" * 2000)
    numbers = iter(range(10**9))
    with asyncio.Runner() as runner:
        runner.run(store.open())
        benchmark(lambda: runner.run(store.save(record(f"resp_{next(numbers)}"))))
        assert runner.run(store.response("bench", "resp_0")) is not None
        runner.run(store.close())
