"""Every field of a request: understood, handed on, echoed, or refused with its place."""

import json

import pytest
from support.openresponses_wire import check_stream, check_whole
from support.responses_provider import APIS, HELLO, answer, ask, house, last_response, script, serve

from aigw.dialects.anthropic import ANTHROPIC
from aigw.dialects.gemini import GEMINI
from aigw.dialects.openai_chat import OPENAI_CHAT
from aigw.dialects.openresponses import OPENRESPONSES
from aigw.errors import ClientError

TRANSLATED = [api for api in APIS if api != "responses"]
FUNCTION = {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}}
SHAPE = {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}
ECHOED = {
    "instructions": "Be brief.",
    "max_output_tokens": 100,
    "max_tool_calls": 3,
    "metadata": {"k": "v"},
    "parallel_tool_calls": False,
    "presence_penalty": 0.5,
    "frequency_penalty": 0.25,
    "prompt_cache_key": "key",
    "reasoning": {"effort": "low", "summary": "auto"},
    "safety_identifier": "somebody",
    "service_tier": "flex",
    "temperature": 0.5,
    "top_p": 0.9,
    "top_logprobs": 2,
    "truncation": "auto",
    "tool_choice": "required",
    "user": "u",
}
DEFAULTS = {
    "background": False,
    "error": None,
    "frequency_penalty": 0,
    "incomplete_details": None,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "presence_penalty": 0,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "temperature": 1,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1,
    "truncation": "disabled",
}
both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@both_ways
@pytest.mark.parametrize("api", TRANSLATED)
async def test_an_answer_repeats_all_that_was_asked(upstream, aiohttp_server, http, api, stream):
    script(upstream, api, answer(HELLO), stream=stream)
    url = await serve(aiohttp_server, house(upstream, api))
    asked = {**ECHOED, "tools": [FUNCTION], "text": {"format": SHAPE, "verbosity": "low"}}
    status, _, raw = await ask(http, url, {"model": "m", "input": "hi", "stream": stream, **asked})
    assert status == 200
    if stream:
        check_stream(raw, failed=False)
    response = last_response(raw, stream=stream)
    check_whole(response)
    assert {name: response[name] for name in ECHOED} == ECHOED
    assert response["tools"] == [{**FUNCTION, "strict": None}]
    assert response["text"] == {"format": {"description": None, **SHAPE}, "verbosity": "low"}


@both_ways
@pytest.mark.parametrize("api", TRANSLATED)
async def test_an_answer_has_every_field_where_nothing_was_asked(upstream, aiohttp_server, http, api, stream):
    script(upstream, api, answer(HELLO), stream=stream)
    url = await serve(aiohttp_server, house(upstream, api))
    _, _, raw = await ask(http, url, {"model": "m", "input": "hi", "stream": stream})
    response = last_response(raw, stream=stream)
    check_whole(response)
    assert {name: response[name] for name in DEFAULTS} == DEFAULTS
    assert response["status"] == "completed"
    assert response["completed_at"] >= response["created_at"] > 0


CHOICES = [
    "none",
    "auto",
    "required",
    {"type": "function", "name": "f"},
    {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]},
]


@pytest.mark.parametrize("choice", CHOICES, ids=str)
@pytest.mark.parametrize("api", TRANSLATED)
async def test_a_choice_of_tools_is_repeated_in_its_own_shape(upstream, aiohttp_server, http, api, choice):
    script(upstream, api, answer(HELLO), stream=False)
    url = await serve(aiohttp_server, house(upstream, api))
    _, _, raw = await ask(
        http, url, {"model": "m", "input": "hi", "tools": [FUNCTION], "tool_choice": choice}
    )
    response = json.loads(raw)
    check_whole(response)
    assert response["tool_choice"] == choice


WRONG = [
    ({"instructions": 7}, "instructions"),
    ({"instructions": [{"role": "user", "content": "x"}]}, "instructions"),
    ({"max_output_tokens": "many"}, "max_output_tokens"),
    ({"max_output_tokens": 1.5}, "max_output_tokens"),
    ({"max_output_tokens": -1}, "max_output_tokens"),
    ({"max_tool_calls": True}, "max_tool_calls"),
    ({"metadata": "x"}, "metadata"),
    ({"metadata": {"a": 1}}, "metadata.a"),
    ({"parallel_tool_calls": "yes"}, "parallel_tool_calls"),
    ({"reasoning": "high"}, "reasoning"),
    ({"reasoning": {"effort": 3}}, "reasoning.effort"),
    ({"text": "json"}, "text"),
    ({"text": {"format": "json"}}, "text.format"),
    ({"text": {"format": {"type": "json_schema", "name": 7}}}, "text.format.name"),
    ({"text": {"format": {**SHAPE, "schema": []}}}, "text.format.schema"),
    ({"truncation": "sometimes"}, "truncation"),
    ({"include": "reasoning.encrypted_content"}, "include"),
    ({"stream_options": {"include_obfuscation": "no"}}, "stream_options.include_obfuscation"),
    ({"safety_identifier": {}}, "safety_identifier"),
    ({"prompt_cache_key": 7}, "prompt_cache_key"),
    ({"service_tier": 1}, "service_tier"),
    ({"store": "no"}, "store"),
    ({"top_logprobs": "2"}, "top_logprobs"),
    ({"temperature": True}, "temperature"),
    ({"tools": {}}, "tools"),
    ({"tools": [{"type": "function"}]}, "tools[0].name"),
    ({"tool_choice": "any"}, "tool_choice"),
    ({"tool_choice": {"type": "function"}}, "tool_choice.name"),
    ({"tool_choice": {"type": "custom", "name": 7}}, "tool_choice.name"),
    ({"tool_choice": {"type": "allowed_tools"}}, "tool_choice.tools"),
    ({"tool_choice": {"type": "allowed_tools", "tools": []}}, "tool_choice.tools"),
    ({"tool_choice": {"type": "allowed_tools", "tools": "f"}}, "tool_choice.tools"),
    ({"input": [{"type": "message", "role": "user", "content": 7}]}, "input[0].content"),
    ({"input": [{"type": "function_call_output", "output": "x"}]}, "input[0].call_id"),
    ({"input": None}, "input"),
]


