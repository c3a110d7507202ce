"""Whole requests: what Google's reference shows, its other spellings, and what is refused."""

import json

import pytest
from attrs import evolve
from google.genai import types

from aigw.dialects.gemini import GEMINI
from aigw.errors import ClientError, ErrorKind
from aigw.model import (
    ForeignPart,
    Message,
    Reasoning,
    ReasoningOptions,
    Sampling,
    TextPart,
    ToolChoice,
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


FULL = {
    "contents": [
        USER,
        {
            "role": "model",
            "parts": [
                {"text": "Hm", "thought": True},
                {"text": "Let me see.", "thoughtSignature": "AAAA"},
                {"functionCall": {"id": "1", "name": "f", "args": {"a": 1}}, "thoughtSignature": "c2ln"},
                {"functionCall": {"name": "g", "args": {}}},
                {"executableCode": {"language": "PYTHON", "code": "1"}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "1", "name": "f", "response": {"result": "yes"}}},
                {"functionResponse": {"name": "g", "response": {"error": "no"}, "scheduling": "SILENT"}},
                {"text": "and?"},
                {
                    "inlineData": {"mimeType": "image/png", "data": "AAEC"},
                    "mediaResolution": {"level": "MEDIA_RESOLUTION_LOW"},
                },
                {"fileData": {"mimeType": "application/pdf", "fileUri": "https://e.org/a.pdf"}},
                {
                    "fileData": {"mimeType": "video/mp4", "fileUri": "gs://b/a"},
                    "videoMetadata": {"fps": 2, "startOffset": "1s"},
                },
            ],
        },
    ],
    "systemInstruction": {"role": "system", "parts": [{"text": "Be brief."}, {"text": "Be kind."}]},
    "tools": [
        {"googleSearch": {}},
        {
            "functionDeclarations": [
                {
                    "name": "f",
                    "description": "does f",
                    "parameters": {
                        "type": "OBJECT",
                        "properties": {"a": {"type": "INTEGER", "nullable": True, "minimum": 1}},
                        "propertyOrdering": ["a"],
                    },
                    "behavior": "NON_BLOCKING",
                },
                {"name": "g", "parametersJsonSchema": {"type": "object"}, "responseJsonSchema": {}},
            ]
        },
        {"codeExecution": {}},
    ],
    "toolConfig": {
        "functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f", "g"]},
        "retrievalConfig": {"languageCode": "en"},
    },
    "generationConfig": {
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 40,
        "candidateCount": 2,
        "maxOutputTokens": 100,
        "stopSequences": ["END"],
        "presencePenalty": 0.1,
        "frequencyPenalty": 0.2,
        "seed": 7,
        "responseMimeType": "application/json",
        "responseSchema": {"type": "OBJECT", "properties": {"x": {"type": "STRING"}}},
        "responseLogprobs": True,
        "logprobs": 3,
        "responseModalities": ["TEXT", "AUDIO"],
        "thinkingConfig": {"thinkingBudget": 512, "includeThoughts": True},
        "mediaResolution": "MEDIA_RESOLUTION_LOW",
        "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}},
    },
    "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
    "cachedContent": "cachedContents/x",
    "labels": {"team": "a"},
    "serviceTier": "flex",
}


def test_all_that_the_reference_shows_survives():
    assert round_trip(FULL) == FULL


def test_what_is_written_is_what_googles_own_types_read():
    tree = round_trip(FULL)
    for content in tree["contents"]:
        types.Content.model_validate_json(json.dumps(content))
    for tool in tree["tools"]:
        types.Tool.model_validate_json(json.dumps(tool))
    types.ToolConfig.model_validate_json(json.dumps(tree["toolConfig"]))
    types.GenerationConfig.model_validate_json(json.dumps(tree["generationConfig"]))


