"""The embedded demo provider: every answer has its vendor's shape, and every accident can be steered."""

from __future__ import annotations

import asyncio
import struct
import wave
import zlib
from base64 import b64decode
from io import BytesIO
from math import hypot

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict
from openai.types import (
    Completion,
    CreateEmbeddingResponse,
    ImagesResponse,
    ModerationCreateResponse,
    image_edit_stream_event,
    image_gen_stream_event,
)
from openai.types.audio import (
    Transcription,
    TranscriptionStreamEvent,
    TranscriptionVerbose,
    TranslationVerbose,
)
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from aigw.dialects.endpoints import ENDPOINTS, Api, Endpoint
from aigw.upstream.demo import DemoProvider
from aigw.upstream.demo.moderations import FLAG_WORD
from aigw.upstream.demo.scalars import Unsatisfiable, is_of_type
from aigw.upstream.demo.schema import instance
from aigw.upstream.provider import Call
from aigw.wire.sse import split_frames

ENDPOINT = {endpoint.path: endpoint for endpoint in ENDPOINTS}
CHAT = "/v1/chat/completions"
NOW = 1_800_000_000
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
            "required": ["city", "days"],
        },
    },
}
CLOCK = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object"}}}


def demo():
    return DemoProvider(pace_s=0, clock=lambda: NOW)


async def ask(path, body, **headers):
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return await demo().call(Call(ENDPOINT[path], "demo", path, CIMultiDict(headers), raw))


async def ask_json(path, body, status=200, **headers):
    answer = await ask(path, body, **headers)
    tree = orjson.loads(await answer.read())
    assert answer.status == status, tree
    return tree


async def ask_frames(path, body):
    answer = await ask(path, {**body, "stream": True})
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/event-stream"
    return split_frames(await answer.read())


async def ask_chunks(path, body):
    *frames, done = await ask_frames(path, body)
    assert done.data == b"[DONE]"
    return [orjson.loads(frame.data) for frame in frames]


async def ask_events(path, body):
    frames = await ask_frames(path, body)
    events = [orjson.loads(frame.data) for frame in frames]
    assert [frame.event for frame in frames] == [event["type"] for event in events]
    return events


def chat(text, **more):
    return {"model": "m-1", "messages": [{"role": "user", "content": text}], **more}


def form(files, **fields):
    parts = [(f'name="{name}"', value.encode()) for name, value in fields.items()]
    parts += [(f'name="{name}"; filename="f"', content) for name, content in files.items()]
    body = b"".join(
        b"--xx\r\nContent-Disposition: form-data; " + head.encode() + b"\r\n\r\n" + content + b"\r\n"
        for head, content in parts
    )
    return body + b"--xx--\r\n"


async def ask_form(path, files, status=200, **fields):
    return await ask_json(
        path, form(files, **fields), status, **{"Content-Type": "multipart/form-data; boundary=xx"}
    )


def test_it_serves_every_openai_api_and_no_other():
    assert demo().apis == frozenset(Api) - {Api.MESSAGES, Api.GEMINI}


async def test_models_are_demos_by_name():
    assert await demo().models() == ["demo", "demo-embedding", "demo-image", "demo-audio"]


async def test_a_path_it_does_not_know_is_not_found():
    call = Call(Endpoint("/v1/other", Api.CHAT), "demo", "/v1/other", CIMultiDict(), b"{}")
    assert (await demo().call(call)).status == 404


async def test_a_model_must_be_named_somewhere():
    answer = await demo().call(Call(ENDPOINT[CHAT], "", CHAT, CIMultiDict(), b"{}"))
    assert answer.status == 400
    assert b"model parameter" in await answer.read()


# Chat


async def test_chat_echoes_and_says_that_it_is_a_demo():
    tree = await ask_json(CHAT, chat("How are you?"))
    whole = ChatCompletion.model_validate(tree)
    text = whole.choices[0].message.content
    assert '"How are you?"' in text
    assert "demo" in text
    assert "OPENAI_API_KEY" in text
    assert (whole.model, whole.created, whole.system_fingerprint) == ("m-1", NOW, "aigw-demo")
    assert whole.usage.prompt_tokens == 3
    assert whole.usage.completion_tokens == len(text.split())
    assert whole.usage.total_tokens == 3 + len(text.split())


async def test_chat_takes_text_parts_and_any_history():
    parts = [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": "data:,"}}]
    messages = [
        {"role": "system", "content": "be kind"},
        {"role": "assistant", "content": None},
        {"role": "user", "content": parts},
    ]
    tree = await ask_json(CHAT, {"messages": messages})
    assert '"look"' in tree["choices"][0]["message"]["content"]
    assert tree["model"] == "demo"


async def test_same_question_same_answer_whatever_the_order_of_its_keys():
    body = chat("hi", n=2)
    one = await ask_json(CHAT, body)
    two = await ask_json(CHAT, dict(reversed(body.items())))
    other = await ask_json(CHAT, chat("ho", n=2))
    assert one == two
    assert one["id"] != other["id"]


async def test_a_stream_says_what_the_whole_says():
    whole = await ask_json(CHAT, chat("hi"))
    chunks = await ask_chunks(CHAT, chat("hi"))
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk)
        assert "usage" not in chunk
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas[0]["role"] == "assistant"
    assert "".join(delta.get("content", "") for delta in deltas) == whole["choices"][0]["message"]["content"]
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


