"""The replay provider: what is written, what is played, and what is said where nothing matches."""

import asyncio
import re

import orjson
import pytest
from multidict import CIMultiDict
from support.sdks import SDKS, Wish

import aigw
from aigw.assemble import assemble, to_config
from aigw.dialects.endpoints import ENDPOINTS
from aigw.upstream.demo import DemoProvider

ENDPOINT = {endpoint.path: endpoint for endpoint in ENDPOINTS}
CHAT = "/v1/chat/completions"
APIS = ["chat", "responses", "messages", "gemini"]


class Scripted(aigw.BaseProvider):
    """Answers with the next of some chunk lists, each chunk after its pause."""

    def __init__(self, *answers, pause_s=0.0, status=200, headers=None):
        super().__init__("real")
        self.answers = list(answers)
        self.pause_s = pause_s
        self.calls = 0

    async def call(self, call):
        self.calls += 1
        call.headers["Authorization"] = "Bearer sk-providers-own-key"
        chunks = self.answers[min(self.calls, len(self.answers)) - 1]

        async def body():
            for chunk in chunks:
                await asyncio.sleep(self.pause_s)
                yield chunk

        answer = aigw.Answer.stream(body())
        answer.headers["Set-Cookie"] = "session=cookie-of-mine"
        answer.headers["x-ratelimit-limit-requests"] = "60"
        return answer


def call(text="hi", *, path=CHAT, stream=True, headers=(), query="", **more):
    body = {"model": "m", "messages": [{"role": "user", "content": text}], **more}
    given = CIMultiDict({"Content-Type": "application/json", **dict(headers)})
    return aigw.Call(ENDPOINT[path], "m", path, given, orjson.dumps(body), stream, query=query)


async def read(provider, asked=None):
    answer = await provider.call(asked or call())
    chunks = []
    while chunk := await answer.chunk():
        chunks.append(chunk)
    await answer.close()
    return chunks


async def refused(provider, asked):
    with pytest.raises(aigw.ClientError) as caught:
        await provider.call(asked)
    return caught.value


@pytest.fixture
def record(tmp_path):
    """Make a recorder of some answers."""
    return lambda *answers, **more: aigw.ReplayProvider(
        Scripted(*answers), dir=tmp_path, mode="record", **more
    )


@pytest.fixture
def play(tmp_path):
    """Make a player of what was recorded."""
    return lambda **more: aigw.ReplayProvider(dir=tmp_path, **more)


# files


async def test_a_recording_is_a_file_that_can_be_read_and_compared(record, tmp_path):
    await read(record([b"data: 1\n\n", b"\xff\xfe"]))
    [file] = tmp_path.iterdir()
    assert re.fullmatch(r"chat-completions\.m\.[0-9a-f]{12}\.1\.json", file.name)
    text = file.read_text()
    assert text.count("\n") > 20
    tree = orjson.loads(text)
    assert tree["request"]["body"]["messages"][0]["content"] == "hi"
    first, second = tree["answer"]["chunks"]
    assert first.pop("at_s") <= second.pop("at_s")
    assert (first, second) == ({"text": ["data: 1\n", "\n"]}, {"base64": "//4="})
    assert tree["answer"]["headers"]["x-ratelimit-limit-requests"] == "60"


async def test_what_is_played_is_what_was_recorded_byte_by_byte(record, play):
    chunks = [b"data: 1\n\n", b"\xff\xfe", b"data: \xf0\x9f\x98\x80 x\r\n\r\n", b"tail"]
    assert await read(record(chunks)) == chunks
    assert await read(play()) == chunks


async def test_a_cut_within_a_character_moves_so_that_text_stays_text(record, play, tmp_path):
    smile = "\N{GRINNING FACE}".encode()
    await read(record([b"a" + smile[:1], smile[1:3], smile[3:] + b"b"]))
    assert "base64" not in next(tmp_path.iterdir()).read_text()
    assert await read(play()) == [b"a", smile + b"b"]