def test_the_full_request_in_the_vocabulary():
    request = decode(FULL)
    assert request.instructions == "Be brief.\n\nBe kind."
    assert request.sampling == Sampling(
        temperature=0.5, top_p=0.9, top_k=40, n=2, presence_penalty=0.1, frequency_penalty=0.2, seed=7,
        stop=("END",), logprobs=True, top_logprobs=3,
    )  # fmt: skip
    assert request.max_output_tokens == 100
    assert request.modalities == ("text", "audio")
    assert request.reasoning == ReasoningOptions(budget_tokens=512, include_thoughts=True)
    assert request.response_format.schema == {"type": "object", "properties": {"x": {"type": "string"}}}
    assert request.tool_choice == ToolChoice("required", allowed=("f", "g"))
    assert request.tools[1].parameters["properties"] == {"a": {"type": ["integer", "null"], "minimum": 1}}
    user, thought, said, first, second, code, *answers, message = request.items
    assert user == Message("user", (TextPart("hi"),))
    assert thought == Reasoning(content=("Hm",))
    assert said.parts == (TextPart("Let me see.", signature="AAAA"),)
    assert (first.call_id, first.arguments, first.signature) == ("1", '{"a":1}', "c2ln")
    assert code.parts == (ForeignPart("gemini", {"executableCode": {"language": "PYTHON", "code": "1"}}),)
    assert [answer.call_id for answer in answers] == ["1", second.call_id]
    assert [(answer.parts[0].text, answer.is_error) for answer in answers] == [("yes", False), ("no", True)]
    assert [type(part).__name__ for part in message.parts] == [
        "TextPart",
        "ImagePart",
        "FilePart",
        "VideoPart",
    ]


def test_model_and_stream_come_from_the_path_and_do_not_go_into_the_body():
    request = decode({"contents": [USER]}, model="gemini-x", stream=True)
    assert (request.model, request.stream, request.include_usage) == ("gemini-x", True, True)
    assert encode(request).tree == {"contents": [USER]}


def snake(tree):
    """Spell every name of the protocol the other way, and leave what is the caller's own."""
    own = {"args", "response", "properties", "labels", "parametersJsonSchema", "voiceConfig"}
    if isinstance(tree, list):
        return [snake(value) for value in tree]
    if not isinstance(tree, dict):
        return tree
    return {
        "".join("_" + c.lower() if c.isupper() else c for c in key): value if key in own else snake(value)
        for key, value in tree.items()
    }


def test_snake_case_is_read_as_well():
    ours, theirs = decode(FULL), decode(snake(FULL))
    assert theirs.items[:8] == ours.items[:8]
    assert (theirs.sampling, theirs.reasoning, theirs.modalities) == (
        ours.sampling,
        ours.reasoning,
        ours.modalities,
    )
    assert theirs.tool_choice == ours.tool_choice
    assert [getattr(tool, "parameters", None) for tool in theirs.tools] == [
        getattr(tool, "parameters", None) for tool in ours.tools
    ]
    assert theirs.extras["gemini:safetySettings"] == ours.extras["gemini:safetySettings"]


@pytest.mark.parametrize(
    ("tree", "param"),
    [
        ({}, "contents"),
        ({"contents": "hi"}, "contents"),
        ({"contents": ["hi"]}, "contents[0]"),
        ({"contents": [], "tools": {}}, "tools"),
        ({"contents": [], "tools": [1]}, "tools[0]"),
        ({"contents": [], "tools": [{"functionDeclarations": [{}]}]}, "tools[0].functionDeclarations"),
        ({"contents": [], "generationConfig": 1}, "generationConfig"),
        ({"contents": [], "generationConfig": {"topK": "x"}}, "generationConfig.topK"),
        ({"contents": [], "model": ""}, "model"),
    ],
)
def test_what_nothing_can_be_made_of_is_the_clients_fault(tree, param):
    with pytest.raises(ClientError) as caught:
        decode(tree)
    assert caught.value.param == param


def test_arguments_nested_beyond_reason_are_the_clients_fault():
    deep = {}
    for _ in range(300):
        deep = {"a": deep}
    with pytest.raises(ClientError) as caught:
        decode({"contents": [{"role": "model", "parts": [call("f", args=deep)]}]})
    assert caught.value.param == "contents[0]"


def test_a_missing_conversation_is_a_missing_field():
    with pytest.raises(ClientError) as caught:
        decode({})
    assert caught.value.kind is ErrorKind.MISSING_FIELD


def test_an_instruction_that_was_edited_is_written_as_it_is_now():
    request = evolve(decode(FULL), instructions="Be loud.")
    assert encode(request).tree["systemInstruction"] == {"parts": [{"text": "Be loud."}]}


def test_an_edited_schema_is_written_as_it_is_now():
    request = decode(FULL)
    tools = (evolve(request.tools[1], parameters={"type": "object"}),)
    tree = encode(evolve(request, tools=tools)).tree["tools"][0]["functionDeclarations"][0]
    assert tree["parametersJsonSchema"] == {"type": "object"}
    assert "parameters" not in tree


def call(name, **fields):
    return {"functionCall": {"name": name, "args": {}, **fields}}