async def test_include_usage_puts_null_everywhere_and_counts_at_the_end():
    body = chat("hi")
    whole = await ask_json(CHAT, body)
    *chunks, last = await ask_chunks(CHAT, {**body, "stream_options": {"include_usage": True}})
    assert all(chunk["usage"] is None for chunk in chunks)
    assert last["choices"] == []
    assert last["usage"] == whole["usage"]
    ChatCompletionChunk.model_validate(last)


async def test_n_choices_come_whole_and_streamed():
    whole = await ask_json(CHAT, chat("hi", n=3))
    chunks = await ask_chunks(CHAT, chat("hi", n=3))
    for at, choice in enumerate(whole["choices"]):
        mine = [chunk["choices"][0] for chunk in chunks if chunk["choices"][0]["index"] == at]
        assert "".join(part["delta"].get("content", "") for part in mine) == choice["message"]["content"]
        assert mine[-1]["finish_reason"] == "stop"
    assert len(whole["choices"]) == 3


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
async def test_a_limit_cuts_words(name):
    tree = await ask_json(CHAT, chat("hi", **{name: 3}))
    assert tree["choices"][0]["message"]["content"] == "Hello! You said:"
    assert tree["choices"][0]["finish_reason"] == "length"
    assert tree["usage"]["completion_tokens"] == 3


