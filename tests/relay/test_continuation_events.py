"""Several streams' events joined: what the client is told is one answer that keeps the laws of events."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigw.errors import ErrorKind, ProtocolError, UpstreamError
from aigw.model import (
    Annotation,
    AnnotationAdded,
    ArgumentsDelta,
    ChoiceFinished,
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
    RefusalDelta,
    Started,
    TextDelta,
    Usage,
    UsageReported,
)
from aigw.relay.continuation import MAX_SAID_CHARS, Splice
from aigw.relay.legs import ESTIMATED, Leg

FAULTS = {ErrorKind.UPSTREAM_TRUNCATED, ErrorKind.UPSTREAM_PROTOCOL}
STOP = FinishReason.STOP


def broken():
    return Failed(UpstreamError("it broke", kind=ErrorKind.UPSTREAM_TRUNCATED))


class Script:
    """A decoder that gives one event for each byte it is fed, and the rest at the end."""

    def __init__(self, *events):
        self.events = list(events)

    def feed(self, chunk):
        taken, self.events = self.events[: len(chunk)], self.events[len(chunk) :]
        for event in taken:
            if isinstance(event, ProtocolError):
                raise event
        return taken

    def close(self):
        taken, self.events = self.events, []
        return taken


def spliced(*scripts, tokens=10):
    """Tell the scripts' events as one stream; return them, with the splice."""
    first, *others = scripts
    splice = Splice(Script(*first), Leg(lambda: tokens), FAULTS)
    told = []
    decoder = splice._decoder
    while True:
        while decoder.events and splice.broken is None:
            told += splice.feed(b"x")
            splice.armed = True
        if splice.broken is None or not others:
            return told + splice.close(), splice
        decoder = Script(*others.pop(0))
        splice.go_on(decoder, Leg(lambda: tokens))


def text(*pieces, index=0):
    return [ItemOpened(index, Message("assistant")), *[TextDelta(index, piece) for piece in pieces]]


def end(index=0, usage=None, reason=STOP):
    counts = [] if usage is None else [UsageReported(usage)]
    closed = [] if index is None else [ItemClosed(index, Message("assistant", status="completed"))]
    return [*closed, ChoiceFinished(reason), *counts, Finished(reason)]


def folded(events):
    """Fold events that keep the laws; fail where they do not."""
    fold = Fold()
    opened = closed = 0
    for event in events:
        if isinstance(event, ItemOpened):
            assert opened == closed
            assert event.index == opened
            opened += 1
        if isinstance(event, ItemClosed):
            closed += 1
            assert closed == opened
        fold.add(event)
    assert [type(event) for event in events].count(Started) == 1
    assert [type(event) for event in events].count(Finished) == 1
    assert fold.finished
    return fold.response()


def test_the_joined_text_is_one_message():
    events, _ = spliced(
        [Started("a", "one"), *text("Hel"), broken()],
        [Started("b", "two"), *text("lo", " you"), *end()],
    )
    answer = folded(events)
    assert (answer.id, answer.model) == ("a", "one")
    [message] = answer.choices[0].items
    assert message.text == "Hello you"
    assert len(message.parts) == 1


def test_a_stream_that_breaks_behind_its_closed_text_is_gone_on_with_in_the_same_message():
    closed = ItemClosed(0, Message("assistant"))
    events, _ = spliced([Started(), *text("Hel"), closed, broken()], [Started(), *text("lo"), *end()])
    assert [item.text for item in folded(events).choices[0].items] == ["Hello"]


def test_what_the_next_thinks_before_it_goes_on_is_not_told():
    thought = [ItemOpened(0, Reasoning()), ReasoningDelta(0, "hm"), ItemClosed(0, Reasoning(content=("hm",)))]
    events, _ = spliced(
        [Started(), *text("Hel"), broken()], [Started(), *thought, *text("lo", index=1), *end(1)]
    )
    assert [item.text for item in folded(events).choices[0].items] == ["Hello"]


def test_a_text_behind_closed_reasoning_is_gone_on_with():
    thought = [ItemOpened(0, Reasoning()), ReasoningDelta(0, "hm"), ItemClosed(0)]
    events, _ = spliced(
        [Started(), *thought, *text("Hel", index=1), broken()], [Started(), *text("lo"), *end()]
    )
    reasoning, message = folded(events).choices[0].items
    assert (reasoning.content, message.text) == (("hm",), "Hello")


def test_the_next_may_call_a_tool_and_is_not_gone_on_with_itself():
    call = [ItemOpened(1, FunctionCall("c", "f")), ArgumentsDelta(1, "{}"), ItemClosed(1)]
    events, splice = spliced(
        [Started(), *text("Hel"), broken()],
        [Started(), *text("lo"), ItemClosed(0), *call, *end(None, reason=FinishReason.TOOL_CALLS)],
    )
    message, made = folded(events).choices[0].items
    assert (message.text, made.arguments) == ("Hello", "{}")
    assert not splice.may_go_on(broken().error)


