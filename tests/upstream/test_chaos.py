"""The chaos provider: every fault as whoever calls the provider sees it, and the count of them."""

import asyncio
from collections import Counter

import orjson
import pytest
from multidict import CIMultiDict

import aigw
from aigw.assemble import assemble, to_config
from aigw.dialects.endpoints import ENDPOINTS
from aigw.upstream.chaos.fault import KINDS
from aigw.upstream.chaos.injections import INJECTIONS
from aigw.upstream.demo import DemoProvider

ENDPOINT = {endpoint.path: endpoint for endpoint in ENDPOINTS}
CHAT = "/v1/chat/completions"
ERROR_TYPES = {
    CHAT: ("error", "type", "server_error"),
    "/v1/messages": ("error", "type", "overloaded_error"),
    "/v1beta/models/{model}:generateContent": ("error", "status", "UNAVAILABLE"),
}


def call(*, stream=False, path=CHAT, text="hi there"):
    body = {"model": "demo", "stream": stream, "messages": [{"role": "user", "content": text}]}
    headers = CIMultiDict({"Content-Type": "application/json"})
    return aigw.Call(ENDPOINT[path], "demo", path, headers, orjson.dumps(body), stream)


def chaos(*script, **options):
    return aigw.ChaosProvider(DemoProvider(pace_s=0, clock=lambda: 1), script=script, **options)


async def read(provider, **asked):
    """Return the status and chunks of an answer, and what broke it off, if something did."""
    answer = await provider.call(call(**asked))
    chunks, broke = [], None
    try:
        while chunk := await answer.chunk():
            chunks.append(chunk)
    except aigw.UpstreamError as error:
        broke = error
    finally:
        await answer.close()
    return answer, chunks, broke


async def good(*, stream):
    answer = await DemoProvider(pace_s=0, clock=lambda: 1).call(call(stream=stream))
    return await answer.read()


@pytest.fixture(params=[False, True], ids=["whole", "stream"])
def stream(request):
    return request.param


@pytest.mark.parametrize("fault", ["pass", "drip", "latency"])
async def test_what_only_delays_changes_no_byte(stream, fault):
    _, chunks, broke = await read(chaos(fault), stream=stream)
    assert b"".join(chunks) == await good(stream=stream)
    assert broke is None


async def test_a_drip_gives_few_bytes_at_a_time(stream):
    drip = aigw.Fault("drip", size_bytes=50, pause_s=0)
    _, chunks, _ = await read(chaos(drip), stream=stream)
    assert max(map(len, chunks)) == 50


async def test_latency_comes_before_the_head_the_first_byte_and_each_chunk(monkeypatch):
    waits = []
    real = asyncio.sleep

    async def sleep(seconds):
        waits.append(seconds)
        await real(0)

    monkeypatch.setattr("aigw.upstream.chaos.injections.asyncio.sleep", sleep)
    late = aigw.Fault("latency", head_s=3, first_byte_s=2, chunk_s=1)
    _, chunks, _ = await read(chaos(late), stream=True)
    assert [wait for wait in waits if wait] == [3, 2] + [1] * (len(chunks) - 1)


@pytest.mark.parametrize("path", ERROR_TYPES)
async def test_a_status_has_its_formats_error_and_says_when_to_come_back(path):
    provider = chaos(aigw.Fault("status", status=503, retry_after_s=1.5))
    answer = await provider.call(call(path=path))
    body = orjson.loads(await answer.read())
    outer, field, value = ERROR_TYPES[path]
    assert answer.status == 503
    assert body[outer][field] == value
    assert answer.headers["Retry-After"] == "2"
    assert answer.headers["retry-after-ms"] == "1500"
    assert provider.passed == 0


async def test_a_status_may_have_a_body_of_its_own():
    answer = await chaos(aigw.Fault("status", status=500, body="<html>")).call(call())
    assert (answer.status, await answer.read()) == (500, b"<html>")


async def test_no_connection_is_an_error_that_names_the_provider():
    provider = chaos("connect", name="flaky")
    with pytest.raises(aigw.UpstreamError) as caught:
        await provider.call(call())
    assert caught.value.kind is aigw.ErrorKind.UPSTREAM_UNREACHABLE
    assert caught.value.provider == "flaky"
    assert provider.running == 0


@pytest.mark.parametrize("at_byte", [0, 1, 77, 10**6])
async def test_a_disconnect_cuts_at_its_byte_or_at_the_end(stream, at_byte):
    whole = await good(stream=stream)
    _, chunks, broke = await read(chaos(aigw.Fault("disconnect", at_byte=at_byte)), stream=stream)
    assert b"".join(chunks) == whole[:at_byte]
    assert broke.kind is aigw.ErrorKind.UPSTREAM_TRUNCATED