async def test_a_limit_cuts_inside_of_a_piece_too():
    chunks = await ask_chunks(CHAT, chat("hi [[demo chunks=2]]", max_tokens=2))
    pieces = [part for chunk in chunks if (part := chunk["choices"][0]["delta"].get("content"))]
    assert pieces == ["Hello! You"]
    assert chunks[-1]["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize("stop", ["said", ["never", "said"]])
async def test_text_ends_before_a_stop_sequence(stop):
    tree = await ask_json(CHAT, chat("hi", stop=stop))
    chunks = await ask_chunks(CHAT, chat("hi", stop=stop))
    assert tree["choices"][0]["message"]["content"] == "Hello! You "
    assert tree["choices"][0]["finish_reason"] == "stop"
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == "Hello! You "


@pytest.mark.parametrize(
    ("text", "choice", "called"),
    [
        ("hello", "auto", []),
        ("hello", "required", ["get_weather"]),
        ("hello", {"type": "function", "function": {"name": "get_time"}}, ["get_time"]),
        ("please use a tool", "auto", ["get_weather"]),
        ("call get_time now", None, ["get_time"]),
        ("get_weather and get_time", "auto", ["get_weather", "get_time"]),
        ("get_weather and get_time", "none", []),
    ],
)
async def test_tools_are_called_when_asked_for(text, choice, called):
    tree = await ask_json(CHAT, chat(text, tools=[WEATHER, CLOCK], tool_choice=choice))
    (answer,) = ChatCompletion.model_validate(tree).choices
    assert [call.function.name for call in answer.message.tool_calls or []] == called
    assert answer.finish_reason == ("tool_calls" if called else "stop")
    assert (answer.message.content is None) == bool(called)


@pytest.mark.parametrize(("mode", "called"), [("required", ["get_time"]), ("auto", [])])
async def test_only_allowed_tools_are_called(mode, called):
    allowed = {"mode": mode, "tools": [{"type": "function", "function": {"name": "get_time"}}]}
    choice = {"type": "allowed_tools", "allowed_tools": allowed}
    tools = [{"type": "custom", "custom": {"name": "shell"}}, WEATHER, CLOCK]
    tree = await ask_json(CHAT, chat("get_weather", tools=tools, tool_choice=choice))
    calls = tree["choices"][0]["message"].get("tool_calls", [])
    assert [call["function"]["name"] for call in calls] == called


async def test_parallel_calls_can_be_switched_off():
    body = chat("get_weather and get_time", tools=[WEATHER, CLOCK], parallel_tool_calls=False)
    tree = await ask_json(CHAT, body)
    assert len(tree["choices"][0]["message"]["tool_calls"]) == 1


async def test_streamed_tool_calls_join_to_the_whole_ones():
    body = chat("get_weather and get_time", tools=[WEATHER, CLOCK])
    whole = (await ask_json(CHAT, body))["choices"][0]["message"]["tool_calls"]
    joined = {}
    for chunk in await ask_chunks(CHAT, body):
        ChatCompletionChunk.model_validate(chunk)
        for part in chunk["choices"][0]["delta"].get("tool_calls", ()):
            call = joined.setdefault(
                part["index"], {"id": part.get("id"), "type": "function", "function": None}
            )
            if call["function"] is None:
                call["function"] = {"name": part["function"]["name"], "arguments": ""}
            call["function"]["arguments"] += part["function"]["arguments"]
    assert list(joined.values()) == whole
    assert orjson.loads(whole[0]["function"]["arguments"]) == {"city": "demo", "days": 1}
    assert whole[0]["id"] != whole[1]["id"]


async def test_a_tool_result_is_quoted_and_ends_the_loop():
    body = chat("get_weather please", tools=[WEATHER], tool_choice="required")
    first = (await ask_json(CHAT, body))["choices"][0]["message"]
    result = {"role": "tool", "tool_call_id": first["tool_calls"][0]["id"], "content": "sunny, 21 degrees"}
    body["messages"] += [first, result]
    tree = await ask_json(CHAT, body)
    assert "sunny, 21 degrees" in tree["choices"][0]["message"]["content"]
    assert tree["choices"][0]["finish_reason"] == "stop"


async def test_json_schema_answers_with_an_instance():
    schema = {
        "$ref": "#/$defs/p",
        "$defs": {"p": {"type": "object", "properties": {"a": {"enum": [7]}}, "required": ["a"]}},
    }
    form = {"type": "json_schema", "json_schema": {"name": "p", "schema": schema}}
    tree = await ask_json(CHAT, chat("hi", response_format=form))
    assert orjson.loads(tree["choices"][0]["message"]["content"]) == {"a": 7}


async def test_json_object_answers_with_an_object():
    tree = await ask_json(CHAT, chat("hi", response_format={"type": "json_object"}))
    assert orjson.loads(tree["choices"][0]["message"]["content"])["demo"] is True


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({}, "messages", "missing_required_parameter"),
        ({"messages": "hi"}, "messages", "invalid_type"),
        ({"messages": []}, "messages", "empty_array"),
        ({"messages": ["hi"]}, "messages[0]", "invalid_type"),
        ({"messages": [{"content": "hi"}]}, "messages[0].role", "missing_required_parameter"),
        ({"messages": [{"role": "me", "content": "hi"}]}, "messages[0].role", "invalid_value"),
        ({"messages": [{"role": "user"}]}, "messages[0].content", "invalid_type"),
        (chat("hi", n=0), "n", "integer_out_of_range"),
        (chat("hi", n="many"), "n", "invalid_type"),
        (chat("hi", max_tokens=0), "max_tokens", "integer_out_of_range"),
        (chat("hi", stop=list("abcde")), "stop", "array_above_max_length"),
        (chat("hi", stop=5), "stop", "invalid_type"),
        (chat("hi", stream_options={}), "stream_options", None),
        (chat("hi", tools={}), "tools", "invalid_type"),
        (
            chat("hi", tools=[{"type": "function", "function": {}}]),
            "tools[0].function.name",
            "missing_required_parameter",
        ),
        (chat("hi", tools=["f"]), "tools[0]", "invalid_type"),
        (chat("hi", tools=[CLOCK], tool_choice="always"), "tool_choice", "invalid_value"),
        (
            chat("hi", response_format={"type": "json_schema", "json_schema": {}}),
            "response_format.json_schema.name",
            "missing_required_parameter",
        ),
        (chat("hi", tool_choice="required"), "tool_choice", None),
        (
            chat("hi", tools=[CLOCK], tool_choice={"type": "function", "function": {"name": "x"}}),
            "tool_choice",
            "invalid_value",
        ),
        (chat("hi", response_format={"type": "xml"}), "response_format.type", "invalid_value"),
        (
            chat(
                "hi",
                response_format={
                    "type": "json_schema",
                    "json_schema": {
                        "name": "n",
                        "schema": {"type": "object", "properties": {"a": False}, "required": ["a"]},
                    },
                },
            ),
            "response_format",
            "invalid_schema",
        ),
        (chat("hi", model=5), "model", "invalid_type"),
        (b"{", None, None),
        (b"[]", None, None),
        (b"[" * 500 + b"]" * 500, None, None),
        (b'{"a":' + b"[" * 400 + b"]" * 400 + b"}", None, None),
    ],
)
async def test_bad_requests_get_openais_error(body, param, code):
    tree = await ask_json(CHAT, body, status=400)
    error = tree["error"]
    assert (error["param"], error["code"]) == (param, code)
    assert error["type"] == "invalid_request_error"
    assert error["message"]


# What the gateway answers by itself where a provider cannot.
NOT_ITS_OWN = {"/v1/responses/compact", "/v1/responses/input_tokens"}
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-10, 10) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
_FIELDS = (
    "messages", "input", "prompt", "n", "stop", "tools", "tool_choice", "response_format", "stream_options",
    "stream", "text", "size", "dimensions", "instructions", "model", "max_tokens", "echo", "partial_images",
)  # fmt: skip


@given(path=st.sampled_from(sorted(ENDPOINT)), body=st.dictionaries(st.sampled_from(_FIELDS), _JSON))
def test_any_object_is_answered_or_refused(path, body):
    async def scenario():
        if ENDPOINT[path].api not in demo().apis:
            return
        answer = await ask(path, body)
        await answer.read()
        assert answer.status in ((400, 404) if path in NOT_ITS_OWN else (200, 400))

    asyncio.run(scenario())


# Completions


