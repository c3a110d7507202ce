import json
import re
import tomllib
from pathlib import Path

import pytest
from aigw_redact import OwnPattern, Redact, RedactConfig

import aigw
from aigw.config.structure import structure

KEY = "sk-" + "a1B2" * 8


class Says(aigw.BaseProvider):
    """Answers with the text it was made with, streamed in the pieces it was made with; keeps what it got."""

    def __init__(self, *pieces):
        super().__init__("says")
        self.pieces = pieces
        self.bodies = []

    async def call(self, call):
        self.bodies.append(call.body)
        text = "".join(self.pieces)
        if call.path == "/v1/embeddings":
            vector = {"object": "embedding", "index": 0, "embedding": [0.5]}
            return aigw.Answer.json({"object": "list", "model": "m", "data": [vector]})
        if call.path == "/v1/responses":
            part = {"type": "output_text", "text": text, "annotations": []}
            message = {"type": "message", "id": "msg_1", "role": "assistant", "content": [part]}
            whole = {"id": "resp_1", "object": "response", "status": "completed", "output": [message]}
            return aigw.Answer.stream(self.response(whole)) if call.stream else aigw.Answer.json(whole)
        if call.path == "/v1/completions":
            choices = [{"index": 0, "text": text, "finish_reason": "stop", "logprobs": None}]
            whole = {"id": "c", "object": "text_completion", "model": "m", "choices": choices}
            return aigw.Answer.stream(self.completion(whole)) if call.stream else aigw.Answer.json(whole)
        if call.stream:
            return aigw.Answer.stream(self.chat())
        message = {"role": "assistant", "content": text}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        whole = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": choices}
        return aigw.Answer.json(whole)

    async def chat(self):
        for piece in self.pieces:
            yield chunk({"content": piece}, None)
        yield chunk({}, "stop")
        yield b"data: [DONE]\n\n"

    async def completion(self, whole):
        for piece in self.pieces:
            yield frame({**whole, "choices": [{"index": 0, "text": piece, "finish_reason": None}]})
        yield frame({**whole, "choices": [{"index": 0, "text": "", "finish_reason": "stop"}]})
        yield b"data: [DONE]\n\n"

    async def response(self, whole):
        place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
        deltas = [{"type": "response.output_text.delta", **place, "delta": piece} for piece in self.pieces]
        done = {"type": "response.output_text.done", **place, "text": "".join(self.pieces)}
        end = {"type": "response.completed", "response": whole}
        for number, tree in enumerate([*deltas, done, end]):
            yield f"event: {tree['type']}\n".encode() + frame({**tree, "sequence_number": number})


def frame(tree):
    return f"data: {json.dumps(tree)}\n\n".encode()


def chunk(delta, finish):
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    return frame(
        {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices}
    )


class Counts:
    """Keeps the counts that the plugin leaves behind."""

    def __init__(self):
        self.counts = []

    def on_complete(self, record):
        self.counts.append(dict(record.exchange.scratch.get("redact", {})))


@pytest.fixture
def serve(aiohttp_client):
    async def start(provider, config=None):
        gateway = aigw.Gateway()
        gateway.models.register("m", provider)
        counts = Counts()
        gateway.hooks.register(Redact(config), name="redact")
        gateway.hooks.register(counts, name="counts")
        client = await aiohttp_client(gateway.make_app())
        client.counts = counts.counts
        return client

    return start


def chat(text, **fields):
    return {"model": "m", "messages": [{"role": "user", "content": text}], **fields}


async def data_of(answer):
    assert answer.status == 200, await answer.text()
    lines = (await answer.text()).split("\n")
    return [json.loads(line[6:]) for line in lines if line.startswith("data: {")]


async def test_a_chat_is_redacted_in_both_directions_and_counted(serve):
    provider = Says("Write to bob@example.com.")
    client = await serve(provider)
    answer = await client.post("/v1/chat/completions", json=chat(f"My key is {KEY}, jane@x.org"))
    tree = await answer.json()
    assert tree["choices"][0]["message"]["content"] == "Write to [email]."
    assert json.loads(provider.bodies[0])["messages"][0]["content"] == "My key is [openai_key], [email]"
    assert client.counts == [{"openai_key": 1, "email": 2}]


async def test_a_request_with_nothing_to_redact_goes_out_byte_by_byte_as_it_came(serve):
    provider = Says("fine")
    client = await serve(provider)
    body = b'{ "model":"m",  "messages": [{"role":"user","content":"hi"}] }'
    headers = {"Content-Type": "application/json"}
    assert (await client.post("/v1/chat/completions", data=body, headers=headers)).status == 200
    assert provider.bodies == [body]


async def test_a_streamed_secret_is_redacted_across_any_chunks(serve):
    client = await serve(Says(*"The key is ", *KEY, " and ", "jane@", "x.org"))
    frames = await data_of(await client.post("/v1/chat/completions", json=chat("hi", stream=True)))
    said = "".join(choice["delta"].get("content") or "" for tree in frames for choice in tree["choices"])
    assert said == "The key is [openai_key] and [email]"
    assert frames[-1]["choices"][0]["finish_reason"] == "stop"
    assert client.counts == [{"openai_key": 1, "email": 1}]


