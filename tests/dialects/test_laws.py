"""The laws every dialect keeps, merely by existing: a new one joins CASES and is held to them."""

import copy
import json
import os
import random
import re
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import openai.types.chat
import orjson
import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import anthropic_wire, gemini_wire, openresponses_wire

from aigw.dialects.anthropic import ANTHROPIC
from aigw.dialects.base import Sighting, join_frames
from aigw.dialects.gemini import GEMINI
from aigw.dialects.openai_chat import OPENAI_CHAT
from aigw.dialects.openresponses import OPENRESPONSES
from aigw.errors import ClientError, GatewayError, ProtocolError, UpstreamError
from aigw.model import (
    AudioPart,
    Choice,
    CustomTool,
    Failed,
    FilePart,
    Finished,
    FinishReason,
    Fold,
    FunctionCall,
    FunctionCallOutput,
    FunctionTool,
    ImagePart,
    Media,
    Message,
    Reasoning,
    ReasoningOptions,
    RefusalPart,
    Request,
    Response,
    ResponseFormat,
    Sampling,
    Started,
    TextDelta,
    TextPart,
    ToolChoice,
    Usage,
    VideoPart,
    fold,
    unfold,
)
from aigw.wire.sse import cut_frames, encode_frame, split_frames


class Case(NamedTuple):
    """A dialect, its published schema and automaton as checks, and field names to fuzz with.

    holds, holds_request: what remains of an answer, or a request, in a format that cannot say it all.
    """

    dialect: Any
    check_whole: Any
    check_stream: Any
    words: Any
    holds: Any = lambda response: response
    holds_request: Any = lambda request: request


def check_chat_whole(tree):
    openai.types.chat.ChatCompletion.model_validate(tree, strict=True)


def check_chat_stream(data, *, failed):
    frames = [frame.data for frame in split_frames(data)]
    assert all(frame.event is None for frame in split_frames(data))
    assert (b"[DONE]" in frames) != failed
    last = frames.pop()
    if failed:
        assert json.loads(last)["error"]["message"]
    else:
        assert last == b"[DONE]"
    begun, finished, counted = set(), set(), False
    for frame in frames:
        chunk = openai.types.chat.ChatCompletionChunk.model_validate(json.loads(frame), strict=True)
        assert not counted
        counted = not chunk.choices
        for choice in chunk.choices:
            assert choice.index not in finished
            assert (choice.delta.role == "assistant") == (choice.index not in begun)
            begun.add(choice.index)
            if choice.finish_reason:
                finished.add(choice.index)
    assert failed or begun == finished


def say_whether_strict(request):
    """Return the request as the Responses API is told it, where what is left out means strict."""
    return evolve(request, tools=tuple(evolve(tool, strict=bool(tool.strict)) for tool in request.tools))


CHAT_WORDS = re.findall(
    r"\w+",
    """
    id object created model choices usage index delta message content role assistant user tool
    tools text refusal audio images annotations tool_calls function_call function name arguments
    custom input type logprobs finish_reason stop reasoning reasoning_content reasoning_details
    signature data messages error code status param prompt_tokens completion_tokens
    prompt_tokens_details x_groq image_url url thinking url_citation tool_choice allowed_tools
    response_format json_schema stream_options file input_audio system
    """,
)

CASES = [
    Case(OPENAI_CHAT, check_chat_whole, check_chat_stream, CHAT_WORDS),
    Case(ANTHROPIC, *anthropic_wire.CHECKS),
    Case(OPENRESPONSES, *openresponses_wire.CHECKS, holds_request=say_whether_strict),
    Case(GEMINI, *gemini_wire.CHECKS),
]

every_dialect = pytest.mark.parametrize("case", CASES, ids=lambda case: case.dialect.name)

# No deadline: a busy machine is no broken law.
lawful = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
names = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
counts = st.integers(0, 10**6)
arguments = st.one_of(st.dictionaries(names, texts, max_size=2).map(json.dumps), texts, st.just(""))
usages = st.builds(Usage, counts, counts, counts, st.just(0), counts, counts, counts)
reasons = st.sampled_from([FinishReason.STOP, FinishReason.LENGTH, FinishReason.CONTENT_FILTER])


