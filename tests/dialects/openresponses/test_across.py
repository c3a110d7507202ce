"""Chat completions and responses, one translated into the other: what both can say means the same."""

import json

import pytest
from support.openresponses_wire import check_stream, check_whole

from aigw.dialects.base import join_frames
from aigw.dialects.openai_chat import OPENAI_CHAT
from aigw.dialects.openresponses import OPENRESPONSES
from aigw.model import fold

CHAT_REQUEST = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Weather and time?"},
        {
            "role": "assistant",
            "content": "One moment.",
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "weather", "arguments": '{"c":"Prague"}'},
                },
                {"id": "call_2", "type": "custom", "custom": {"name": "sql", "input": "select now()"}},
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "Sunny"},
        {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "12:00"}]},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "And this?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,aaaa", "detail": "low"}},
                {
                    "type": "file",
                    "file": {"file_data": "data:application/pdf;base64,JVBERi0=", "filename": "a.pdf"},
                },
                {"type": "input_audio", "input_audio": {"data": "bbbb", "format": "wav"}},
            ],
        },
    ],
    "tools": [
        {
            "type": "function",
            "function": {"name": "weather", "parameters": {"type": "object"}, "strict": True},
        },
        {"type": "custom", "custom": {"name": "sql"}},
    ],
    "tool_choice": {"type": "function", "function": {"name": "weather"}},
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
    "reasoning_effort": "low",
    "verbosity": "low",
    "max_completion_tokens": 50,
    "temperature": 0.5,
    "parallel_tool_calls": True,
    "metadata": {"a": "b"},
    "user": "u",
}
RESPONSES_REQUEST = {
    "model": "m",
    "input": [
        {"type": "message", "role": "system", "content": "Be kind."},
        {"type": "message", "role": "user", "content": "Weather and time?"},
        {"type": "message", "role": "assistant", "content": "One moment."},
        {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": '{"c":"Prague"}'},
        {"type": "custom_tool_call", "call_id": "call_2", "name": "sql", "input": "select now()"},
        {"type": "function_call_output", "call_id": "call_1", "output": "Sunny"},
        {"type": "custom_tool_call_output", "call_id": "call_2", "output": "12:00"},
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_text", "text": "And this?"},
                {"type": "input_image", "image_url": "data:image/png;base64,aaaa", "detail": "low"},
                {
                    "type": "input_file",
                    "file_data": "data:application/pdf;base64,JVBERi0=",
                    "filename": "a.pdf",
                },
                {"type": "input_audio", "input_audio": {"data": "bbbb", "format": "wav"}},
            ],
        },
    ],
    "tools": [
        {"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": True},
        {"type": "custom", "name": "sql"},
    ],
    "tool_choice": {"type": "function", "name": "weather"},
    "text": {
        "format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}},
        "verbosity": "low",
    },
    "reasoning": {"effort": "low"},
    "max_output_tokens": 50,
    "temperature": 0.5,
    "parallel_tool_calls": True,
    "metadata": {"a": "b"},
    "user": "u",
}


def test_a_chat_request_becomes_a_responses_request():
    encoded = OPENRESPONSES.encode_request(OPENAI_CHAT.decode_request(CHAT_REQUEST))
    assert encoded.tree == RESPONSES_REQUEST
    assert encoded.dropped == ()


def test_a_responses_request_becomes_a_chat_request():
    encoded = OPENAI_CHAT.encode_request(OPENRESPONSES.decode_request(RESPONSES_REQUEST))
    wanted = json.loads(json.dumps(CHAT_REQUEST))
    wanted["messages"][4]["content"] = "12:00"
    assert encoded.tree == wanted
    assert encoded.dropped == ()


def test_instructions_become_a_system_message():
    request = OPENRESPONSES.decode_request({"model": "m", "instructions": "Be kind.", "input": "hi"})
    assert OPENAI_CHAT.encode_request(request).tree["messages"] == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "hi"},
    ]


def test_a_stream_is_asked_for_with_its_counts():
    request = OPENRESPONSES.decode_request({"model": "m", "input": "hi", "stream": True})
    assert OPENAI_CHAT.encode_request(request).tree["stream_options"] == {"include_usage": True}


