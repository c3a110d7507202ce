"""Real traffic of providers that speak responses, replayed: what comes in must go out meaning the same."""

import json
import os
import random
from pathlib import Path

import pytest
from support.openresponses_wire import check_event, check_whole

from aigw.dialects.base import join_frames
from aigw.dialects.openresponses import OPENRESPONSES
from aigw.model import fold, unfold
from aigw.wire.sse import split_frames

FOLDER = Path(os.environ.get("AIGW_RECORDINGS") or Path(__file__).parents[2].parent / "shared" / "recordings")
ENDS = {"response.completed", "response.incomplete"}
# Hosted items that the published types do not know yet in every detail; they travel as they came.
FOREIGN = {"web_search_call", "file_search_call", "mcp_call", "mcp_list_tools"}
# The format wants a number or a word where some servers write null.
DEFAULTS = {
    "temperature": 1.0,
    "top_p": 1.0,
    "top_logprobs": 0,
    "truncation": "disabled",
    "background": False,
    "service_tier": "default",
    "reasoning": {},
    "text": {"format": {"type": "text"}},
    "frequency_penalty": 0.0,
    "presence_penalty": 0.0,
}


def recordings(kind):
    found = [
        pytest.param(path, id=path.stem)
        for path in sorted((FOLDER / "openai-responses").glob(f"{kind}-*.json"))
    ]
    missing = pytest.mark.skip(reason=f"no recordings in {FOLDER}: set AIGW_RECORDINGS to replay them")
    return found or [pytest.param(None, id="absent", marks=missing)]


def load(path):
    return json.loads(path.read_text(encoding="utf-8"))


def bare(tree):
    """Without what says nothing: nulls, empty lists, and the defaults this format fills in."""
    if isinstance(tree, dict):
        return {key: bare(value) for key, value in tree.items() if value is not None and value != []}
    if isinstance(tree, list):
        return [bare(value) for value in tree]
    return tree


def rounded(tree):
    """With probabilities as coarse as OpenAI's last event tells them."""
    if isinstance(tree, dict):
        return {key: abs(round(v, 4)) if key == "logprob" else rounded(v) for key, v in tree.items()}
    return [rounded(value) for value in tree] if isinstance(tree, list) else tree


def item_meaning(item):
    item = rounded(bare(item))
    if item["type"] in {"message", "reasoning", "function_call"}:
        item.setdefault("status", "completed")
    return item


def response_meaning(tree):
    tree = bare(tree)
    tree.pop("output_text", None)
    for field, value in DEFAULTS.items():
        tree.setdefault(field, value)
    tree.setdefault("completed_at", tree["created_at"])
    tree["usage"].setdefault("input_tokens_details", {}).setdefault("cache_write_tokens", 0)
    tree["output"] = [item_meaning(item) for item in tree.get("output", [])]
    return tree


@pytest.mark.parametrize("path", recordings("whole"))
def test_a_whole_answer_means_the_same_after_decoding_and_encoding(path):
    tree = load(path)["response"]
    again = OPENRESPONSES.encode_response(OPENRESPONSES.decode_response(tree), None)
    assert response_meaning(again) == response_meaning(tree)


@pytest.mark.parametrize("path", recordings("whole"))
def test_a_whole_answer_may_be_told_as_a_stream(path):
    response = OPENRESPONSES.decode_response(load(path)["response"])
    data = encode_stream(unfold(response))
    again = OPENRESPONSES.encode_response(fold(decode_stream(data)), None)
    assert again == OPENRESPONSES.encode_response(response, None)


@pytest.mark.parametrize("path", recordings("*"))
def test_a_request_survives_decoding_and_encoding(path):
    tree = load(path)["request"]
    encoded = OPENRESPONSES.encode_request(OPENRESPONSES.decode_request(tree))
    assert encoded.dropped == ()
    assert normal_request(encoded.tree) == normal_request(tree)


def normal_request(tree):
    tree = bare(tree)
    if tree.get("stream") is False:
        del tree["stream"]
    if not tree.get("tools") and tree.get("tool_choice") == "auto":
        tree.pop("tool_choice")
    if isinstance(tree["input"], str):
        tree["input"] = [{"role": "user", "content": tree["input"]}]
    tree["input"] = [normal_item(item) for item in tree["input"]]
    return tree


def normal_item(item):
    if "role" in item and "content" in item:
        item.setdefault("type", "message")
    for field in ("content", "output"):
        value = item.get(field)
        plain = isinstance(value, list) and [part.keys() for part in value] == [{"type", "text"}]
        if plain and value[0]["type"] != "reasoning_text" and "id" not in item:
            item[field] = value[0]["text"]
    if item.get("type") == "reasoning":
        item.setdefault("summary", [])
    return item


