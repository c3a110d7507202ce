import pytest

from aigw.dialects.openai_chat import OPENAI_CHAT
from aigw.errors import ClientError, ErrorKind
from aigw.model import (
    AudioPart,
    CustomTool,
    ForeignItem,
    ForeignPart,
    ForeignTool,
    ForeignToolChoice,
    FunctionCall,
    FunctionCallOutput,
    FunctionTool,
    ImagePart,
    Media,
    Message,
    Reasoning,
    ReasoningOptions,
    Request,
    Sampling,
    TextPart,
    ToolChoice,
)


def request(*messages, **fields):
    return {"model": "m", "messages": list(messages), **fields}


def decode(*messages, **fields):
    return OPENAI_CHAT.decode_request(request(*messages, **fields))


USER = {"role": "user", "content": "hi"}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
OUTPUT = {"role": "tool", "tool_call_id": "c1", "content": "42"}
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAEC", "detail": "low"}}
PARTS = [
    {"type": "text", "text": "look", "cache_control": {"type": "ephemeral"}},
    IMAGE,
    {"type": "image_url", "image_url": {"url": "https://e.org/a.png"}},
    {"type": "input_audio", "input_audio": {"data": "AAEC", "format": "wav"}},
    {"type": "file", "file": {"file_id": "file-1"}},
    {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAEC", "filename": "a.pdf"}},
    {"type": "video_url", "video_url": {"url": "https://e.org/a.mp4"}},
    {"type": "born_yesterday", "value": 1},
]

CONVERSATIONS = {
    "system and developer": [
        {"role": "system", "content": "be brief"},
        {"role": "developer", "content": "x"},
        USER,
    ],
    "all kinds of parts": [{"role": "user", "content": PARTS, "name": "ann"}],
    "assistant's text": [USER, {"role": "assistant", "content": "hello"}, USER],
    "two assistants in a row": [
        {"role": "assistant", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        OUTPUT,
    ],
    "text and calls": [USER, {"role": "assistant", "content": "wait", "tool_calls": [CALL]}, OUTPUT],
    "refusal": [USER, {"role": "assistant", "content": None, "refusal": "no"}, USER],
    "spoken answer": [USER, {"role": "assistant", "content": None, "audio": {"id": "audio_1"}}, USER],
    "thinking with a call": [
        USER,
        {"role": "assistant", "content": None, "reasoning_content": "hm", "tool_calls": [CALL]},
        OUTPUT,
    ],
    "empty thinking": [
        USER,
        {"role": "assistant", "content": None, "reasoning_content": "", "tool_calls": [CALL]},
        OUTPUT,
    ],
    "thinking in both fields": [
        USER,
        {"role": "assistant", "content": "4", "reasoning_content": "hm", "reasoning": "hm"},
    ],
    "thinking with a signature": [
        USER,
        {
            "role": "assistant",
            "content": "4",
            "reasoning_details": [
                {"type": "reasoning.text", "text": "hm", "signature": "c2ln", "index": 0},
                {"type": "reasoning.encrypted", "data": "ZW5j", "index": 1},
            ],
        },
    ],
    "unknown fields of messages and calls": [
        {"role": "user", "content": "hi", "weight": 1},
        {
            "role": "assistant",
            "content": None,
            "prefix": True,
            "tool_calls": [{**CALL, "extra_content": {"google": {"thought_signature": "c2ln"}}}],
        },
        {**OUTPUT, "cache_control": {"type": "ephemeral"}},
    ],
    "custom call": [
        USER,
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "custom", "custom": {"name": "sh", "input": "ls"}}],
        },
        OUTPUT,
    ],
    "legacy function": [
        USER,
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "42"},
    ],
    "tool output as parts": [
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {**OUTPUT, "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
    ],
    "a role nobody knows": [{"role": "critic", "content": "meh"}],
}