async def test_completions_answer_every_prompt_n_times():
    tree = await ask_json("/v1/completions", {"model": "m", "prompt": ["one", "two"], "n": 2})
    whole = Completion.model_validate(tree)
    assert [choice.index for choice in whole.choices] == [0, 1, 2, 3]
    assert '"two"' in whole.choices[2].text
    chunks = await ask_chunks(
        "/v1/completions",
        {"model": "m", "prompt": ["one", "two"], "n": 2, "stream_options": {"include_usage": True}},
    )
    for at, choice in enumerate(whole.choices):
        mine = [part for chunk in chunks for part in chunk["choices"] if part["index"] == at]
        assert "".join(part["text"] for part in mine) == choice.text
        assert [part["finish_reason"] for part in mine if part["finish_reason"]] == ["stop"]
    assert chunks[-1]["usage"] == tree["usage"]


@pytest.mark.parametrize(("prompt", "tokens"), [("a b", 2), ([1, 2, 3], 3), ([[1], [2, 3]], 3)])
async def test_completions_take_texts_and_tokens(prompt, tokens):
    tree = await ask_json("/v1/completions", {"prompt": prompt, "max_tokens": 1, "echo": True})
    assert tree["usage"]["prompt_tokens"] == tokens
    assert tree["choices"][0]["finish_reason"] == "length"


# Responses


async def test_a_response_is_valid_and_open_about_itself():
    tree = await ask_json("/v1/responses", {"model": "m", "input": "hi there", "instructions": "be kind"})
    whole = Response.model_validate(tree)
    assert '"hi there"' in whole.output_text
    assert whole.status == "completed"
    assert whole.usage.input_tokens == 4


async def test_a_response_streams_openais_sequence_of_events():
    whole = await ask_json("/v1/responses", {"model": "m", "input": "hi"})
    events = await ask_events("/v1/responses", {"model": "m", "input": "hi"})
    for event in events:
        TypeAdapter(ResponseStreamEvent).validate_python(event)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    kinds = [event["type"].removeprefix("response.") for event in events]
    deltas = kinds.count("output_text.delta")
    assert kinds == [
        "created", "in_progress", "output_item.added", "content_part.added", *["output_text.delta"] * deltas,
        "output_text.done", "content_part.done", "output_item.done", "completed",
    ]  # fmt: skip
    text = "".join(event["delta"] for event in events if event["type"].endswith(".delta"))
    assert text == whole["output"][0]["content"][0]["text"]
    assert {**events[-1]["response"], "id": 0} | {"output": 0} == {**whole, "id": 0} | {"output": 0}


async def test_a_response_calls_functions_and_quotes_their_results():
    tools = [{"type": "function", **tool["function"]} for tool in (WEATHER, CLOCK)]
    body = {"model": "m", "input": "get_weather and get_time", "tools": tools}
    tree = await ask_json("/v1/responses", body)
    calls = Response.model_validate(tree).output
    assert [call.name for call in calls] == ["get_weather", "get_time"]
    events = await ask_events("/v1/responses", body)
    for event in events:
        TypeAdapter(ResponseStreamEvent).validate_python(event)
    assert [event["arguments"] for event in events if event["type"].endswith("arguments.done")] == [
        call.arguments for call in calls
    ]
    result = {"type": "function_call_output", "call_id": calls[0].call_id, "output": "sunny"}
    body["input"] = [{"role": "user", "content": "get_weather"}, tree["output"][0], result]
    answer = Response.model_validate(await ask_json("/v1/responses", body))
    assert '"sunny"' in answer.output_text


async def test_a_response_can_be_structured_or_cut_short():
    schema = {"type": "object", "properties": {"a": {"type": "null"}}, "required": ["a"]}
    body = {"input": "hi", "text": {"format": {"type": "json_schema", "name": "n", "schema": schema}}}
    whole = Response.model_validate(await ask_json("/v1/responses", body))
    assert orjson.loads(whole.output_text) == {"a": None}
    events = await ask_events("/v1/responses", {"input": "hi", "max_output_tokens": 2})
    end = TypeAdapter(ResponseStreamEvent).validate_python(events[-1])
    assert end.type == "response.incomplete"
    assert end.response.incomplete_details.reason == "max_output_tokens"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "input"),
        ({"input": 5}, "input"),
        ({"input": ["hi"]}, "input[0]"),
        ({"input": [{}]}, "input[0].role"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": "hi", "previous_response_id": "resp_1"}, "previous_response_id"),
        ({"input": "hi", "background": True}, "background"),
        ({"input": "hi", "text": {"format": {"type": "json_schema"}}}, "text.format.name"),
        ({"input": "hi", "text": {"format": {"type": "xml"}}}, "text.format.type"),
    ],
)
async def test_bad_responses_requests_are_refused(body, param):
    assert (await ask_json("/v1/responses", body, status=400))["error"]["param"] == param


# Embeddings and moderations


async def test_embeddings_are_unit_vectors_that_depend_on_the_text_alone():
    body = {"model": "e", "input": ["a b", "c", "a b"], "dimensions": 32}
    whole = CreateEmbeddingResponse.model_validate(await ask_json("/v1/embeddings", body))
    one, two, again = [row.embedding for row in whole.data]
    assert one == again != two
    assert len(one) == 32
    assert hypot(*one) == pytest.approx(1, abs=1e-6)
    assert whole.usage.total_tokens == 5