async def test_the_same_request_again_is_another_file_and_plays_in_order(record, play, tmp_path):
    recorder = record(*([b"%d" % number] for number in range(12)))
    for _ in range(12):
        await read(recorder)
    assert len(list(tmp_path.iterdir())) == 12
    player = play()
    told = [b"".join(await read(player)) for _ in range(13)]
    assert told == [b"%d" % number for number in range(12)] + [b"11"]  # the last repeats


async def test_after_the_last_there_may_be_an_error(record, play):
    await read(record([b"1"]))
    player = play(after_last="error")
    await read(player)
    assert "last recording" in (await refused(player, call())).message


async def test_a_recording_is_never_overwritten(record, tmp_path):
    await read(record([b"old"]))
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    error = await refused(record([b"new"]), call())
    assert error.kind is aigw.ErrorKind.CONFLICT
    assert next(iter(before)).name in error.message
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


async def test_only_what_is_missing_is_recorded(record, play, tmp_path):
    await read(record([b"old"]))
    provider = Scripted([b"new"])
    both = aigw.ReplayProvider(provider, dir=tmp_path, mode="record_missing")
    assert await read(both) == [b"old"]
    assert await read(both, call("other")) == [b"new"]
    assert await read(both, call("other")) == [b"new"]
    assert (provider.calls, both.calls, both.played, both.recorded) == (1, 3, 2, 1)
    assert await read(play(), call("other")) == [b"new"]


async def test_an_answer_left_before_its_end_is_not_recorded(record, tmp_path):
    answer = await record([b"1", b"2"]).call(call())
    await answer.chunk()
    await answer.close()
    assert list(tmp_path.iterdir()) == []


async def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    recorder = aigw.ReplayProvider(Scripted([b"1"]), dir=tmp_path / "file", mode="record")
    with pytest.raises(aigw.ServerError, match="cannot write a recording"):
        await read(recorder)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "not JSON"),
        ("[]", "not a recording"),
        ('{"recording": 2}', "wanted 1"),
        ('{"recording": 1}', "request"),
    ],
)
def test_a_file_that_is_no_recording_is_named(play, tmp_path, content, problem):
    (tmp_path / "x.1.json").write_text(content)
    with pytest.raises(ValueError, match=rf"x\.1\.json: .*{problem}"):
        play()


# matching


@pytest.mark.parametrize(
    "asked",
    [
        call(user="u2", metadata={"a": "b"}, prompt_cache_key="k"),
        call(temperature=None),
        call(headers={"X-Client-Request-Id": "other", "Authorization": "Bearer other"}),
    ],
)
async def test_what_does_not_matter_does_not_matter(record, play, asked):
    await read(record([b"1"]), call(user="u1"))
    assert await read(play(), asked) == [b"1"]


async def test_key_order_and_spaces_and_ways_to_write_a_number_do_not_matter(record, play):
    await read(record([b"1"]), call(temperature=1.0, top_p=0.5))
    asked = call()
    asked.body = (
        b'{"top_p": 0.50, "temperature": 1, "messages": [{"content": "hi", "role": "user"}], "model": "m"}'
    )
    assert await read(play(), asked) == [b"1"]


async def test_more_fields_may_be_ignored(record, play):
    await read(record([b"1"]), call(tools=[{"name": "a", "id": "1"}], seed=1))
    asked = call(tools=[{"name": "a", "id": "2"}], seed=2)
    assert await read(play(ignore=["tools.*.id", "seed"]), asked) == [b"1"]
    assert "seed" in (await refused(play(ignore=["tools.*.id"]), asked)).message


@pytest.mark.parametrize(
    ("asked", "difference"),
    [
        (call("ho"), 'body.messages[0].content: got "ho", recorded is "hi"'),
        (call(seed=3), "body.seed: got 3, recorded is nothing"),
        (call(stream=False), "stream: got false, recorded is true"),
        (call(query="a=b"), 'query: got "a=b", recorded is ""'),
        (call(path="/v1/responses"), 'path: got "/v1/responses", recorded is "/v1/chat/completions"'),
    ],
)
async def test_where_nothing_matches_the_nearest_is_named_with_the_first_difference(
    record, play, tmp_path, asked, difference
):
    recorder = record([b"1"])
    await read(recorder)
    name = next(tmp_path.iterdir()).name
    await read(recorder, call("something else altogether, and much longer", max_tokens=7))
    error = await refused(play(), asked)
    assert error.kind is aigw.ErrorKind.NOT_FOUND
    assert f"the nearest is {name}, which differs in {difference}" in error.message