FIELDS = {
    "sampling": {"temperature": 0.5, "top_p": 1, "presence_penalty": -1, "frequency_penalty": 1, "seed": 7},
    "extensions of sampling": {"top_k": 40, "min_p": 0.1, "repetition_penalty": 1.1},
    "stop as a string": {"stop": "END"},
    "stop as a list": {"stop": ["END", "."]},
    "new limit": {"max_completion_tokens": 5},
    "old limit": {"max_tokens": 5},
    "both limits": {"max_completion_tokens": 5, "max_tokens": 6},
    "probabilities": {"logprobs": True, "top_logprobs": 2, "logit_bias": {"50256": -100}, "n": 2},
    "stream": {"stream": True, "stream_options": {"include_usage": True, "include_obfuscation": False}},
    "reasoning effort": {"reasoning_effort": "low", "verbosity": "high"},
    "text format": {"response_format": {"type": "text"}},
    "json object": {"response_format": {"type": "json_object"}},
    "json schema": {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": True, "description": "d"},
        }
    },
    "a format nobody knows": {"response_format": {"type": "grammar", "grammar": "x"}},
    "who and where": {
        "user": "u",
        "safety_identifier": "s",
        "prompt_cache_key": "k",
        "prompt_cache_retention": "24h",
        "service_tier": "flex",
        "store": True,
        "metadata": {"a": "b"},
    },
    "audio": {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}},
    "unknown": {"provider": {"order": ["x"]}, "thinking": {"type": "enabled"}, "web_search_options": {}},
    "functions": {"functions": [{"name": "f", "parameters": {}}], "function_call": {"name": "f"}},
    "legacy none": {"functions": [{"name": "f"}], "function_call": "none"},
    "tools": {
        "tools": [
            {
                "type": "function",
                "function": {"name": "f", "description": "d", "strict": True, "x": 1},
                "y": 2,
            },
            {"type": "custom", "custom": {"name": "sh", "format": {"type": "text"}}},
            {"type": "openrouter:web_search", "parameters": {"max_uses": 1}},
        ],
        "parallel_tool_calls": False,
    },
    "choice auto": {"tools": [FUNCTION], "tool_choice": "auto"},
    "choice none": {"tools": [FUNCTION], "tool_choice": "none"},
    "choice required": {"tools": [FUNCTION], "tool_choice": "required"},
    "choice by name": {"tools": [FUNCTION], "tool_choice": {"type": "function", "function": {"name": "f"}}},
    "choice of a custom tool": {
        "tools": [FUNCTION],
        "tool_choice": {"type": "custom", "custom": {"name": "sh"}},
    },
    "choice among some": {
        "tools": [FUNCTION],
        "tool_choice": {
            "type": "allowed_tools",
            "allowed_tools": {
                "mode": "required",
                "tools": [
                    {"type": "function", "function": {"name": "f"}},
                    {"type": "custom", "custom": {"name": "s"}},
                ],
            },
        },
    },
    "a choice nobody knows": {"tools": [FUNCTION], "tool_choice": {"type": "web_search"}},
}


@pytest.mark.parametrize("messages", CONVERSATIONS.values(), ids=CONVERSATIONS.keys())
def test_a_conversation_survives_decoding_and_encoding_exactly(messages):
    encoded = OPENAI_CHAT.encode_request(decode(*messages))
    assert encoded.tree["messages"] == messages
    assert encoded.dropped == ()


@pytest.mark.parametrize("fields", FIELDS.values(), ids=FIELDS.keys())
def test_fields_survive_decoding_and_encoding_exactly(fields):
    encoded = OPENAI_CHAT.encode_request(decode(USER, **fields))
    assert encoded.tree == request(USER, **fields)
    assert encoded.dropped == ()


def test_one_assistant_message_becomes_items_of_their_own():
    message = {"role": "assistant", "content": "wait", "reasoning": "hm", "tool_calls": [CALL]}
    thinking, text, call, output = decode(message, OUTPUT).items
    assert isinstance(thinking, Reasoning)
    assert thinking.content == ("hm",)
    assert text == Message("assistant", (TextPart("wait"),))
    assert call == FunctionCall("c1", "f", "{}")
    assert output == FunctionCallOutput("c1", (TextPart("42"),))


def test_a_data_url_is_taken_apart():
    (message,) = decode({"role": "user", "content": [IMAGE]}).items
    assert message.parts == (ImagePart(Media(data="AAEC", media_type="image/png"), "low"),)


def test_audio_and_parts_nobody_knows_are_kept():
    (message,) = decode({"role": "user", "content": PARTS}).items
    assert message.parts[3] == AudioPart(Media(data="AAEC", media_type="audio/wav"))
    assert message.parts[7] == ForeignPart("openai_chat", {"type": "born_yesterday", "value": 1})
    assert message.parts[0].extras == {"openai_chat:cache_control": {"type": "ephemeral"}}


def test_tools_are_told_apart():
    function, custom, foreign = decode(USER, **FIELDS["tools"]).tools
    assert isinstance(function, FunctionTool)
    assert isinstance(custom, CustomTool)
    assert isinstance(foreign, ForeignTool)


def test_tool_choices_are_told_apart():
    assert decode(USER, tool_choice="any").tool_choice == ToolChoice("required")
    assert decode(USER, **FIELDS["choice by name"]).tool_choice == ToolChoice("required", "f")
    among = decode(USER, **FIELDS["choice among some"]).tool_choice
    assert (among.mode, among.allowed) == ("required", ("f", "s"))
    assert isinstance(decode(USER, **FIELDS["a choice nobody knows"]).tool_choice, ForeignToolChoice)


def test_a_tool_without_a_type_is_a_function():
    (tool,) = decode(USER, tools=[{"function": {"name": "f"}}]).tools
    assert tool == FunctionTool("f")


