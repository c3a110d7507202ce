import json

import pytest
from attrs import evolve
from support.openresponses_wire import DESCRIPTION, needs_description, validator

from aigw.dialects.openresponses import OPENRESPONSES
from aigw.errors import ClientError, ErrorKind
from aigw.model import (
    AudioPart,
    CustomTool,
    FilePart,
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
    RefusalPart,
    Request,
    ResponseFormat,
    Sampling,
    TextPart,
    ToolChoice,
    VideoPart,
)
from aigw.model.seal import seal

EVERYTHING = {
    "model": "m",
    "input": [
        {"type": "message", "role": "developer", "content": "Be kind."},
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_text", "text": "Look", "prompt_cache_breakpoint": {"mode": "explicit"}},
                {"type": "input_image", "image_url": "data:image/png;base64,aaaa", "detail": "low"},
                {"type": "input_image", "file_id": "file_1", "detail": "auto"},
                {
                    "type": "input_file",
                    "file_data": "data:application/pdf;base64,JVBERi0=",
                    "filename": "a.pdf",
                },
                {"type": "input_file", "file_data": "JVBERi0="},
                {"type": "input_file", "file_url": "https://example.org/b.pdf"},
                {"type": "input_file", "file_id": "file_2", "detail": "high"},
                {"type": "input_audio", "input_audio": {"data": "bbbb", "format": "mp3"}},
                {"type": "input_video", "video_url": "https://example.org/v.mp4"},
                {"type": "input_hologram", "x": 1},
            ],
        },
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}]},
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "gAAA"},
        {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "Well."}]},
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "phase": "commentary",
            "content": [
                {
                    "type": "output_text",
                    "text": "Done",
                    "annotations": [
                        {"type": "url_citation", "start_index": 0, "end_index": 2, "url": "u", "title": "t"},
                        {"type": "file_path", "file_id": "f", "index": 1},
                    ],
                    "logprobs": [],
                },
                {"type": "refusal", "refusal": "No."},
            ],
        },
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "plain"},
        {"type": "custom_tool_call", "call_id": "call_2", "name": "sql", "input": "select 1"},
        {
            "type": "custom_tool_call_output",
            "call_id": "call_2",
            "output": [
                {"type": "input_text", "text": "a"},
                {"type": "input_image", "image_url": "https://i", "detail": "high"},
            ],
        },
        {"type": "item_reference", "id": "msg_0"},
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}},
    ],
    "instructions": "Be brief.",
    "tools": [
        {
            "type": "function",
            "name": "f",
            "description": "d",
            "parameters": {"type": "object"},
            "strict": True,
        },
        {"type": "custom", "name": "sql", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}},
        {"type": "web_search", "search_context_size": "low"},
    ],
    "tool_choice": {"type": "function", "name": "f"},
    "text": {
        "format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True},
        "verbosity": "low",
    },
    "reasoning": {"effort": "high", "summary": "auto", "context": "all_turns"},
    "max_output_tokens": 100,
    "max_tool_calls": 3,
    "temperature": 0.5,
    "top_p": 0.9,
    "top_logprobs": 2,
    "presence_penalty": 0.1,
    "frequency_penalty": 0.2,
    "include": ["reasoning.encrypted_content", "message.output_text.logprobs"],
    "truncation": "auto",
    "metadata": {"k": "v"},
    "parallel_tool_calls": False,
    "service_tier": "flex",
    "store": False,
    "previous_response_id": "resp_0",
    "conversation": {"id": "conv_1"},
    "background": False,
    "safety_identifier": "s",
    "prompt_cache_key": "k",
    "prompt_cache_retention": "24h",
    "user": "u",
    "stream": True,
    "stream_options": {"include_obfuscation": False},
    "born_yesterday": {"a": 1},
}


def decode(**fields):
    return OPENRESPONSES.decode_request({"model": "m", "input": "hi", **fields})


def encode(*items, **fields):
    return OPENRESPONSES.encode_request(
        Request("m", items or (Message("user", (TextPart("hi"),)),), **fields)
    )


def test_everything_a_caller_may_say_survives():
    request = OPENRESPONSES.decode_request(EVERYTHING)
    encoded = OPENRESPONSES.encode_request(request)
    assert encoded.tree == EVERYTHING
    assert encoded.dropped == ()
    assert OPENRESPONSES.decode_request(encoded.tree) == request


