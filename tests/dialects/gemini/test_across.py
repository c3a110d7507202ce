"""Conversations between Gemini and Chat Completions."""

from aigw.dialects.gemini import GEMINI
from aigw.dialects.gemini.signatures import DUMMY
from aigw.dialects.openai_chat import OPENAI_CHAT

SCHEMA = {"type": "object", "properties": {"x": {"type": "string"}}}
USER = {"role": "user", "parts": [{"text": "hi"}]}


def decode(tree, **fields):
    return GEMINI.decode_request({"model": "gemini-2.5-flash", "stream": False, **tree, **fields})


def encode(request):
    return GEMINI.encode_request(request)


def call(name, **fields):
    return {"functionCall": {"name": name, "args": {}, **fields}}


def answer(name, result, **fields):
    return {"functionResponse": {"name": name, "response": {"result": result}, **fields}}


def test_a_chat_conversation_with_tools_reaches_gemini():
    chat = {
        "model": "gemini-3-pro",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAEC"}},
            ]},
            {"role": "assistant", "content": None, "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}},
                {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
            ]},
            {"role": "tool", "tool_call_id": "c1", "content": "one"},
            {"role": "tool", "tool_call_id": "c2", "content": '{"two": 2}'},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        "tool_choice": "required",
        "max_completion_tokens": 50,
        "stop": ["END"],
        "response_format": {"type": "json_schema", "json_schema": {"name": "r", "schema": SCHEMA}},
    }  # fmt: skip
    encoded = encode(OPENAI_CHAT.decode_request(chat))
    assert encoded.dropped == ()
    assert encoded.tree == {
        "contents": [
            {"role": "user", "parts": [
                {"text": "What is this?"},
                {"inlineData": {"mimeType": "image/png", "data": "AAEC"}},
            ]},
            {"role": "model", "parts": [
                {"functionCall": {"id": "c1", "name": "f", "args": {"a": 1}}, "thoughtSignature": DUMMY},
                {"functionCall": {"id": "c2", "name": "g", "args": {}}},
            ]},
            {"role": "user", "parts": [
                {"functionResponse": {"id": "c1", "name": "f", "response": {"result": "one"}}},
                {"functionResponse": {"id": "c2", "name": "g", "response": {"two": 2}}},
            ]},
        ],
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "object"}}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
        "generationConfig": {
            "maxOutputTokens": 50,
            "stopSequences": ["END"],
            "responseMimeType": "application/json",
            "responseJsonSchema": SCHEMA,
        },
    }  # fmt: skip


def test_a_gemini_conversation_reaches_a_chat_provider():
    tree = {
        "contents": [
            USER,
            {"role": "model", "parts": [call("f"), call("g")]},
            {"role": "user", "parts": [answer("f", "1"), answer("g", "2"), {"text": "so?"}]},
        ],
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
    }
    messages = OPENAI_CHAT.encode_request(decode(tree)).tree["messages"]
    assert [message["role"] for message in messages] == [
        "system",
        "user",
        "assistant",
        "tool",
        "tool",
        "user",
    ]
    ids = [call["id"] for call in messages[2]["tool_calls"]]
    assert [message["tool_call_id"] for message in messages[3:5]] == ids
    assert [call["function"]["arguments"] for call in messages[2]["tool_calls"]] == ["{}", "{}"]
