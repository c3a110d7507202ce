import json
import logging
import re
import stat
import threading
import tomllib
from pathlib import Path

import aiohttp
import pytest
from aigw_request_log import RequestLog, RequestLogConfig
from aigw_request_log.file import RotatingFile
from aigw_request_log.line import Body, show
from aigw_request_log.writer import Writer
from aiohttp import web

import aigw
from aigw.config.structure import structure


@pytest.fixture
def path(tmp_path):
    return tmp_path / "log.jsonl"


@pytest.fixture
def serve(aiohttp_client, path):
    async def start(**fields):
        gateway = aigw.Gateway()
        gateway.models.register("m", aigw.DemoProvider("demo"), rewrite="up")
        plugin = RequestLog(RequestLogConfig(**{"path": str(path), **fields}))
        gateway.hooks.register(plugin, name="request-log")
        return await aiohttp_client(gateway.make_app())

    return start


def chat(text="hi", **fields):
    return {"model": "m", "messages": [{"role": "user", "content": text}], **fields}


async def post(client, body, url="/v1/chat/completions"):
    async with client.post(url, json=body, headers={"Authorization": "Bearer sk-client-key"}) as answer:
        return await answer.text()


def lines(path):
    text = path.read_text()
    assert "sk-client-key" not in text
    return [json.loads(line) for line in text.splitlines()]


async def test_a_line_tells_the_whole_of_an_exchange(serve, path):
    client = await serve()
    await post(client, chat())
    await client.close()
    (line,) = lines(path)
    assert line["time"].endswith("Z")
    assert (line["tenant"], line["api"], line["path"]) == ("anonymous", "chat", "/v1/chat/completions")
    assert (line["model"], line["provider"], line["upstream_model"]) == ("m", "demo", "up")
    assert (line["stream"], line["status"], line["ending"], line["error"]) == (False, 200, "complete", None)
    assert line["usage"]["total_tokens"] == line["usage"]["input_tokens"] + line["usage"]["output_tokens"]
    assert line["attempts"][0]["provider"] == "demo"
    assert line["duration_s"] > 0
    assert line["bytes"]["in"] > 0
    assert line["bytes"]["out"] > 0
    assert not {"request", "response", "headers"} & set(line)


async def test_everything_queued_is_written_before_the_gateway_has_stopped(serve, path):
    client = await serve()
    for number in range(30):
        await post(client, chat(str(number)))
    await client.close()
    assert len(lines(path)) == 30


async def test_refused_and_failed_exchanges_have_a_line_too(serve, path):
    client = await serve()
    await post(client, {"model": "nobody", "messages": [{"role": "user", "content": "x"}]})
    await post(client, chat("[[demo cut=2]]", stream=True))
    await client.close()
    refused, failed = lines(path)
    assert (refused["status"], refused["ending"], refused["error"]) == (404, "refused", "model_not_found")
    assert (failed["status"], failed["ending"]) == (200, "failed")


async def test_the_file_is_for_its_owner_alone(serve, path):
    await serve()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_bodies_are_written_when_asked_for(serve, path):
    client = await serve(bodies=True)
    answer = json.loads(await post(client, chat("hello")))
    frames = await post(client, chat("hello", stream=True))
    await client.close()
    whole, stream = lines(path)
    assert whole["request"]["json"]["messages"][0]["content"] == "hello"
    assert whole["response"]["json"] == answer
    assert stream["response"]["text"] == frames
    assert stream["response"]["bytes"] == len(frames.encode())


async def test_bodies_are_cut_at_their_limit(serve, path):
    client = await serve(bodies=True, max_body_bytes=50)
    await post(client, chat("x" * 200))
    await post(client, chat("x" * 200, stream=True))
    await client.close()
    for line in lines(path):
        for body in (line["request"], line["response"]):
            assert body["truncated"] is True
            assert len(body["text"]) == 50
            assert body["bytes"] > 50


async def test_files_are_told_by_their_size_alone(serve, path):
    client = await serve(bodies=True)
    form = aiohttp.FormData({"model": "m"})
    form.add_field("file", b"secret sound", filename="a.wav")
    async with client.post("/v1/audio/transcriptions", data=form) as answer:
        assert answer.status == 200
    await client.close()
    (line,) = lines(path)
    assert line["request"]["note"] == "multipart/form-data is not written"
    assert "secret sound" not in path.read_text()


