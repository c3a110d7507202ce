"""`truncation`: what is too long for the model is cut sensibly and said, or refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.answers import error_of

import aigw
from aigw.responses.truncation import steps_of, turns_of, without_oldest

CODE = "context_length_exceeded"
TOO_LONG = {"error": {"message": "too long", "type": "invalid_request_error", "param": None, "code": CODE}}
SYSTEM = {"role": "system", "content": "Be brief."}


@pytest.fixture
def gateway(upstream):
    """A gateway whose provider speaks chat completions alone."""
    made = aigw.Gateway()
    provider = aigw.Provider(upstream.url, "sk-up", name="up", apis=["chat"])
    made.models.register("m", provider, rewrite="up-model")
    return made


def user(text):
    return {"role": "user", "content": text}


def step(name):
    return [
        {"type": "function_call", "call_id": name, "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": name, "output": name * 50},
    ]


ITEM = st.sampled_from(["system", "user", "assistant", "step"])


@st.composite
def talks(draw):
    items = []
    for number, kind in enumerate(draw(st.lists(ITEM, max_size=20))):
        items += step(f"c{number}") if kind == "step" else [{"role": kind, "content": f"{kind} {number}"}]
    return items


@given(talks())
def test_cutting_keeps_the_order_the_system_messages_and_calls_with_their_outputs(items):
    rest = without_oldest(items)
    places = [next(place for place, item in enumerate(items) if item is kept) for kept in rest]
    assert places == sorted(places)
    assert [item for item in items if item.get("role") == "system"] == [
        item for item in rest if item.get("role") == "system"
    ]
    calls = [item["call_id"] for item in rest if item.get("type") == "function_call"]
    outputs = [item["call_id"] for item in rest if item.get("type") == "function_call_output"]
    assert calls == outputs
    if items:
        assert rest[-1] is items[-1]


@given(talks())
def test_turns_and_steps_lose_nothing(items):
    assert [item for turn in turns_of(items) for item in turn] == items
    for turn in turns_of(items):
        assert [item for each in steps_of(turn) for item in each] == turn


@given(talks())
def test_cutting_comes_to_an_end(items):
    for _ in range(30):
        rest = without_oldest(items)
        if len(rest) == len(items):
            return
        assert len(rest) < len(items)
        items = rest
    raise AssertionError("it goes on and on")


def test_the_oldest_turns_go_first_and_the_last_stays():
    items = [SYSTEM, user("a" * 100), *step("c1"), user("b"), user("c" * 10)]
    assert without_oldest(items) == [SYSTEM, user("b"), user("c" * 10)]


def test_a_single_turn_loses_its_oldest_steps():
    items = [SYSTEM, user("do it"), *step("c1"), *step("c2"), *step("c3")]
    assert without_oldest(items) == [SYSTEM, user("do it"), *step("c3")]


async def test_auto_answers_with_fewer_turns_and_says_so(gateway, upstream, serve, http, complete):
    upstream.answer(TOO_LONG, status=400)
    upstream.answer()
    items = [user("first " * 20), {"role": "assistant", "content": "one"}, user("second")]
    body = {"model": "m", "input": items, "truncation": "auto"}
    answer = await http.post(await serve(gateway) + "/v1/responses", json=body)
    tree = await answer.json()
    assert answer.status == 200, tree
    assert answer.headers["x-aigw-truncated"] == "2 items"
    assert [message["content"] for message in upstream.seen[1].json["messages"]] == ["second"]
    assert tree["truncation"] == "auto"
    assert len(complete) == 1


async def test_auto_ends_with_the_error_when_nothing_is_left_to_cut(gateway, upstream, serve, http):
    upstream.answer(TOO_LONG, status=400)
    body = {"model": "m", "input": [user("one"), user("two")], "truncation": "auto"}
    answer = await http.post(await serve(gateway) + "/v1/responses", json=body)
    await error_of(answer, 400, CODE)
    assert len(upstream.seen) == 2


@pytest.mark.parametrize("truncation", [{}, {"truncation": "disabled"}], ids=["default", "disabled"])
async def test_disabled_fails(gateway, upstream, serve, http, truncation):
    upstream.answer(TOO_LONG, status=400)
    body = {"model": "m", "input": [user("one"), user("two")], **truncation}
    answer = await http.post(await serve(gateway) + "/v1/responses", json=body)
    await error_of(answer, 400, CODE)
    assert len(upstream.seen) == 1
