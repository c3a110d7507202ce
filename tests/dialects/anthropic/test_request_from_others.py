"""What other formats bring, written for Anthropic; and what it cannot hold, named."""

import base64
import re

import pytest

from aigw.dialects.anthropic import ANTHROPIC
from aigw.dialects.anthropic.counting import encode_count, encode_count_request
from aigw.dialects.anthropic.request import DEFAULT_MAX_TOKENS
from aigw.model import (
    Annotation,
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
)
from aigw.model.seal import seal


def request(*messages, **fields):
    return {"model": "m", "max_tokens": 100, "messages": list(messages), **fields}


def decode(*messages, **fields):
    return ANTHROPIC.decode_request(request(*messages, **fields))


def encode(*items, **fields):
    return ANTHROPIC.encode_request(Request("m", tuple(items), max_output_tokens=100, **fields))


def user(*blocks):
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks):
    return {"role": "assistant", "content": list(blocks)}


def text(value, **fields):
    return {"type": "text", "text": value, **fields}


def said(role, value):
    return Message(role, (TextPart(value),))


USER = {"role": "user", "content": "hi"}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": [1, "ž"]}}


def test_neighbours_of_one_side_are_one_message():
    tree = encode(said("user", "a"), said("user", "b"), said("assistant", "c"), said("assistant", "d")).tree
    assert tree["messages"] == [user(text("a"), text("b")), assistant(text("c"), text("d"))]


def test_results_stand_together_right_behind_their_calls():
    call, other = FunctionCall("c1", "f", "{}"), FunctionCall("c2", "f", "{}")
    outputs = [FunctionCallOutput(c.call_id, (TextPart("x"),)) for c in (call, other)]
    tree = encode(call, other, outputs[0], said("user", "wait"), outputs[1]).tree
    assert [block["type"] for block in tree["messages"][1]["content"]] == [
        "tool_result",
        "tool_result",
        "text",
    ]


def test_rounds_of_calls_keep_their_order():
    items = [
        FunctionCall("c1", "f"),
        FunctionCallOutput("c1"),
        FunctionCall("c2", "f"),
        FunctionCallOutput("c2"),
    ]
    assert [message["role"] for message in encode(*items).tree["messages"]] == ["assistant", "user"] * 2


def test_instructions_wherever_they_stand_go_to_system():
    found = encode(said("developer", "a"), said("user", "x"), said("system", "b"), instructions="first")
    assert found.tree["system"] == [text("first"), text("a"), text("b")]
    assert found.tree["messages"] == [{"role": "user", "content": "x"}]
    assert encode(said("system", "a"), said("user", "x")).tree["system"] == "a"


def test_instructions_alone_are_what_the_user_says():
    tree = encode(said("system", "Write a haiku.")).tree
    assert tree["messages"] == [{"role": "user", "content": "Write a haiku."}]
    assert "system" not in tree


def test_a_picture_stands_in_no_turn_but_the_users():
    picture = ImagePart(Media(url="https://e.org/a.png"))
    found = encode(
        Message("system", (TextPart("a"), picture)), Message("assistant", (TextPart("b"), picture))
    )
    assert found.tree["system"] == "a"
    assert found.tree["messages"] == [{"role": "assistant", "content": "b"}]
    assert found.dropped == ("items[0].image", "items[1].image")


def test_empty_and_blank_texts_are_left_out():
    blank = Message("assistant", (TextPart(""), TextPart("\n\n")))
    tree = encode(said("user", ""), said("user", "hi"), blank, FunctionCall("c1", "f", "{}")).tree
    assert tree["messages"] == [
        {"role": "user", "content": "hi"},
        assistant({"type": "tool_use", "id": "c1", "name": "f", "input": {}}),
    ]


@pytest.mark.parametrize("call_id", ["call_1", "functions.f:0", "žluť", "", "aigw-id_x", "a b", "x" * 300])
def test_any_id_becomes_one_the_api_takes_and_comes_back(call_id):
    found = encode(FunctionCall(call_id, "f", "{}"), FunctionCallOutput(call_id, (TextPart("x"),)))
    use, result = found.tree["messages"][0]["content"][0], found.tree["messages"][1]["content"][0]
    assert re.fullmatch(r"[a-zA-Z0-9_-]+", use["id"])
    assert result["tool_use_id"] == use["id"]
    assert [item.call_id for item in ANTHROPIC.decode_request(found.tree).items] == [call_id, call_id]


def test_an_id_that_only_looks_mapped_is_left_alone():
    (item,) = decode(assistant({**CALL, "id": "aigw-id__ff"})).items
    assert item.call_id == "aigw-id__ff"


@pytest.mark.parametrize(
    "arguments", ["", "  ", "{", "[1]", '"x"', "free text", '{"a":1}', '{"aigw_unparsed":1}']
)
def test_any_arguments_become_an_object_and_come_back(arguments):
    (block,) = encode(FunctionCall("c", "f", arguments)).tree["messages"][0]["content"]
    assert isinstance(block["input"], dict)
    (item,) = decode(assistant(block)).items
    assert item.arguments == (arguments.strip() or "{}")


