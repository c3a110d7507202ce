import json
from itertools import pairwise

import pytest
from aigw_redact import Redactor
from aigw_redact.events import EventRedactor
from aigw_redact.frames import FrameRedactor
from aigw_redact.json_text import JsonStream, redact_json
from aigw_redact.patterns import BUILTIN
from aigw_redact.texts import Whole
from attrs import evolve
from hypothesis import example, given
from hypothesis import strategies as st

from aigw.errors import UpstreamError
from aigw.model import (
    Annotation,
    AnnotationAdded,
    ArgumentsDelta,
    AudioDelta,
    Choice,
    ChoiceFinished,
    ExtrasAdded,
    Failed,
    Finished,
    FinishReason,
    Foreign,
    ForeignPart,
    FunctionCall,
    ItemClosed,
    ItemOpened,
    Message,
    PartAdded,
    Reasoning,
    ReasoningDelta,
    RefusalDelta,
    RefusalPart,
    Response,
    Started,
    TextDelta,
    TextPart,
    fold,
    unfold,
)

REDACTOR = Redactor(BUILTIN.values())
CARD = 4111111111111111


def ignore(_name):
    return None


texts = st.lists(
    st.one_of(
        st.sampled_from(
            ["bob@example.com", "4111 1111 1111 1111", "sk-" + "a1" * 15, "127.0.0.1", "bob@", " "]
        ),
        st.text(alphabet='"\\\n\t/ué😀\ud83d{}[]:,a', max_size=5),
    ),
    max_size=4,
).map("".join)
trees = st.recursive(
    st.one_of(texts, st.integers(-5, 5), st.just(CARD), st.booleans(), st.none(), st.floats(0, 1)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=6,
)
cuts = st.lists(st.integers(0, 1000), max_size=12)


def cut(text, borders):
    edges = [0, *sorted(border % (len(text) + 1) for border in borders), len(text)]
    return [text[start:end] for start, end in pairwise(edges) if start < end]


def leaves(tree):
    if isinstance(tree, str):
        return REDACTOR.redact(tree)
    if isinstance(tree, list):
        return [leaves(value) for value in tree]
    if isinstance(tree, dict):
        return {key: leaves(value) for key, value in tree.items()}
    return "[credit_card]" if tree == CARD and tree is not True else tree


@given(
    st.one_of(st.lists(trees, max_size=3), st.dictionaries(texts, trees, max_size=3), texts),
    cuts,
    st.booleans(),
)
def test_arguments_stay_json_with_every_value_redacted_and_every_key_kept(tree, borders, ascii_only):
    text = json.dumps(tree, ensure_ascii=ascii_only)
    stream = JsonStream(REDACTOR, ignore)
    out = "".join([stream.feed(piece) for piece in cut(text, borders)]) + stream.close()
    assert json.loads(out) == leaves(tree)
    assert not stream.holding
    assert json.loads(redact_json(REDACTOR, text, ignore)) == leaves(tree)


@example('"\\"\\0', [3])
@given(st.text(alphabet='{}[]":,\\u0d8ab@.c', max_size=40), cuts)
def test_json_that_is_none_breaks_nothing_and_loses_nothing_it_holds(text, borders):
    stream = JsonStream(Redactor([]), ignore)
    out = "".join([stream.feed(piece) for piece in cut(text, borders)]) + stream.close()
    whole = JsonStream(Redactor([]), ignore).close(text)
    assert out == whole


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("mail bob@example.com now", "mail [email] now"),
        ("{mail: bob@example.com}", '{mail: "[email]"}'),
        ('{"a": "\\x bob@example.com"}', '{"a": "\\\\x [email]"}'),
        ('{"a": "bob@example.com', '{"a": "[email]'),
        ('{"bob@example.com": 1}', '{"bob@example.com": 1}'),
        ('{"a":"\\u0062ob@example.com"}', '{"a":"[email]"}'),
        ('  "bob@example.com"', '  "[email]"'),
        ("", ""),
    ],
)
def test_what_models_write_in_place_of_json_is_redacted_too(text, wanted):
    stream = JsonStream(REDACTOR, ignore)
    assert "".join(map(stream.feed, text)) + stream.close() == wanted


items = st.one_of(
    st.lists(
        st.one_of(texts.filter(bool).map(TextPart), texts.filter(bool).map(RefusalPart)), max_size=2
    ).map(lambda parts: Message("assistant", tuple(parts))),
    trees.map(lambda tree: FunctionCall("c1", "f", json.dumps([tree]))),
    texts.map(lambda text: FunctionCall("c2", "g", text, freeform=True)),
    st.tuples(texts.filter(bool), texts.filter(bool)).map(
        lambda pair: Reasoning(summary=(pair[0],), content=(pair[1],), signature="bob@example.com")
    ),
)
answers = st.lists(st.lists(items, max_size=3), max_size=2).map(
    lambda choices: Response(
        id="r1",
        choices=tuple(
            Choice(tuple(found), FinishReason.STOP, index=index) for index, found in enumerate(choices)
        ),
    )
)