async def test_a_completion_is_redacted_whole_and_streamed(serve):
    provider = Says("jane@", "x.org", " says hi")
    client = await serve(provider)
    body = {"model": "m", "prompt": ["ask jane@x.org", "and bob"]}
    whole = await (await client.post("/v1/completions", json=body)).json()
    assert whole["choices"][0]["text"] == "[email] says hi"
    assert json.loads(provider.bodies[0])["prompt"] == ["ask [email]", "and bob"]
    frames = await data_of(await client.post("/v1/completions", json={**body, "stream": True}))
    assert "".join(tree["choices"][0]["text"] for tree in frames) == "[email] says hi"


async def test_a_response_is_redacted_whole_and_streamed(serve):
    provider = Says("Hello jane@", "x.org", ", hi")
    client = await serve(provider)
    content = [
        {"type": "input_text", "text": "ask jane@x.org"},
        {"type": "input_image", "image_url": "http://a@b.cd", "detail": "auto"},
    ]
    body = {"model": "m", "instructions": "no jane@x.org", "input": [{"role": "user", "content": content}]}
    whole = await (await client.post("/v1/responses", json=body)).json()
    assert whole["output"][0]["content"][0]["text"] == "Hello [email], hi"
    sent = json.loads(provider.bodies[0])
    assert sent["instructions"] == "no [email]"
    assert sent["input"][0]["content"] == [{"type": "input_text", "text": "ask [email]"}, content[1]]
    frames = await data_of(await client.post("/v1/responses", json={**body, "stream": True}))
    assert "".join(tree.get("delta", "") for tree in frames) == "Hello [email], hi"
    assert frames[-1]["response"]["output"][0]["content"][0]["text"] == "Hello [email], hi"
    assert [tree["sequence_number"] for tree in frames] == list(range(len(frames)))


async def test_inputs_of_an_embedding_are_redacted(serve):
    provider = Says()
    client = await serve(provider)
    answer = await client.post("/v1/embeddings", json={"model": "m", "input": ["jane@x.org", "b"]})
    assert (await answer.json())["data"][0]["embedding"] == [0.5]
    assert json.loads(provider.bodies[0])["input"] == ["[email]", "b"]


@pytest.mark.parametrize("direction", ["request", "response"])
async def test_one_direction_alone_can_be_redacted(serve, direction):
    provider = Says("jane@x.org")
    client = await serve(provider, RedactConfig(directions=(direction,)))
    tree = await (await client.post("/v1/chat/completions", json=chat("bob@x.org"))).json()
    sent = json.loads(provider.bodies[0])["messages"][0]["content"]
    said = tree["choices"][0]["message"]["content"]
    assert (sent, said) == (("[email]", "jane@x.org") if direction == "request" else ("bob@x.org", "[email]"))


async def test_own_patterns_and_replacements_are_used(serve):
    own = {
        "staff": OwnPattern("EMP-[0-9]{6}", "A-Z0-9-"),
        "site": OwnPattern.from_text("(?i)plant [a-z]{1,20}"),
    }
    provider = Says("EMP-1", "23456 works in Pl", "ant Nor", "th!")
    client = await serve(provider, RedactConfig(enabled=(), patterns=own, replacement="<{name} removed>"))
    frames = await data_of(await client.post("/v1/chat/completions", json=chat("jane@x.org", stream=True)))
    said = "".join(choice["delta"].get("content") or "" for tree in frames for choice in tree["choices"])
    assert said == "<staff removed> works in <site removed>!"


def read(section):
    problems = []
    return structure(RedactConfig, section, "plugins.redact", problems), problems


def test_the_configuration_is_read_from_tables_and_text():
    section = {"patterns": {"a": "x+", "b": {"regex": "y{3}", "chars": "y"}}, "enabled": ["email"]}
    config, problems = read(section)
    assert problems == []
    assert [pattern.name for pattern in config.redactor().patterns] == ["email", "a", "b"]


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"patterns": {"staff": "(["}}, "plugins.redact.patterns.staff"),
        ({"patterns": {"staff": "x*"}}, "does not match the empty text"),
        ({"patterns": {"email": "x"}}, "another name"),
        ({"patterns": {"a b": "x"}}, "a name of letters"),
        ({"patterns": {"a": {"regex": "x", "chars": "z-a"}}}, "chars that can stand"),
        ({"enabled": ["mail"]}, "plugins.redact.enabled[0]"),
        ({"replacement": '"{name}"'}, "text without quotes"),
        ({"replacement": "{nam}"}, "text without quotes"),
        ({"directions": []}, "plugins.redact.directions"),
        ({"max_match_chars": 3}, "plugins.redact.max_match_chars"),
    ],
)
def test_what_cannot_be_used_is_refused_by_its_name(section, said):
    config, problems = read(section)
    assert config is None
    assert said in problems[0]


def test_every_example_of_the_readme_is_read():
    text = (Path(__file__).parents[1] / "README.md").read_text()
    blocks = re.findall(r"```(toml|python)\n(.*?)```", text, re.DOTALL)
    assert {kind for kind, _ in blocks} == {"toml", "python"}
    for kind, block in blocks:
        if kind == "python":
            exec(block, {})
            continue
        problems = []
        section = tomllib.loads(block)["plugins"]["redact"]
        assert structure(RedactConfig, section, "plugins", problems) is not None, problems
