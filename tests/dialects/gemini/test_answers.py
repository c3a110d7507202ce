"""Whole answers between the formats, reasons and counts, errors, and how a stream is watched."""

import json

import openai.types.chat
import pytest
from google.genai import types

from aigw.dialects.base import join_frames
from aigw.dialects.gemini import GEMINI
from aigw.dialects.gemini.errors import STATUS_AND_CODE
from aigw.dialects.gemini.finish import decode_finish, encode_finish
from aigw.dialects.openai_chat import OPENAI_CHAT
from aigw.errors import ClientError, ErrorKind, GatewayError, ProtocolError, UpstreamError
from aigw.model import (
    Annotation,
    Choice,
    FinishReason,
    FunctionCall,
    Message,
    Reasoning,
    RefusalPart,
    Response,
    TextPart,
    Usage,
    fold,
    unfold,
)
from aigw.wire.sse import split_frames

WORDS = [reason.value for reason in types.FinishReason if "UNSPECIFIED" not in reason.value]


def candidate(*parts, finish="STOP", **fields):
    return {
        "candidates": [{"content": {"parts": list(parts)}, "finishReason": finish, **fields}],
        "responseId": "r",
        "modelVersion": "gemini-3-pro",
    }


def to_chat(tree):
    response = GEMINI.decode_response(tree)
    whole = OPENAI_CHAT.encode_response(response, None)
    openai.types.chat.ChatCompletion.model_validate(whole, strict=True)
    encoder = OPENAI_CHAT.stream_encoder(None)
    streamed = join_frames(encoder, unfold(response)) + encoder.close()
    decoder = OPENAI_CHAT.stream_decoder()
    again = OPENAI_CHAT.encode_response(fold(decoder.feed(streamed) + decoder.close()), None)
    assert again["choices"] == whole["choices"]
    return whole["choices"][0]