def test_everything_is_understood():
    request = OPENRESPONSES.decode_request(EVERYTHING)
    _, user, summary, encrypted, content, said, call, output, custom, custom_output, *foreign = request.items
    text, image, by_id, pdf, raw, by_url, file, audio, video, hologram = user.parts
    assert (text.text, image.detail, image.media) == (
        "Look",
        "low",
        Media(data="aaaa", media_type="image/png"),
    )
    assert by_id.media == Media(file_id="file_1")
    assert (pdf.filename, pdf.media.media_type, raw.media) == (
        "a.pdf",
        "application/pdf",
        Media(data="JVBERi0="),
    )
    assert (by_url.media.url, file.media.file_id) == ("https://example.org/b.pdf", "file_2")
    assert (audio.media.media_type, video.media.url) == ("audio/mp3", "https://example.org/v.mp4")
    assert isinstance(hologram, ForeignPart)
    assert (summary.summary, content.content) == (("Hm.",), ("Well.",))
    assert encrypted.encrypted_content == seal("openresponses", "gAAA")
    assert (said.phase, said.text, said.parts[1]) == ("commentary", "Done", RefusalPart("No."))
    assert (call.call_id, call.id, output.parts) == ("call_1", "fc_1", (TextPart("plain"),))
    assert (custom.freeform, custom.arguments, custom_output.freeform) == (True, "select 1", True)
    assert all(isinstance(item, ForeignItem) for item in foreign)
    assert [type(tool) for tool in request.tools] == [FunctionTool, CustomTool, ForeignTool]
    assert request.tool_choice == ToolChoice("required", "f")
    assert request.response_format.schema == {"type": "object"}
    assert (request.reasoning.effort, request.reasoning.summary) == ("high", "auto")
    assert (request.sampling.logprobs, request.sampling.presence_penalty) == (True, 0.1)
    assert request.stream
    assert request.include_usage


@needs_description
def test_what_is_written_satisfies_the_published_description():
    items = (
        Message("system", (TextPart("s"),)),
        Message("user", (TextPart("a"), ImagePart(Media(url="https://i")))),
        Reasoning(summary=("hm",), encrypted_content=seal("openresponses", "x")),
        Message("assistant", (TextPart("b"), RefusalPart("no"))),
        FunctionCall("c", "f", "{}"),
        FunctionCallOutput("c", (TextPart("r"),)),
    )
    shape = ResponseFormat("json_schema", "n", {"type": "object"})
    encoded = encode(
        *items,
        tools=(FunctionTool("f", "d", {}),),
        tool_choice=ToolChoice("auto", allowed=("f",)),
        response_format=shape,
        reasoning=ReasoningOptions(effort="low"),
        stream=True,
    )
    assert DESCRIPTION.exists()
    validator("CreateResponseBody").validate(encoded.tree)


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        ("auto", ToolChoice("auto")),
        ("none", ToolChoice("none")),
        ("required", ToolChoice("required")),
        ({"type": "custom", "name": "c"}, ToolChoice("required", "c", freeform=True)),
        ({"type": "web_search"}, ForeignToolChoice("openresponses", {"type": "web_search"})),
    ],
)
def test_tool_choices(choice, wanted):
    tools = [{"type": "function", "name": "f"}]
    request = decode(tool_choice=choice, tools=tools)
    assert request.tool_choice == wanted
    assert OPENRESPONSES.encode_request(request).tree["tool_choice"] == choice


def test_allowed_tools_survive_with_their_kinds():
    tools = [{"type": "function", "name": "f"}, {"type": "mcp", "server_label": "x"}]
    choice = {"type": "allowed_tools", "mode": "required", "tools": tools}
    request = decode(tool_choice=choice, tools=tools)
    assert (request.tool_choice.mode, request.tool_choice.allowed) == ("required", ("f", ""))
    assert OPENRESPONSES.encode_request(request).tree["tool_choice"] == choice