async def test_a_truncated_stream_ends_cleanly_before_its_finish_reason():
    _, chunks, broke = await read(chaos("truncate"), stream=True)
    told = b"".join(chunks)
    assert broke is None
    assert b'"content"' in told
    assert b'"finish_reason":"stop"' not in told
    assert b"[DONE]" not in told


async def test_a_truncated_whole_answer_is_half_of_it():
    whole = await good(stream=False)
    _, chunks, _ = await read(chaos("truncate"))
    assert b"".join(chunks) == whole[: len(whole) // 2]


async def test_a_malformed_answer_is_no_json(stream):
    _, chunks, _ = await read(chaos("malformed"), stream=stream)
    data = chunks[0].removeprefix(b"data: ")
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(data)


@pytest.mark.parametrize("kind", ["malformed", "garbage", "stream_error"])
async def test_a_fault_may_let_frames_through_first(kind):
    _, right, _ = await read(chaos("pass"), stream=True)
    _, chunks, _ = await read(chaos(aigw.Fault(kind, after=2)), stream=True)
    assert chunks[:2] == right[:2]
    assert chunks[2] != right[2]


async def test_garbage_is_the_same_for_the_same_seed():
    spoiled = [(await read(chaos(aigw.Fault("garbage", size_bytes=40), seed=seed)))[1] for seed in (1, 1, 2)]
    assert spoiled[0] == spoiled[1] != spoiled[2]
    assert len(spoiled[0][0]) == 40


async def test_an_empty_answer_is_a_good_status_and_nothing_more(stream):
    answer, chunks, broke = await read(chaos("empty"), stream=stream)
    assert (answer.status, chunks, broke) == (200, [], None)
    assert ("event-stream" in answer.headers["Content-Type"]) is stream


async def test_an_error_in_disguise_has_a_good_status(stream):
    answer, chunks, _ = await read(chaos("disguise"), stream=stream)
    assert answer.status == 200
    assert orjson.loads(b"".join(chunks))["error"]["message"].startswith("chaos")


async def test_a_stream_may_open_and_tell_a_failure():
    answer, chunks, _ = await read(chaos("stream_error"), stream=True)
    assert answer.status == 200
    assert b'"error"' in b"".join(chunks)


@pytest.mark.parametrize("after", [0, 2])
async def test_a_silent_stream_has_a_head_and_then_says_nothing(after):
    provider = chaos(aigw.Fault("silent", after=after))
    answer = await provider.call(call(stream=True))
    chunks = [await answer.chunk() for _ in range(after)]
    assert all(chunks)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await answer.chunk()
    assert provider.running == 1
    await answer.close()
    assert provider.running == 0


async def test_a_hang_has_not_even_a_head():
    provider = chaos("hang")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await provider.call(call())
    assert (provider.calls, provider.passed, provider.running) == (1, 0, 0)


# which faults, and how many


@pytest.mark.parametrize(("repeat", "after"), [(False, "pass"), (True, "status")])
async def test_a_script_goes_on_in_order_and_repeats_if_told(repeat, after):
    provider = chaos("status", "empty", repeat=repeat)
    for _ in range(3):
        await read(provider)
    assert provider.injected == Counter(["status", "empty"]) + Counter([after] if repeat else [])
    assert provider.calls == 3
    assert provider.passed == (0 if repeat else 1)


async def test_faults_come_by_chance_and_the_same_seed_gives_the_same_ones():
    async def statuses(seed):
        faults = [aigw.Fault("status", rate=0.3), aigw.Fault("status", status=429, rate=0.3)]
        provider = aigw.ChaosProvider(DemoProvider(), faults=faults, seed=seed)
        return [(await provider.call(call())).status for _ in range(60)]

    first, again, other = [await statuses(seed) for seed in (7, 7, 8)]
    assert first == again != other
    assert set(first) == {200, 429, 503}


async def test_several_faults_may_befall_the_same_call():
    provider = aigw.ChaosProvider(
        DemoProvider(pace_s=0), faults=[aigw.Fault("drip", size_bytes=10, pause_s=0), "truncate"]
    )
    _, chunks, _ = await read(provider, stream=True)
    assert max(map(len, chunks)) == 10
    assert b"[DONE]" not in b"".join(chunks)


def test_every_kind_has_its_injection():
    assert set(INJECTIONS) == set(KINDS)


@pytest.mark.parametrize(
    "options",
    [
        {"script": ["explode"]},
        {"script": ["hang"], "faults": ["hang"]},
    ],
)
def test_what_is_no_fault_is_refused(options):
    with pytest.raises(ValueError, match="one of"):
        aigw.ChaosProvider(DemoProvider(), **options)


def test_it_looks_like_what_it_wraps():
    inner = aigw.Provider("http://h.example", name="up", apis=["chat"], forward_headers=["x-a"])
    provider = aigw.ChaosProvider(inner, name="flaky")
    same = ("apis", "stream_usage", "done_optional", "timeouts", "forward_headers", "forward_client_key")
    assert [getattr(provider, name) for name in same] == [getattr(inner, name) for name in same]
    assert provider.vendor == inner.vendor
    assert provider.name == "flaky"


# in configuration


def gateway(providers, env=None):
    return assemble(to_config({"providers": providers}, env or {}), env or {}, installed={}).gateway


def problems(providers):
    with pytest.raises(aigw.ConfigError) as caught:
        gateway(providers)
    return caught.value.problems


FLAKY = {"kind": "chaos", "options": {"of": "base", "script": ["hang", {"kind": "status", "status": 429}]}}


@pytest.mark.parametrize("names", [("flaky", "base"), ("base", "flaky")])
def test_the_order_of_sections_does_not_matter(names):
    sections = {"flaky": FLAKY, "base": {"kind": "demo"}}
    made = gateway({name: sections[name] for name in names}).models.providers
    assert made["flaky"].wraps == (made["base"],)
    assert list(made) == list(names)


def test_a_wrapper_may_wrap_a_wrapper_and_what_needs_no_section():
    outer = {"kind": "chaos", "options": {"of": "inner"}}
    inner = {"kind": "chaos", "options": {"of": "demo"}}
    made = gateway({"flaky": outer, "inner": inner}).models.providers
    assert made["flaky"].wraps == (made["inner"],)
    assert made["inner"].wraps == (made["demo"],)


def test_a_wrapper_may_have_timeouts_of_its_own():
    section = {**FLAKY, "timeouts": {"first_byte_s": 0.25}}
    made = gateway({"flaky": section, "base": {"kind": "demo"}}).models.providers
    assert made["flaky"].timeouts.first_byte_s == 0.25
    assert made["base"].timeouts.first_byte_s == 300


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "providers.flaky.options.of: "),
        ({"of": "bass"}, 'providers.flaky.options.of: got "bass", wanted one of the providers: base, flaky'),
        ({"of": "openai"}, 'providers.flaky.options.of: got "openai", wanted OPENAI_API_KEY'),
        ({"of": "base", "script": ["boom"]}, 'providers.flaky.options.script[0]: got "boom", wanted one of'),
        ({"of": "base", "faults": [{"kind": "hang", "rate": 2}]}, "providers.flaky.options.faults[0].rate"),
        ({"of": "base", "faults": ["hang"], "script": ["hang"]}, "providers.flaky.options: "),
    ],
)
def test_a_mistake_is_told_with_its_place(options, problem):
    [told] = problems({"flaky": {"kind": "chaos", "options": options}, "base": {"kind": "demo"}})
    assert told.startswith(problem)