async def test_embeddings_in_base64_are_the_same_numbers():
    body = {"input": "a b", "dimensions": 8}
    floats = await ask_json("/v1/embeddings", body)
    packed = await ask_json("/v1/embeddings", {**body, "encoding_format": "base64"})
    numbers = struct.unpack("<8f", b64decode(packed["data"][0]["embedding"]))
    assert list(numbers) == floats["data"][0]["embedding"]


@pytest.mark.parametrize(
    ("given_input", "rows", "tokens"), [("a b", 1, 2), ([1, 2], 1, 2), ([[1], [2, 3]], 2, 3)]
)
async def test_embeddings_take_texts_and_tokens(given_input, rows, tokens):
    tree = await ask_json("/v1/embeddings", {"input": given_input})
    assert len(tree["data"]) == rows
    assert tree["usage"]["prompt_tokens"] == tokens


@pytest.mark.parametrize(
    "body",
    [{}, {"input": ""}, {"input": []}, {"input": [[]]}, {"input": [5, "a"]}, {"input": "a", "dimensions": 0},
     {"input": "a", "encoding_format": "int8"}, {"input": ["a"] * 2000, "dimensions": 4096}],
)  # fmt: skip
async def test_bad_embeddings_requests_are_refused(body):
    await ask_json("/v1/embeddings", body, status=400)


async def test_moderation_flags_one_word_and_nothing_else():
    tree = await ask_json(
        "/v1/moderations", {"model": "m", "input": ["terrible things", f"a {FLAG_WORD} here"]}
    )
    clean, flagged = ModerationCreateResponse.model_validate(tree).results
    assert not clean.flagged
    assert not any(clean.categories.model_dump().values())
    assert flagged.flagged
    assert flagged.categories.harassment
    assert sum(flagged.category_scores.model_dump().values()) == 1


async def test_moderation_of_parts_is_one_result():
    parts = [{"type": "text", "text": FLAG_WORD}, {"type": "image_url", "image_url": {"url": "data:,"}}]
    (result,) = (await ask_json("/v1/moderations", {"input": parts}))["results"]
    assert result["flagged"]
    await ask_json("/v1/moderations", {"input": [5]}, status=400)


# Images


def read_png(data):
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, at = {}, 8
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        kind, content = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        assert struct.unpack_from(">I", data, at + 8 + size)[0] == zlib.crc32(kind + content)
        chunks[kind] = content
        at += 12 + size
    width, height = struct.unpack_from(">II", chunks[b"IHDR"])
    assert len(zlib.decompress(chunks[b"IDAT"])) == height * (1 + 3 * width)
    assert chunks[b"IEND"] == b""
    return width, height


@pytest.mark.parametrize(
    ("size", "drawn"), [(None, (64, 64)), ("auto", (64, 64)), ("1024x1024", (64, 64)), ("8x1", (8, 1))]
)
async def test_images_are_real_pictures_of_a_small_size(size, drawn):
    tree = await ask_json("/v1/images/generations", {"model": "i", "prompt": "a cat", "n": 2, "size": size})
    whole = ImagesResponse.model_validate(tree)
    one, two = [b64decode(row.b64_json) for row in whole.data]
    assert read_png(one) == read_png(two) == drawn
    assert one != two
    assert "demo" in whole.data[0].revised_prompt
    assert whole.created == NOW


async def test_images_come_as_data_urls_too():
    tree = await ask_json("/v1/images/generations", {"prompt": "a cat", "response_format": "url"})
    head, _, data = tree["data"][0]["url"].partition(",")
    assert head == "data:image/png;base64"
    read_png(b64decode(data))


async def test_edits_and_variations_want_a_picture():
    tree = await ask_form("/v1/images/edits", {"image[]": b"png"}, prompt="bluer", n="2")
    assert len(ImagesResponse.model_validate(tree).data) == 2
    one = await ask_form("/v1/images/variations", {"image": b"png"})
    other = await ask_form("/v1/images/variations", {"image": b"other"})
    assert one["data"] != other["data"]
    tree = await ask_form("/v1/images/edits", {}, prompt="bluer", status=400)
    assert tree["error"]["param"] == "image"


async def test_images_stream_partial_pictures_and_a_final_one():
    body = {"prompt": "a cat", "partial_images": 2}
    events = await ask_events("/v1/images/generations", body)
    for event in events:
        TypeAdapter(image_gen_stream_event.ImageGenStreamEvent).validate_python(event)
    assert [event["type"].partition(".")[2] for event in events] == ["partial_image"] * 2 + ["completed"]
    headers = {"Content-Type": "multipart/form-data; boundary=xx"}
    answer = await ask("/v1/images/edits", form({"image": b"png"}, prompt="x", stream="true"), **headers)
    (frame,) = split_frames(await answer.read())
    TypeAdapter(image_edit_stream_event.ImageEditStreamEvent).validate_python(orjson.loads(frame.data))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"prompt": ""},
        {"prompt": "x", "size": "huge"},
        {"prompt": "x", "n": 11},
        {"prompt": "x", "output_format": "webp"},
    ],
)
async def test_bad_images_requests_are_refused(body):
    await ask_json("/v1/images/generations", body, status=400)