def decode_stream(data, cuts=()):
    decoder = OPENRESPONSES.stream_decoder()
    events = []
    for start, end in zip((0, *cuts), (*cuts, len(data)), strict=True):
        events += decoder.feed(data[start:end])
    return events + decoder.close()


def encode_stream(events):
    encoder = OPENRESPONSES.stream_encoder(None)
    return join_frames(encoder, events) + encoder.close()


def trees_of(data):
    frames = [frame.data for frame in split_frames(data)]
    return [json.loads(frame) for frame in frames if frame.startswith(b"{")]


def gathered(data):
    """What a plain reader of the stream gathers from its deltas, without any of the code under test."""
    texts = {}
    for tree in trees_of(data):
        if "delta" in tree:
            place = (tree["output_index"], tree.get("content_index"), tree.get("summary_index"))
            # OpenAI's name for what the specification calls otherwise.
            key = (tree["type"].replace("reasoning_text", "reasoning"), *place)
            texts[key] = texts.get(key, "") + tree["delta"]
    return texts


def last(data):
    """Return the last event's response, with its items as they were told before.

    OpenAI encrypts thinking anew and rounds probabilities there; OpenRouter makes up a new id.
    """
    (tree,) = [tree["response"] for tree in trees_of(data) if tree["type"] in ENDS]
    told = {t["output_index"]: t["item"] for t in trees_of(data) if t["type"] == "response.output_item.done"}
    for number, item in enumerate(tree["output"]):
        assert told[number].keys() >= item.keys()
        tree["output"][number] = told[number]
    return tree


@pytest.mark.parametrize("path", recordings("stream"))
def test_a_stream_means_the_same_after_decoding_and_encoding(path):
    data = load(path)["response_sse"].encode()
    again = encode_stream(decode_stream(data))
    assert gathered(again) == gathered(data)
    assert response_meaning(last(again)) == response_meaning(last(data))
    assert [tree["sequence_number"] for tree in trees_of(again)] == list(range(len(trees_of(again))))
    assert again.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("path", recordings("stream"))
def test_a_stream_written_anew_is_what_the_specification_says(path):
    for tree in trees_of(encode_stream(decode_stream(load(path)["response_sse"].encode()))):
        items = tree.get("response", {}).get("output", [tree.get("item", {})])
        if not any(item.get("type") in FOREIGN for item in items) and "file_citation" not in str(tree):
            check_event({**tree, "response": plain(tree["response"])} if "response" in tree else tree)


@pytest.mark.parametrize("path", recordings("whole"))
def test_a_whole_answer_written_anew_is_what_the_specification_says(path):
    check_whole(
        plain(OPENRESPONSES.encode_response(OPENRESPONSES.decode_response(load(path)["response"]), None))
    )


def plain(tree):
    """Without what the providers' own words may put beyond the description: tools and their choice."""
    beyond = {"tools": [], "reasoning": None, "moderation": None, "tool_usage": None}
    return {**tree, **beyond, "text": {key: value for key, value in tree["text"].items() if value}}


@pytest.mark.parametrize("path", recordings("stream"))
def test_a_stream_may_be_cut_anywhere(path):
    data = load(path)["response_sse"].encode()
    whole = decode_stream(data)
    dice = random.Random(path.stem)
    for pieces in (3, 30, 300):
        cuts = sorted(dice.randrange(len(data)) for _ in range(pieces))
        assert decode_stream(data, cuts) == whole


@pytest.mark.parametrize("path", recordings("stream"))
def test_a_folded_stream_is_what_the_whole_answer_says(path):
    data = load(path)["response_sse"].encode()
    folded = OPENRESPONSES.encode_response(fold(decode_stream(data)), None)
    whole = OPENRESPONSES.encode_response(OPENRESPONSES.decode_response(last(data)), None)
    assert bare(folded) == bare(whole)


@pytest.mark.parametrize("path", recordings("stream"))
def test_the_grammar_sees_the_end_and_the_counts_of_a_stream(path):
    grammar = OPENRESPONSES.grammar
    frames = split_frames(load(path)["response_sse"].encode())
    seen = [grammar.examine(frame.event, frame.data) for frame in frames]
    assert [sighting.terminal for sighting in seen].count(True) == 1
    assert [sighting.usage for sighting in seen if sighting.terminal] != [None]
    assert not any(sighting.error for sighting in seen)


@pytest.mark.parametrize("path", recordings("error"))
def test_a_refusal_by_a_provider_keeps_its_words(path):
    recording = load(path)
    error = OPENRESPONSES.decode_error(recording["status"], json.dumps(recording["response"]).encode())
    status, tree = OPENRESPONSES.encode_error(error)
    assert status == recording["status"]
    assert tree["error"]["message"] == recording["response"]["error"]["message"]
    assert tree["error"]["param"] == recording["response"]["error"]["param"]