async def test_of_long_texts_the_part_that_differs_is_shown(record, play):
    await read(record([b"1"]), call("x" * 500 + "old"))
    message = (await refused(play(), call("x" * 500 + "new"))).message
    assert "new" in message
    assert "old" in message
    assert len(message) < 400


async def test_an_empty_folder_says_so(play):
    assert "no recordings yet" in (await refused(play(), call())).message


async def test_a_forms_boundary_does_not_matter(record, play):
    def form(boundary):
        asked = call(path="/v1/audio/transcriptions")
        asked.headers["Content-Type"] = f"multipart/form-data; boundary={boundary}"
        asked.body = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="f"\r\n\r\n'.encode() + b"\xff\x00"
        )
        return asked

    await read(record([b"1"]), form("one-1"))
    assert await read(play(), form("other-22")) == [b"1"]


# pace


@pytest.fixture
def waits(monkeypatch):
    """What a player waits before the head and each chunk, in seconds, without waiting."""
    seen, real = [], asyncio.sleep

    async def sleep(seconds):
        seen.append(seconds)
        await real(0)

    monkeypatch.setattr("aigw.upstream.replay.answers.asyncio.sleep", sleep)
    return seen


@pytest.mark.parametrize(("pace", "expected"), [("none", []), (0.5, [0.5] * 3), ("original", [1, 2, 3, 4])])
async def test_it_plays_at_its_pace(record, play, tmp_path, waits, pace, expected):
    await read(record([b"1", b"2", b"3"]))
    waits.clear()
    [file] = tmp_path.iterdir()
    tree = orjson.loads(file.read_bytes())
    tree["answer"]["head_s"] = 1
    for number, chunk in enumerate(tree["answer"]["chunks"], 2):
        chunk["at_s"] = number
    file.write_bytes(orjson.dumps(tree))
    await read(play(pace=pace))
    assert waits == pytest.approx(expected, abs=0.2)


async def test_times_are_recorded(tmp_path):
    slow = Scripted([b"1", b"2"], pause_s=0.03)
    await read(aigw.ReplayProvider(slow, dir=tmp_path, mode="record"))
    answer = orjson.loads(next(tmp_path.iterdir()).read_bytes())["answer"]
    first, second = (chunk["at_s"] for chunk in answer["chunks"])
    assert 0 <= answer["head_s"] <= first
    assert first >= 0.029
    assert second - first >= 0.025


# through the gateway, with the vendors' SDKs


@pytest.fixture
async def demo_url(aiohttp_server):
    """A server that speaks all four formats, and counts nothing."""
    made = aigw.Gateway()
    made.models.register("*", DemoProvider(pace_s=0, clock=lambda: 1))
    server = await aiohttp_server(made.make_app())
    return str(server.make_url("/")).rstrip("/")


@pytest.fixture
def ask(aiohttp_server):
    """Ask a provider something through a gateway of its own, with the SDK of an API."""

    async def ask(api, provider, wish, *, stream):
        made = aigw.Gateway()
        made.models.register("m", provider)
        server = await aiohttp_server(made.make_app())
        sdk = SDKS[api](str(server.make_url("/")).rstrip("/"))
        try:
            return await sdk.ask(wish, stream=stream)
        finally:
            await sdk.close()
            await server.close()

    return ask


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("api", APIS)
async def test_every_format_is_recorded_and_played(ask, demo_url, tmp_path, api, stream):
    wish = Wish("Is this recorded?", tools=("look",), must_call=True)
    real = aigw.Provider(demo_url, "sk-upstream-1234", name="up", apis=[api])
    recorder = aigw.ReplayProvider(real, dir=tmp_path, mode="record")
    told = await ask(api, recorder, wish, stream=stream)
    assert recorder.recorded == 1
    player = aigw.ReplayProvider(dir=tmp_path)
    assert await ask(api, player, wish, stream=stream) == told
    assert player.played == 1
    assert {str(each) for each in player.apis} == {api}
    assert "sk-" not in next(tmp_path.iterdir()).read_text()