# Audio


async def speak(**body):
    answer = await ask("/v1/audio/speech", {"model": "s", "voice": "alloy", **body})
    chunks = []
    while chunk := await answer.chunk():
        chunks.append(chunk)
    return answer, chunks


async def test_speech_is_a_wav_in_several_chunks():
    answer, chunks = await speak(input="one two three")
    assert answer.headers["Content-Type"] == "audio/wav"
    assert len(chunks) > 1
    with wave.open(BytesIO(b"".join(chunks))) as reader:
        assert (reader.getnchannels(), reader.getsampwidth(), reader.getframerate()) == (1, 2, 24_000)
        assert any(reader.readframes(2_000))
        assert reader.getnframes() > 6_000


async def test_speech_as_pcm_is_the_wav_without_its_head():
    _, chunks = await speak(input="one two three")
    answer, bare = await speak(input="one two three", response_format="pcm")
    assert answer.headers["Content-Type"] == "audio/pcm"
    assert b"".join(chunks)[44:] == b"".join(bare)


async def test_speech_refuses_formats_it_cannot_make_by_naming_those_it_can():
    tree = await ask_json("/v1/audio/speech", {"input": "x", "response_format": "mp3"}, status=400)
    assert "'wav', 'pcm'" in tree["error"]["message"]


async def test_speech_as_events_carries_the_same_audio():
    _, chunks = await speak(input="one two")
    _, frames = await speak(input="one two", stream_format="sse")
    *deltas, done = [orjson.loads(frame.data) for frame in split_frames(b"".join(frames))]
    assert b"".join(b64decode(delta["audio"]) for delta in deltas) == b"".join(chunks)
    assert done["type"] == "speech.audio.done"
    assert done["usage"]["input_tokens"] == 2


async def test_a_transcription_states_size_and_duration():
    _, chunks = await speak(input="one two")
    recording = b"".join(chunks)
    tree = await ask_form("/v1/audio/transcriptions", {"file": recording}, model="t")
    whole = Transcription.model_validate(tree)
    assert f"{len(recording)} bytes" in whole.text
    assert "seconds" in whole.text
    assert whole.usage.type == "duration"
    tree = await ask_form("/v1/audio/transcriptions", {"file": recording}, response_format="verbose_json")
    verbose = TranscriptionVerbose.model_validate(tree)
    assert verbose.duration == pytest.approx(0.25, abs=0.05)
    tree = await ask_form("/v1/audio/translations", {"file": recording}, response_format="verbose_json")
    TranslationVerbose.model_validate(tree)


async def test_a_recording_that_is_no_wav_is_described_as_such():
    headers = {"Content-Type": "multipart/form-data; boundary=xx"}
    answer = await ask("/v1/audio/transcriptions", form({"file": b"ID3"}, response_format="text"), **headers)
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert b"3 bytes and is no WAV" in await answer.read()
    tree = await ask_form("/v1/audio/transcriptions", {"file": b"ID3"})
    assert Transcription.model_validate(tree).usage.type == "tokens"


async def test_a_transcription_streams():
    headers = {"Content-Type": "multipart/form-data; boundary=xx"}
    answer = await ask("/v1/audio/transcriptions", form({"file": b"ID3"}, stream="true"), **headers)
    events = [orjson.loads(frame.data) for frame in split_frames(await answer.read())]
    for event in events:
        TypeAdapter(TranscriptionStreamEvent).validate_python(event)
    assert "".join(event["delta"] for event in events[:-1]) == events[-1]["text"]


@pytest.mark.parametrize(("files", "fields"), [({}, {}), ({"file": b"x"}, {"response_format": "srt"})])
async def test_bad_transcription_requests_are_refused(files, fields):
    await ask_form("/v1/audio/transcriptions", files, status=400, **fields)


async def test_a_broken_form_is_refused():
    await ask_json(
        "/v1/audio/transcriptions", b"--yy", 400, **{"Content-Type": "multipart/form-data; boundary=xx"}
    )
    await ask_json("/v1/audio/transcriptions", b"--yy", 400, **{"Content-Type": "multipart/form-data"})


# Schemas