def test_wrappers_in_a_circle_are_refused():
    wrap = {name: {"kind": "chaos", "options": {"of": of}} for name, of in (("flaky", "b"), ("b", "flaky"))}
    [told] = problems(wrap)
    assert "flaky -> b -> flaky" in told or "b -> flaky -> b" in told
    [told] = problems({"flaky": {"kind": "chaos", "options": {"of": "flaky"}}})
    assert told.startswith('providers.flaky.options.of: got "flaky", wanted')


def test_what_belongs_to_the_wrapped_provider_is_refused():
    [told] = problems({"flaky": {**FLAKY, "api_key": "sk-12345678"}, "base": {"kind": "demo"}})
    assert told.startswith("providers.flaky.api_key: ")
    assert "sk-1" not in told


def test_of_a_provider_that_is_wrong_only_its_own_mistake_is_told():
    [told] = problems({"flaky": FLAKY, "base": {"kind": "openai"}})
    assert told.startswith("providers.base.api_key")


# its life


class Life(aigw.BaseProvider):
    def __init__(self, name, log):
        super().__init__(name)
        self._log = log

    async def open(self):
        self._log.append(f"open {self.name}")

    async def close(self):
        self._log.append(f"close {self.name}")

    async def call(self, call):
        raise NotImplementedError


async def test_the_provider_behind_is_opened_and_closed_once(aiohttp_server):
    log = []
    inner = Life("inner", log)
    made = aigw.Gateway()
    made.models.register("a", aigw.ChaosProvider(inner, name="one"))
    made.models.register("b", aigw.ChaosProvider(aigw.ChaosProvider(inner, name="two"), name="three"))
    made.models.register("c", inner)
    server = await aiohttp_server(made.make_app())
    await server.close()
    assert log == ["open inner", "close inner"]