@pytest.mark.parametrize("api", APIS)
async def test_what_was_not_recorded_is_one_error_in_every_format(ask, demo_url, tmp_path, api):
    real = aigw.Provider(demo_url, name="up", apis=[api])
    await ask(api, aigw.ReplayProvider(real, dir=tmp_path, mode="record"), Wish("one"), stream=True)
    with pytest.raises(SDKS[api].fails, match="no recording matches") as caught:
        await ask(api, aigw.ReplayProvider(dir=tmp_path), Wish("two"), stream=True)
    assert getattr(caught.value, "status_code", None) or caught.value.code == 404


async def test_another_format_than_the_recorded_one_is_played_across(ask, demo_url, tmp_path):
    real = aigw.Provider(demo_url, name="up", apis=["chat"])
    told = await ask(
        "messages", aigw.ReplayProvider(real, dir=tmp_path, mode="record"), Wish("x"), stream=True
    )
    assert (
        await ask("messages", aigw.ReplayProvider(dir=tmp_path), Wish("x"), stream=True)
    ).text == told.text


# in configuration


def providers(tree, env=None):
    env = env or {}
    return assemble(to_config({"providers": tree}, env), env, installed={}).gateway.models.providers


def problems(tree, env=None):
    with pytest.raises(aigw.ConfigError) as caught:
        providers(tree, env)
    return caught.value.problems


def replay(**options):
    return {"tape": {"kind": "replay", "options": options}}


async def test_a_tape_in_configuration_records_a_provider_and_plays_without_it(tmp_path):
    folder = str(tmp_path / "tapes")
    base = {"base": {"kind": "demo", "options": {"pace_s": 0}}}
    tape = providers({**replay(of="base", dir=folder, mode="record"), **base})["tape"]
    chunks = await read(tape)
    assert await read(providers(replay(dir=folder, pace="none"))["tape"]) == chunks


def test_playing_needs_no_key_of_the_provider_that_was_recorded(tmp_path):
    tape = providers(replay(of="anthropic", dir=str(tmp_path)))["tape"]
    assert "messages" in tape.apis
    [told] = problems(replay(of="anthropic", dir=str(tmp_path), mode="record"))
    assert "ANTHROPIC_API_KEY" in told


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"dir": "/nowhere/at/all"}, 'providers.tape: dir: got "/nowhere/at/all", wanted a folder'),
        ({}, "providers.tape.options.dir"),
        ({"dir": ".", "mode": "record"}, "providers.tape.options: "),
        ({"dir": ".", "mode": "rewind"}, 'providers.tape.options.mode: got "rewind"'),
        ({"dir": ".", "pace": "fast"}, 'providers.tape.options.pace: got "fast"'),
        ({"dir": ".", "pace": -1}, "providers.tape.options.pace: got -1"),
    ],
)
def test_a_mistake_is_told_with_its_place(options, problem):
    [told] = problems(replay(**options))
    assert told.startswith(problem)


async def test_secrets_of_the_whole_configuration_stay_out_of_the_files(tmp_path):
    base = {
        "base": {"kind": "demo", "options": {"pace_s": 0}},
        "other": {"base_url": "http://h.example", "api_key": "plain-looking-words"},
    }
    env = {"MISTRAL_API_KEY": "more-of-plain-words"}
    tape = providers({**replay(of="base", dir=str(tmp_path), mode="record"), **base}, env)["tape"]
    await read(tape, call("say plain-looking-words and more-of-plain-words"))
    content = next(tmp_path.iterdir()).read_text()
    assert "plain-looking" not in content
    assert "more-of" not in content