@st.composite
def choices(draw, index):
    items = []
    if draw(st.booleans()):
        items.append(Reasoning(content=(draw(texts),)))
    parts = []
    if draw(st.booleans()):
        parts.append(TextPart(draw(texts)))
    if draw(st.integers(0, 4)) == 0:
        parts.append(RefusalPart(draw(texts)))
    if parts:
        items.append(Message("assistant", tuple(parts)))
    calls = [
        FunctionCall(f"call_{index}_{n}", draw(names), draw(arguments))
        for n in range(draw(st.integers(0, 3)))
    ]
    reason = FinishReason.TOOL_CALLS if calls else draw(reasons)
    return Choice((*items, *calls), reason, reason.value, index=index)


@st.composite
def responses(draw):
    return Response(
        id="answer-" + draw(names),
        model=draw(names),
        created=draw(st.integers(1, 2**31)),
        choices=tuple(draw(choices(index)) for index in range(draw(st.integers(1, 3)))),
        usage=draw(st.none() | usages),
    )


def meaning(response):
    """What must survive any format that can say it at all."""
    usage = response.usage
    return (
        response.id,
        response.model,
        [choice_meaning(choice) for choice in response.choices],
        usage and (usage.input_tokens, usage.output_tokens, usage.cached_tokens, usage.reasoning_tokens),
    )


def choice_meaning(choice):
    parts = [part for item in choice.items if isinstance(item, Message) for part in item.parts]
    return (
        choice.index,
        choice.text,
        "".join(part.text for part in parts if isinstance(part, RefusalPart)),
        "".join(text for item in choice.items if isinstance(item, Reasoning) for text in item.content),
        [(call.call_id, call.name, call.arguments) for call in choice.calls],
        choice.finish_reason,
    )


def write_stream(dialect, response):
    encoder = dialect.stream_encoder(None)
    return join_frames(encoder, unfold(response)) + encoder.close()


def read_stream(dialect, pieces):
    decoder = dialect.stream_decoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + decoder.close()


