"""Real traffic of Anthropic's API, replayed: what comes in must go out meaning the same."""

import json
import os
import random
from pathlib import Path

import anthropic.types
import pytest
from anthropic.lib.streaming._messages import accumulate_event
from pydantic import ValidationError

from aigw.dialects.anthropic import ANTHROPIC
from aigw.dialects.anthropic.counting import decode_count, decode_count_request, encode_count_request
from aigw.dialects.base import join_frames
from aigw.model import fold, unfold
from aigw.wire.sse import split_frames

FOLDER = Path(os.environ.get("AIGW_RECORDINGS") or Path(__file__).parents[2].parent / "shared" / "recordings")


def recordings(kind, folder="anthropic"):
    paths = sorted((FOLDER / folder).glob(f"{kind}-*.json"))
    missing = pytest.mark.skip(reason=f"no recordings in {FOLDER}: set AIGW_RECORDINGS to replay them")
    found = [pytest.param(path, id=path.stem) for path in paths]
    return found or [pytest.param(None, id="absent", marks=missing)]


def load(path):
    return json.loads(path.read_text(encoding="utf-8"))


def plain(tree):
    """Return the tree without what says nothing: nulls, empty lists of citations, empty texts."""
    if isinstance(tree, dict):
        kept = {key: plain(value) for key, value in tree.items() if value is not None}
        return {key: value for key, value in kept.items() if (key, value) != ("citations", [])}
    if isinstance(tree, list):
        return [plain(value) for value in tree if not is_empty_text(value)]
    return tree


def is_empty_text(tree):
    return isinstance(tree, dict) and tree.get("type") == "text" and tree.get("text") == ""


def normal_request(tree):
    tree = plain(tree)
    tree.pop("stream", None)
    if isinstance(tree.get("system"), str):
        tree["system"] = [{"type": "text", "text": tree["system"]}]
    tree["messages"] = turns(tree["messages"])
    return tree


def turns(messages):
    """Return the messages as the API takes them: neighbours of one role are one."""
    joined = []
    for message in messages:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        blocks = [normal_result(block) for block in blocks]
        if joined and joined[-1]["role"] == message["role"]:
            joined[-1]["content"] += blocks
        else:
            joined.append({**message, "content": blocks})
    return joined


def normal_result(block):
    if block["type"] != "tool_result":
        return block
    content = block.get("content", [])
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return {"is_error": False, **block, "content": blocks}


def decode_stream(data, cuts=()):
    decoder = ANTHROPIC.stream_decoder()
    events = []
    for start, end in zip((0, *cuts), (*cuts, len(data)), strict=True):
        events += decoder.feed(data[start:end])
    return events + decoder.close()


def encode_stream(events):
    encoder = ANTHROPIC.stream_encoder(None)
    return join_frames(encoder, events) + encoder.close()


def gathered(data):
    """What a plain reader of the stream gathers, written without any of the code under test."""
    message, inputs = {}, {}
    for line in data.decode().splitlines():
        if not line.startswith("data: "):
            continue
        tree = json.loads(line[6:])
        match tree["type"]:
            case "message_start":
                message = tree["message"]
            case "content_block_start":
                message["content"].append(dict(tree["content_block"]))
            case "content_block_delta":
                gather(message["content"][tree["index"]], tree["index"], tree["delta"], inputs)
            case "message_delta":
                message |= {key: value for key, value in tree["delta"].items() if value is not None}
                message["usage"] |= {key: value for key, value in tree["usage"].items() if value is not None}
                message |= {
                    key: value for key, value in tree.items() if key not in {"type", "delta", "usage"}
                }
    for index, text in inputs.items():
        message["content"][index]["input"] = json.loads(text or "{}")
    return message


def gather(block, index, delta, inputs):
    match delta["type"]:
        case "input_json_delta":
            inputs[index] = inputs.get(index, "") + delta["partial_json"]
        case "citations_delta":
            block["citations"] = [*(block.get("citations") or []), delta["citation"]]
        case "signature_delta":
            block["signature"] = delta["signature"]
        case kind:
            field = {"text_delta": "text", "thinking_delta": "thinking", "compaction_delta": "content"}[kind]
            block[field] = (block.get(field) or "") + delta[field]


def counted(usage):
    """Counts that say nothing are the same as no counts."""
    if not isinstance(usage, dict):
        return usage
    found = {key: counted(value) for key, value in usage.items()}
    return {key: value for key, value in found.items() if value}


