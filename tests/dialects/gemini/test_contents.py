"""Conversations: who says what in which content, and which answer belongs to which call."""

import pytest

from aigw.dialects.gemini import GEMINI
from aigw.model import (
    CustomTool,
    FilePart,
    ForeignPart,
    ForeignTool,
    FunctionCall,
    FunctionCallOutput,
    FunctionTool,
    ImagePart,
    Media,
    Message,
    Request,
    Sampling,
    TextPart,
)

USER = {"role": "user", "parts": [{"text": "hi"}]}


def decode(tree, **fields):
    return GEMINI.decode_request({"model": "gemini-2.5-flash", "stream": False, **tree, **fields})


def encode(request):
    return GEMINI.encode_request(request)


def round_trip(tree):
    encoded = encode(decode(tree))
    assert encoded.dropped == ()
    return encoded.tree


def contents(*items, model="gemini-2.5-flash"):
    return encode(Request(model, items)).tree["contents"]


def call(name, **fields):
    return {"functionCall": {"name": name, "args": {}, **fields}}


def answer(name, result, **fields):
    return {"functionResponse": {"name": name, "response": {"result": result}, **fields}}


def test_calls_without_ids_are_paired_by_name_and_order():
    tree = {
        "contents": [
            {"role": "model", "parts": [call("f"), call("g"), call("f")]},
            {"role": "user", "parts": [answer("g", "1"), answer("f", "2"), answer("f", "3")]},
        ]
    }
    items = decode(tree).items
    calls, answers = items[:3], items[3:]
    assert [found.call_id for found in answers] == [calls[1].call_id, calls[0].call_id, calls[2].call_id]
    assert len({found.call_id for found in calls}) == 3
    assert decode(tree).items == items
    assert round_trip(tree) == tree


def test_an_answer_without_a_call_keeps_its_name():
    tree = {"contents": [{"role": "user", "parts": [answer("f", "1"), answer("g", "2", id="x")]}]}
    first, second = decode(tree).items
    assert (first.name, second.name, second.call_id) == ("f", "g", "x")
    assert round_trip(tree) == tree


def test_answers_of_another_format_find_their_tools_name():
    found = contents(
        FunctionCall("c1", "f", "{}"),
        FunctionCall("c2", "g", "{}"),
        FunctionCallOutput("c1", (TextPart("one"),)),
        FunctionCallOutput("c2", (TextPart('{"two": [2]}'),), is_error=False),
        Message("user", (TextPart("so?"),)),
    )
    assert [content["role"] for content in found] == ["model", "user", "user"]
    assert found[1]["parts"] == [
        {"functionResponse": {"id": "c1", "name": "f", "response": {"result": "one"}}},
        {"functionResponse": {"id": "c2", "name": "g", "response": {"two": [2]}}},
    ]


@pytest.mark.parametrize(
    ("output", "response"),
    [
        (FunctionCallOutput("c", (TextPart("no"),), is_error=True), {"error": "no"}),
        (FunctionCallOutput("c", (TextPart("[1]"),)), {"result": "[1]"}),
        (FunctionCallOutput("c", (TextPart('{"result": "x"}'),)), {"result": '{"result": "x"}'}),
        (FunctionCallOutput("c", (TextPart('{"output": {"a": 1}}'),)), {"output": {"a": 1}}),
        (FunctionCallOutput("c", (TextPart("a"), TextPart("b"))), {"result": "a\nb"}),
        (FunctionCallOutput("c"), {"result": ""}),
    ],
)
def test_a_tools_answer_is_an_object(output, response):
    assert contents(output)[0]["parts"][0]["functionResponse"]["response"] == response


@pytest.mark.parametrize(
    "response",
    [{"result": "x"}, {"error": "x"}, {"output": "x"}, {"result": {"a": 1}}, {"a": 1, "b": [2.5, None]}, {}],
)
def test_any_response_object_survives(response):
    tree = {
        "contents": [{"role": "user", "parts": [{"functionResponse": {"name": "f", "response": response}}]}]
    }
    assert round_trip(tree) == tree