def test_free_text_arguments_come_back_as_such():
    call = FunctionCall("c", "f", "print(1)", freeform=True)
    assert ANTHROPIC.decode_request(encode(call).tree).items == (call,)


def test_thinking_of_others_is_left_out_and_named():
    found = encode(
        said("user", "hi"),
        Reasoning(content=("unsigned",)),
        Reasoning(content=("x",), signature=seal("gemini", "abc")),
        Reasoning(summary=("x",), encrypted_content=seal("openresponses", "abc")),
        Reasoning(redacted=seal("gemini", "abc")),
        Reasoning(content=("own",), signature=seal("anthropic", "c2ln")),
        said("assistant", "a"),
        FunctionCall("c", "f", "{}", signature=seal("gemini", "abc")),
    )
    content = found.tree["messages"][1]["content"]
    assert content[0] == {"type": "thinking", "thinking": "own", "signature": "c2ln"}
    assert [block["type"] for block in content] == ["thinking", "text", "tool_use"]
    assert found.dropped == ("items[1]", "items[2]", "items[3]", "items[4]", "items[7].signature")


def test_what_the_format_cannot_hold_is_named():
    found = encode(
        Message(
            "user", (TextPart("a"), AudioPart(Media(data="AAEC")), ForeignPart("gemini", {})), name="ann"
        ),
        ForeignItem("openresponses", {}),
        tools=(CustomTool("c"), ForeignTool("gemini", {}), FunctionTool("f")),
        tool_choice=ForeignToolChoice("openai_chat", {}),
        sampling=Sampling(
            1.5, seed=0, n=2, presence_penalty=1, logit_bias={"1": 1}, logprobs=True, stop=("\n", "x")
        ),
        response_format=ResponseFormat("json_object"),
        service_tier="flex",
        verbosity="low",
        metadata={"a": "b"},
        store=True,
        modalities=("text", "audio"),
        previous_response_id="resp_1",
        prompt_cache_key="k",
        extras={"openai_chat:web_search_options": {}, "openai_chat:@note": 1},
    )
    assert set(found.dropped) == {
        *("items[0].parts[1]", "items[0].parts[2]", "items[0].name", "items[1]", "tools[0]", "tools[1]"),
        *("tool_choice", "sampling.temperature", "sampling.seed", "sampling.n", "sampling.presence_penalty"),
        *("sampling.logit_bias", "sampling.logprobs", "sampling.stop[0]", "response_format", "service_tier"),
        *("verbosity", "metadata", "store", "modalities", "previous_response_id", "prompt_cache_key"),
        "openai_chat:web_search_options",
    }
    assert found.tree["temperature"] == 1.0
    assert found.tree["stop_sequences"] == ["x"]
    assert found.tree["tools"] == [{"name": "f", "input_schema": {"type": "object", "properties": {}}}]


def test_a_citation_without_its_proof_is_not_sent_back():
    shown = Annotation("url_citation", url="https://e.org")
    found = encode(Message("assistant", (TextPart("a", (shown,)),)))
    assert found.tree["messages"] == [{"role": "assistant", "content": "a"}]
    assert found.dropped == ("items[0].parts[0].annotations[0]",)


def test_a_limit_is_always_set():
    request_without = Request("m", (said("user", "hi"),))
    assert ANTHROPIC.encode_request(request_without).tree["max_tokens"] == DEFAULT_MAX_TOKENS
    thinking = Request("m", (said("user", "hi"),), reasoning=ReasoningOptions(budget_tokens=5000))
    assert ANTHROPIC.encode_request(thinking).tree["max_tokens"] == DEFAULT_MAX_TOKENS + 5000


@pytest.mark.parametrize(
    ("options", "thinking", "effort"),
    [
        (ReasoningOptions(effort="high"), {"type": "adaptive"}, "high"),
        (ReasoningOptions(effort="minimal"), {"type": "adaptive"}, "low"),
        (ReasoningOptions(effort="none"), {"type": "disabled"}, None),
        (
            ReasoningOptions(effort="low", summary="auto"),
            {"type": "adaptive", "display": "summarized"},
            "low",
        ),
        (ReasoningOptions(enabled=False), {"type": "disabled"}, None),
        (ReasoningOptions(enabled=True), {"type": "adaptive"}, None),
        (ReasoningOptions(adaptive=True, budget_tokens=-1), {"type": "adaptive"}, None),
        (ReasoningOptions(budget_tokens=0), {"type": "disabled"}, None),
        (ReasoningOptions(budget_tokens=100), {"type": "enabled", "budget_tokens": 1024}, None),
        (ReasoningOptions(include_thoughts=True), None, None),
    ],
)
def test_depth_of_thinking_is_said_in_this_formats_words(options, thinking, effort):
    tree = encode(said("user", "hi"), reasoning=options).tree
    assert tree.get("thinking") == thinking
    assert tree.get("output_config", {}).get("effort") == effort