@pytest.mark.parametrize(
    ("tree", "param", "kind"),
    [
        ({"input": "hi"}, "model", ErrorKind.MISSING_FIELD),
        ({"model": 7, "input": "hi"}, "model", ErrorKind.INVALID_REQUEST),
        ({"model": "m"}, "input", ErrorKind.MISSING_FIELD),
        ({"model": "m", "input": 7}, "input", ErrorKind.INVALID_REQUEST),
        ({"model": "m", "input": [7]}, "input[0]", ErrorKind.INVALID_REQUEST),
        ({"model": "m", "input": [{"type": "message"}]}, "input[0].role", ErrorKind.MISSING_FIELD),
        (
            {"model": "m", "input": [{"role": "user", "content": [{"type": "input_text"}]}]},
            "input[0].content[0].text",
            ErrorKind.MISSING_FIELD,
        ),
        (
            {"model": "m", "input": [{"role": "user", "content": [{"type": "input_image"}]}]},
            "input[0].content[0].image_url",
            ErrorKind.INVALID_REQUEST,
        ),
        (
            {"model": "m", "input": [{"type": "function_call_output", "output": ""}]},
            "input[0].call_id",
            ErrorKind.MISSING_FIELD,
        ),
        ({"model": "m", "input": "hi", "tools": {}}, "tools", ErrorKind.INVALID_REQUEST),
        ({"model": "m", "input": "hi", "tools": [7]}, "tools[0]", ErrorKind.INVALID_REQUEST),
        (
            {"model": "m", "input": "hi", "tools": [{"type": "function"}]},
            "tools[0].name",
            ErrorKind.INVALID_REQUEST,
        ),
        (
            {"model": "m", "input": "hi", "tools": [{"type": "function", "name": []}]},
            "tools[0].name",
            ErrorKind.INVALID_REQUEST,
        ),
        ({"model": "m", "input": "hi", "tool_choice": 7}, "tool_choice", ErrorKind.INVALID_REQUEST),
        ({"model": "m", "input": "hi", "temperature": "hot"}, "temperature", ErrorKind.INVALID_REQUEST),
    ],
)
def test_what_nothing_can_be_made_of_is_refused_with_its_place(tree, param, kind):
    with pytest.raises(ClientError) as caught:
        OPENRESPONSES.decode_request(tree)
    assert (caught.value.param, caught.value.kind) == (param, kind)


@pytest.mark.parametrize("field", ["previous_response_id", "conversation", "prompt"])
def test_a_kept_conversation_may_stand_in_for_an_input(field):
    assert OPENRESPONSES.decode_request({"model": "m", field: "x"}).items == ()


def test_what_this_format_cannot_hold_is_declared():
    encoded = encode(
        Reasoning(content=("hm",), signature=seal("anthropic", "x")),
        Message("user", (ForeignPart("gemini", {}), TextPart("hi", extras={"anthropic:cache_control": {}}))),
        ForeignItem("anthropic", {}),
        FunctionCallOutput("c", (TextPart("bad"), VideoPart(Media())), is_error=True, name="f"),
        Message("assistant", (AudioPart(Media(data="a"), "said"), ImagePart(Media(url="u"))), name="bob"),
        FunctionCall("c", "f", signature=seal("gemini", "s")),
        Reasoning(content=("unsigned",)),
        tools=(ForeignTool("anthropic", {}), FunctionTool("f", extras={"anthropic:defer_loading": True})),
        tool_choice=ForeignToolChoice("gemini", {}),
        sampling=Sampling(top_k=3, stop=("x",), seed=1, n=2, presence_penalty=1, logit_bias={"1": 2}),
        reasoning=ReasoningOptions(budget_tokens=10),
        modalities=("text", "audio"),
        extras={"anthropic:container": "c", "openai_chat:@note": True},
    )
    assert set(encoded.dropped) == {
        "items[0]",
        "items[1].parts[0]",
        "items[1].parts[1].anthropic:cache_control",
        "items[2]",
        "items[3].parts[1]",
        "items[3].is_error",
        "items[3].name",
        "items[4].name",
        "items[4].parts[0]",
        "items[4].parts[1]",
        "items[5].signature",
        "items[6]",
        "tools[0]",
        "tools[1].anthropic:defer_loading",
        "tool_choice",
        "sampling.top_k",
        "sampling.stop",
        "sampling.seed",
        "sampling.n",
        "sampling.presence_penalty",
        "sampling.logit_bias",
        "reasoning.budget_tokens",
        "modalities",
        "anthropic:container",
    }
    assert "aigw1" not in json.dumps(encoded.tree)


def test_an_output_takes_the_kind_of_its_call():
    call = FunctionCall("c", "sql", "select 1", freeform=True)
    tree = encode(call, FunctionCallOutput("c", (TextPart("1"),))).tree
    assert [item["type"] for item in tree["input"]] == ["custom_tool_call", "custom_tool_call_output"]


def test_wanted_thoughts_are_asked_for_in_a_form_that_can_be_sent_back():
    tree = encode(reasoning=ReasoningOptions(effort="low", include_thoughts=True)).tree
    assert tree["reasoning"] == {"effort": "low", "summary": "auto"}
    assert tree["include"] == ["reasoning.encrypted_content"]
    assert encode(reasoning=ReasoningOptions(enabled=False)).tree["reasoning"] == {"effort": "none"}