def holds(value, schema, root):
    """Check an instance against the part of JSON Schema that the tests below use."""
    if isinstance(schema, bool):
        return schema
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return holds(value, root["$defs"][name], root)
    if "type" in schema:
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        if not any(is_of_type(value, kind) for kind in kinds):
            return False
    checks = [
        "const" not in schema or value == schema["const"],
        "enum" not in schema or value in schema["enum"],
        "anyOf" not in schema or any(holds(value, option, root) for option in schema["anyOf"]),
        all(holds(value, option, root) for option in schema.get("allOf", ())),
    ]
    if isinstance(value, dict):
        known = schema.get("properties", {})
        checks += [name in value for name in schema.get("required", ())]
        checks += [holds(value[name], known.get(name, True), root) for name in value]
    elif isinstance(value, list):
        checks += [len(value) >= schema.get("minItems", 0)]
        checks += [holds(item, schema.get("items", True), root) for item in value]
    elif isinstance(value, str):
        checks += [schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", 10**6)]
    elif isinstance(value, int | float) and not isinstance(value, bool):
        checks += [value >= schema.get("minimum", value), value <= schema.get("maximum", value)]
        checks += [
            value > schema.get("exclusiveMinimum", value - 1),
            value < schema.get("exclusiveMaximum", value + 1),
        ]
        checks += [value % schema.get("multipleOf", 1) == 0 or "multipleOf" not in schema]
    return all(checks)


@st.composite
def _numbers(draw, kind):
    low = draw(st.integers(-50, 50))
    schema = {"type": kind, "minimum": low, "maximum": low + draw(st.integers(8, 60))}
    if draw(st.booleans()):
        schema["multipleOf"] = draw(st.integers(1, 8))
    elif draw(st.booleans()):
        schema["exclusiveMinimum"] = low
    return schema


_LEAVES = st.one_of(
    st.sampled_from(
        [
            {},
            True,
            {"type": "null"},
            {"type": "boolean"},
            {"type": ["null", "integer"]},
            {"$ref": "#/$defs/leaf"},
        ]
    ),
    st.integers(0, 30).map(lambda size: {"type": "string", "minLength": size}),
    st.integers(0, 3).map(lambda size: {"type": "string", "maxLength": size}),
    st.lists(st.integers() | st.text(max_size=3), min_size=1, max_size=3).map(
        lambda values: {"enum": values}
    ),
    st.integers().map(lambda value: {"const": value}),
    _numbers("integer"),
    _numbers("number"),
)


def _nested(inner):
    names = st.text("abc", min_size=1, max_size=2)
    return st.one_of(
        st.dictionaries(names, inner, max_size=3).map(
            lambda known: {"type": "object", "properties": known, "required": [*known, "z"]}
        ),
        st.tuples(inner, st.integers(0, 3)).map(
            lambda row: {"type": "array", "items": row[0], "minItems": row[1]}
        ),
        st.lists(inner, min_size=1, max_size=3).map(lambda options: {"anyOf": options}),
        inner.map(lambda one: {"allOf": [one]}),
    )


@given(st.recursive(_LEAVES, _nested, max_leaves=10))
def test_an_instance_obeys_its_schema(schema):
    root = {"allOf": [schema], "$defs": {"leaf": {"type": "string", "minLength": 7}}}
    assert holds(instance(root), root, root)


@given(
    _JSON,
    st.sampled_from(
        ["properties", "items", "anyOf", "enum", "allOf", "required", "type", "minItems", "$ref"]
    ),
)
def test_a_schema_that_is_none_never_surprises(value, key):
    try:
        instance({key: value})
    except Unsatisfiable:
        return


@pytest.mark.parametrize(
    ("schema", "wanted"),
    [
        ({"type": "string", "format": "date"}, "2026-01-01"),
        ({"type": "string", "format": "email"}, "demo@example.com"),
        ({"type": "integer", "exclusiveMinimum": 3}, 4),
        ({"type": "integer", "exclusiveMinimum": True, "minimum": 3}, 4),
        ({"type": "number", "minimum": 0.25, "multipleOf": 0.1}, 0.3),
        ({"type": "number", "exclusiveMinimum": 1, "exclusiveMaximum": 1.5}, 1.25),
        ({"type": "integer", "maximum": -3, "multipleOf": 0.5}, -3),
        ({"oneOf": [False, {"const": 2}]}, 2),
        ({"prefixItems": [{"const": 1}], "items": {"const": 2}, "minItems": 3}, [1, 2, 2]),
        (
            {"type": "object", "minProperties": 2, "properties": {"b": {"const": 1}}},
            {"b": 1, "demo_1": "demo"},
        ),
        ({"allOf": [{"required": ["a"]}, {"properties": {"a": {"const": 1}}}]}, {"a": 1}),
        ({"anyOf": [{"$ref": "#"}, {"type": "null"}]}, None),
    ],
)
def test_instances_are_small_and_plain(schema, wanted):
    assert instance(schema) == wanted


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$ref": "#/nowhere"},
        {"$ref": "https://example.com/schema"},
        {"type": "array", "minItems": 10**9},
        {"type": "string", "minLength": 10**9},
        {"type": "integer", "minimum": 3, "maximum": 2},
        {"type": "object", "properties": {"self": {"$ref": "#"}}, "required": ["self"]},
        {"enum": ["a"], "type": "integer"},
    ],
)
def test_schemas_without_a_small_instance_are_refused(schema):
    with pytest.raises(Unsatisfiable):
        instance(schema)


def test_a_schema_that_doubles_at_every_level_is_refused_at_once():
    levels = {
        f"l{at}": {"type": "array", "minItems": 2, "items": {"$ref": f"#/$defs/l{at + 1}"}}
        for at in range(40)
    }
    with pytest.raises(Unsatisfiable):
        instance({"$ref": "#/$defs/l0", "$defs": {**levels, "l40": {}}})