async def test_fields_are_redacted_in_lines_bodies_and_frames(serve, path):
    client = await serve(bodies=True, redact_fields=("content", "tenant"))
    await post(client, chat("hush"))
    await post(client, chat("hush", stream=True))
    await client.close()
    for line in lines(path):
        assert line["tenant"] == "[redacted]"
        assert line["request"]["json"]["messages"][0]["content"] == "[redacted]"
    assert "hush" not in path.read_text()
    assert '"content":"[redacted]"' in line["response"]["text"]


def test_nothing_of_a_piece_of_json_is_shown_where_fields_are_redacted():
    names = frozenset({"content"})
    assert show(Body.cut(b'{"content": "hush"}', 12), names)["text"] == "[redacted]"
    assert (
        show(Body.cut(b'data: {"content": "hush', 99, "text/event-stream"), names)["text"]
        == "data: [redacted]"
    )
    assert show(Body.cut(b"data: [DONE]", 99, "text/event-stream"), names)["text"] == "data: [DONE]"


async def test_lines_go_to_standard_output_when_asked(serve, capfdbinary):
    client = await serve(path="-")
    await post(client, chat())
    await client.close()
    assert json.loads(capfdbinary.readouterr().out)["model"] == "m"


async def test_a_path_that_cannot_be_written_stops_the_start(tmp_path):
    gateway = aigw.Gateway()
    config = RequestLogConfig(path=str(tmp_path / "nowhere" / "log.jsonl"))
    gateway.hooks.register(RequestLog(config), name="request-log")
    runner = web.AppRunner(gateway.make_app())
    with pytest.raises(aigw.ConfigError, match=r"^plugins\.request-log\.path"):
        await runner.setup()
    await runner.cleanup()


class SlowSink:
    """A disk that waits for its gate, and may fail."""

    def __init__(self, error=None):
        self.gate = threading.Event()
        self.written = []
        self.error = error

    def open(self):
        pass

    def write(self, lines):
        self.gate.wait(5)
        if self.error:
            error, self.error = self.error, None
            raise error
        self.written += map(json.loads, lines.splitlines())

    def close(self):
        pass


async def test_a_full_queue_drops_lines_and_the_last_line_tells_how_many():
    sink = SlowSink()
    writer = Writer(sink, 3, frozenset())
    async with writer.running():
        for number in range(10):
            writer.put({"n": number})
        sink.gate.set()
    assert [line.get("n") for line in sink.written] == [0, 1, 2, None]
    assert sink.written[-1]["dropped"] == 7


async def test_a_failing_disk_costs_lines_and_nothing_else(caplog):
    sink = SlowSink(OSError("disk is full"))
    sink.gate.set()
    writer = Writer(sink, 100, frozenset())
    async with writer.running():
        writer.put({"n": 1})
    assert sink.written[0]["dropped"] == 1
    assert caplog.records[0].levelno == logging.ERROR


def test_a_full_file_is_put_aside_and_the_oldest_goes(tmp_path):
    file = RotatingFile(tmp_path / "log", rotate_bytes=10, keep_files=2)
    file.open()
    for number in range(5):
        file.write(b"%d234567\n" % number)
    file.close()
    assert sorted(found.name for found in tmp_path.iterdir()) == ["log", "log.1", "log.2"]
    assert (tmp_path / "log").read_bytes() == b"4234567\n"
    assert (tmp_path / "log.2").read_bytes() == b"2234567\n"
    assert all(stat.S_IMODE(found.stat().st_mode) == 0o600 for found in tmp_path.iterdir())


def test_a_file_that_is_there_is_continued(tmp_path):
    for line in (b"1\n", b"2\n"):
        file = RotatingFile(tmp_path / "log")
        file.open()
        file.write(line)
        file.close()
    assert (tmp_path / "log").read_bytes() == b"1\n2\n"


def test_every_example_of_the_readme_is_read():
    text = (Path(__file__).parents[1] / "README.md").read_text()
    blocks = re.findall(r"```(toml|python)\n(.*?)```", text, re.DOTALL)
    assert {kind for kind, _ in blocks} == {"toml", "python"}
    for kind, block in blocks:
        if kind == "python":
            exec(block, {})
            continue
        problems = []
        section = tomllib.loads(block)["plugins"]["request-log"]
        assert structure(RequestLogConfig, section, "plugins", problems) is not None, problems
