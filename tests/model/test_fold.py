import base64
import time

import pytest

from aigw.errors import ProtocolError, UpstreamError
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
    Fold,
    Foreign,
    ForeignItem,
    FunctionCall,
    ImagePart,
    ItemClosed,
    ItemOpened,
    Media,
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
    Usage,
    UsageReported,
    fold,
    unfold,
)

ANSWER = Response(
    id="r",
    model="m",
    created=7,
    service_tier="flex",
    usage=Usage(3, 4),
    extras={"d:x": 1},
    choices=(
        Choice(
            items=(
                Reasoning(("short",), ("long", "er"), "enc", "sig", "red"),
                Message(
                    "assistant",
                    (
                        TextPart("hello", (Annotation("url_citation", url="u"),), ({"token": "hello"},)),
                        RefusalPart("no"),
                        ImagePart(Media(url="u")),
                        TextPart("!", extras={"d:y": 2}),
                    ),
                    id="msg",
                ),
                FunctionCall("c", "f", '{"a":1}', extras={"d:z": 3}),
                ForeignItem("d", {"type": "search"}),
            ),
            finish_reason=FinishReason.TOOL_CALLS,
            finish_raw="tool_calls",
            extras={"d:w": 4},
        ),
        Choice((Message("assistant", (TextPart("other"),)),), FinishReason.STOP, index=1),
    ),
)


def test_folding_what_was_unfolded_gives_the_same_answer():
    assert fold(unfold(ANSWER)) == ANSWER


def test_deltas_are_joined_in_order():
    events = [
        ItemOpened(0, Message("assistant")),
        TextDelta(0, "a"),
        TextDelta(0, "b"),
        RefusalDelta(0, "c", part=1),
        AnnotationAdded(0, Annotation("url_citation")),
        ItemClosed(0),
        ItemOpened(1, FunctionCall("c", "f")),
        ArgumentsDelta(1, "{"),
        ArgumentsDelta(1, "}"),
        ItemClosed(1),
    ]
    message, call = fold(events).items
    assert message.parts == (TextPart("ab", (Annotation("url_citation"),)), RefusalPart("c"))
    assert call.arguments == "{}"


def test_sounds_are_joined_as_bytes():
    pieces = [base64.b64encode(piece).decode() for piece in (b"a", b"bcd", b"ef")]
    events = [ItemOpened(0, Message("assistant"))]
    events += [AudioDelta(0, piece, "x", id="au") for piece in pieces]
    (part,) = fold(events).items[0].parts
    assert base64.b64decode(part.media.data) == b"abcdef"
    assert (part.transcript, part.id) == ("xxx", "au")


def test_extras_of_reasoning_deltas_are_joined_as_lists():
    events = [
        ItemOpened(0, Reasoning()),
        ReasoningDelta(0, "a", extras={"d:list": [1]}),
        ReasoningDelta(0, "b", extras={"d:list": [2], "d:last": 1}),
        ReasoningDelta(0, "s", "signature", extras={"d:last": 2}),
    ]
    assert fold(events).items[0] == Reasoning(
        content=("ab",), signature="s", extras={"d:list": [1, 2], "d:last": 2}
    )


def test_a_whole_item_at_the_end_outranks_its_deltas():
    whole = ForeignItem("d", {"done": True})
    events = [ItemOpened(0, ForeignItem("d", {})), Foreign("d", "progress", {}), ItemClosed(0, whole)]
    assert fold(events).items == (whole,)


def test_extras_find_their_place():
    events = [
        Started("r"),
        ItemOpened(0, Message("assistant")),
        ExtrasAdded({"d:a": 1}),
        ExtrasAdded({"d:b": 2}, choice=0),
        ExtrasAdded({"d:c": 3}, choice=0, index=0),
    ]
    response = fold(events)
    assert response.extras == {"d:a": 1}
    assert response.choices[0].extras == {"d:b": 2}
    assert response.items[0].extras == {"d:c": 3}


def test_the_last_count_wins():
    assert fold([UsageReported(Usage(1)), UsageReported(Usage(2))]).usage == Usage(2)


def test_a_failed_stream_raises_its_error():
    error = UpstreamError("it broke")
    with pytest.raises(UpstreamError, match="it broke"):
        fold([Started(), Failed(error)])


def test_a_fold_knows_how_the_stream_stands():
    folding = Fold()
    assert not folding.finished
    folding.add(ChoiceFinished(FinishReason.STOP, "stop"))
    folding.add(Finished())
    assert folding.finished
    assert folding.response().choices[0].finish_reason is FinishReason.STOP


def test_an_answer_past_the_limit_is_a_protocol_error():
    folding = Fold(max_chars=10)
    folding.add(ItemOpened(0, Message("assistant")))
    folding.add(TextDelta(0, "0123456789"))
    with pytest.raises(ProtocolError, match="10 characters"):
        folding.add(TextDelta(0, "x"))


def test_a_delta_for_an_item_nobody_opened_is_a_protocol_error():
    with pytest.raises(ProtocolError, match="never opened"):
        fold([TextDelta(3, "x")])


def test_a_choice_that_skips_a_part_number_still_folds():
    events = [ItemOpened(0, Message("assistant")), PartAdded(0, ImagePart(Media(url="u")), part=2)]
    assert fold(events).items[0].parts == (ImagePart(Media(url="u")),)


def test_folding_is_linear_in_the_number_of_events():
    def seconds(count):
        started = time.process_time()
        folding = Fold()
        folding.add(ItemOpened(0, Message("assistant")))
        for _ in range(count):
            folding.add(TextDelta(0, "word"))
        folding.response()
        return time.process_time() - started

    small = min(seconds(5_000) for _ in range(3))
    assert min(seconds(50_000) for _ in range(3)) < 40 * small