# Steering


async def test_chunks_gives_exactly_that_many_pieces():
    for count in (1, 5, 100):
        text = f"hi [[demo chunks={count}]]"
        chunks = await ask_chunks(CHAT, chat(text))
        pieces = [part for chunk in chunks if (part := chunk["choices"][0]["delta"].get("content"))]
        assert len(pieces) == count
        whole = await ask_json(CHAT, chat(text))
        assert "".join(pieces) == whole["choices"][0]["message"]["content"]
        assert "[[" not in pieces[0]


async def test_pace_and_delay_take_their_time():
    loop = asyncio.get_running_loop()
    start = loop.time()
    await ask_json(CHAT, chat("[[demo delay=50ms]]"))
    assert loop.time() - start >= 0.05
    answer = await ask(CHAT, chat("[[demo pace=10ms delay=0.1s chunks=3]]", stream=True))
    start = loop.time()
    await answer.chunk()
    assert loop.time() - start >= 0.1
    await answer.read()
    assert loop.time() - start >= 0.14


@pytest.mark.parametrize(
    "path", [CHAT, "/v1/responses", "/v1/completions", "/v1/embeddings", "/v1/audio/speech"]
)
async def test_an_error_can_be_asked_for_anywhere(path):
    text = "hi [[demo error=429]]"
    field = {CHAT: {"messages": chat(text)["messages"]}, "/v1/completions": {"prompt": text}}
    answer = await ask(path, field.get(path, {"input": text}))
    assert answer.status == 429
    assert answer.headers["Retry-After"] == "1"
    error = orjson.loads(await answer.read())["error"]
    assert error["code"] == "rate_limit_exceeded"
    assert "demo" in error["message"]


@pytest.mark.parametrize("status", [400, 401, 404, 500, 503, 529])
async def test_any_error_status_can_be_asked_for(status):
    answer = await ask(CHAT, chat(f"[[demo error={status}]]", stream=True))
    assert answer.status == status
    assert "Retry-After" not in answer.headers


async def test_only_the_last_user_message_steers():
    body = chat("[[demo error=500]]")
    body["messages"] += [{"role": "assistant", "content": "sorry"}, {"role": "user", "content": "again"}]
    await ask_json(CHAT, body)


async def test_cut_ends_a_stream_without_its_mark():
    frames = await ask_frames(CHAT, chat("[[demo cut=3]]"))
    assert len(frames) == 3
    assert frames[-1].data != b"[DONE]"
    answer = await ask(CHAT, chat("[[demo cut]]"))
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(await answer.read())


async def test_garbage_is_no_json():
    *frames, last = await ask_frames(CHAT, chat("[[demo garbage=2]]"))
    assert len(frames) == 2
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(last.data)
    answer = await ask(CHAT, chat("[[demo garbage]]"))
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(await answer.read())


async def test_an_error_comes_in_mid_stream_in_the_formats_own_shape():
    *frames, last = await ask_frames(CHAT, chat("[[demo error-after=2]]"))
    assert len(frames) == 2
    assert orjson.loads(last.data)["error"]["type"] == "server_error"
    events = await ask_events("/v1/responses", {"input": "[[demo error-after=2]]"})
    for event in events:
        TypeAdapter(ResponseStreamEvent).validate_python(event)
    assert [event["type"] for event in events[2:]] == ["error", "response.failed"]
    assert [event["sequence_number"] for event in events] == [0, 1, 2, 3]
    await ask_json(CHAT, chat("[[demo error-after=2]]"), status=500)


async def test_a_binary_stream_can_break_off_too():
    for word in ("cut=1", "error-after=1"):
        _, chunks = await speak(input=f"one two three [[demo {word}]]")
        assert len(chunks) == 1


@pytest.mark.parametrize("word", ["nonsense", "pace=soon", "chunks=0", "error=200", "cut=-1", "delay=1h"])
async def test_steering_that_is_not_known_is_refused(word):
    tree = await ask_json(CHAT, chat(f"[[demo {word}]]"), status=400)
    assert word in tree["error"]["message"]


# Closing


async def test_a_hanging_stream_says_nothing_and_stops_when_closed():
    before = asyncio.all_tasks()
    answer = await ask(CHAT, chat("[[demo hang]]", stream=True))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(answer.chunk(), 0.02)
    await asyncio.wait_for(answer.close(), 1)
    assert await answer.chunk() == b""
    assert asyncio.all_tasks() == before


async def test_a_stream_can_hang_after_it_began_and_be_closed_unread():
    answer = await ask(CHAT, chat("[[demo hang=2 pace=0]]", stream=True))
    assert await answer.chunk()
    assert await answer.chunk()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(answer.chunk(), 0.02)
    await answer.close()
    unread = await ask(CHAT, chat("[[demo pace=10s]]", stream=True))
    await unread.chunk()
    await asyncio.wait_for(unread.close(), 1)
    assert await unread.chunk() == b""


async def test_a_hanging_whole_answer_stops_when_its_call_is_cancelled():
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ask(CHAT, chat("[[demo hang]]")), 0.02)
