import pytest
from support.openresponses_wire import check_whole

from aigw.dialects.openresponses import OPENRESPONSES
from aigw.errors import ErrorKind, GatewayError, ProtocolError
from aigw.model import (
    Annotation,
    Choice,
    CustomTool,
    FinishReason,
    ForeignItem,
    ForeignTool,
    FunctionCall,
    FunctionCallOutput,
    FunctionTool,
    Message,
    ReasoningOptions,
    Request,
    Response,
    ResponseFormat,
    Sampling,
    TextPart,
    ToolChoice,
    Usage,
)

TEXT = Message("assistant", (TextPart("hi"),))


def encode(*items, request=None, reason=FinishReason.STOP, raw=None, **fields):
    choices = (Choice(items or (TEXT,), reason, raw),)
    return OPENRESPONSES.encode_response(Response("r", "m", 7, choices, **fields), request)


def test_every_field_is_there_without_a_request():
    tree = encode()
    check_whole(tree)
    assert (tree["temperature"], tree["tool_choice"], tree["tools"], tree["truncation"]) == (
        1.0,
        "auto",
        [],
        "disabled",
    )
    assert "output_text" not in tree


def test_the_request_is_repeated():
    request = Request(
        "asked",
        instructions="Be brief.",
        tools=(FunctionTool("f"), CustomTool("c"), ForeignTool("anthropic", {"type": "bash"})),
        tool_choice=ToolChoice("auto", allowed=("f",)),
        parallel_tool_calls=False,
        max_output_tokens=9,
        sampling=Sampling(temperature=0.0, top_p=0.5, top_logprobs=1),
        reasoning=ReasoningOptions("low"),
        response_format=ResponseFormat("json_schema", "n", {"type": "object"}),
        verbosity="high",
        metadata={"a": "b"},
        service_tier="flex",
        store=True,
        previous_response_id="resp_0",
        extras={
            "openresponses:max_tool_calls": 2,
            "openresponses:truncation": "auto",
            "openresponses:background": True,
            "openresponses:conversation": "conv_1",
        },
    )
    tree = encode(request=request)
    check_whole(tree)
    wanted = {
        "instructions": "Be brief.",
        "tools": [
            {"type": "function", "name": "f", "description": None, "parameters": None, "strict": False},
            {"type": "custom", "name": "c"},
        ],
        "tool_choice": {
            "type": "allowed_tools",
            "mode": "auto",
            "tools": [{"type": "function", "name": "f"}],
        },
        "parallel_tool_calls": False,
        "max_output_tokens": 9,
        "temperature": 0.0,
        "top_p": 0.5,
        "top_logprobs": 1,
        "reasoning": {"effort": "low", "summary": None},
        "text": {
            "format": {
                "type": "json_schema",
                "name": "n",
                "description": None,
                "schema": {"type": "object"},
                "strict": False,
            },
            "verbosity": "high",
        },
        "metadata": {"a": "b"},
        "service_tier": "flex",
        "store": True,
        "previous_response_id": "resp_0",
        "max_tool_calls": 2,
        "truncation": "auto",
        "background": True,
        "conversation": {"id": "conv_1"},
    }
    assert {key: tree[key] for key in wanted} == wanted


def test_what_the_provider_repeats_outranks_the_request():
    tree = encode(request=Request("m", instructions="ours"), extras={"openresponses:instructions": "theirs"})
    assert tree["instructions"] == "theirs"


@pytest.mark.parametrize(
    ("reason", "raw", "status", "details"),
    [
        (FinishReason.STOP, "stop", "completed", None),
        (FinishReason.STOP_SEQUENCE, None, "completed", None),
        (FinishReason.TOOL_CALLS, None, "completed", None),
        (FinishReason.LENGTH, None, "incomplete", {"reason": "max_output_tokens"}),
        (FinishReason.CONTEXT_LENGTH, None, "incomplete", {"reason": "max_output_tokens"}),
        (FinishReason.CONTENT_FILTER, None, "incomplete", {"reason": "content_filter"}),
        (FinishReason.REFUSAL, None, "incomplete", {"reason": "content_filter"}),
        (FinishReason.UNKNOWN, "incomplete:steered", "incomplete", {"reason": "steered"}),
        (FinishReason.UNKNOWN, "whatever", "completed", None),
        (FinishReason.PAUSE, None, "completed", None),
        (FinishReason.CANCELLED, None, "cancelled", None),
        (None, None, "completed", None),
    ],
)
def test_each_reason_has_its_status(reason, raw, status, details):
    tree = encode(reason=reason, raw=raw)
    check_whole(tree)
    assert (tree["status"], tree["incomplete_details"]) == (status, details)
    assert tree["output"][-1]["status"] == ("incomplete" if status == "incomplete" else "completed")