def cut(data, cuts):
    edges = [0, *sorted(edge % (len(data) + 1) for edge in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


@every_dialect
@lawful
@given(responses(), st.lists(st.integers(0, 10**6), max_size=20), st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_split_any_cutting_of_the_bytes_gives_the_same_events(case, response, cuts, line_end):
    data = write_stream(case.dialect, response).replace(b"\n", line_end)
    whole = read_stream(case.dialect, [data])
    assert read_stream(case.dialect, cut(data, cuts)) == whole
    assert isinstance(whole[-1], Finished)


@every_dialect
def test_split_holds_for_single_bytes(case):
    response = Response("r", "m", 1, (Choice((Message("assistant", (TextPart("žluťoučký 🐎"),)),)),))
    data = write_stream(case.dialect, response).replace(b"\n", b"\r\n")
    whole = read_stream(case.dialect, [data])
    assert read_stream(case.dialect, [data[i : i + 1] for i in range(len(data))]) == whole


@every_dialect
@lawful
@given(responses())
def test_fold_of_a_stream_equals_the_decoded_whole(case, response):
    dialect = case.dialect
    folded = fold(read_stream(dialect, [write_stream(dialect, response)]))
    whole = dialect.decode_response(dialect.encode_response(response, None))
    assert dialect.encode_response(folded, None) == dialect.encode_response(whole, None)


@every_dialect
@lawful
@given(responses())
def test_round_trip_of_a_whole_answer_keeps_its_meaning(case, response):
    response = case.holds(response)
    tree = json.loads(json.dumps(case.dialect.encode_response(response, None)))
    assert meaning(case.dialect.decode_response(tree)) == meaning(response)


@every_dialect
@lawful
@given(responses())
def test_round_trip_of_a_streamed_answer_keeps_its_meaning(case, response):
    response = case.holds(response)
    data = write_stream(case.dialect, response)
    assert meaning(fold(read_stream(case.dialect, [data]))) == meaning(response)


@st.composite
def requests(draw):
    items = [Message("user", (TextPart(draw(texts)),))]
    for turn in range(draw(st.integers(0, 2))):
        calls = [
            FunctionCall(f"call_{turn}_{n}", draw(names), draw(arguments))
            for n in range(draw(st.integers(0, 2)))
        ]
        if not calls or draw(st.booleans()):
            items.append(Message("assistant", (TextPart(draw(texts)),)))
        items += calls
        items += [FunctionCallOutput(call.call_id, (TextPart(draw(texts)),)) for call in calls]
        items.append(Message("user", (TextPart(draw(texts)),)))
    tools = tuple(
        FunctionTool(name, draw(st.none() | texts), {"type": "object"})
        for name in draw(st.lists(names, max_size=2, unique=True))
    )
    modes = st.sampled_from(["auto", "none", "required"])
    return Request(
        model=draw(names),
        items=tuple(items),
        tools=tools,
        tool_choice=draw(st.none() | st.builds(ToolChoice, modes)) if tools else None,
        max_output_tokens=draw(st.none() | counts),
        sampling=Sampling(temperature=draw(st.none() | st.floats(0, 2))),
    )


@every_dialect
@lawful
@given(requests())
def test_round_trip_of_a_request_keeps_all_but_what_was_declared_lost(case, request):
    request = case.holds_request(request)
    encoded = case.dialect.encode_request(request)
    again = case.dialect.decode_request({"model": request.model, **json.loads(json.dumps(encoded.tree))})
    assert encoded.dropped == ()
    assert again == request


@every_dialect
@lawful
@given(responses())
def test_grammar_what_is_written_satisfies_the_published_schema(case, response):
    case.check_whole(case.dialect.encode_response(response, None))
    case.check_stream(write_stream(case.dialect, response), failed=False)


@every_dialect
@lawful
@given(responses(), st.integers(0, 20))
def test_grammar_a_failure_at_any_point_still_ends_the_stream_once(case, response, after):
    encoder = case.dialect.stream_encoder(None)
    events = [event for event in unfold(response) if not isinstance(event, Finished)][:after]
    data = join_frames(encoder, events) + encoder.fail(UpstreamError("it broke"))
    assert encoder.close() == b""
    assert encoder.fail(UpstreamError("again")) == b""
    case.check_stream(data, failed=True)


@every_dialect
@lawful
@given(responses())
def test_grammar_a_watcher_sees_the_one_terminal_mark_and_the_counts(case, response):
    response = case.holds(response)
    grammar = case.dialect.grammar
    seen = [
        grammar.examine(frame.event, frame.data)
        for frame in split_frames(write_stream(case.dialect, response))
    ]
    assert [sighting.terminal for sighting in seen].count(True) == grammar.terminal_mark
    assert (
        seen[-1].terminal or seen[-1].finished or seen[-1] == Sighting()
    )  # what may follow the mark says nothing
    assert not any(sighting.error for sighting in seen)
    told = [sighting.usage.total for sighting in seen if sighting.usage]
    assert told[-1:] == ([response.usage.total] if response.usage else [])


@every_dialect
@lawful
@given(responses())
def test_grammar_every_frame_without_a_suspect_is_plain(case, response):
    grammar = case.dialect.grammar
    for frame in split_frames(write_stream(case.dialect, response)):
        sighting = grammar.examine(frame.event, frame.data)
        if sighting.terminal or sighting.finished or sighting.usage or sighting.error:
            assert any(suspect in frame.data for suspect in grammar.suspects)


@every_dialect
@lawful
@given(responses(), st.integers(0, 10**6))
def test_a_stream_that_stops_short_is_a_failure(case, response, where):
    data = write_stream(case.dialect, response)
    events = read_stream(case.dialect, [data[: where % max(1, len(data) - len(cut_frames(data)[-1]))]])
    assert isinstance(events[-1], Failed)
    assert not any(isinstance(event, Finished) for event in events)


def json_values(words):
    leaves = st.none() | st.booleans() | st.integers(-2, 2**40) | st.floats(allow_nan=False) | texts
    return st.recursive(
        leaves | st.sampled_from(words),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(words), inner, max_size=4)
        ),
        max_leaves=20,
    )


def ends_once(events):
    ends = [isinstance(event, Finished | Failed) for event in events]
    return ends.count(True) == 1 and ends[-1]


def keeps_the_laws_of_events(events):
    folding, open_items, started = Fold(), {}, False
    for event in events:
        name = type(event).__name__
        if name == "Started":
            assert not started
            started = True
        elif name == "ItemOpened":
            assert event.choice not in open_items
            open_items[event.choice] = event.index
        elif name == "ItemClosed":
            assert open_items.pop(event.choice) == event.index
        elif name.endswith("Delta"):
            assert open_items[event.choice] == event.index
        elif name == "ChoiceFinished":
            assert event.choice not in open_items
        assert started or isinstance(event, Failed)
        folding.add(event)
    folding.response()


@every_dialect
@lawful
@given(st.binary(max_size=200), st.data())
def test_no_surprises_arbitrary_bytes_raise_protocol_errors_or_nothing(case, junk, data):
    fuzz = st.lists(json_values(case.words).map(json.dumps) | st.just("[DONE]"), max_size=4)
    lines = "".join(f"data: {line}\n\n" for line in data.draw(fuzz)).encode()
    for given_bytes in (junk, lines, lines + junk):
        try:
            events = read_stream(case.dialect, [given_bytes])
        except ProtocolError:
            continue
        assert ends_once(events)
        keeps_the_laws_of_events(events)


def holds_text(delta):
    return isinstance(delta.get("content"), str)


def told_text(events, choice):
    return "".join(event.text for event in events if isinstance(event, TextDelta) and event.choice == choice)


@pytest.mark.parametrize("case", [case for case in CASES if case.dialect is OPENAI_CHAT])
@lawful
@given(st.data())
def test_no_surprises_strange_deltas_keep_the_laws_of_events(case, data):
    delta = st.dictionaries(st.sampled_from(case.words), json_values(case.words), max_size=4)
    call = st.fixed_dictionaries(
        {},
        optional={
            "index": st.integers(0, 2),
            "id": names,
            "function": st.fixed_dictionaries({}, optional={"name": names, "arguments": arguments}),
        },
    )
    calls = st.builds(lambda found: {"tool_calls": found}, st.lists(call, max_size=3))
    content = st.builds(lambda text: {"content": text}, texts)
    thinking = st.builds(lambda text: {"reasoning": text}, texts)
    some = st.one_of(delta, calls, content, thinking)
    finish = st.none() | st.sampled_from(["stop", "tool_calls"])
    chunks = data.draw(st.lists(st.tuples(st.integers(0, 1), some, finish), max_size=8))
    lines = [
        json.dumps({"choices": [{"index": number, "delta": tree, "finish_reason": reason}]})
        for number, tree, reason in chunks
    ]
    stream = "".join(f"data: {line}\n\n" for line in [*lines, "[DONE]"]).encode()
    try:
        events = read_stream(case.dialect, [stream])
    except ProtocolError:
        return
    assert ends_once(events)
    keeps_the_laws_of_events(events)
    if not any(isinstance(tree.get("content"), list) for _, tree, _ in chunks):
        for number in (0, 1):
            said = [tree["content"] for n, tree, _ in chunks if n == number and holds_text(tree)]
            assert "".join(said) == told_text(events, number)
    join_frames(case.dialect.stream_encoder(None), events)


@every_dialect
@lawful
@given(st.data())
def test_no_surprises_arbitrary_json_as_a_request_is_the_clients_fault_or_fine(case, data):
    tree = data.draw(st.dictionaries(st.sampled_from(case.words), json_values(case.words), max_size=6))
    try:
        request = case.dialect.decode_request(
            {"model": "m", "messages": [], "input": [], "contents": [], **tree}
        )
    except ClientError:
        return
    json.dumps(case.dialect.encode_request(request).tree)


@every_dialect
@lawful
@given(st.data())
def test_no_surprises_arbitrary_json_as_a_response_is_a_named_error_or_fine(case, data):
    tree = data.draw(st.dictionaries(st.sampled_from(case.words), json_values(case.words), max_size=6))
    try:
        response = case.dialect.decode_response(tree)
    except GatewayError:
        return
    json.dumps(case.dialect.encode_response(response, None))
    join_frames(case.dialect.stream_encoder(None), unfold(response))


@every_dialect
@lawful
@given(st.integers(400, 599), st.binary(max_size=100), st.data())
def test_no_surprises_any_error_body_becomes_a_named_error(case, status, junk, data):
    for body in (junk, json.dumps(data.draw(json_values(case.words))).encode()):
        error = case.dialect.decode_error(status, body)
        assert isinstance(error, ClientError | UpstreamError)
        assert error.message
        assert len(error.message) <= 2000
        again, tree = case.dialect.encode_error(error)
        assert 400 <= again <= 599
        json.dumps(tree)


@every_dialect
@lawful
@given(st.binary(max_size=60), st.data())
def test_no_surprises_a_watcher_takes_any_frame(case, junk, data):
    for frame in (junk, json.dumps(data.draw(json_values(case.words))).encode()):
        try:
            case.dialect.grammar.examine(None, frame)
        except ProtocolError:
            continue


WIRE = Path(__file__).parents[1] / "wire"
ROUNDS = int(os.environ.get("AIGW_LAW_ROUNDS", "150"))
thorough = settings(lawful, max_examples=ROUNDS)

ODD = (
    *(None, True, False, 0, -1, 3, 2**63, 0.5, 1e300, "", "x", "length", [], [None], ["x"], [{}], {}),
    *({"type": None}, {"type": []}, {"type": "text", "text": 7}, {"x": [{"y": 1}]}),
)
WIDE = Request(
    model="m",
    items=(
        Message("system", (TextPart("Be kind."),)),
        Message(
            "user",
            (
                TextPart("Look"),
                ImagePart(Media(data="aaaa", media_type="image/png"), "low"),
                ImagePart(Media(url="https://example.org/i.png")),
                FilePart(Media(data="JVBERi0=", media_type="application/pdf"), "a.pdf"),
                AudioPart(Media(data="bbbb", media_type="audio/wav")),
                VideoPart(Media(url="https://example.org/v.mp4")),
            ),
        ),
        Message("assistant", (TextPart("One moment."), RefusalPart("No."))),
        FunctionCall("call_1", "f", '{"a": [1]}'),
        FunctionCall("call_2", "g", "x", freeform=True),
        FunctionCallOutput("call_1", (TextPart("1"), ImagePart(Media(data="aaaa", media_type="image/png")))),
        FunctionCallOutput("call_2", (TextPart("2"),), is_error=True),
    ),
    instructions="Be brief.",
    tools=(
        FunctionTool("f", "d", {"type": "object", "properties": {"a": {"enum": ["x"]}}}, strict=True),
        CustomTool("g", "d", {"type": "text"}),
    ),
    tool_choice=ToolChoice("required", allowed=("f",)),
    parallel_tool_calls=False,
    max_output_tokens=5000,
    sampling=Sampling(
        0.5, 0.9, 40, stop=("END",), logprobs=True, top_logprobs=2, logit_bias={"1": 2}, seed=7
    ),
    reasoning=ReasoningOptions("low", 2000, enabled=True, summary="auto", include_thoughts=True),
    response_format=ResponseFormat("json_schema", "n", {"type": "object"}, strict=True, description="d"),
    verbosity="low",
    modalities=("text", "audio"),
    stream=True,
    include_usage=True,
    metadata={"k": "v"},
    extras={"openresponses:include": ["x"], "anthropic:container": "c"},
)


def wire_answers(dialect):
    paths = sorted((WIRE / dialect.name).glob("*.json"))
    assert paths
    return [json.loads(path.read_bytes()) for path in paths]


def wire_streams(dialect):
    """The frames of every recorded stream, each with its event's name, those of broken ones too."""
    frames = []
    for path in sorted((WIRE / dialect.name).glob("**/*.sse")):
        found = [(frame.event, frame.data) for frame in split_frames(path.read_bytes())]
        frames.append([(event, json.loads(data) if is_json(data) else data) for event, data in found])
    return frames


def is_json(data):
    try:
        return bool(json.loads(data)) or True
    except ValueError:
        return False


def wire_requests(dialect):
    """A request with nearly everything in it, and every recorded answer sent back as a conversation."""
    answered = [dialect.decode_response(tree) for tree in wire_answers(dialect)]
    asked = [evolve(WIDE, items=(*WIDE.items[:2], *c.items)) for r in answered for c in r.choices]
    return [{"model": "m", **dialect.encode_request(request).tree} for request in (WIDE, *asked)]


def places_in(tree):
    """Every object or list in a tree, with each key or index in it."""
    found, waiting = [], [tree]
    while waiting:
        inner = waiting.pop()
        children = inner.items() if isinstance(inner, dict) else enumerate(inner)
        for key, child in children:
            found.append((inner, key))
            if isinstance(child, dict | list):
                waiting.append(child)
    return found


def mutate(tree, dice):
    """Change a tree in one to three places, in place."""
    for _ in range(dice.randint(1, 3)):
        places = places_in(tree)
        if not places:
            return
        inner, key = dice.choice(places)
        how = dice.randrange(4)
        if how == 0:
            del inner[key]
        elif how == 1 and isinstance(inner, list):
            inner.insert(key, copy.deepcopy(inner[key]))
        elif how == 2:
            other, place = dice.choice(places)
            inner[key] = copy.deepcopy(other[place])
        else:
            inner[key] = copy.deepcopy(dice.choice(ODD))


def a_mutant(trees, dice):
    tree = copy.deepcopy(dice.choice(trees))
    mutate(tree, dice)
    return tree


def write_whole_and_stream(response, request=None):
    """Say an answer in every dialect, as the gateway would: bytes, and nothing but bytes, come out."""
    for case in CASES:
        orjson.dumps(case.dialect.encode_response(response, request))
        encoder = case.dialect.stream_encoder(request)
        assert isinstance(join_frames(encoder, unfold(response)) + encoder.close(), bytes)


@every_dialect
@thorough
@given(st.integers(0, 2**64))
def test_no_surprises_on_trees_that_are_nearly_a_request(case, seed):
    trees = REQUESTS[case.dialect.name]
    try:
        request = case.dialect.decode_request(a_mutant(trees, random.Random(seed)))
    except ClientError:
        return
    for other in CASES:
        orjson.dumps(other.dialect.encode_request(request).tree)
    write_whole_and_stream(A_RESPONSE, request)


@every_dialect
@thorough
@given(st.integers(0, 2**64))
def test_no_surprises_on_trees_that_are_nearly_a_response(case, seed):
    tree = a_mutant(ANSWERS[case.dialect.name], random.Random(seed))
    case.dialect.read_usage(tree)
    try:
        response = case.dialect.decode_response(tree)
    except (UpstreamError, ClientError):  # a failure told in an answer may well be the client's fault
        return
    write_whole_and_stream(response)
    for other in CASES:
        back = evolve(WIDE, items=tuple(item for choice in response.choices for item in choice.items))
        orjson.dumps(other.dialect.encode_request(back).tree)


@every_dialect
@thorough
@given(st.integers(0, 2**64))
def test_no_surprises_on_trees_that_are_nearly_the_frames_of_a_stream(case, seed):
    dice = random.Random(seed)
    frames = json_frames(dice.choice(STREAMS[case.dialect.name]))
    for _ in range(dice.randint(1, 3)):
        trees = [tree for _, tree in frames if isinstance(tree, dict | list)]
        if trees:
            mutate(dice.choice(trees), dice)
    if frames and dice.randrange(3) == 0:
        frames.insert(dice.randrange(len(frames)), dice.choice(frames))
    data = b"".join(encode_frame(data_of(tree), event) for event, tree in frames)
    try:
        events = read_stream(case.dialect, [data])
    except ProtocolError:
        return
    assert ends_once(events)
    keeps_the_laws_of_events(events)
    for other in CASES:
        encoder = other.dialect.stream_encoder(None)
        assert isinstance(join_frames(encoder, events) + encoder.close(), bytes)
    if isinstance(events[-1], Finished):
        write_whole_and_stream(fold(events))


def json_frames(frames):
    return [(event, copy.deepcopy(tree)) for event, tree in frames]


def data_of(tree):
    return tree if isinstance(tree, bytes) else orjson.dumps(tree)


A_RESPONSE = Response("r", "m", 7, (Choice((Message("assistant", (TextPart("hi"),)),), FinishReason.STOP),))
ANSWERS = {case.dialect.name: wire_answers(case.dialect) for case in CASES}
STREAMS = {case.dialect.name: wire_streams(case.dialect) for case in CASES}
REQUESTS = {case.dialect.name: wire_requests(case.dialect) for case in CASES}


@every_dialect
def test_started_comes_first(case):
    response = Response("r", "m", 7, (Choice((Message("assistant", (TextPart("hi"),)),)),))
    events = read_stream(case.dialect, [write_stream(case.dialect, response)])
    assert isinstance(events[0], Started)
    assert events[0].id == "r"