def assert_same(after, before):
    assert counted(after.pop("usage")) == counted(before.pop("usage"))
    assert plain(after) == plain(before)


def is_published(tree):
    """Say whether the SDK's types know it; blocks of a beta they do not."""
    try:
        anthropic.types.Message.model_validate(tree)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("path", recordings("whole"))
def test_a_whole_answer_means_the_same_after_decoding_and_encoding(path):
    tree = load(path)["response"]
    again = ANTHROPIC.encode_response(ANTHROPIC.decode_response(tree), None)
    assert is_published(again) == is_published(tree)
    assert_same(again, tree)


@pytest.mark.parametrize("path", recordings("whole"))
def test_a_whole_answer_written_as_a_stream_means_the_same(path):
    tree = load(path)["response"]
    data = encode_stream(unfold(ANTHROPIC.decode_response(tree)))
    assert_same(gathered(data), tree)


@pytest.mark.parametrize("path", recordings("*"))
def test_a_request_survives_decoding_and_encoding(path):
    tree = load(path)["request"]
    encoded = ANTHROPIC.encode_request(ANTHROPIC.decode_request(tree))
    assert encoded.dropped == ()
    assert normal_request(encoded.tree) == normal_request(tree)


@pytest.mark.parametrize("path", recordings("stream"))
def test_a_stream_means_the_same_after_decoding_and_encoding(path):
    data = load(path)["response_sse"].encode()
    again = encode_stream(decode_stream(data))
    assert_same(gathered(again), gathered(data))
    assert again.endswith(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')
    assert again.count(b"event: message_stop") == 1


@pytest.mark.parametrize("path", recordings("stream"))
def test_a_stream_may_be_cut_anywhere(path):
    data = load(path)["response_sse"].encode()
    whole = decode_stream(data)
    dice = random.Random(path.stem)
    for pieces in (3, 30, 300):
        cuts = sorted(dice.randrange(len(data)) for _ in range(pieces))
        assert decode_stream(data, cuts) == whole


@pytest.mark.parametrize("path", recordings("stream"))
def test_a_folded_stream_holds_what_the_stream_said(path):
    data = load(path)["response_sse"].encode()
    assert_same(ANTHROPIC.encode_response(fold(decode_stream(data)), None), gathered(data))


@pytest.mark.parametrize("path", recordings("stream"))
def test_the_sdk_gathers_the_same_message_from_a_rewritten_stream(path):
    data = load(path)["response_sse"].encode()
    first, second = (sdk_message(stream) for stream in (data, encode_stream(decode_stream(data))))
    assert plain(second["content"]) == plain(first["content"])
    assert second["stop_reason"] == first["stop_reason"]
    assert counted(second["usage"]) == counted(first["usage"])


def sdk_message(data):
    snapshot, buffers = None, {}
    for frame in split_frames(data):
        tree = json.loads(frame.data)
        if tree["type"] != "ping":
            snapshot = accumulate_event(event=tree, current_snapshot=snapshot, json_bufs=buffers)
    return snapshot.model_dump(exclude_none=True, warnings=False)


@pytest.mark.parametrize("path", recordings("stream"))
def test_the_grammar_sees_the_end_and_the_counts_of_a_stream(path):
    data = load(path)["response_sse"].encode()
    sightings = [
        ANTHROPIC.grammar.examine(frame.event, frame.data)
        for frame in split_frames(data)
        if any(suspect in frame.data for suspect in ANTHROPIC.grammar.suspects)
    ]
    assert [s.terminal for s in sightings].count(True) == 1
    assert sightings[-1].terminal
    assert any(s.finished for s in sightings)
    assert not any(s.error for s in sightings)
    told = [s.usage for s in sightings if s.usage is not None][-1]
    usage = gathered(data)["usage"]
    cached = usage["cache_read_input_tokens"] + usage["cache_creation_input_tokens"]
    assert (told.input_tokens, told.output_tokens) == (usage["input_tokens"] + cached, usage["output_tokens"])


@pytest.mark.parametrize("path", recordings("whole", "count_tokens"))
def test_a_question_for_a_count_survives_decoding_and_encoding(path):
    recording = load(path)
    if recording["provider"] != "anthropic":
        pytest.skip("another format's")
    encoded = encode_count_request(decode_count_request(recording["request"]))
    assert encoded.dropped == ()
    assert normal_request(encoded.tree) == normal_request(recording["request"])
    assert decode_count(recording["response"]) == recording["response"]["input_tokens"]