def test_an_answer_still_in_the_making_keeps_its_status():
    tree = {"id": "resp_1", "status": "queued", "output": []}
    response = OPENRESPONSES.decode_response(tree)
    assert response.choices[0].finish_reason is None
    assert OPENRESPONSES.encode_response(response, None)["status"] == "queued"


@pytest.mark.parametrize("odd", [[], {}, 7, True], ids=repr)
def test_a_status_that_is_no_word_says_nothing(odd):
    response = OPENRESPONSES.decode_response({"status": odd, "output": []})
    assert (response.choices[0].finish_reason, response.choices[0].finish_raw) == (FinishReason.STOP, None)


def test_a_failed_answer_is_the_error_it_tells():
    tree = {
        "status": "failed",
        "output": [],
        "error": {"code": "rate_limit_exceeded", "message": "slow down"},
    }
    with pytest.raises(GatewayError) as caught:
        OPENRESPONSES.decode_response(tree)
    assert (caught.value.kind, caught.value.message) == (ErrorKind.UPSTREAM_RATE_LIMITED, "slow down")


@pytest.mark.parametrize(
    "tree",
    [
        {},
        {"output": {}},
        {"output": [7]},
        {"output": [{"type": "message", "role": "assistant", "content": 7}]},
    ],
)
def test_what_is_no_response_is_a_protocol_error(tree):
    with pytest.raises(ProtocolError):
        OPENRESPONSES.decode_response(tree)


def test_counts():
    usage = {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2, "image_tokens": 1},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": 14,
        "cost": 0.5,
    }
    found = OPENRESPONSES.read_usage({"usage": usage})
    assert (found.cached_tokens, found.cache_write_tokens, found.reasoning_tokens, found.total) == (
        4,
        2,
        3,
        14,
    )
    assert encode(usage=found)["usage"] == usage
    assert OPENRESPONSES.read_usage({}) is None
    check_whole(encode(usage=Usage(1, 2, audio_input_tokens=1, audio_output_tokens=1)))


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        (Annotation("char_location", 1, 2, title="A", file_id="file_1"), "file_citation"),
        (Annotation("web_search_result_location", url="u", title="t"), "url_citation"),
        (Annotation("unknown"), "url_citation"),
    ],
)
def test_a_citation_of_another_format_becomes_the_nearest_kind(annotation, kind):
    tree = encode(Message("assistant", (TextPart("hi", (annotation,)),)))
    assert tree["output"][0]["content"][0]["annotations"][0]["type"] == kind


def test_probabilities_have_every_field_a_reader_wants():
    part = TextPart("hi", logprobs=({"token": "hi", "logprob": -1.0, "bytes": None},))
    tree = encode(Message("assistant", (part,)))
    check_whole(tree)


def test_a_tools_output_in_an_answer_and_an_item_of_another_format():
    tree = encode(
        ForeignItem("anthropic", {"type": "server_tool_use"}),
        FunctionCall("c", "f", "{}"),
        FunctionCallOutput("c", (TextPart("1"),)),
        FunctionCallOutput("d", freeform=True),
    )
    check_whole({**tree, "output": tree["output"][:2]})
    assert [item["type"] for item in tree["output"]] == [
        "function_call",
        "function_call_output",
        "custom_tool_call_output",
    ]


def test_arguments_that_came_as_an_object_are_text():
    tree = {"output": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": {"a": 1}}]}
    assert OPENRESPONSES.decode_response(tree).items[0].arguments == '{"a":1}'