def stream_events(answer, borders):
    for event in unfold(answer):
        if isinstance(event, TextDelta | RefusalDelta | ReasoningDelta | ArgumentsDelta):
            for piece in cut(event.text, borders):
                yield evolve(event, text=piece)
        else:
            yield event


def plain(answer):
    """The answer with its arguments parsed: escapes may be spelt in two ways."""
    choices = []
    for choice in answer.choices:
        found = []
        for item in choice.items:
            if isinstance(item, FunctionCall) and not item.freeform:
                found.append(evolve(item, arguments=repr(json.loads(item.arguments))))
            else:
                found.append(item)
        choices.append(evolve(choice, items=tuple(found)))
    return evolve(answer, choices=tuple(choices))


@given(answers, cuts)
def test_folding_a_redacted_stream_gives_what_redacting_the_whole_gives(answer, borders):
    transform = EventRedactor(REDACTOR, ignore)
    out = [made for event in stream_events(answer, borders) for made in transform(event)]
    assert plain(fold(out)) == plain(Whole(REDACTOR, ignore).response(answer))


def run(events, transform=None):
    transform = transform or EventRedactor(REDACTOR, ignore)
    return [made for event in events for made in transform(event)]


def test_held_text_goes_out_before_its_item_closes():
    out = run(
        [
            ItemOpened(0, Message("assistant")),
            TextDelta(0, "call bob@exam"),
            TextDelta(0, "ple.com"),
            ItemClosed(0),
        ]
    )
    assert [type(event) for event in out] == [ItemOpened, TextDelta, TextDelta, ItemClosed]
    assert [event.text for event in out[1:3]] == ["call ", "[email]"]


def test_held_text_goes_out_before_a_stream_ends_or_fails():
    for end in (Finished(), Failed(UpstreamError("it broke")), ChoiceFinished(FinishReason.STOP)):
        out = run([ItemOpened(0, Message("assistant")), TextDelta(0, "hello"), end])
        assert out[1:] == [TextDelta(0, "hello"), end]


def test_choices_and_parts_are_held_apart():
    out = run(
        [
            ItemOpened(0, Message("assistant")),
            ItemOpened(0, Message("assistant"), 1),
            TextDelta(0, "bob@exa"),
            TextDelta(0, "bob@exa", choice=1),
            TextDelta(0, "mple.com ", choice=1),
            TextDelta(0, "mple.com "),
            Finished(),
        ]
    )
    assert out[2:-1] == [TextDelta(0, "[email] ", choice=1), TextDelta(0, "[email] ")]


def test_a_signature_follows_all_of_the_text_it_signs_and_is_never_redacted():
    out = run(
        [
            ItemOpened(0, Reasoning()),
            ReasoningDelta(0, "hm"),
            ReasoningDelta(0, "bob@example.com", "signature"),
        ]
    )
    assert out[1:] == [ReasoningDelta(0, "hm"), ReasoningDelta(0, "bob@example.com", "signature")]


def test_log_probabilities_do_not_spell_what_was_held_or_redacted():
    probs = ({"token": "bob"},)
    out = run(
        [
            ItemOpened(0, Message("assistant")),
            TextDelta(0, "Hi! ", logprobs=probs),
            TextDelta(0, "bob@", logprobs=probs),
            TextDelta(0, "b.org ", logprobs=probs),
            ExtrasAdded(
                {"openai_chat:logprobs": {"refusal": [{"token": "bob@b.org"}]}, "x:note": "bob@b.org"}
            ),
        ]
    )
    assert [event.logprobs for event in out[1:3]] == [probs, ()]
    assert out[-1] == ExtrasAdded({"x:note": "[email]"})


def test_reasoning_details_of_one_format_are_redacted_across_deltas_too():
    def delta(text):
        return ReasoningDelta(
            0, text, extras={"k:details": [{"type": "reasoning.text", "text": text, "index": 0}]}
        )

    out = run([ItemOpened(0, Reasoning()), delta("I am bob@exa"), delta("mple.com"), ItemClosed(0)])
    told = "".join(
        d["text"]
        for event in out
        if isinstance(event, ReasoningDelta)
        for d in (event.extras or {}).get("k:details", ())
    )
    assert told == "I am [email]"
    assert "".join(event.text for event in out if isinstance(event, ReasoningDelta)) == "I am [email]"


def test_the_transcript_of_a_spoken_answer_is_redacted_and_its_sound_is_not():
    out = run(
        [
            ItemOpened(0, Message("assistant")),
            AudioDelta(0, "AAAA", "bob@b"),
            AudioDelta(0, "BBBB", ".org "),
            Finished(),
        ]
    )
    assert out[1:-1] == [AudioDelta(0, "AAAA", ""), AudioDelta(0, "BBBB", "[email] ")]


def test_an_item_told_again_at_its_end_is_redacted_and_counted_once():
    counts = []
    transform = EventRedactor(REDACTOR, counts.append)
    whole = Message("assistant", (TextPart("bob@b.org"),))
    out = run(
        [Started(), ItemOpened(0, Message("assistant")), TextDelta(0, "bob@b.org"), ItemClosed(0, whole)],
        transform,
    )
    assert out[-1].item.text == "[email]"
    assert counts == ["email"]