def test_a_call_that_comes_at_once_closes_the_text_first():
    call = [ItemOpened(0, FunctionCall("c", "f")), ArgumentsDelta(0, "{}"), ItemClosed(0)]
    events, _ = spliced([Started(), *text("Hel"), broken()], [Started(), *call, *end(None)])
    message, made = folded(events).choices[0].items
    assert (message.text, made.arguments) == ("Hel", "{}")


def test_a_second_message_of_the_next_is_a_second_message():
    events, _ = spliced(
        [Started(), *text("Hel"), broken()],
        [Started(), *text("lo"), ItemClosed(0), *text("you", index=1), *end(1)],
    )
    assert [item.text for item in folded(events).choices[0].items] == ["Hello", "you"]


def test_a_refusal_to_go_on_is_a_part_of_its_own():
    opened = ItemOpened(0, Message("assistant"))
    events, splice = spliced(
        [Started(), *text("Hel"), broken()], [Started(), opened, RefusalDelta(0, "no"), *end()]
    )
    [message] = folded(events).choices[0].items
    assert [part.text for part in message.parts] == ["Hel", "no"]
    assert not splice.may_go_on(broken().error)


def test_citations_count_from_where_the_whole_text_begins():
    cited = AnnotationAdded(0, Annotation("url_citation", start_index=0, end_index=2))
    events, _ = spliced([Started(), *text("Hel"), broken()], [Started(), *text("lo"), cited, *end()])
    [annotation] = folded(events).choices[0].items[0].parts[0].annotations
    assert (annotation.start_index, annotation.end_index) == (3, 5)


def test_counts_are_added_and_those_of_a_broken_stream_are_guesses():
    events, splice = spliced(
        [Started(), UsageReported(Usage(input_tokens=7, output_tokens=1)), *text("x" * 40), broken()],
        [Started(), *text("y"), *end(usage=Usage(input_tokens=20, output_tokens=3))],
    )
    usage = folded(events).usage
    assert (usage.input_tokens, usage.output_tokens) == (27, 13)
    assert usage.extras[ESTIMATED] == ["output_tokens"]
    assert splice.usage == usage


def test_a_next_one_that_tells_no_counts_is_guessed_as_well():
    events, _ = spliced([Started(), *text("x" * 8), broken()], [Started(), *text("y" * 8), *end()])
    usage = folded(events).usage
    assert (usage.input_tokens, usage.output_tokens) == (20, 4)


def test_a_single_stream_tells_what_its_provider_told():
    events, _ = spliced([Started(), *text("x"), *end()])
    assert folded(events).usage is None


def test_a_frame_that_breaks_the_format_is_a_broken_stream():
    events, _ = spliced([Started(), *text("Hel"), ProtocolError("what")], [Started(), *text("lo"), *end()])
    assert folded(events).choices[0].items[0].text == "Hello"


@pytest.mark.parametrize(
    "events",
    [
        [Started()],
        [Started(), ItemOpened(0, Message("assistant"))],
        [Started(), *text("  ")],
        [Started(), ItemOpened(0, Reasoning()), ReasoningDelta(0, "hm")],
        [Started(), ItemOpened(0, FunctionCall("c", "f")), ArgumentsDelta(0, "{")],
        [Started(), ItemOpened(0, Message("assistant")), RefusalDelta(0, "no")],
        [Started(), *text("a"), ItemClosed(0), ChoiceFinished(STOP)],
        [Started(), *text("a"), ItemClosed(0), ItemOpened(1, FunctionCall("c", "f"))],
        [Started(), *text("x" * (MAX_SAID_CHARS + 1))],
        [Started(), ItemOpened(0, Message("assistant"), choice=1), TextDelta(0, "a", choice=1)],
    ],
    ids=["start", "nothing", "space", "thought", "call", "refusal", "end", "next item", "long", "several"],
)
def test_what_is_no_open_text_is_not_gone_on_with(events):
    told, splice = spliced([*events, broken()])
    assert splice.broken is None
    assert isinstance(told[-1], Failed)


def test_what_says_something_of_the_request_is_not_gone_on_with():
    refused = Failed(UpstreamError("no", kind=ErrorKind.CONTENT_FILTER))
    told, splice = spliced([Started(), *text("a"), refused])
    assert splice.broken is None
    assert told[-1] is refused


@given(
    st.lists(
        st.lists(st.text("ab \n", min_size=1, max_size=4), min_size=1, max_size=4), min_size=2, max_size=4
    )
)
def test_however_often_it_breaks_no_word_is_lost_or_told_twice(legs):
    legs[0][0] = "a" + legs[0][0]
    *early, last = legs
    events, _ = spliced(
        *[[Started(), *text(*pieces), broken()] for pieces in early], [Started(), *text(*last), *end()]
    )
    told = folded(events).choices[0].items[0].text
    whole = "".join(piece for pieces in legs for piece in pieces)
    assert "".join(told.split()) == "".join(whole.split())
    assert len(told) <= len(whole)