@pytest.mark.parametrize(("fields", "param"), WRONG, ids=lambda value: json.dumps(value)[:60])
def test_a_field_that_is_not_what_it_has_to_be_is_refused(fields, param):
    with pytest.raises(ClientError) as caught:
        OPENRESPONSES.decode_request({"model": "m", "input": "hi", **fields})
    assert caught.value.param == param
    assert caught.value.message.startswith(param)


@pytest.mark.parametrize("api", TRANSLATED)
async def test_a_refusal_comes_in_the_shape_of_the_specification(upstream, aiohttp_server, http, api):
    url = await serve(aiohttp_server, house(upstream, api))
    status, _, raw = await ask(http, url, {"model": "m", "input": "hi", "truncation": "never"})
    assert status == 400
    assert json.loads(raw) == {
        "error": {
            "message": 'truncation: expected "auto" or "disabled", got "never"',
            "type": "invalid_request_error",
            "param": "truncation",
            "code": "invalid_request",
        }
    }
    assert upstream.seen == []


def test_null_says_nothing_anywhere():
    fields = dict.fromkeys([*ECHOED, "tools", "text", "include", "stream_options", "store", "background"])
    request = OPENRESPONSES.decode_request({"model": "m", "input": "hi", **fields})
    assert request == OPENRESPONSES.decode_request({"model": "m", "input": "hi"})


@pytest.mark.parametrize("codec", [OPENAI_CHAT, ANTHROPIC, GEMINI], ids=lambda codec: codec.name)
class TestLosses:
    def dropped(self, codec, **fields):
        request = OPENRESPONSES.decode_request({"model": "m", "input": "hi", **fields})
        return codec.encode_request(request).dropped

    @pytest.mark.parametrize(
        "fields",
        [
            {"truncation": "disabled"},
            {"background": False},
            {"include": ["reasoning.encrypted_content"]},
            {"stream_options": {"include_obfuscation": False}},
        ],
        ids=str,
    )
    def test_what_asks_for_nothing_special_is_no_loss(self, codec, fields):
        assert self.dropped(codec, **fields) == ()

    @pytest.mark.parametrize(
        ("fields", "lost"),
        [
            ({"truncation": "auto"}, "openresponses:truncation"),
            ({"max_tool_calls": 3}, "openresponses:max_tool_calls"),
            ({"include": ["web_search_call.results"]}, "openresponses:include"),
            ({"stream_options": {"include_obfuscation": True}}, "openresponses:stream_options"),
        ],
        ids=str,
    )
    def test_what_cannot_be_had_is_told(self, codec, fields, lost):
        assert self.dropped(codec, **fields) == (lost,)

    def test_the_phase_of_a_message_is_told(self, codec):
        said = {"role": "assistant", "content": "x", "phase": "commentary"}
        assert self.dropped(codec, input=[said, {"role": "user", "content": "y"}]) == ("items[0].phase",)

    @pytest.mark.parametrize(
        "item",
        [
            {"type": "shell_call", "id": "sh_1", "call_id": "c", "action": {"commands": ["ls"]}},
            {"type": "apply_patch_call", "id": "ap_1", "call_id": "c", "operation": {"type": "delete_file"}},
            {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}},
            {"type": "compaction", "id": "cmp_1", "encrypted_content": "x"},
            {"type": "item_reference", "id": "msg_1"},
            {"type": "acme:receipt", "id": "a_1", "status": "completed"},
        ],
        ids=lambda item: item["type"],
    )
    def test_an_item_of_this_format_alone_is_told(self, codec, item):
        assert self.dropped(codec, input=[{"role": "user", "content": "y"}, item]) == ("items[1]",)


@both_ways
async def test_the_phase_of_messages_passes_both_ways(upstream, aiohttp_server, http, stream):
    """Over a provider that speaks responses, also where the answer is decoded on its way."""
    script(upstream, "responses", answer(*messages()), stream=stream)
    url = await serve(aiohttp_server, house(upstream, "responses"))
    said = {"type": "message", "role": "assistant", "phase": "commentary", "content": "x"}
    for choice in ("auto", "none"):
        body = {"model": "m", "input": [said], "stream": stream, "tool_choice": choice}
        _, _, raw = await ask(http, url, body)
        output = last_response(raw, stream=stream)["output"]
        assert [item["phase"] for item in output] == ["commentary", "final_answer"]
        assert upstream.seen[-1].json["input"][0]["phase"] == "commentary"


def messages():
    said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "x"}]}
    output = [{**said, "phase": phase} for phase in ("commentary", "final_answer")]
    return OPENRESPONSES.decode_response({"output": output}).items