def test_a_whole_answer_is_redacted_in_one_pass():
    text = '["4111 1111 1111 1111sk-' + "a1" * 15 + '"]'
    answer = Response(choices=(Choice((FunctionCall("c", "f", text),)),))
    assert Whole(REDACTOR, ignore).response(answer).choices[0].calls[0].arguments == redact_json(
        REDACTOR, text, ignore
    )


def test_what_comes_whole_in_a_stream_is_redacted_whole():
    part = ForeignPart("x", {"type": "t", "text": "bob@b.org", "id": "bob@b.org"})
    annotation = Annotation("url_citation", title="bob@b.org", url="https://b.org")
    out = run(
        [
            ItemOpened(0, Message("assistant")),
            TextDelta(0, "see bob"),
            AnnotationAdded(0, annotation),
            PartAdded(0, part, 1),
            Foreign("x", "note", {"text": "bob@b.org", "item_id": "i"}),
        ]
    )
    assert out[2].annotation == evolve(annotation, title="[email]")
    assert out[3] == TextDelta(0, "bob")
    assert out[4].added.tree == {"type": "t", "text": "[email]", "id": "bob@b.org"}
    assert out[5].tree == {"text": "[email]", "item_id": "i"}


def foreign(tree):
    return Foreign("opaque", "", tree)


def frames(trees, counts=None):
    transform = FrameRedactor(REDACTOR, ignore if counts is None else counts.append)
    out = [made for tree in trees for made in transform(foreign(tree))]
    return [made.tree for made in [*out, *transform(Finished())] if isinstance(made, Foreign)]


@given(texts, cuts)
def test_completion_frames_are_redacted_across_frames(text, borders):
    trees = [
        {"id": "c", "choices": [{"index": 0, "text": piece, "finish_reason": None}]}
        for piece in cut(text, borders)
    ]
    out = frames(trees)
    assert "".join(tree["choices"][0]["text"] for tree in out) == REDACTOR.redact(text)
    out = frames([*trees, {"id": "c", "choices": [{"index": 0, "text": "", "finish_reason": "stop"}]}])
    assert "".join(tree["choices"][0]["text"] for tree in out) == REDACTOR.redact(text)
    assert out[-1]["choices"][0]["finish_reason"] == "stop"
    assert len(out) == len(trees) + 1


def responses_stream(pieces, text):
    place = {"item_id": "m1", "output_index": 0, "content_index": 0}
    trees = [{"type": "response.created", "response": {"id": "r1", "instructions": "ask bob@b.org"}}]
    trees += [{"type": "response.output_item.added", "output_index": 0, "item": {"id": "m1", "content": []}}]
    trees += [{"type": "response.output_text.delta", **place, "delta": piece} for piece in pieces]
    trees += [{"type": "response.output_text.done", **place, "text": text}]
    item = {"id": "m1", "type": "message", "content": [{"type": "output_text", "text": text}]}
    trees += [{"type": "response.output_item.done", "output_index": 0, "item": item}]
    trees += [{"type": "response.completed", "response": {"id": "r1", "output": [item]}}]
    return [{**tree, "sequence_number": number} for number, tree in enumerate(trees)]


@given(texts, cuts)
def test_response_frames_are_redacted_across_frames_and_in_their_summaries(text, borders):
    out = frames(responses_stream(cut(text, borders), text))
    wanted = REDACTOR.redact(text)
    kinds = [tree["type"].removeprefix("response.") for tree in out]
    assert "".join(tree.get("delta", "") for tree in out) == wanted
    assert kinds[-3:] == ["output_text.done", "output_item.done", "completed"]
    assert out[-3]["text"] == out[-2]["item"]["content"][0]["text"] == wanted
    assert out[-1]["response"]["output"][0]["content"][0]["text"] == wanted
    assert out[0]["response"]["instructions"] == "ask [email]"
    assert [tree["sequence_number"] for tree in out] == list(range(len(out)))


def test_response_frames_count_each_redaction_once():
    counts = []
    frames(responses_stream(["bob@b", ".org"], "bob@b.org"), counts)
    assert counts == ["email"]


def test_arguments_in_response_frames_stay_json():
    place = {"item_id": "f1", "output_index": 1}
    kind = "response.function_call_arguments"
    pieces = ['{"to":"bob@b', '.org","n":4111', "111111111111}"]
    trees = [{"type": f"{kind}.delta", **place, "delta": piece} for piece in pieces]
    trees += [{"type": f"{kind}.done", **place, "arguments": "".join(pieces)}]
    out = frames(trees)
    told = "".join(tree.get("delta", "") for tree in out)
    assert json.loads(told) == {"to": "[email]", "n": "[credit_card]"}
    assert out[-1]["arguments"] == told


def test_sound_and_pictures_in_frames_stay():
    trees = [
        {"type": "response.audio.delta", "delta": "sk-" + "A" * 40},
        {"type": "image_generation.completed", "b64_json": "sk-" + "A" * 40},
    ]
    assert frames(trees) == trees