def function(number, name, arguments):
    return {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": arguments}}


MESSAGES = {
    "text": ({"content": "Hello"}, "stop"),
    "reasoning": ({"reasoning_content": "Hm.", "content": "4"}, "stop"),
    "refusal": ({"content": None, "refusal": "I cannot."}, "stop"),
    "out_of_tokens": ({"content": "Once upon"}, "length"),
    "filtered": ({"content": "Once"}, "content_filter"),
    "one_tool": ({"content": None, "tool_calls": [function(1, "f", "{}")]}, "tool_calls"),
    "parallel_tools": (
        {"content": "Both.", "tool_calls": [function(1, "f", '{"a":1}'), function(2, "g", "")]},
        "tool_calls",
    ),
    "citation": (
        {
            "content": "Sunny",
            "annotations": [
                {
                    "type": "url_citation",
                    "url_citation": {"start_index": 0, "end_index": 5, "url": "u", "title": "t"},
                }
            ],
        },
        "stop",
    ),
}


def completion(name):
    message, finish = MESSAGES[name]
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 7,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "refusal": None, **message},
                "logprobs": None,
                "finish_reason": finish,
            }
        ],
        "usage": {
            "prompt_tokens": 3,
            "completion_tokens": 4,
            "total_tokens": 7,
            "prompt_tokens_details": {"cached_tokens": 1, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 2, "audio_tokens": 0},
        },
    }


def chunks(name):
    """A stream that says what the completion says, cut as small as may be."""
    message, finish = MESSAGES[name]
    deltas = []
    for field in ("reasoning_content", "content", "refusal"):
        deltas += [{field: letter} for letter in message.get(field) or ""]
    deltas += [{"annotations": [one]} for one in message.get("annotations", [])]
    for index, call in enumerate(message.get("tool_calls", [])):
        deltas.append(
            {"tool_calls": [{"index": index, **call, "function": {**call["function"], "arguments": ""}}]}
        )
        deltas += [
            {"tool_calls": [{"index": index, "function": {"arguments": letter}}]}
            for letter in call["function"]["arguments"]
        ]
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "m"}
    trees = [{**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    trees.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    trees.append({**head, "choices": [], "usage": completion(name)["usage"]})
    data = b"".join(b"data: " + json.dumps(tree).encode() + b"\n\n" for tree in trees)
    return data + b"data: [DONE]\n\n"


def translate(data, source, target):
    decoder, encoder = source.stream_decoder(), target.stream_encoder(None)
    events = decoder.feed(data) + decoder.close()
    return join_frames(encoder, events) + encoder.close()


def folded(data, dialect):
    decoder = dialect.stream_decoder()
    return fold(decoder.feed(data) + decoder.close())


@pytest.mark.parametrize("name", MESSAGES)
def test_an_answer_survives_the_way_through_the_other_format_and_back(name):
    tree = completion(name)
    there = OPENRESPONSES.encode_response(OPENAI_CHAT.decode_response(tree), None)
    check_whole(there)
    back = OPENAI_CHAT.encode_response(OPENRESPONSES.decode_response(there), None)
    assert without_echo(back) == tree


@pytest.mark.parametrize("name", MESSAGES)
def test_a_stream_survives_the_way_through_the_other_format_and_back(name):
    there = translate(chunks(name), OPENAI_CHAT, OPENRESPONSES)
    check_stream(there, failed=False)
    back = translate(there, OPENRESPONSES, OPENAI_CHAT)
    assert without_echo(OPENAI_CHAT.encode_response(folded(back, OPENAI_CHAT), None)) == completion(name)


@pytest.mark.parametrize("name", MESSAGES)
def test_a_stream_in_the_other_format_says_what_the_whole_says(name):
    there = folded(translate(chunks(name), OPENAI_CHAT, OPENRESPONSES), OPENRESPONSES)
    whole = OPENRESPONSES.encode_response(OPENAI_CHAT.decode_response(completion(name)), None)
    assert OPENRESPONSES.encode_response(there, None) == whole


def without_echo(tree):
    """Without what only a responses answer repeats of its request."""
    return {field: tree[field] for field in completion("text")}
