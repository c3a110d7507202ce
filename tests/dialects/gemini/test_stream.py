"""Streams of our own making, each a quirk met in the wild: `name.sse` and `name.json` mean the same."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import gemini_wire

from aigw.dialects.base import join_frames
from aigw.dialects.gemini import GEMINI, GeminiStreamDecoder, GeminiStreamEncoder
from aigw.errors import ErrorKind, ProtocolError, UpstreamError
from aigw.model import (
    AnnotationAdded,
    ArgumentsDelta,
    AudioDelta,
    Failed,
    Finished,
    FinishReason,
    Fold,
    FunctionCall,
    ItemClosed,
    ItemOpened,
    Message,
    Reasoning,
    ReasoningDelta,
    Request,
    Started,
    TextDelta,
    TextPart,
    Usage,
    UsageReported,
    fold,
    unfold,
)
from aigw.wire.sse import split_frames

WIRE = Path(__file__).parents[2] / "wire" / "gemini"
PAIRS = sorted(path.stem for path in WIRE.glob("*.sse"))
ARRAYS = sorted(path.stem for path in WIRE.glob("*.array"))


def wire(name):
    return (WIRE / name).read_bytes()


def whole(name):
    return json.loads((WIRE / f"{name}.json").read_text(encoding="utf-8"))


def decode(data):
    decoder = GeminiStreamDecoder()
    return decoder.feed(data) + decoder.close()


def encode(events, *, array=False):
    encoder = GeminiStreamEncoder(None, array=array)
    return join_frames(encoder, events) + encoder.close()


def chunks(data):
    return [json.loads(frame.data) for frame in split_frames(data)]


def rewritten(events):
    return GEMINI.encode_response(fold(events), None)


@pytest.mark.parametrize("name", PAIRS)
def test_a_stream_folds_to_its_whole(name):
    assert rewritten(decode(wire(f"{name}.sse"))) == whole(name)


@pytest.mark.parametrize("name", PAIRS)
def test_a_whole_survives_decoding_and_encoding_exactly(name):
    tree = whole(name)
    assert GEMINI.encode_response(GEMINI.decode_response(tree), None) == tree
    gemini_wire.check_whole(tree)


@pytest.mark.parametrize("array", [False, True])
@pytest.mark.parametrize("name", PAIRS)
def test_a_rewritten_stream_folds_to_the_same(name, array):
    events = decode(wire(f"{name}.sse"))
    assert rewritten(decode(encode(events, array=array))) == rewritten(events)


@pytest.mark.parametrize("name", PAIRS)
def test_a_whole_written_as_a_stream_folds_to_the_same(name):
    response = GEMINI.decode_response(whole(name))
    assert rewritten(decode(encode(unfold(response)))) == GEMINI.encode_response(response, None)


@pytest.mark.parametrize("name", [f"{name}.sse" for name in PAIRS] + [f"{name}.array" for name in ARRAYS])
def test_all_survives_any_cut(name):
    data = wire(name)
    expected = decode(data)
    for cut in range(0, len(data), 7):
        decoder = GEMINI.stream_decoder()
        assert decoder.feed(data[:cut]) + decoder.feed(data[cut:]) + decoder.close() == expected


@pytest.mark.parametrize("name", ARRAYS)
def test_both_framings_tell_the_same(name):
    assert decode(wire(f"{name}.array")) == decode(wire(f"{name}.sse"))


@pytest.mark.parametrize("name", PAIRS)
def test_an_array_is_one_json_document_of_the_same_chunks(name):
    events = decode(wire(f"{name}.sse"))
    trees = json.loads(encode(events, array=True))
    assert trees == chunks(encode(events))
    if name != "blocked_prompt":
        gemini_wire.check_frames(trees, failed=False)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("nothing.sse", ErrorKind.UPSTREAM_TRUNCATED),
        ("comments_alone.sse", ErrorKind.UPSTREAM_TRUNCATED),
        ("no_finish_reason.sse", ErrorKind.UPSTREAM_TRUNCATED),
        ("one_candidate_unfinished.sse", ErrorKind.UPSTREAM_TRUNCATED),
        ("cut_in_a_frame.sse", ErrorKind.UPSTREAM_TRUNCATED),
        ("cut_behind_the_finish.sse", ErrorKind.UPSTREAM_TRUNCATED),
        ("usage_alone.sse", ErrorKind.UPSTREAM_TRUNCATED),
        ("cut.array", ErrorKind.UPSTREAM_TRUNCATED),
        ("error_in_mid_stream.sse", ErrorKind.UPSTREAM_OVERLOADED),
        ("error_then_more.sse", ErrorKind.UPSTREAM_OVERLOADED),
        ("error.array", ErrorKind.UPSTREAM_OVERLOADED),
    ],
)
def test_a_broken_stream_ends_in_one_named_failure(name, kind):
    events = decode(wire(f"broken/{name}"))
    assert isinstance(events[-1], Failed)
    assert events[-1].error.kind is kind
    assert not any(isinstance(event, Finished) for event in events)


@pytest.mark.parametrize(
    "name",
    [
        "not_json.sse",
        "no_object.sse",
        "candidates_no_list.sse",
        "candidate_no_object.sse",
        "path_to_nowhere.sse",
        "numbers.array",
    ],
)
def test_what_is_not_the_format_is_a_protocol_error(name):
    with pytest.raises(ProtocolError):
        decode(wire(f"broken/{name}"))


def test_every_broken_recording_has_its_test():
    source = Path(__file__).read_text(encoding="utf-8")
    assert all(f'"{path.name}"' in source for path in (WIRE / "broken").iterdir())


def test_a_last_frame_without_its_blank_line_counts_if_it_is_whole():
    data = wire("text.sse").rstrip()
    assert isinstance(decode(data)[-1], Finished)
    assert isinstance(decode(data[:-1])[-1], Failed)


def test_an_unspecified_reason_is_none():
    data = wire("text.sse").replace(b'"STOP"', b'"FINISH_REASON_UNSPECIFIED"')
    assert isinstance(decode(data)[-1], Failed)
    assert not any(GEMINI.grammar.examine(None, frame.data).finished for frame in split_frames(data))


def test_openais_mark_behind_a_stream_is_no_fault():
    assert isinstance(decode(wire("text.sse") + b"data: [DONE]\n\n")[-1], Finished)


def test_thoughts_and_text_are_items_in_the_order_they_came():
    assert decode(wire("thoughts.sse"))[:-3] == [
        Started("r-1", "gemini-3-flash"),
        ItemOpened(0, Reasoning()),
        ReasoningDelta(0, "Hm, "),
        ReasoningDelta(0, "yes"),
        ItemClosed(0),
        ItemOpened(1, Message("assistant")),
        *[decode(wire("thoughts.sse"))[6]],
        TextDelta(1, " it is", 1),
        ItemClosed(1),
    ]


def test_a_signed_text_keeps_its_own_part_for_joined_it_would_be_refused():
    response = fold(decode(wire("thoughts.sse")))
    message = response.items[1]
    assert message.parts == (TextPart("42", signature="aigw1.gemini.CiQBjz1rX+z7CAOC"), TextPart(" it is"))


def test_a_call_comes_whole_with_a_name_of_its_own():
    events = decode(wire("parallel_calls.sse"))
    calls = [event.item for event in events if isinstance(event, ItemOpened)]
    assert [call.name for call in calls] == ["f", "g", "f"]
    assert len({call.call_id for call in calls}) == 3
    assert calls[0].signature == "aigw1.gemini.CiQBjz1rX+z7CAOC"
    assert [event.text for event in events if isinstance(event, ArgumentsDelta)] == [
        '{"a":1}',
        "{}",
        '{"a":[{"b":null}]}',
    ]
    assert events[-1] == Finished(FinishReason.TOOL_CALLS, "STOP")


def test_the_same_answer_names_its_calls_the_same():
    first, second = (fold(decode(wire("parallel_calls.sse"))) for _ in range(2))
    assert [call.call_id for call in first.choices[0].calls] == [c.call_id for c in second.choices[0].calls]
    assert fold(decode(wire("parallel_calls.sse").replace(b'"r-1"', b'"r-2"'))) != first


def test_the_last_counts_are_told_also_when_the_stream_fails():
    events = decode(wire("broken/error_in_mid_stream.sse"))
    assert events[-2] == UsageReported(Usage(input_tokens=9, total_tokens=9))
    counts = fold(decode(wire("grounding.sse"))).usage
    assert (counts.input_tokens, counts.output_tokens, counts.reasoning_tokens, counts.total) == (
        14,
        7,
        3,
        21,
    )


def test_grounding_becomes_annotations_that_count_characters():
    events = decode(wire("grounding.sse"))
    found = [event.annotation for event in events if isinstance(event, AnnotationAdded)]
    text = fold(events).text
    assert [(note.url, note.title) for note in found] == [("https://e.org/a", "a"), ("https://e.org/b", "b")]
    assert {(note.start_index, note.end_index) for note in found} == {(6, 11)}
    assert len(text[:6].encode()) == 9


def test_a_blocked_prompt_is_an_answer_that_was_filtered():
    response = fold(decode(wire("blocked_prompt.sse")))
    assert response.choices[0].finish_reason is FinishReason.CONTENT_FILTER
    assert response.choices[0].finish_raw == "PROHIBITED_CONTENT"
    assert response.items == ()


def test_token_counts_and_the_reason_stand_in_the_last_chunk_alone():
    response = GEMINI.decode_response(whole("text"))
    gemini_wire.check_stream(encode(unfold(response)), failed=False)


def test_a_failure_is_the_last_frame_in_either_framing():
    for array in (False, True):
        encoder = GeminiStreamEncoder(None, array=array)
        data = encoder.encode(Started("r", "m")) + encoder.encode(ItemOpened(0, Message("assistant")))
        data += encoder.encode(TextDelta(0, "Hel")) + encoder.fail(UpstreamError("it broke"))
        trees = json.loads(data) if array else chunks(data)
        assert trees[-1] == {"error": {"code": 502, "message": "it broke", "status": "INTERNAL"}}
        assert encoder.close() == b""
        assert isinstance(decode(data)[-1], Failed)


def test_a_failure_before_anything_else_is_a_document_of_its_own():
    encoder = GeminiStreamEncoder(None, array=True)
    assert json.loads(encoder.fail(UpstreamError("it broke")))[0]["error"]["code"] == 502


def test_the_model_a_client_asked_for_stands_in_where_the_answer_names_none():
    encoder = GeminiStreamEncoder(Request("gemini-x"))
    tree = chunks(encoder.encode(TextDelta(0, "hi")))[0]
    assert tree["modelVersion"] == "gemini-x"


def test_a_closed_item_outranks_its_deltas():
    encoder = GeminiStreamEncoder(None)
    events = [
        Started("r", "m"),
        ItemOpened(0, FunctionCall("c", "f")),
        ArgumentsDelta(0, '{"a":'),
        ItemClosed(0, FunctionCall("c", "f", '{"b":2}', signature="aigw1.gemini.c2ln")),
    ]
    tree = chunks(join_frames(encoder, events))[0]
    assert tree["candidates"][0]["content"]["parts"] == [
        {"functionCall": {"id": "c", "name": "f", "args": {"b": 2}}, "thoughtSignature": "c2ln"}
    ]


def test_a_closed_thought_outranks_its_deltas_and_texts_are_told_once():
    encoder = GeminiStreamEncoder(None)
    closed = Reasoning(content=("Hm",), signature="aigw1.gemini.c2ln")
    events = [ItemOpened(0, Reasoning()), ReasoningDelta(0, "Hm"), ItemClosed(0, closed)]
    found = [tree["candidates"][0]["content"]["parts"] for tree in chunks(join_frames(encoder, events))]
    assert found == [
        [{"text": "Hm", "thought": True}],
        [{"text": "", "thought": True, "thoughtSignature": "c2ln"}],
    ]


def test_sound_goes_out_as_it_comes():
    encoder = GeminiStreamEncoder(None)
    events = [ItemOpened(0, Message("assistant")), AudioDelta(0, "AAEC"), AudioDelta(0, transcript="hi")]
    (tree,) = chunks(join_frames(encoder, events))
    part = tree["candidates"][0]["content"]["parts"][0]
    assert part == {"inlineData": {"mimeType": "audio/pcm", "data": "AAEC"}}


def test_fields_born_yesterday_survive_a_stream():
    data = wire("text.sse").replace(b'"modelVersion"', b'"newField":{"a":1},"modelVersion"')
    trees = chunks(encode(decode(data)))
    assert [tree.get("newField") for tree in trees] == [{"a": 1}, None, None]


PIECE = {"jsonPath": "$.a", "stringValue": "x"}

parts = st.one_of(
    st.builds(lambda text, thought: {"text": text, **thought}, st.text("ab", max_size=3), st.sampled_from(
        [{}, {"thought": True}, {"thoughtSignature": "c2ln"}, {"thought": True, "thoughtSignature": "c2ln"}]
    )),
    st.sampled_from(
        [
            {"functionCall": {"name": "f", "args": {"a": 1}}},
            {"functionCall": {"name": "f", "willContinue": True}},
            {"functionCall": {"partialArgs": [PIECE], "willContinue": True}},
            {"functionCall": {}},
            {"functionCall": None},
            {"executableCode": {"code": "1"}},
            {"inlineData": {"mimeType": "image/png", "data": "AAEC"}, "thought": True},
            {"inlineData": 3},
            {"text": None},
            {},
        ]
    ),
)  # fmt: skip


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.lists(parts, max_size=3)), max_size=8))
def test_strange_parts_keep_the_laws_of_events(told):
    trees = [{"candidates": [{"content": {"parts": found}, "index": n}]} for n, found in told]
    ends = [{"candidates": [{"finishReason": "STOP", "index": n}]} for n in {n for n, _ in told} | {0}]
    data = "".join(f"data: {json.dumps(tree)}\n\n" for tree in trees + ends).encode()
    events = decode(data)
    folding, open_items = Fold(), {}
    for event in events:
        match event:
            case ItemOpened():
                assert event.choice not in open_items
                open_items[event.choice] = event.index
            case ItemClosed():
                assert open_items.pop(event.choice) == event.index
            case TextDelta() | ReasoningDelta() | ArgumentsDelta():
                assert open_items[event.choice] == event.index
        folding.add(event)
    assert not open_items
    assert isinstance(events[-1], Finished)
    again = rewritten(decode(encode(events)))
    assert again == GEMINI.encode_response(folding.response(), None)


def best_seconds(run):
    found = []
    for _ in range(5):
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return min(found)


def test_a_chunk_of_text_costs_a_few_microseconds():
    candidate = '{"content":{"parts":[{"text":"Hello, w"}],"role":"model"},"index":0}'
    usage = '{"promptTokenCount":9,"candidatesTokenCount":4,"totalTokenCount":13}'
    tree = f'{{"candidates":[{candidate}],"usageMetadata":{usage},"modelVersion":"m","responseId":"r"}}'
    frames = [f"data: {tree}\r\n\r\n".encode()] * 2000

    def run():
        decoder, encoder = GeminiStreamDecoder(), GeminiStreamEncoder(None)
        for frame in frames:
            join_frames(encoder, decoder.feed(frame))

    per_chunk = best_seconds(run) / len(frames)
    print(f"{per_chunk * 1e6:.2f} microseconds")  # noqa: T201
    assert per_chunk < 50e-6  # far above what was measured: a busy machine is no failure