def test_sampling_that_thinking_does_not_bear_is_left_out():
    sampling = Sampling(temperature=0.2, top_p=0.5, top_k=3)
    found = encode(said("user", "hi"), reasoning=ReasoningOptions(effort="low"), sampling=sampling)
    assert found.dropped == ("sampling.temperature", "sampling.top_p", "sampling.top_k")
    kept = encode(said("user", "hi"), reasoning=ReasoningOptions(effort="low"), sampling=Sampling(1.0, 0.95))
    assert (kept.tree["temperature"], kept.tree["top_p"], kept.dropped) == (1.0, 0.95, ())


BUDGET = ReasoningOptions(budget_tokens=2000)


def test_a_budget_rests_while_another_providers_round_of_calls_goes_on():
    items = [said("user", "hi"), FunctionCall("c", "f", "{}"), FunctionCallOutput("c")]
    found = encode(*items, reasoning=BUDGET)
    assert "thinking" not in found.tree
    assert found.dropped == ("reasoning",)
    signed = Reasoning(content=("x",), signature=seal("anthropic", "c2ln"))
    assert "thinking" in encode(items[0], signed, *items[1:], reasoning=BUDGET).tree
    assert "thinking" in encode(*items, said("assistant", "done"), said("user", "x"), reasoning=BUDGET).tree
    assert "thinking" in encode(*items, reasoning=ReasoningOptions(effort="low")).tree


def test_a_budget_rests_where_a_call_is_forced():
    tools = (FunctionTool("f"),)
    found = encode(said("user", "hi"), reasoning=BUDGET, tools=tools, tool_choice=ToolChoice("required"))
    assert (found.tree["tool_choice"], found.dropped) == ({"type": "any"}, ("reasoning",))


def test_tools_that_are_not_allowed_are_left_out():
    tools = tuple(FunctionTool(name) for name in ("f", "g", "h"))
    choice = ToolChoice("auto", allowed=("f", "h"))
    tree = encode(said("user", "hi"), tools=tools, tool_choice=choice).tree
    assert [tool["name"] for tool in tree["tools"]] == ["f", "h"]
    assert tree["tool_choice"] == {"type": "auto"}


def test_one_call_at_a_time_needs_a_choice_to_say_it():
    tree = encode(said("user", "hi"), tools=(FunctionTool("f"),), parallel_tool_calls=False).tree
    assert tree["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}


def test_a_schema_without_a_type_is_an_object():
    tree = encode(said("user", "hi"), tools=(FunctionTool("f", parameters={"properties": {}}),)).tree
    assert tree["tools"][0]["input_schema"] == {"type": "object", "properties": {}}


def test_a_question_for_a_count_leaves_out_what_steers_the_answer():
    sent = Request("m", (said("user", "hi"),), sampling=Sampling(0.5), stream=True, user="u")
    assert encode_count_request(sent).tree == {"model": "m", "messages": [USER]}
    assert encode_count(7) == {"input_tokens": 7}


def file(data, media_type):
    return FilePart(Media(data=base64.b64encode(data).decode(), media_type=media_type), filename="a")


def test_a_document_of_a_kind_the_api_does_not_take_is_named():
    docx, broken = file(b"PK", "application/vnd.openxmlformats"), file(b"\xff", "text/plain")
    found = encode(
        Message("user", (TextPart("a"), docx, broken, file(b"# b", "text/markdown"), ImagePart(Media())))
    )
    assert found.dropped == ("items[0].parts[1]", "items[0].parts[2]", "items[0].parts[4]")
    source = {"type": "text", "media_type": "text/plain", "data": "# b"}
    assert found.tree["messages"][0]["content"][1] == {"type": "document", "source": source, "title": "a"}


def test_finer_points_of_parts_are_named():
    picture = ImagePart(Media(url="https://e.org/a.png"), detail="low")
    signed = TextPart("a", signature=seal("gemini", "abc"))
    found = encode(
        Message("user", (picture,)), Message("assistant", (signed, RefusalPart("no"), AudioPart(Media())))
    )
    assert found.dropped == ("items[0].parts[0].detail", "items[1].parts[0].signature", "items[1].parts[2]")
    assert found.tree["messages"][1]["content"] == [text("a"), text("no")]


def test_a_user_and_a_hashed_user_are_one_field():
    assert encode(said("user", "x"), safety_identifier="h").tree["metadata"] == {"user_id": "h"}
    both = encode(said("user", "x"), user="u", safety_identifier="h")
    assert (both.tree["metadata"], both.dropped) == ({"user_id": "u"}, ("safety_identifier",))


def test_a_schema_that_is_missing_and_one_with_a_description_are_named():
    bare = encode(said("user", "x"), response_format=ResponseFormat("json_schema"))
    assert bare.dropped == ("response_format",)
    told = ResponseFormat("json_schema", "r", {"type": "object"}, description="d")
    assert encode(said("user", "x"), response_format=told).dropped == ("response_format.description",)
    assert encode(said("user", "x"), response_format=ResponseFormat("text")).dropped == ()