def test_ids_of_our_making_are_taken_off_again():
    tree = OPENRESPONSES.encode_response(
        OPENRESPONSES.decode_response({"output": [{"type": "message", "role": "assistant", "content": []}]}),
        None,
    )
    (item,) = OPENRESPONSES.decode_request({"model": "m", "input": tree["output"]}).items
    assert item.id is None


@pytest.mark.parametrize("odd", [[], {}, 7, True, None], ids=repr)
def test_a_type_that_is_no_word_is_a_type_nobody_knows(odd):
    request = decode(
        input=[{"role": "assistant", "content": [{"type": odd, "x": 1}, {"x": 2}]}],
        tools=[{"type": odd, "name": "f"}],
        tool_choice={"type": "allowed_tools", "mode": odd, "tools": [odd]},
        text={"format": {"type": odd}},
    )
    assert request.items[0].parts[0] == ForeignPart("openresponses", {"type": odd, "x": 1})
    assert request.tools == (ForeignTool("openresponses", {"type": odd, "name": "f"}),)
    assert request.tool_choice.mode == "auto"
    assert request.response_format is None
    encoded = OPENRESPONSES.encode_request(request)
    assert encoded.tree["input"][0]["content"] == [{"type": odd, "x": 1}, {"x": 2}]
    assert encoded.dropped == ()


def test_an_image_without_a_detail_gets_the_one_that_holds_by_default():
    image = ImagePart(Media(url="https://i"))
    tree = encode(Message("user", (TextPart("a"), image)), FunctionCallOutput("c", (image,))).tree
    wanted = {"type": "input_image", "image_url": "https://i", "detail": "auto"}
    assert tree["input"][0]["content"][1] == wanted
    assert tree["input"][1]["output"] == [wanted]
    (kept,) = encode(Message("user", (evolve(image, detail="low"),))).tree["input"][0]["content"]
    assert kept["detail"] == "low"


def test_a_tool_is_strict_only_where_its_caller_meant_it():
    own = [{"type": "function", "name": "f"} | more for more in ({}, {"strict": True}, {"strict": False})]
    assert OPENRESPONSES.encode_request(decode(tools=own)).tree["tools"] == own
    (unsaid, strict) = encode(tools=(FunctionTool("f"), FunctionTool("g", strict=True))).tree["tools"]
    assert (unsaid["strict"], strict["strict"]) == (False, True)


def test_thinking_that_another_formats_client_brought_back_is_a_summary():
    sealed = seal("openresponses", "gAAA")
    (tree,) = encode(Reasoning(content=("First.", "Then."), encrypted_content=sealed)).tree["input"]
    assert tree == {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "First."}, {"type": "summary_text", "text": "Then."}],
        "encrypted_content": "gAAA",
    }


@pytest.mark.parametrize("named", [{"id": "rs_1"}, {}], ids=["id", "no id"])
def test_thinking_that_came_in_this_format_goes_back_as_it_came(named):
    tree = {
        "type": "reasoning",
        **named,
        "summary": [],
        "content": [{"type": "reasoning_text", "text": "Hm."}],
        "encrypted_content": "gAAA",
    }
    encoded = OPENRESPONSES.encode_request(decode(input=[tree]))
    assert encoded.tree["input"] == [tree]


def test_a_thinking_budget_is_told_as_the_effort_it_stands_for():
    encoded = encode(reasoning=ReasoningOptions(budget_tokens=2048, enabled=True, include_thoughts=True))
    assert encoded.tree["reasoning"] == {"effort": "medium", "summary": "auto"}
    assert encoded.dropped == ("reasoning.budget_tokens",)


def test_a_chat_grammar_is_written_as_this_format_has_it():
    grammar = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}}
    (tool,) = encode(tools=(CustomTool("c", None, grammar),)).tree["tools"]
    assert tool["format"] == {"type": "grammar", "syntax": "lark", "definition": "x"}


def test_a_file_that_chat_wrote_as_a_url_is_one_here():
    parts = (FilePart(Media(url="https://x/a.pdf")), FilePart(Media(url="data:text/plain,abc")))
    content = encode(Message("user", parts)).tree["input"][0]["content"]
    assert content[0] == {"type": "input_file", "file_url": "https://x/a.pdf"}
    assert content[1] == {"type": "input_file", "file_data": "data:text/plain,abc"}
