import base64
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aigw.dialects.anthropic import ANTHROPIC
from aigw.errors import ClientError, ErrorKind
from aigw.model import (
    FilePart,
    ForeignTool,
    FunctionCall,
    FunctionCallOutput,
    FunctionTool,
    ImagePart,
    Media,
    Message,
    ReasoningOptions,
    TextPart,
    ToolChoice,
)
from aigw.model.seal import seal


def request(*messages, **fields):
    return {"model": "m", "max_tokens": 100, "messages": list(messages), **fields}


def decode(*messages, **fields):
    return ANTHROPIC.decode_request(request(*messages, **fields))


def user(*blocks):
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks):
    return {"role": "assistant", "content": list(blocks)}


def text(value, **fields):
    return {"type": "text", "text": value, **fields}


def said(role, value):
    return Message(role, (TextPart(value),))


CACHED = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
USER = {"role": "user", "content": "hi"}
PNG = {"type": "base64", "media_type": "image/png", "data": "AAEC"}
IMAGE = {"type": "image", "source": PNG}
PDF = {"type": "base64", "media_type": "application/pdf", "data": "AAEC"}
DOCUMENTS = [
    {
        "type": "document",
        "source": PDF,
        "title": "T",
        "context": "C",
        "citations": {"enabled": True},
        **CACHED,
    },
    {"type": "document", "source": {"type": "url", "url": "https://e.org/a.pdf"}},
    {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
    {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Žluťoučký"}},
    {"type": "document", "source": {"type": "content", "content": [text("a"), text("b")]}},
]
CALL = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": [1, "ž"]}}
CALL_2 = {**CALL, "id": "toolu_2", **CACHED}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "42"}
RESULT_2 = {
    "type": "tool_result",
    "tool_use_id": "toolu_2",
    "content": [text("see"), IMAGE, {"type": "tool_reference", "tool_name": "g"}],
    "is_error": True,
    **CACHED,
}
THINKING = {"type": "thinking", "thinking": "Hm.", "signature": "EqQB=="}
REDACTED = {"type": "redacted_thinking", "data": "Emwk=="}
SERVER = [
    {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
    {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
    {"type": "mcp_tool_use", "id": "mcptoolu_1", "name": "ask", "server_name": "s", "input": {}},
    {"type": "mcp_tool_result", "tool_use_id": "mcptoolu_1", "is_error": False, "content": [text("x")]},
    {"type": "bash_code_execution_tool_result", "tool_use_id": "srvtoolu_1", "content": {"stdout": ""}},
]
CITED = text("a", citations=[{"type": "web_search_result_location", "url": "u", "encrypted_index": "Eo=="}])

CONVERSATIONS = {
    "text": [USER, {"role": "assistant", "content": "hello"}, USER],
    "marked text": [user(text("hi", **CACHED))],
    "pictures": [
        user(
            text("look"),
            {**IMAGE, **CACHED},
            {"type": "image", "source": {"type": "url", "url": "https://e.org/a.png"}},
            {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
        )
    ],
    "documents": [user(*DOCUMENTS)],
    "tools": [USER, assistant(text("a"), CALL, CALL_2), user(RESULT, RESULT_2, text("go on"))],
    "no result": [assistant(CALL), user({"type": "tool_result", "tool_use_id": "toolu_1"})],
    "thinking": [USER, assistant(THINKING, REDACTED, text("a"), THINKING, CALL), user(RESULT)],
    "thinking that is not shown": [USER, assistant({**THINKING, "thinking": ""}, text("a"))],
    "hosted tools": [USER, assistant(text("a"), *SERVER, text("b"))],
    "citations": [USER, assistant(CITED, text("b"))],
    "a block born yesterday": [
        user(text("a"), {"type": "hologram", "watts": 3}),
        assistant({"type": "dream"}),
    ],
    "search results": [user({"type": "search_result", "source": "s", "title": "t", "content": [text("x")]})],
    "fields of a message": [{"role": "user", "content": "hi", "mood": "sunny"}],
    "system in place": [USER, {"role": "system", "content": "now be brief"}, USER],
}


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_conversation_survives_decoding_and_encoding(name):
    tree = request(*CONVERSATIONS[name])
    encoded = ANTHROPIC.encode_request(ANTHROPIC.decode_request(tree))
    assert encoded.dropped == ()
    assert encoded.tree == tree


TOOL = {"name": "f", "description": "d", "input_schema": {"type": "object"}, "strict": True, **CACHED}
HOSTED = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
SCHEMA = {"type": "json_schema", "schema": {"type": "object"}}

OPTIONS = {
    "a system text": {"system": "be brief"},
    "system blocks": {"system": [text("be"), text("brief", **CACHED)]},
    "sampling": {"temperature": 0.5, "top_p": 0.9, "top_k": 40, "stop_sequences": ["END"]},
    "tools": {"tools": [TOOL, HOSTED, {**TOOL, "type": "custom", "defer_loading": True}]},
    "choice auto": {"tools": [TOOL], "tool_choice": {"type": "auto"}},
    "choice any": {"tools": [TOOL], "tool_choice": {"type": "any", "disable_parallel_tool_use": True}},
    "choice of a tool": {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "f"}},
    "choice none": {"tools": [TOOL], "tool_choice": {"type": "none"}},
    "choice born yesterday": {"tools": [TOOL], "tool_choice": {"type": "dice"}},
    "parallel": {"tools": [TOOL], "tool_choice": {"type": "auto", "disable_parallel_tool_use": False}},
    "user": {"metadata": {"user_id": "u1", "mood": "sunny"}},
    "budget": {"thinking": {"type": "enabled", "budget_tokens": 2000, "display": "omitted"}},
    "adaptive": {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}},
    "adaptive, shown": {"thinking": {"type": "adaptive", "display": "summarized"}},
    "disabled": {"thinking": {"type": "disabled"}},
    "thinking born yesterday": {"thinking": {"type": "between_tools"}},
    "effort alone": {"output_config": {"effort": "low"}},
    "schema": {"output_config": {"format": SCHEMA}},
    "schema of before": {"output_format": SCHEMA},
    "format born yesterday": {"output_config": {"format": {"type": "haiku"}, "mood": "sunny"}},
    "tier": {"service_tier": "standard_only"},
    "tier auto": {"service_tier": "auto"},
    "stream": {"stream": True},
    "unknown fields": {
        "container": "c1",
        "mcp_servers": [{"name": "s"}],
        "cache_control": {"type": "ephemeral"},
    },
}


@pytest.mark.parametrize("name", OPTIONS)
def test_options_survive_decoding_and_encoding(name):
    tree = request(USER, **OPTIONS[name])
    encoded = ANTHROPIC.encode_request(ANTHROPIC.decode_request(tree))
    assert encoded.dropped == ()
    assert encoded.tree == tree


def test_what_is_decoded_has_the_vocabularys_words():
    found = decode(
        *CONVERSATIONS["tools"],
        system="be brief",
        thinking={"type": "enabled", "budget_tokens": 2000},
        tools=[TOOL, HOSTED],
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
        metadata={"user_id": "u1"},
        service_tier="standard_only",
        stream=True,
    )
    assert found.instructions == "be brief"
    assert found.items[0] == said("user", "hi")
    assert found.items[2] == FunctionCall("toolu_1", "f", '{"a":[1,"ž"]}')
    assert found.items[4] == FunctionCallOutput("toolu_1", (TextPart("42"),))
    assert found.items[5].is_error
    assert found.items[5].parts[1] == ImagePart(Media(data="AAEC", media_type="image/png"))
    assert found.items[5].extras == {"anthropic:cache_control": CACHED["cache_control"]}
    assert found.reasoning == ReasoningOptions(budget_tokens=2000, enabled=True)
    assert isinstance(found.tools[0], FunctionTool)
    assert found.tools[1] == ForeignTool("anthropic", HOSTED)
    assert (found.tool_choice, found.parallel_tool_calls) == (ToolChoice("required"), False)
    assert (found.user, found.service_tier) == ("u1", "default")
    assert found.include_usage


def test_a_text_document_is_a_file_others_can_take():
    (message,) = decode(user(DOCUMENTS[3])).items
    data = base64.b64encode("Žluťoučký".encode()).decode()
    assert message.parts == (FilePart(Media(data=data, media_type="text/plain")),)


def test_opaque_values_are_sealed_with_this_formats_name():
    items = decode(assistant(THINKING, REDACTED)).items
    assert items[0].signature == seal("anthropic", "EqQB==")
    assert items[1].redacted == seal("anthropic", "Emwk==")


@pytest.mark.parametrize(
    ("fields", "param", "kind"),
    [
        ({"model": None}, "model", ErrorKind.MISSING_FIELD),
        ({"messages": None}, "messages", ErrorKind.MISSING_FIELD),
        ({"messages": "hi"}, "messages", ErrorKind.INVALID_REQUEST),
        ({"messages": ["hi"]}, "messages[0]", ErrorKind.INVALID_REQUEST),
        ({"messages": [{"content": "hi"}]}, "messages[0].role", ErrorKind.MISSING_FIELD),
        ({"messages": [user("hi")]}, "messages[0].content[0]", ErrorKind.INVALID_REQUEST),
        ({"messages": [user({"type": "text"})]}, "messages[0].content[0].text", ErrorKind.MISSING_FIELD),
        ({"messages": [{"role": "user", "content": 1}]}, "messages[0].content", ErrorKind.INVALID_REQUEST),
        ({"system": 7}, "system", ErrorKind.INVALID_REQUEST),
        ({"tools": {}}, "tools", ErrorKind.INVALID_REQUEST),
        ({"tools": [1]}, "tools[0]", ErrorKind.INVALID_REQUEST),
        ({"tools": [{"input_schema": {}}]}, "tools[0].name", ErrorKind.INVALID_REQUEST),
        ({"tool_choice": "auto"}, "tool_choice", ErrorKind.INVALID_REQUEST),
        ({"temperature": "hot"}, "temperature", ErrorKind.INVALID_REQUEST),
    ],
)
def test_a_malformed_request_names_the_field(fields, param, kind):
    with pytest.raises(ClientError) as caught:
        ANTHROPIC.decode_request(request(USER, **fields) | fields)
    assert (caught.value.param, caught.value.kind) == (param, kind)


ODD = st.sampled_from(
    [None, 0, "x", [], {}, ["type"], {"type": []}, {"type": "text", "text": "t"}, [{}], [[]]]
)
FUZZED = st.fixed_dictionaries(
    {},
    optional={
        "system": ODD,
        "thinking": st.fixed_dictionaries({"type": ODD}, optional={"budget_tokens": ODD, "display": ODD}),
        "output_config": st.fixed_dictionaries({}, optional={"effort": ODD, "format": ODD}),
        "tools": st.lists(st.fixed_dictionaries({"name": ODD}, optional={"type": ODD, "input_schema": ODD})),
        "tool_choice": st.fixed_dictionaries({"type": ODD}, optional={"name": ODD}),
        "metadata": st.fixed_dictionaries({"user_id": ODD}),
        "service_tier": ODD,
        "stop_sequences": ODD,
        "messages": st.lists(
            st.fixed_dictionaries(
                {
                    "role": st.sampled_from(["user", "assistant", "system", "x"]),
                    "content": st.lists(
                        st.fixed_dictionaries(
                            {
                                "type": ODD
                                | st.sampled_from(["tool_use", "tool_result", "image", "thinking", "text"])
                            },
                            optional=dict.fromkeys(
                                ("id", "input", "content", "source", "text", "citations"), ODD
                            ),
                        ),
                        max_size=3,
                    ),
                }
            ),
            max_size=3,
        ),
    },
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(FUZZED)
def test_odd_values_anywhere_are_the_clients_fault_or_fine(fields):
    try:
        found = ANTHROPIC.decode_request(request(USER) | fields)
    except ClientError:
        return
    json.dumps(ANTHROPIC.encode_request(found).tree)
