"""What a provider wants back unchanged comes back to it byte for byte, through a client of another format."""

import json

import pytest
from attrs import evolve

from aigw.dialects.anthropic import ANTHROPIC
from aigw.dialects.base import join_frames
from aigw.dialects.gemini import GEMINI
from aigw.dialects.openai_chat import OPENAI_CHAT
from aigw.dialects.openresponses import OPENRESPONSES
from aigw.model import fold, unfold

CLAUDE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [
        {"type": "thinking", "thinking": "Hm.", "signature": "EqQB+/=="},
        {"type": "redacted_thinking", "data": "cmVk"},
        {"type": "text", "text": "One moment."},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 2},
}
GEMINI_CALL = {"functionCall": {"id": "c1", "name": "f", "args": {"a": 1}}, "thoughtSignature": "U0lH"}
GEMINI_ANSWER = {
    "responseId": "r",
    "modelVersion": "m",
    "candidates": [
        {"index": 0, "content": {"role": "model", "parts": [GEMINI_CALL]}, "finishReason": "STOP"}
    ],
}
THOUGHT = {
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": "First."}, {"type": "summary_text", "text": "Then."}],
    "encrypted_content": "gAAA==",
}
RESPONSES_CALL = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}
GPT = {
    "id": "resp_1",
    "model": "m",
    "created_at": 1,
    "status": "completed",
    "output": [THOUGHT, RESPONSES_CALL],
}


def streamed(response, client):
    """Say the answer as a stream of the client's format, and read that as the client does."""
    encoder, decoder = client.stream_encoder(None), client.stream_decoder()
    data = join_frames(encoder, unfold(response)) + encoder.close()
    return fold(decoder.feed(data) + decoder.close())


def as_history(tree, client):
    """Make the client's next request of the answer it was given."""
    tree = json.loads(json.dumps(tree))
    if client is OPENRESPONSES:
        calls = [item for item in tree["output"] if item["type"] == "function_call"]
        outputs = [{"type": "function_call_output", "call_id": c["call_id"], "output": "1"} for c in calls]
        return {"model": "m", "input": [*tree["output"], *outputs]}
    message = tree["choices"][0]["message"]
    outputs = [
        {"role": "tool", "tool_call_id": c["id"], "content": "1"} for c in message.get("tool_calls", [])
    ]
    return {"model": "m", "messages": [message, *outputs]}


def sent_again(tree, provider, client):
    request = client.decode_request(
        as_history(client.encode_response(provider.decode_response(tree), None), client)
    )
    encoded = provider.encode_request(evolve(request, max_output_tokens=100))
    assert encoded.dropped == ()
    return encoded.tree


@pytest.mark.parametrize("client", [OPENAI_CHAT, OPENRESPONSES], ids=lambda client: client.name)
def test_claude_gets_its_thinking_back(client):
    assistant, user = sent_again(CLAUDE, ANTHROPIC, client)["messages"]
    assert assistant["content"] == CLAUDE["content"]
    assert user["content"][0]["tool_use_id"] == "toolu_1"


@pytest.mark.parametrize("client", [OPENAI_CHAT, OPENRESPONSES], ids=lambda client: client.name)
def test_gemini_gets_the_signature_of_its_call_back(client):
    model, user = sent_again(GEMINI_ANSWER, GEMINI, client)["contents"]
    assert model["parts"] == [GEMINI_CALL]
    assert user["parts"][0]["functionResponse"]["id"] == "c1"


def test_openai_gets_its_encrypted_thinking_back_from_a_chat_client():
    thought, call, output = sent_again(GPT, OPENRESPONSES, OPENAI_CHAT)["input"]
    assert thought == THOUGHT
    assert call == RESPONSES_CALL
    assert output["call_id"] == "call_1"


def test_openai_gets_as_a_summary_what_a_client_brought_back_as_thinking():
    history = as_history(OPENAI_CHAT.encode_response(OPENRESPONSES.decode_response(GPT), None), OPENAI_CHAT)
    details = history["messages"][0]["reasoning_details"]
    for detail in details:  # some clients know one kind of readable thinking alone
        if detail["type"] == "reasoning.summary":
            detail.update(type="reasoning.text", text=detail.pop("summary"))
    thought, *_ = OPENRESPONSES.encode_request(OPENAI_CHAT.decode_request(history)).tree["input"]
    assert thought == THOUGHT


@pytest.mark.parametrize("client", [OPENRESPONSES], ids=lambda client: client.name)
@pytest.mark.parametrize(
    ("provider", "tree"), [(ANTHROPIC, CLAUDE), (GEMINI, GEMINI_ANSWER)], ids=["anthropic", "gemini"]
)
def test_a_streamed_answer_keeps_what_a_whole_one_keeps(provider, tree, client):
    response = provider.decode_response(tree)
    whole = client.encode_response(response, None)
    assert client.encode_response(streamed(response, client), None)["output"] == whole["output"]
