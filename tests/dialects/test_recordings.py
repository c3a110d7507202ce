"""Real provider traffic, replayed: what comes in must go out meaning the same."""

import json
import os
import random
from pathlib import Path

import pytest

from aigw.dialects.openai_chat import OPENAI_CHAT
from aigw.model import fold

FOLDER = Path(os.environ.get("AIGW_RECORDINGS") or Path(__file__).parents[2].parent / "shared" / "recordings")
DIALECTS = {"openai-chat": OPENAI_CHAT}


def recordings(kind):
    found = [
        pytest.param(DIALECTS[name], path, id=f"{name}/{path.stem}")
        for name in DIALECTS
        for path in sorted((FOLDER / name).glob(f"{kind}-*.json"))
    ]
    missing = pytest.mark.skip(reason=f"no recordings in {FOLDER}: set AIGW_RECORDINGS to replay them")
    return found or [pytest.param(None, None, id="absent", marks=missing)]


def load(path):
    return json.loads(path.read_text(encoding="utf-8"))


def without_nulls(tree):
    if isinstance(tree, dict):
        return {key: without_nulls(value) for key, value in tree.items() if value is not None}
    if isinstance(tree, list):
        return [without_nulls(value) for value in tree]
    return tree


def flat_content(content):
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in content if part.get("type") == "text")
    return content or ""


def message_meaning(message):
    calls = [
        (call["id"], call["function"]["name"], call["function"]["arguments"])
        for call in message.get("tool_calls") or []
    ]
    thinking = message.get("reasoning") or message.get("reasoning_content") or ""
    details = without_nulls(message.get("reasoning_details") or [])
    refusal = message.get("refusal") or ""
    return flat_content(message.get("content")), calls, thinking, details, refusal


def usage_meaning(usage):
    details = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
    counts = tuple(usage.get(key) for key in ("prompt_tokens", "completion_tokens", "total_tokens"))
    return (*counts, details)


@pytest.mark.parametrize(("dialect", "path"), recordings("whole"))
def test_a_whole_answer_means_the_same_after_decoding_and_encoding(dialect, path):
    tree = load(path)["response"]
    again = dialect.encode_response(dialect.decode_response(tree), None)
    for before, after in zip(tree["choices"], again["choices"], strict=True):
        assert message_meaning(after["message"]) == message_meaning(before["message"])
        likely = "tool_calls" if before["message"].get("tool_calls") else "stop"
        assert after["finish_reason"] == (before["finish_reason"] or likely)
        unknown = without_nulls({**before, "message": None, "logprobs": None}).items()
        assert unknown <= without_nulls(after).items() if "native_finish_reason" in before else True
    assert usage_meaning(again["usage"]) == usage_meaning(tree["usage"])
    lost = {key for key, value in tree.items() if value is not None} - again.keys()
    assert lost <= {"service_tier"}


@pytest.mark.parametrize(("dialect", "path"), recordings("*"))
def test_a_request_survives_decoding_and_encoding(dialect, path):
    tree = load(path)["request"]
    encoded = dialect.encode_request(dialect.decode_request(tree))
    assert encoded.dropped == ()
    assert normal_request(encoded.tree) == normal_request(tree)


def normal_request(tree):
    tree = without_nulls(tree)
    if tree.get("stream") is False:
        del tree["stream"]
    if tree.get("tools") == []:
        del tree["tools"]
    for tool in tree.get("tools", []):
        if "function" in tool:
            tool["type"] = "function"
    for message in tree["messages"]:
        content = message.get("content", "")
        if isinstance(content, list) and len(content) == 1 and content[0].keys() == {"type", "text"}:
            content = content[0]["text"]
        message["content"] = content or ""
        if message.get("tool_calls") == []:
            del message["tool_calls"]
        for call in message.get("tool_calls", []):
            call.setdefault("type", "function")
            call.pop("index", None)
    return tree


def decode_stream(dialect, data, cuts=()):
    decoder = dialect.stream_decoder()
    events = []
    for start, end in zip((0, *cuts), (*cuts, len(data)), strict=True):
        events += decoder.feed(data[start:end])
    return events + decoder.close()


def encode_stream(dialect, events):
    encoder = dialect.stream_encoder(None)
    return b"".join([encoder.encode(event) for event in events]) + encoder.close()