def test_pictures_go_with_the_answer_of_the_tool():
    output = FunctionCallOutput("c", (TextPart("see"), ImagePart(Media(data="AAEC", media_type="image/png"))))
    part = contents(output)[0]["parts"][0]["functionResponse"]
    assert part["parts"] == [{"inlineData": {"mimeType": "image/png", "data": "AAEC"}}]
    again = decode({"contents": contents(output)}).items[0]
    assert again.parts == output.parts


@pytest.mark.parametrize("text", ["", "  ", "{}"])
def test_no_arguments_are_an_empty_object(text):
    assert contents(FunctionCall("c", "f", text))[0]["parts"][0]["functionCall"]["args"] == {}


@pytest.mark.parametrize("text", ['{"a":', "[1]", "ls -l", '"x"'])
def test_arguments_that_are_no_object_are_kept_as_they_are(text):
    found = contents(FunctionCall("c", "f", text))
    assert decode({"contents": found}).items[0].arguments == text


def test_the_free_text_of_a_custom_tool_is_an_argument():
    found = contents(FunctionCall("c", "sh", "ls -l", freeform=True))
    assert found[0]["parts"][0]["functionCall"]["args"] == {"input": "ls -l"}


def test_the_callers_cutting_into_contents_survives():
    tree = {
        "contents": [
            {"role": "model", "parts": [{"text": "a"}, call("f"), {"text": "b"}]},
            {"role": "model", "parts": [call("g")]},
            {"role": "user", "parts": [answer("f", "1")]},
            {"role": "user", "parts": [answer("g", "2"), {"text": "c"}]},
            {"role": "user", "parts": [{"text": "d"}]},
            {"role": "function", "parts": [answer("h", "3")]},
        ]
    }
    assert round_trip(tree) == tree


def test_system_messages_of_other_formats_become_the_instruction():
    items = (
        Message("system", (TextPart("one"),)),
        Message("user", (TextPart("hi"),)),
        Message("developer", (TextPart("two"),)),
    )
    tree = encode(Request("m", items, instructions="zero")).tree
    assert tree["systemInstruction"] == {"parts": [{"text": "zero"}, {"text": "one"}, {"text": "two"}]}
    assert tree["contents"] == [USER]


def test_an_instruction_alone_is_what_the_user_says():
    tree = encode(Request("m", (Message("system", (TextPart("hi"),)),))).tree
    assert tree == {"contents": [USER]}


def test_base64_of_the_other_alphabet_is_read_for_providers_who_know_one():
    part = {"inlineData": {"mimeType": "image/png", "data": "_-8="}}
    request = decode({"contents": [{"role": "user", "parts": [part]}]})
    assert request.items[0].parts[0].media.data == "/+8="


def test_a_file_is_told_with_its_name():
    part = FilePart(Media(data="AAEC"), "notes.txt")
    tree = contents(Message("user", (part,)))[0]["parts"][0]
    assert tree == {"inlineData": {"mimeType": "text/plain", "data": "AAEC", "displayName": "notes.txt"}}


def test_what_gemini_cannot_hold_is_reported():
    cached = TextPart("x", extras={"anthropic:cache_control": {}})
    request = Request(
        "gemini-2.5-pro",
        (Message("user", (ForeignPart("anthropic", {}), cached)),),
        tools=(CustomTool("sh"), ForeignTool("anthropic", {}), FunctionTool("f", strict=True)),
        sampling=Sampling(min_p=0.1, logit_bias={"1": 2}),
        parallel_tool_calls=False,
        metadata={"a": "b"},
        user="u",
        previous_response_id="resp_1",
        extras={"openai_chat:web_search_options": {}},
    )
    assert set(encode(request).dropped) == {
        "items[0].parts[0]",
        "items[0].parts[1].anthropic:cache_control",
        "tools[0]",
        "tools[1]",
        "tools[2].strict",
        "sampling.min_p",
        "sampling.logit_bias",
        "parallel_tool_calls",
        "metadata",
        "user",
        "previous_response_id",
        "openai_chat:web_search_options",
    }
