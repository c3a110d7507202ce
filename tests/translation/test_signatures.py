"""Opaque proof of thinking comes back to the provider that gave it, through a client of any format."""

import json

import pytest
from support.plugins import use
from support.received import read
from support.recordings import ANSWERS
from support.sdks import SDKS, Wish

import aigw
from aigw.dialects.anthropic import ANTHROPIC
from aigw.dialects.gemini import GEMINI
from aigw.dialects.openresponses import OPENRESPONSES
from aigw.model import unfold

APIS = tuple(SDKS)
RESPONSES_THOUGHT = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "First."}],
    "encrypted_content": "gAAAAA==",
}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{}"}
ANSWER_OF_RESPONSES = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "gpt-x",
    "output": [RESPONSES_THOUGHT, {**CALL, "status": "completed"}],
    "usage": {
        "input_tokens": 1,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 3,
    },
}
ANSWER_OF_MESSAGES = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-x",
    "content": [
        {"type": "thinking", "thinking": "Hm.", "signature": "EqQBsig+/=="},
        {"type": "redacted_thinking", "data": "cmVk"},
        {"type": "text", "text": "One moment."},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 2},
}
ANSWER_OF_GEMINI = {
    "responseId": "r-1",
    "modelVersion": "gemini-3-flash",
    "candidates": [
        {
            "index": 0,
            "finishReason": "STOP",
            "content": {
                "role": "model",
                "parts": [
                    {
                        "functionCall": {"id": "c1", "name": "f", "args": {"a": 1}},
                        "thoughtSignature": "CiQBjz1rX+z7CAOC",
                    },
                    {"functionCall": {"id": "c2", "name": "g", "args": {}}},
                ],
            },
        }
    ],
    "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 2, "totalTokenCount": 3},
}
SIGNED = {
    "messages": (ANSWER_OF_MESSAGES, ["EqQBsig+/==", "cmVk"]),
    "responses": (ANSWER_OF_RESPONSES, ["gAAAAA=="]),
    "gemini": (ANSWER_OF_GEMINI, ["CiQBjz1rX+z7CAOC"]),
}
SEALS = ("aigw1", "aigw-", "YWlndz")


def plain(signature):
    return signature.replace("-", "+").replace("_", "/")


def script(upstream, provider, stream):
    """Let a provider give its signed answer; as a stream it is the same answer, told by the format's own."""
    tree, _ = SIGNED[provider]
    if not stream:
        upstream.answer(tree)
        return
    codec = {"messages": ANTHROPIC, "gemini": GEMINI, "responses": OPENRESPONSES}[provider]
    encoder = codec.stream_encoder(None)
    events = unfold(codec.decode_response(tree))
    upstream.stream(b"".join([*(encoder.encode(event) for event in events), encoder.close()]))


async def first_turn(sdk, upstream, provider, stream):
    script(upstream, provider, stream)
    told = await sdk.ask(Wish(tools=("f", "g"), thinking=True, max_tokens=5000), stream=stream)
    upstream.scripts.clear()
    upstream.seen.clear()
    assert [call[1] for call in told.calls][:1] == ["f"]
    return told


def second_turn(told, model="m"):
    results = tuple((call_id, name, "rain", False) for call_id, name, _ in told.calls)
    return Wish(
        tools=("f", "g"),
        thinking=True,
        max_tokens=5000,
        turns=tuple(told.turns),
        results=results,
        model=model,
    )


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("provider", SIGNED)
@pytest.mark.parametrize("client", APIS)
async def test_a_provider_gets_its_own_signatures_back(
    house, upstream, serve, sdk_for, client, provider, stream
):
    sdk = sdk_for(client, await serve(house(provider)))
    told = await first_turn(sdk, upstream, provider, stream)
    upstream.raw(ANSWERS["text"][provider].bytes(provider, stream=False))
    await sdk.ask(second_turn(told), stream=False)
    [seen] = upstream.seen
    got = read(provider, seen.json)
    # Google's SDK writes the other alphabet of base64; Google reads both.
    assert [plain(signature) for signature in got.signatures] == SIGNED[provider][1]
    assert [call_id for call_id, *_ in got.calls] == [call_id for call_id, *_ in got.results]
    assert {"toolu_1", "call_1", "c1"} & {call_id for call_id, *_ in got.calls}
    assert not any(seal in seen.body.decode() for seal in SEALS)


@pytest.mark.parametrize("provider", SIGNED)
@pytest.mark.parametrize("client", APIS)
async def test_no_provider_gets_what_another_one_signed(house, upstream, serve, sdk_for, client, provider):
    gateway = house(provider)
    for api in APIS:
        if api != provider:
            other = aigw.Provider(upstream.url, "sk-other", name=api, apis=[api])
            gateway.models.register(f"other-{api}", other, rewrite="up-model")
    sdk = sdk_for(client, await serve(gateway))
    told = await first_turn(sdk, upstream, provider, stream=False)
    for api in APIS:
        if api == provider:
            continue
        upstream.scripts.clear()
        upstream.raw(ANSWERS["text"][api].bytes(api, stream=False))
        await sdk.ask(second_turn(told, f"other-{api}"), stream=False)
        body = upstream.seen.pop().body.decode()
        got = read(api, json.loads(body))
        assert [call_id for call_id, *_ in got.calls] == [call_id for call_id, *_ in got.results]
        assert not any(seal in body for seal in SEALS), body
        assert not any(json.dumps(signature)[1:-1] in body for signature in SIGNED[provider][1])


SEALED_TURN = {
    "chat": (
        "/v1/chat/completions",
        {
            "model": "m",
            "stream": True,
            "messages": [
                {"role": "user", "content": "hi"},
                {
                    "role": "assistant",
                    "content": "Hm.",
                    "reasoning_details": [
                        {
                            "type": "reasoning.text",
                            "text": "Hm.",
                            "signature": "aigw1.anthropic.EqQB",
                            "id": "aigw-v1-0",
                            "format": "aigw-v1",
                            "index": 0,
                        }
                    ],
                },
                {"role": "user", "content": "go on"},
            ],
        },
    ),
    "messages": (
        "/v1/messages",
        {
            "model": "m",
            "stream": True,
            "max_tokens": 9,
            "messages": [
                {"role": "user", "content": "hi"},
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "Hm.", "signature": "aigw1.gemini.CiQB"},
                        {"type": "text", "text": "Hm."},
                    ],
                },
                {"role": "user", "content": "go on"},
            ],
        },
    ),
}


@pytest.mark.parametrize("edited", [False, True], ids=["passing", "edited"])
@pytest.mark.parametrize("api", SEALED_TURN)
async def test_a_request_freed_of_foreign_seals_is_answered_as_any_other(
    house, upstream, serve, http, api, edited
):
    gateway = house(api)
    records = []

    def on_complete(record):
        records.append(record)

    use(gateway, on_complete=on_complete)
    if edited:

        def transform_stream(exchange):
            return lambda event: [event]

        use(gateway, "q", transform_stream=transform_stream)
    path, body = SEALED_TURN[api]
    upstream.stream(ANSWERS["text"][api].bytes(api, stream=True))
    async with http.post(await serve(gateway) + path, json=body) as response:
        text = await response.text()
    seen = upstream.seen[0]
    assert "aigw1" not in seen.body.decode()
    assert seen.json["stream"] is True
    assert seen.json["model"] == "up-model"
    assert records[0].usage.output_tokens
    assert ('"output_tokens"' in text) if api == "messages" else ('"usage":{' not in text)
