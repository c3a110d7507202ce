"""Whatever lawful events come, the stream written of them is one the specification's automaton accepts."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.openresponses_wire import check_event, events_of
from support.responses_automaton import accept

from aigw.dialects.base import join_frames
from aigw.dialects.openresponses import OPENRESPONSES
from aigw.errors import ErrorKind, UpstreamError
from aigw.model import (
    Annotation,
    AnnotationAdded,
    ArgumentsDelta,
    AudioDelta,
    ChoiceFinished,
    ExtrasAdded,
    Failed,
    Finished,
    FinishReason,
    Foreign,
    ForeignItem,
    ForeignPart,
    FunctionCall,
    FunctionCallOutput,
    ImagePart,
    ItemClosed,
    ItemOpened,
    Media,
    Message,
    PartAdded,
    Reasoning,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    TextPart,
    Usage,
    UsageReported,
)

lawful = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])

texts = st.text('až🐎\n"', max_size=4)
parts = st.integers(0, 2)
citations = st.builds(Annotation, st.just("url_citation"), st.just(0), st.just(1), texts, texts)
probabilities = st.just(({"token": "a", "logprob": -0.1, "bytes": None, "top_logprobs": []},)) | st.just(())
pictures = st.builds(ImagePart, st.builds(Media, url=st.just("https://example.org/i.png")))
whole_parts = pictures | st.builds(TextPart, texts) | st.just(ForeignPart("anthropic", {"type": "x"}))
extras = st.dictionaries(st.sampled_from(["openresponses:acme", "anthropic:acme"]), texts, max_size=2)
reasons = st.sampled_from([reason for reason in FinishReason if reason is not FinishReason.ERROR])

ITEMS = {
    "message": st.builds(Message, st.just("assistant"), phase=st.sampled_from([None, "commentary"])),
    "call": st.builds(FunctionCall, st.just("call_1"), texts, freeform=st.booleans()),
    "reasoning": st.just(Reasoning()),
    "output": st.just(FunctionCallOutput("call_1", (TextPart("1"),))),
    "hosted": st.just(ForeignItem("openresponses", {"id": "ws_1", "type": "web_search_call"})),
    "stranger": st.just(ForeignItem("anthropic", {"type": "server_tool_use"})),
}


def inside(kind, index, choice):
    """Events that may come while an item of this kind is open."""
    at = {"index": st.just(index), "choice": st.just(choice)}
    more = st.builds(ExtrasAdded, extras, choice=st.just(choice), index=st.just(index))
    match kind:
        case "message":
            return st.one_of(
                st.builds(TextDelta, text=texts, part=parts, logprobs=probabilities, **at),
                st.builds(RefusalDelta, text=texts, part=parts, **at),
                st.builds(AnnotationAdded, annotation=citations, part=parts, **at),
                st.builds(PartAdded, added=whole_parts, part=parts, **at),
                st.builds(AudioDelta, data=st.just("aaaa"), transcript=texts, part=parts, **at),
                more,
            )
        case "call":
            return st.builds(ArgumentsDelta, text=texts, **at)
        case "reasoning":
            kinds = st.sampled_from(["content", "summary", "signature", "encrypted", "redacted"])
            return st.builds(ReasoningDelta, text=texts, kind=kinds, part=parts, **at)
        case "hosted":
            tree = {"type": "response.web_search_call.searching", "output_index": 7, "item_id": "ws_1"}
            return st.builds(Foreign, st.just("openresponses"), st.just(tree["type"]), st.just(tree), **at)
    return more


@st.composite
def of_choice(draw, choice):
    """The events of one choice: items one after the other, and how it ends."""
    told = []
    for index, kind in enumerate(draw(st.lists(st.sampled_from(sorted(ITEMS)), max_size=4))):
        told.append(ItemOpened(index, draw(ITEMS[kind]), choice))
        told += draw(st.lists(inside(kind, index, choice), max_size=5))
        told.append(ItemClosed(index, choice=choice))
    return [*told, ChoiceFinished(draw(reasons), choice=choice)]


def woven(draw, rows):
    """Draw one order of several rows of events, each of which keeps its own."""
    rows, told = [list(row) for row in rows], []
    while any(rows):
        row = draw(st.sampled_from([row for row in rows if row]))
        told.append(row.pop(0))
    return told


@st.composite
def streams(draw):
    rows = [draw(of_choice(choice)) for choice in range(draw(st.integers(1, 2)))]
    told = woven(draw, rows)
    usage = UsageReported(Usage(draw(st.integers(0, 9)), draw(st.integers(0, 9))))
    if draw(st.booleans()):
        told.insert(draw(st.integers(0, len(told))), usage)
    ending = next(event for event in rows[0] if isinstance(event, ChoiceFinished))
    name = draw(st.none() | st.just("resp_1"))
    return [Started(name, "up-model", 7, None, draw(extras)), *told, Finished(ending.reason)]


def write(events):
    encoder = OPENRESPONSES.stream_encoder(None)
    data = join_frames(encoder, events) + encoder.close()
    assert encoder.close() == b""
    return events_of(data)


@lawful
@given(streams())
def test_a_whole_stream_is_accepted(events):
    trees = write(events)
    accept(trees)
    for tree in trees:
        if "web_search" not in str(tree) and "output_image" not in str(tree) and "audio" not in str(tree):
            check_event(tree)


@lawful
@given(streams(), st.integers(0, 20))
def test_a_stream_that_breaks_off_anywhere_is_accepted(events, after):
    error = UpstreamError("it broke", kind=ErrorKind.UPSTREAM_TRUNCATED)
    trees = write([*events[:-1][:after], Failed(error)])
    accept(trees, failed=True)
    assert trees[-1]["response"]["error"] == {"code": "server_error", "message": "it broke"}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda trees: trees.pop(1),
        lambda trees: trees.insert(4, trees[3]),
        lambda trees: trees[-1]["response"]["output"].clear(),
        lambda trees: trees[5].update(delta="other"),
        lambda trees: trees[5].update(output_index=1),
        lambda trees: trees[-1].update(type="response.incomplete"),
        lambda trees: trees.pop(-2),
    ],
    ids=[
        "no start",
        "a part twice",
        "no output",
        "another text",
        "another item",
        "another end",
        "no item's end",
    ],
)
def test_the_automaton_refuses_what_is_out_of_place(spoil):
    events = [
        Started("resp_1", "m", 7),
        ItemOpened(0, Message("assistant")),
        TextDelta(0, "Hi"),
        TextDelta(0, " there"),
        ItemClosed(0),
        ChoiceFinished(FinishReason.STOP),
        Finished(FinishReason.STOP),
    ]
    trees = write(events)
    accept(trees)
    spoil(trees)
    for number, tree in enumerate(trees):
        tree["sequence_number"] = number
    with pytest.raises((AssertionError, AttributeError, KeyError, TypeError)):
        accept(trees)
