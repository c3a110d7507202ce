"""Real traffic of Gemini and Vertex AI, replayed: what comes in must go out meaning the same."""

import json
import os
import random
import re
from pathlib import Path

import pytest
from support import gemini_wire

from aigw.dialects.base import join_frames
from aigw.dialects.gemini import GEMINI, GeminiStreamEncoder
from aigw.model import fold
from aigw.wire.sse import split_frames

SHARED = Path(os.environ.get("AIGW_RECORDINGS") or Path(__file__).parents[2].parent / "shared" / "recordings")
FOLDER = SHARED / "gemini"
_URL_SAFE = str.maketrans("-_", "+/")


def recordings(kind):
    found = [pytest.param(path, id=path.stem) for path in sorted(FOLDER.glob(f"{kind}-*.json"))]
    missing = pytest.mark.skip(reason=f"no recordings in {FOLDER}: set AIGW_RECORDINGS to replay them")
    return found or [pytest.param(None, id="absent", marks=missing)]


def load(path):
    return json.loads(path.read_text(encoding="utf-8"))


def camel(tree, key=None):
    """The same request in one spelling: names in camelCase, base64 in one alphabet."""
    if isinstance(tree, dict):
        return {re.sub("_([a-z])", lambda m: m[1].upper(), k): camel(value, k) for k, value in tree.items()}
    if isinstance(tree, list):
        return [camel(value) for value in tree]
    return tree.translate(_URL_SAFE) if key == "data" else tree


@pytest.mark.parametrize("path", recordings("*"))
def test_a_request_survives_decoding_and_encoding(path):
    recording = load(path)
    model = re.search("models/([^:]+):", recording["endpoint"])[1]
    tree = {"model": model, "stream": recording["stream"], **recording["request"]}
    encoded = GEMINI.encode_request(GEMINI.decode_request(tree))
    expected = camel(recording["request"])
    if not expected.get("generationConfig"):
        expected.pop("generationConfig", None)
    assert encoded.dropped == ()
    assert camel(encoded.tree) == expected


@pytest.mark.parametrize("path", recordings("whole"))
def test_a_whole_answer_means_the_same_after_decoding_and_encoding(path):
    tree = load(path)["response"]
    again = GEMINI.encode_response(GEMINI.decode_response(tree), None)
    gemini_wire.check_whole(again)
    for number, candidate in enumerate(tree["candidates"]):
        candidate.setdefault("index", number)
        found = candidate["content"]["parts"]
        candidate["content"]["parts"] = [part for part in found if part != {"text": ""}]
    tree["usageMetadata"].setdefault("candidatesTokenCount", 0)
    assert again == tree


def decode(data, cuts=()):
    decoder = GEMINI.stream_decoder()
    events = []
    for start, end in zip((0, *cuts), (*cuts, len(data)), strict=True):
        events += decoder.feed(data[start:end])
    return events + decoder.close()


def encode(events, *, array=False):
    encoder = GeminiStreamEncoder(None, array=array)
    return join_frames(encoder, events) + encoder.close()


def trees_of(data):
    return [json.loads(frame.data) for frame in split_frames(data)]


def meaning(trees):
    """What a plain reader of the stream gathers, written without any of the code under test."""
    texts, others, fields, usage = {}, [], {}, None
    for tree in trees:
        usage = tree.get("usageMetadata", usage)
        fields |= {key: value for key, value in tree.items() if key not in {"candidates", "usageMetadata"}}
        for candidate in tree["candidates"]:
            for part in candidate.get("content", {}).get("parts", []):
                kind = ("thought" if part.get("thought") else "text", candidate.get("index", 0))
                texts[kind] = texts.get(kind, "") + part.get("text", "")
                rest = {key: value for key, value in part.items() if key not in {"text", "thought"}}
                others += [rest] if rest else []
            fields |= {key: value for key, value in candidate.items() if key not in {"content", "index"}}
    texts = {kind: text for kind, text in texts.items() if text}
    return texts, others, fields, {**usage, "candidatesTokenCount": usage.get("candidatesTokenCount", 0)}


@pytest.mark.parametrize("path", recordings("stream"))
def test_a_stream_means_the_same_after_decoding_and_encoding(path):
    data = load(path)["response_sse"].encode()
    events = decode(data)
    again = encode(events)
    gemini_wire.check_stream(again, failed=False)
    expected = meaning(trees_of(data))
    assert meaning(trees_of(again)) == expected
    assert meaning(json.loads(encode(events, array=True))) == expected
    assert meaning([GEMINI.encode_response(fold(events), None)]) == expected


@pytest.mark.parametrize("path", recordings("stream"))
def test_a_stream_may_be_cut_anywhere(path):
    data = load(path)["response_sse"].encode()
    whole = decode(data)
    dice = random.Random(path.stem)
    for pieces in (3, 30, 300):
        cuts = sorted(dice.randrange(len(data)) for _ in range(pieces))
        assert decode(data, cuts) == whole


@pytest.mark.parametrize("path", recordings("stream"))
def test_the_same_chunks_as_a_json_array_mean_the_same(path):
    data = load(path)["response_sse"].encode()
    array = ("[" + "\n,\r\n".join(json.dumps(tree, indent=2) for tree in trees_of(data)) + "\n]\n").encode()
    whole = decode(data)
    assert decode(array) == whole
    dice = random.Random(path.stem)
    assert decode(array, sorted(dice.randrange(len(array)) for _ in range(100))) == whole


@pytest.mark.parametrize("path", recordings("stream"))
def test_the_grammar_sees_the_end_and_the_counts_of_a_stream(path):
    data = load(path)["response_sse"].encode()
    frames = split_frames(data)
    sightings = [
        GEMINI.grammar.examine(frame.event, frame.data)
        for frame in frames
        if any(suspect in frame.data for suspect in GEMINI.grammar.suspects)
    ]
    assert [sighting.finished for sighting in sightings] == [True]
    assert sightings[0].usage.total == trees_of(data)[-1]["usageMetadata"]["totalTokenCount"]


@pytest.mark.parametrize("path", recordings("error"))
def test_a_refusal_by_a_provider_keeps_its_words(path):
    recording = load(path)
    error = GEMINI.decode_error(recording["status"], json.dumps(recording["response"]).encode())
    status, tree = GEMINI.encode_error(error)
    assert status == recording["status"]
    assert tree == recording["response"]