@pytest.mark.parametrize(
    ("tree", "param", "kind"),
    [
        ({"messages": []}, "model", ErrorKind.MISSING_FIELD),
        ({"model": 3, "messages": []}, "model", ErrorKind.INVALID_REQUEST),
        ({"model": "m"}, "messages", ErrorKind.MISSING_FIELD),
        (request() | {"messages": "hi"}, "messages", ErrorKind.INVALID_REQUEST),
        (request("hi"), "messages[0]", ErrorKind.INVALID_REQUEST),
        (request(USER, {"content": "x"}), "messages[1].role", ErrorKind.MISSING_FIELD),
        (request({"role": "user", "content": 7}), "messages[0].content", ErrorKind.INVALID_REQUEST),
        (request({"role": "user", "content": [7]}), "messages[0].content[0]", ErrorKind.INVALID_REQUEST),
        (
            request({"role": "user", "content": [{"type": "text"}]}),
            "messages[0].content[0].text",
            ErrorKind.MISSING_FIELD,
        ),
        (
            request({"role": "user", "content": [{"type": "image_url"}]}),
            "messages[0].content[0].image_url.url",
            ErrorKind.INVALID_REQUEST,
        ),
        (request(USER, tools={}), "tools", ErrorKind.INVALID_REQUEST),
        (request(USER, tools=["f"]), "tools[0]", ErrorKind.INVALID_REQUEST),
        (request(USER, tools=[{"function": {}}]), "tools[0].function.name", ErrorKind.INVALID_REQUEST),
        (request(USER, tool_choice=7), "tool_choice", ErrorKind.INVALID_REQUEST),
        (request(USER, temperature="hot"), "temperature", ErrorKind.INVALID_REQUEST),
    ],
)
def test_what_nothing_can_be_made_of_is_refused_with_its_place(tree, param, kind):
    with pytest.raises(ClientError) as caught:
        OPENAI_CHAT.decode_request(tree)
    assert caught.value.param == param
    assert caught.value.kind is kind


def test_what_this_format_cannot_hold_is_declared():
    encoded = OPENAI_CHAT.encode_request(
        Request(
            "m",
            items=(
                Reasoning(content=("hm",), signature="aigw1.anthropic.c2ln"),
                Message("user", (ForeignPart("gemini", {}), TextPart("hi"))),
                ForeignItem("openresponses", {}),
                FunctionCallOutput("c", (TextPart("bad"),), is_error=True),
            ),
            tools=(ForeignTool("anthropic", {}),),
            tool_choice=ForeignToolChoice("gemini", {}),
            sampling=Sampling(top_k=3),
            reasoning=ReasoningOptions(budget_tokens=10),
            previous_response_id="r",
            extras={"anthropic:container": "c"},
        )
    )
    assert set(encoded.dropped) == {
        "items[0]",
        "items[1].parts[0]",
        "items[2]",
        "items[3].is_error",
        "tools[0]",
        "tool_choice",
        "sampling.top_k",
        "reasoning.budget_tokens",
        "previous_response_id",
        "anthropic:container",
    }


@pytest.mark.parametrize(
    ("options", "effort"),
    [
        (ReasoningOptions(budget_tokens=0), "none"),
        (ReasoningOptions(budget_tokens=1), "low"),
        (ReasoningOptions(budget_tokens=1024, enabled=True), "low"),
        (ReasoningOptions(budget_tokens=1025), "medium"),
        (ReasoningOptions(budget_tokens=8192), "medium"),
        (ReasoningOptions(budget_tokens=8193), "high"),
        (ReasoningOptions(budget_tokens=-1), None),
        (ReasoningOptions(budget_tokens=30000, enabled=False), "none"),
        (ReasoningOptions(effort="low", budget_tokens=30000), "low"),
        (ReasoningOptions(enabled=True), None),
        (ReasoningOptions(adaptive=True), None),
    ],
)
def test_a_thinking_budget_is_told_as_the_effort_it_stands_for(options, effort):
    request = Request("m", (Message("user", (TextPart("hi"),)),), reasoning=options)
    assert OPENAI_CHAT.encode_request(request).tree.get("reasoning_effort") == effort


def test_an_image_that_is_a_text_of_no_words_stays_as_it_came():
    odd = {"type": "text", "text": 7}
    message = {"role": "assistant", "content": "hi", "images": [odd]}
    tree = OPENAI_CHAT.encode_request(OPENAI_CHAT.decode_request({"model": "m", "messages": [message]})).tree
    assert tree["messages"][0]["content"] == [{"type": "text", "text": "hi"}, odd]


def test_items_of_one_turn_are_put_into_one_message():
    items = (
        Message("user", (TextPart("hi"),)),
        Message("assistant", (TextPart("wait"),)),
        FunctionCall("a", "f", "{}"),
        FunctionCall("b", "g", "{}"),
        FunctionCallOutput("a", (TextPart("1"),)),
        FunctionCallOutput("b", (TextPart("2"),)),
        Message("assistant", (TextPart("done"),)),
    )
    messages = OPENAI_CHAT.encode_request(Request("m", items, instructions="be brief")).tree["messages"]
    assert [message["role"] for message in messages] == [
        *("system", "user", "assistant", "tool", "tool", "assistant")
    ]
    assert [call["id"] for call in messages[2]["tool_calls"]] == ["a", "b"]


def test_text_after_a_call_does_not_part_the_call_from_its_output():
    items = (
        FunctionCall("a", "f", "{}"),
        Message("assistant", (TextPart("calling"),)),
        FunctionCallOutput("a", (TextPart("1"),)),
    )
    messages = OPENAI_CHAT.encode_request(Request("m", items)).tree["messages"]
    assert [message["role"] for message in messages] == ["assistant", "tool"]
    assert messages[0]["content"] == "calling"
