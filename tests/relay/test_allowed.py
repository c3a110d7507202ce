"""Calls that a request does not allow, taken out of events and answers."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigw.dialects.openresponses import OPENRESPONSES
from aigw.errors import UpstreamError
from aigw.model import (
    Choice,
    Failed,
    Finished,
    FinishReason,
    Fold,
    ForeignItem,
    FunctionCall,
    ItemClosed,
    ItemOpened,
    Message,
    Reasoning,
    Request,
    Response,
    TextPart,
    ToolChoice,
    fold,
    unfold,
)
from aigw.relay.allowed import CallFilter, Restraint, restraint_of, without_refused_calls

SAID = Message("assistant", (TextPart("One moment."),))
GOOD = FunctionCall("call_1", "good", '{"a": 1}')
BAD = FunctionCall("call_2", "bad", '{"b": 2}')
CUSTOM = FunctionCall("call_3", "sql", "drop table", freeform=True)
THOUGHT = Reasoning(content=("Hm.",))
ONLY_GOOD = Restraint(frozenset({"good"}))


def search(kind="web_search_call", **more):
    return ForeignItem("openresponses", {"type": kind, "id": "ws_1", "status": "completed", **more})


def whole(*items, reason=FinishReason.TOOL_CALLS):
    return Response("r", "m", 1, (Choice(items, reason, "tool_calls"),))


def filtered(response, restraint=ONLY_GOOD):
    return CallFilter(restraint).filter(unfold(response))


def asked(choice):
    tree = {"model": "m", "input": "hi", "tool_choice": choice}
    return restraint_of(OPENRESPONSES.decode_request(tree))


def allowed(*tools, mode="auto"):
    return asked({"type": "allowed_tools", "mode": mode, "tools": list(tools)})


@pytest.mark.parametrize("choice", [None, "auto", "required", {"type": "function", "name": "f"}])
def test_most_choices_restrain_nothing(choice):
    assert asked(choice) is None
    assert restraint_of(None) is None


def test_none_allows_nothing_at_all():
    assert asked("none") == Restraint()
    assert restraint_of(Request("m", tool_choice=ToolChoice("none"))) == Restraint()


@given(st.lists(st.sampled_from([SAID, GOOD, BAD, CUSTOM, THOUGHT, search()]), min_size=1))
def test_a_stream_and_a_whole_answer_lose_the_same(items):
    response = whole(*items)
    events = filtered(response)
    if isinstance(events[-1], Failed):
        with pytest.raises(UpstreamError, match="tool_choice"):
            without_refused_calls(response, ONLY_GOOD)
        return
    kept = without_refused_calls(response, ONLY_GOOD)
    assert fold(events).items == kept.items
    assert not any(ONLY_GOOD.refused(item) for item in kept.items)
    assert [item for item in items if ONLY_GOOD.refused(item) is None] == list(kept.items)


@given(st.lists(st.sampled_from([SAID, GOOD, BAD, CUSTOM, THOUGHT]), min_size=1))
def test_what_is_left_keeps_the_laws_of_events(items):
    folding, opened, count = Fold(), None, 0
    events = filtered(whole(*items))
    for event in events:
        if isinstance(event, ItemOpened):
            assert (opened, event.index) == (None, count)
            opened, count = event.index, count + 1
        elif isinstance(event, ItemClosed):
            assert event.index == opened
            opened = None
        elif getattr(event, "index", None) is not None:
            assert event.index == opened
        folding.add(event)
    assert [isinstance(event, Finished | Failed) for event in events].count(True) == 1
    assert isinstance(events[-1], Finished | Failed)


def test_an_answer_without_its_calls_has_just_stopped():
    kept = without_refused_calls(whole(SAID, BAD), ONLY_GOOD)
    assert (kept.choices[0].finish_reason, kept.choices[0].finish_raw) == (FinishReason.STOP, None)
    assert filtered(whole(SAID, BAD))[-1] == Finished(FinishReason.STOP)
    kept = without_refused_calls(whole(GOOD, BAD), ONLY_GOOD)
    assert kept.choices[0].finish_reason is FinishReason.TOOL_CALLS
    assert filtered(whole(GOOD, BAD))[-1].reason is FinishReason.TOOL_CALLS


def test_nothing_but_refused_calls_is_a_failure_that_names_them():
    with pytest.raises(UpstreamError) as caught:
        without_refused_calls(whole(THOUGHT, BAD, CUSTOM), ONLY_GOOD)
    assert '"bad", "sql"' in caught.value.message
    assert caught.value.code == "model_error"


def test_a_whole_answer_without_a_refused_call_is_the_very_same():
    response = whole(SAID, GOOD)
    assert without_refused_calls(response, ONLY_GOOD).choices[0] is response.choices[0]
    assert without_refused_calls(response, None) is response


@pytest.mark.parametrize(
    ("tools", "item", "passes"),
    [
        ([{"type": "function", "name": "good"}], search(), False),
        ([{"type": "web_search"}], search(), True),
        ([{"type": "web_search_preview"}], search(), True),
        ([{"type": "web_search"}], search("file_search_call"), False),
        ([{"type": "mcp", "server_label": "a"}], search("mcp_call", server_label="a"), True),
        ([{"type": "mcp", "server_label": "a"}], search("mcp_call", server_label="b"), False),
        ([{"type": "mcp"}], search("mcp_call", server_label="b"), True),
        ([{"type": "mcp", "server_label": "a"}], search("mcp_list_tools", server_label="b"), True),
        ([{"type": "custom", "name": "sql"}], CUSTOM, True),
        ([{"type": "custom", "name": "other"}], CUSTOM, False),
        ([{"type": "mcp", "server_label": "a"}], FunctionCall("c", ""), False),
    ],
)
def test_tools_of_every_kind_are_told_apart(tools, item, passes):
    assert (allowed(*tools).refused(item) is None) == passes
    assert asked("none").refused(item) is not None or item.tree["type"] == "mcp_list_tools"


def test_the_progress_of_a_refused_call_is_not_told_either():

    stream = [
        {"type": "response.created", "response": {"id": "r"}},
        {"type": "response.output_item.added", "output_index": 0, "item": search().tree},
        {"type": "response.web_search_call.searching", "output_index": 0, "item_id": "ws_1"},
        {"type": "response.output_item.done", "output_index": 0, "item": search().tree},
        {
            "type": "response.output_item.added",
            "output_index": 1,
            "item": {"type": "message", "role": "assistant"},
        },
        {"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "delta": "Hi"},
        {"type": "response.completed", "response": {"id": "r", "output": []}},
    ]
    decoder = OPENRESPONSES.stream_decoder()
    events = [e for t in stream for e in decoder.feed(b"data: " + json.dumps(t).encode() + b"\n\n")]
    kept = CallFilter(ONLY_GOOD).filter(events)
    assert "web_search" not in repr(kept)
    assert [item.text for item in fold(kept).items] == ["Hi"]