def stream_meaning(data):
    """What a plain reader of the stream gathers, written without any of the code under test."""
    texts, thinking, calls, finish, usage = {}, {}, {}, {}, None
    for line in data.decode().splitlines():
        if not line.startswith("data: {"):
            continue
        tree = json.loads(line[6:])
        usage = tree.get("usage") or (tree.get("x_groq") or {}).get("usage") or usage
        for choice in tree.get("choices", []):
            number, delta = choice["index"], choice["delta"]
            texts[number] = texts.get(number, "") + flat_content(delta.get("content"))
            words = delta.get("reasoning") or delta.get("reasoning_content") or ""
            thinking[number] = thinking.get(number, "") + words
            for call in delta.get("tool_calls") or []:
                known = calls.setdefault((number, call.get("index", 0)), {"arguments": ""})
                function = call.get("function") or {}
                known["arguments"] += function.get("arguments") or ""
                known["id"] = known.get("id") or call.get("id")
                known["name"] = known.get("name") or function.get("name")
            finish.setdefault(number, choice.get("finish_reason"))
            finish[number] = finish[number] or choice.get("finish_reason")
    return texts, thinking, calls, finish, usage_meaning(usage) if usage else None


@pytest.mark.parametrize(("dialect", "path"), recordings("stream"))
def test_a_stream_means_the_same_after_decoding_and_encoding(dialect, path):
    data = load(path)["response_sse"].encode()
    again = encode_stream(dialect, decode_stream(dialect, data))
    assert stream_meaning(again) == stream_meaning(data)
    assert again.endswith(b"data: [DONE]\n\n")
    assert again.count(b"[DONE]") == 1


@pytest.mark.parametrize(("dialect", "path"), recordings("stream"))
def test_a_stream_may_be_cut_anywhere(dialect, path):
    data = load(path)["response_sse"].encode()
    whole = decode_stream(dialect, data)
    dice = random.Random(path.stem)
    for pieces in (3, 30, 300):
        cuts = sorted(dice.randrange(len(data)) for _ in range(pieces))
        assert decode_stream(dialect, data, cuts) == whole


@pytest.mark.parametrize(("dialect", "path"), recordings("stream"))
def test_a_folded_stream_holds_what_the_stream_said(dialect, path):
    data = load(path)["response_sse"].encode()
    tree = dialect.encode_response(fold(decode_stream(dialect, data)), None)
    texts, thinking, calls, finish, usage = stream_meaning(data)
    for choice in tree["choices"]:
        number, message = choice["index"], choice["message"]
        assert flat_content(message["content"]) == texts[number]
        assert (message.get("reasoning") or message.get("reasoning_content") or "") == thinking[number]
        told = [(call["id"], call["function"]["arguments"]) for call in message.get("tool_calls", [])]
        assert told == [(call["id"], call["arguments"]) for (n, _), call in calls.items() if n == number]
        assert choice["finish_reason"] == finish[number]
    assert (usage_meaning(tree["usage"]) if "usage" in tree else None) == usage


@pytest.mark.parametrize(("dialect", "path"), recordings("stream"))
def test_the_grammar_sees_the_end_and_the_counts_of_a_stream(dialect, path):
    data = load(path)["response_sse"].encode()
    sightings = [
        dialect.grammar.examine(frame.event, frame.data)
        for frame in split(data)
        if any(suspect in frame.data for suspect in dialect.grammar.suspects)
    ]
    assert [s.terminal for s in sightings].count(True) == 1
    assert sightings[-1].terminal
    assert any(s.finished for s in sightings)
    assert not any(s.error for s in sightings)
    usage = stream_meaning(data)[-1]
    seen = [s.usage for s in sightings if s.usage is not None]
    assert bool(seen) == bool(usage)


def split(data):
    from aigw.wire.sse import split_frames

    return split_frames(data)


@pytest.mark.parametrize(("dialect", "path"), recordings("error"))
def test_a_refusal_by_a_provider_keeps_its_words(dialect, path):
    recording = load(path)
    body = json.dumps(recording["response"]).encode()
    error = dialect.decode_error(recording["status"], body)
    assert error.message == recording["response"]["error"]["message"]
    status, tree = dialect.encode_error(error)
    assert status == recording["status"]
    assert tree["error"]["param"] == recording["response"]["error"].get("param")