def to_gemini(message, finish="stop"):
    chat = {"id": "c", "model": "m", "created": 1, "choices": [
        {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    ]}  # fmt: skip
    tree = GEMINI.encode_response(OPENAI_CHAT.decode_response(chat), None)
    types.GenerateContentResponse.model_validate_json(json.dumps(tree))
    return tree["candidates"][0]


def test_text_reaches_a_chat_client_and_back():
    assert to_chat(candidate({"text": "hi"}))["message"]["content"] == "hi"
    found = to_gemini({"content": "hi"})
    assert (found["content"]["parts"], found["finishReason"]) == ([{"text": "hi"}], "STOP")


def test_parallel_calls_reach_a_chat_client_with_names_and_a_reason():
    parts = [{"functionCall": {"name": name, "args": {"a": 1}}} for name in ("f", "g")]
    choice = to_chat(candidate(*parts))
    assert choice["finish_reason"] == "tool_calls"
    calls = choice["message"]["tool_calls"]
    assert [call["function"] for call in calls] == [
        {"name": "f", "arguments": '{"a":1}'},
        {"name": "g", "arguments": '{"a":1}'},
    ]
    assert len({call["id"] for call in calls}) == 2


def test_calls_of_a_chat_provider_reach_a_gemini_client():
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    found = to_gemini({"content": None, "tool_calls": [call]}, "tool_calls")
    assert found["content"]["parts"] == [{"functionCall": {"id": "c1", "name": "f", "args": {"a": 1}}}]
    assert found["finishReason"] == "STOP"


def test_thinking_reaches_a_chat_client_and_back():
    parts = [{"text": "Hm", "thought": True, "thoughtSignature": "c2ln"}, {"text": "42"}]
    message = to_chat(candidate(*parts))["message"]
    assert message["reasoning_content"] == "Hm"
    assert "aigw1.gemini.c2ln" in json.dumps(message["reasoning_details"])
    found = to_gemini({"content": "42", "reasoning_content": "Hm"})
    assert found["content"]["parts"] == [{"text": "Hm", "thought": True}, {"text": "42"}]


def test_a_thought_signature_comes_back_to_gemini_through_a_chat_client():
    parts = [{"text": "Hm", "thought": True, "thoughtSignature": "c2ln"}, {"text": "42"}]
    message = to_chat(candidate(*parts))["message"]
    sent = {"model": "gemini-3-pro", "messages": [{"role": "user", "content": "?"}, message]}
    encoded = GEMINI.encode_request(OPENAI_CHAT.decode_request(sent))
    assert encoded.tree["contents"][1]["parts"] == parts


def test_a_calls_signature_is_sealed_in_the_vocabulary_and_comes_back():
    tree = candidate({"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "c2ln"})
    call = GEMINI.decode_response(tree).choices[0].calls[0]
    assert call.signature == "aigw1.gemini.c2ln"
    response = Response("r", "m", choices=(Choice((call,), FinishReason.TOOL_CALLS),))
    part = GEMINI.encode_response(response, None)["candidates"][0]["content"]["parts"][0]
    assert part["thoughtSignature"] == "c2ln"


def test_a_length_stop_and_a_safety_block_are_told_to_a_chat_client():
    assert to_chat(candidate({"text": "hi"}, finish="MAX_TOKENS"))["finish_reason"] == "length"
    assert to_chat(candidate(finish="SAFETY"))["finish_reason"] == "content_filter"
    blocked = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 3}}
    assert to_chat(blocked)["finish_reason"] == "content_filter"


def test_grounding_reaches_a_chat_client_as_annotations():
    grounding = {
        "groundingChunks": [{"web": {"uri": "https://e.org", "title": "E"}}],
        "groundingSupports": [{"segment": {"startIndex": 3, "endIndex": 5}, "groundingChunkIndices": [0, 7]}],
    }
    message = to_chat(candidate({"text": "Že hi"}, groundingMetadata=grounding))["message"]
    citation = message["annotations"][0]["url_citation"]
    assert (citation["start_index"], citation["end_index"]) == (2, 4)
    assert (citation["url"], citation["title"]) == ("https://e.org", "E")
    assert len(message["annotations"]) == 1


def test_annotations_of_another_provider_become_grounding_in_bytes():
    note = Annotation("url_citation", 3, 5, "https://e.org", "E")
    response = Response("r", "m", choices=(Choice((Message("assistant", (TextPart("Že hi", (note,)),)),)),))
    encoder = GEMINI.stream_encoder(None)
    data = join_frames(encoder, unfold(response)) + encoder.close()
    streamed = json.loads(split_frames(data)[-1].data)
    for tree in (GEMINI.encode_response(response, None), streamed):
        types.GenerateContentResponse.model_validate_json(json.dumps(tree))
        grounding = tree["candidates"][0]["groundingMetadata"]
        assert grounding["groundingChunks"] == [{"web": {"uri": "https://e.org", "title": "E"}}]
        segment = grounding["groundingSupports"][0]["segment"]
        assert segment == {"startIndex": 4, "endIndex": 6, "text": "hi"}


def test_annotations_count_from_the_start_of_their_own_part():
    first = TextPart("Že ", (Annotation("url_citation", url="https://e.org/1"),))
    second = TextPart("hi", (Annotation("url_citation", 1, 2, "https://e.org/2"),))
    response = Response("r", "m", choices=(Choice((Message("assistant", (first, second)),)),))
    encoder = GEMINI.stream_encoder(None)
    data = join_frames(encoder, unfold(response)) + encoder.close()
    whole = GEMINI.encode_response(response, None)["candidates"][0]["groundingMetadata"]
    assert json.loads(split_frames(data)[-1].data)["candidates"][0]["groundingMetadata"] == whole
    assert [support["segment"] for support in whole["groundingSupports"]] == [
        {"startIndex": 0, "endIndex": 4, "text": "Že "},
        {"startIndex": 5, "endIndex": 6, "text": "i"},
    ]


def test_a_refusal_is_told_as_text():
    response = Response("r", "m", choices=(Choice((Message("assistant", (RefusalPart("No."),)),)),))
    tree = GEMINI.encode_response(response, None)
    assert tree["candidates"][0]["content"]["parts"] == [{"text": "No."}]


def test_redacted_thinking_is_kept_in_a_part_of_its_own():
    thought = Reasoning(redacted="aigw1.anthropic.EqQB")
    response = Response("r", "m", choices=(Choice((thought,)),))
    parts = GEMINI.encode_response(response, None)["candidates"][0]["content"]["parts"]
    assert parts[0]["thought"] is True
    assert parts[0]["text"] == ""


@pytest.mark.parametrize("tree", [{}, {"candidates": 3}, {"candidates": ["x"]}, {"choices": []}])
def test_what_is_no_answer_is_a_protocol_error(tree):
    with pytest.raises(ProtocolError):
        GEMINI.decode_response(tree)


def test_an_error_in_the_place_of_an_answer_is_raised():
    with pytest.raises(UpstreamError) as caught:
        GEMINI.decode_response({"error": {"code": 503, "status": "UNAVAILABLE", "message": "busy"}})
    assert caught.value.kind is ErrorKind.UPSTREAM_OVERLOADED


# Reasons.


@pytest.mark.parametrize("word", WORDS)
def test_every_reason_of_googles_own_types_comes_back(word):
    assert encode_finish(decode_finish(word, with_calls=False), word) in {word, "OTHER"}


@pytest.mark.parametrize("reason", FinishReason)
def test_every_reason_has_a_word_google_knows(reason):
    assert encode_finish(reason, "end_turn") in WORDS


def test_a_stop_with_calls_is_a_wish_for_tools():
    assert decode_finish("STOP", with_calls=True) is FinishReason.TOOL_CALLS
    assert decode_finish("MAX_TOKENS", with_calls=True) is FinishReason.LENGTH
    assert encode_finish(FinishReason.TOOL_CALLS, "tool_calls") == "STOP"


# Counts.


def test_counts_in_both_directions():
    tree = {
        "promptTokenCount": 100,
        "candidatesTokenCount": 20,
        "totalTokenCount": 180,
        "thoughtsTokenCount": 50,
        "cachedContentTokenCount": 60,
        "toolUsePromptTokenCount": 10,
        "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 7}],
    }
    usage = GEMINI.read_usage({"usageMetadata": tree})
    assert (usage.input_tokens, usage.output_tokens, usage.reasoning_tokens) == (110, 70, 50)
    assert (usage.cached_tokens, usage.audio_input_tokens, usage.total) == (60, 7, 180)
    response = Response("r", "m", usage=usage)
    assert GEMINI.encode_response(response, None)["usageMetadata"] == tree


def test_counts_of_another_provider_are_taken_apart():
    usage = Usage(10, 30, reasoning_tokens=25, audio_input_tokens=4)
    tree = GEMINI.encode_response(Response("r", "m", usage=usage), None)["usageMetadata"]
    assert (tree["promptTokenCount"], tree["candidatesTokenCount"], tree["thoughtsTokenCount"]) == (10, 5, 25)
    assert tree["totalTokenCount"] == 40
    assert {"modality": "AUDIO", "tokenCount": 4} in tree["promptTokensDetails"]


def test_no_counts_are_none():
    assert GEMINI.read_usage({}) is None
    assert GEMINI.read_usage({"usageMetadata": {}}) == Usage()


# Errors.


def body(code, status, message, *details):
    inner = {"code": code, "message": message, "status": status, "details": list(details)}
    return {"error": inner}


def reason(word):
    return {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": word, "domain": "googleapis.com"}


RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "12.5s"}


@pytest.mark.parametrize(
    ("status", "tree", "kind"),
    [
        (400, body(400, "INVALID_ARGUMENT", "bad"), ErrorKind.INVALID_REQUEST),
        (400, body(400, "FAILED_PRECONDITION", "no free tier"), ErrorKind.INVALID_REQUEST),
        (
            400,
            body(400, "INVALID_ARGUMENT", "API key not valid.", reason("API_KEY_INVALID")),
            ErrorKind.UPSTREAM_CREDENTIAL,
        ),
        (400, body(400, "INVALID_ARGUMENT", "API key expired."), ErrorKind.UPSTREAM_CREDENTIAL),
        (
            400,
            body(400, "INVALID_ARGUMENT", "The input token count (9) exceeds the maximum (8)."),
            ErrorKind.CONTEXT_LENGTH,
        ),
        (401, body(401, "UNAUTHENTICATED", "x"), ErrorKind.UPSTREAM_CREDENTIAL),
        (403, body(403, "PERMISSION_DENIED", "x"), ErrorKind.UPSTREAM_CREDENTIAL),
        (
            404,
            body(404, "NOT_FOUND", "models/x is not found for API v1beta"),
            ErrorKind.MODEL_NOT_FOUND,
        ),
        (404, body(404, "NOT_FOUND", "no file"), ErrorKind.NOT_FOUND),
        (429, body(429, "RESOURCE_EXHAUSTED", "x", RETRY), ErrorKind.UPSTREAM_RATE_LIMITED),
        (500, body(500, "INTERNAL", "x"), ErrorKind.UPSTREAM_ERROR),
        (503, body(503, "UNAVAILABLE", "x"), ErrorKind.UPSTREAM_OVERLOADED),
        (504, body(504, "DEADLINE_EXCEEDED", "x"), ErrorKind.UPSTREAM_TIMEOUT),
        (502, "<html>", ErrorKind.UPSTREAM_ERROR),
    ],
)
def test_a_refusal_of_googles_is_named(status, tree, kind):
    data = tree.encode() if isinstance(tree, str) else json.dumps(tree).encode()
    for wrapped in (data, b"[" + data + b"]") if isinstance(tree, dict) else (data,):
        error = GEMINI.decode_error(status, wrapped)
        assert error.kind is kind
        assert error.message


def test_a_wish_to_wait_is_read_and_written():
    data = json.dumps([body(429, "RESOURCE_EXHAUSTED", "slow down", RETRY)]).encode()
    error = GEMINI.decode_error(429, data)
    assert error.retry_after_s == 12.5
    status, tree = GEMINI.encode_error(error)
    assert (status, tree["error"]["status"]) == (429, "RESOURCE_EXHAUSTED")
    assert tree["error"]["details"] == [RETRY]


def test_the_offending_field_is_read_and_written():
    error = ClientError("contents: expected a list", param="contents")
    status, tree = GEMINI.encode_error(error)
    assert tree["error"]["details"][0]["fieldViolations"][0]["field"] == "contents"
    assert GEMINI.decode_error(status, json.dumps(tree).encode()).param == "contents"


def test_our_own_bad_credential_is_never_the_clients():
    error = GEMINI.decode_error(401, json.dumps(body(401, "UNAUTHENTICATED", "x")).encode())
    assert GEMINI.encode_error(error)[0] == 502


@pytest.mark.parametrize("kind", ErrorKind)
def test_every_kind_has_its_status(kind):
    status, code = STATUS_AND_CODE[kind]
    written, tree = GEMINI.encode_error(GatewayError("x", kind=kind))
    assert (written, tree["error"]["code"], tree["error"]["status"]) == (status, status, code)


# Watching.


def test_a_watcher_knows_the_end_without_a_mark():
    grammar = GEMINI.grammar
    assert not grammar.terminal_mark
    tree = candidate({"text": ""}) | {"usageMetadata": {"promptTokenCount": 3}}
    sighting = grammar.examine(None, json.dumps(tree).encode())
    assert (sighting.finished, sighting.terminal, sighting.content) == (True, False, False)
    assert sighting.usage.input_tokens == 3


def test_a_watcher_sees_content_errors_and_a_blocked_prompt():
    examine = GEMINI.grammar.examine
    text = {"candidates": [{"content": {"parts": [{"text": "hi"}]}}]}
    assert examine(None, json.dumps(text).encode()).content
    blocked = examine(None, b'{"promptFeedback":{"blockReason":"SAFETY"}}')
    assert blocked.finished
    assert blocked.content
    failed = examine(None, json.dumps(body(503, "UNAVAILABLE", "x")).encode())
    assert failed.error.kind is ErrorKind.UPSTREAM_OVERLOADED
    counted = examine(None, b'{"usageMetadata":{"promptTokenCount":1}}')
    assert counted.usage_only


def test_a_call_without_arguments_is_an_empty_object_for_everyone():
    tree = candidate({"functionCall": {"name": "f"}})
    assert GEMINI.decode_response(tree).choices[0].calls[0].arguments == "{}"
    assert isinstance(GEMINI.decode_response(tree).items[0], FunctionCall)


def test_a_calls_signature_comes_back_to_gemini_through_a_chat_client():
    signed = {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "c2ln"}
    message = to_chat(candidate(signed, {"functionCall": {"name": "g", "args": {}}}))["message"]
    answers = [
        {"role": "tool", "tool_call_id": call["id"], "content": "ok"} for call in message["tool_calls"]
    ]
    sent = {"model": "gemini-3-pro", "messages": [{"role": "user", "content": "?"}, message, *answers]}
    encoded = GEMINI.encode_request(OPENAI_CHAT.decode_request(sent))
    assert encoded.dropped == ()
    _, called, answered = encoded.tree["contents"]
    assert [part.get("thoughtSignature") for part in called["parts"]] == ["c2ln", None]
    ids = [part["functionCall"]["id"] for part in called["parts"]]
    assert [part["functionResponse"]["id"] for part in answered["parts"]] == ids
    assert [part["functionResponse"]["name"] for part in answered["parts"]] == ["f", "g"]
