"""Anthropic's published schema and automaton as checks, written without any of the code under test."""

import json
import re

import anthropic.types
import orjson
from attrs import evolve
from pydantic import TypeAdapter

from aigw.model import FinishReason, FunctionCall, Message, RefusalPart, TextPart, Usage
from aigw.wire.sse import split_frames

EVENT = TypeAdapter(anthropic.types.RawMessageStreamEvent)
PLAIN_ID = re.compile(r"[a-zA-Z0-9_-]+")
DELTAS = {
    "text": {"text_delta", "citations_delta"},
    "thinking": {"thinking_delta", "signature_delta"},
    "tool_use": {"input_json_delta"},
    "server_tool_use": {"input_json_delta"},
}

WORDS = re.findall(
    r"\w+",
    """
    type message id role assistant model content stop_reason stop_sequence usage input_tokens output_tokens
    cache_read_input_tokens cache_creation_input_tokens output_tokens_details thinking_tokens index delta
    content_block text text_delta citations citations_delta citation thinking thinking_delta signature
    signature_delta redacted_thinking data tool_use name input input_json_delta partial_json
    message_start message_delta message_stop content_block_start content_block_delta content_block_stop
    ping error end_turn max_tokens system messages user tools tool_choice auto any tool input_schema source
    base64 media_type url image document title tool_result tool_use_id is_error metadata user_id
    service_tier output_config effort format json_schema schema server_tool_use budget_tokens enabled
    """,
)


def check_whole(tree):
    anthropic.types.Message.model_validate_json(json.dumps(tree), strict=True)
    for block in tree["content"]:
        check_block(block)
        assert block["type"] != "text" or block["text"] or block["citations"]
    assert tree["usage"]["input_tokens"] >= 0


def check_block(block):
    if block["type"] == "tool_use":
        assert PLAIN_ID.fullmatch(block["id"])


def check_stream(data, *, failed):
    """Hold a stream against its automaton: start, blocks one after another, delta, stop; or an error."""
    frames = split_frames(data)
    trees = [json.loads(frame.data) for frame in frames]
    assert [frame.event for frame in frames] == [tree["type"] for tree in trees]
    if failed:
        last = trees.pop()
        assert last["type"] == "error"
        assert last["error"]["message"]
    open_block, count, names = None, 0, [tree["type"] for tree in trees]
    for tree in trees:
        EVENT.validate_json(json.dumps(tree), strict=True)
        match tree["type"]:
            case "content_block_start":
                assert open_block is None
                assert tree["index"] == count
                open_block = tree["content_block"]
                check_block(open_block)
                count += 1
            case "content_block_delta":
                assert tree["index"] == count - 1
                assert tree["delta"]["type"] in DELTAS[open_block["type"]]
            case "content_block_stop":
                assert open_block is not None
                assert tree["index"] == count - 1
                open_block = None
    assert names[:1] in ([], ["message_start"])
    assert names.count("message_start") == len(names[:1])
    assert "message_stop" not in names[:-1]
    if not failed:
        assert open_block is None
        assert names[-2:] == ["message_delta", "message_stop"]
        assert names.count("message_delta") == 1
        assert trees[-2]["delta"]["stop_reason"]


# What the format can hold.


def holds(response):
    """Return the answer less what this format has no place for: other choices, kinds of refusal, text
    where an object belongs, and token counts that do not add up.
    """
    choice = response.choices[0]
    reason = choice.finish_reason
    refused = any(isinstance(part, RefusalPart) for part in _parts(choice))
    if reason is FinishReason.CONTENT_FILTER or (refused and reason is FinishReason.STOP):
        reason = FinishReason.REFUSAL
    items = tuple(_item(item) for item in choice.items)
    usage = response.usage or Usage()
    usage = evolve(usage, input_tokens=max(usage.input_tokens, usage.cached_tokens))
    return evolve(response, choices=(evolve(choice, items=items, finish_reason=reason),), usage=usage)


def _parts(choice):
    return [part for item in choice.items if isinstance(item, Message) for part in item.parts]


def _item(item):
    if isinstance(item, Message):
        parts = [TextPart(part.text) if isinstance(part, RefusalPart) else part for part in item.parts]
        return evolve(item, parts=tuple(parts))
    return canonical_call(item) if isinstance(item, FunctionCall) else item


def canonical_call(call):
    """Return the call with its arguments spelt as they are after a trip through an object."""
    if not call.arguments.strip():
        return evolve(call, arguments="{}")
    try:
        tree = orjson.loads(call.arguments)
    except orjson.JSONDecodeError:
        return call
    return evolve(call, arguments=orjson.dumps(tree).decode()) if isinstance(tree, dict) else call


def holds_request(request):
    """Return the request as this format can say it: with a limit, a mild temperature, no blank texts."""
    limit = 8192 if request.max_output_tokens is None else request.max_output_tokens
    temperature = request.sampling.temperature
    if temperature is not None:
        temperature = min(temperature, 1.0)
    return evolve(
        request,
        items=tuple(canonical_call(i) if isinstance(i, FunctionCall) else _spoken(i) for i in request.items),
        max_output_tokens=limit,
        sampling=evolve(request.sampling, temperature=temperature),
    )


def _spoken(item):
    parts = [part if part.text.strip() else TextPart("x" + part.text) for part in item.parts]
    return evolve(item, parts=tuple(parts))


CHECKS = (check_whole, check_stream, WORDS, holds, holds_request)
