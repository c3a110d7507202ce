"""A provider dies amid a text, and another goes on with it: in one stream, and both are paid and told."""

import asyncio
import json

import openai
import pytest
from support.scripted import CUT, HANG, USAGE_CHUNK, chunk, sse

import aigw
from aigw.assemble import assemble, to_config
from aigw.config import Config, RoutingConfig
from aigw.config.routing import HedgeConfig
from aigw.model import TextDelta
from aigw.pipeline.continued import PLEASE_GO_ON
from aigw.relay.legs import ESTIMATED
from aigw.upstream.provider import Timeouts

ASK = {"model": "m", "messages": [{"role": "user", "content": "Count to six."}], "stream": True}
ON = {"x-aigw-continue": "true"}
BEGUN = sse(chunk("one two "), done=False)
MORE = sse(chunk("three four"), done=False)
REST = sse(chunk("five"), chunk(" six"), chunk(finish="stop"), USAGE_CHUNK)
TOLD_ERROR = b'data: {"error": {"message": "overloaded", "code": "server_error"}}\n\n'


def frames_of(body):
    """Return the trees of a chat stream; its last frame must be the mark of the end."""
    *frames, end = [frame for frame in body.split(b"\n\n") if frame and not frame.startswith(b":")]
    assert end == b"data: [DONE]"
    return [json.loads(frame.removeprefix(b"data: ")) for frame in frames]


def text_of(frames):
    return "".join(choice["delta"].get("content") or "" for each in frames for choice in each["choices"])


def two_targets(upstream):
    first, second = (aigw.Provider(upstream.url, name=name) for name in ("first", "second"))
    return [aigw.Target(first, "x"), aigw.Target(second, "x", 0.0)]


@pytest.fixture
def gateway(upstream):
    """A gateway whose model "m" has three targets, all of them at the scripted provider."""
    made = aigw.Gateway()
    names = ("first", "second", "third")
    providers = [aigw.Provider(upstream.url, name=name, timeouts=Timeouts(read_s=0.1)) for name in names]
    targets = [aigw.Target(each, "x", float(not number)) for number, each in enumerate(providers)]
    made.models.register("m", targets=targets)
    return made


@pytest.fixture
def ask(gateway, serve, http, complete, eventually):
    """Ask for a stream; return its bytes, and the one record of it."""

    async def post(headers=ON, **fields):
        url = await serve(gateway) + "/v1/chat/completions"
        async with http.post(url, json={**ASK, **fields}, headers=headers) as response:
            assert response.status == 200
            body = await response.read()
        await eventually(lambda: complete and not gateway.in_flight)
        assert len(complete) == 1
        return body, complete[0]

    return post


DEATHS = [
    pytest.param([0.02, MORE], id="truncated"),
    pytest.param([0.02, MORE, CUT], id="cut"),
    pytest.param([0.02, MORE, HANG], id="silent"),
    pytest.param([0.02, MORE, 0.02, TOLD_ERROR], id="told"),
    pytest.param([0.02, MORE + TOLD_ERROR], id="told in the same read"),
    pytest.param([0.02, MORE, 0.02, b'data: {"choices": [\n\n'], id="malformed"),
]


@pytest.mark.parametrize("death", DEATHS)
async def test_another_target_goes_on_in_the_same_stream(upstream, ask, death):
    upstream.stream(BEGUN, *death)
    upstream.stream(REST)
    body, record = await ask(stream_options={"include_usage": True})
    frames = frames_of(body)
    assert text_of(frames).replace(" ", "") == "onetwothreefourfivesix"
    assert b'"error"' not in body
    assert {frame["id"] for frame in frames} == {"chatcmpl-1"}
    assert [c["finish_reason"] for f in frames for c in f["choices"] if c["finish_reason"]] == ["stop"]
    assert record.ending == "complete"
    assert record.provider == "second"
    assert record.error is None
    assert [each.provider for each in record.attempts] == ["first", "second"]
    assert record.attempts[0].error.startswith(("upstream_", "server_error"))
    assert record.attempts[1].error is None
    assert len(upstream.seen) == 2


async def test_the_next_model_is_given_what_was_said_and_asked_for_the_rest(upstream, ask):
    upstream.stream(BEGUN, 0.02, MORE, CUT)
    upstream.stream(REST)
    await ask()
    *before, said, please = upstream.seen[1].json["messages"]
    assert before == ASK["messages"]
    assert said == {"role": "assistant", "content": "one two three four"}
    assert please == {"role": "user", "content": PLEASE_GO_ON}


async def test_a_model_that_takes_a_prefill_is_not_asked_in_words(upstream, serve, http):
    targets = [
        {"provider": "first", "model": "x"},
        {"provider": "second", "model": "open-1", "weight": 0},
    ]
    tree = {
        "providers": {name: {"base_url": upstream.url} for name in ("first", "second")},
        "models": {"m": {"targets": targets, "continue_streams": True}},
        "profiles": {"open-*": {"prefill": True}},
    }
    made = assemble(to_config(tree, {}), {}, installed={}).gateway
    upstream.stream(BEGUN, 0.02, CUT)
    upstream.stream(REST)
    async with http.post(await serve(made) + "/v1/chat/completions", json=ASK) as response:
        frames = frames_of(await response.read())
    assert upstream.seen[1].json["messages"][-1] == {"role": "assistant", "content": "one two"}
    assert text_of(frames) == "one two five six"


async def test_white_space_that_was_told_is_not_told_again(upstream, ask):
    upstream.stream(BEGUN, 0.02, CUT)
    upstream.stream(sse(chunk(" three"), chunk(" four"), chunk(finish="stop")))
    body, _ = await ask()
    assert text_of(frames_of(body)) == "one two three four"


async def test_the_counts_of_both_are_told_together_and_guesses_are_marked(upstream, ask):
    upstream.stream(BEGUN, 0.02, MORE, CUT)
    upstream.stream(REST)
    body, record = await ask(stream_options={"include_usage": True})
    usage = frames_of(body)[-1]["usage"]
    guessed_output = -(-len("one two three four") // 4)
    assert usage["completion_tokens"] == 2 + guessed_output
    assert usage["prompt_tokens"] > 3
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert record.usage.output_tokens == usage["completion_tokens"]
    assert record.usage.input_tokens == usage["prompt_tokens"]
    assert record.usage.extras[ESTIMATED] == ["input_tokens", "output_tokens"]


async def test_a_client_that_did_not_ask_for_counts_is_shown_none(upstream, ask):
    upstream.stream(BEGUN, 0.02, CUT)
    upstream.stream(REST)
    body, record = await ask()
    assert b'"usage"' not in body
    assert record.usage.output_tokens > 2


async def test_where_the_second_fails_too_the_third_goes_on(upstream, ask):
    upstream.stream(BEGUN, 0.02, CUT)
    upstream.stream(sse(chunk("three "), done=False), 0.02, CUT)
    upstream.stream(REST)
    body, record = await ask()
    assert text_of(frames_of(body)) == "one two three five six"
    assert [each.provider for each in record.attempts] == ["first", "second", "third"]
    assert upstream.seen[2].json["messages"][-2]["content"] == "one two three"
    assert record.ending == "complete"


async def test_a_target_that_refuses_to_go_on_is_followed_by_the_next(upstream, ask):
    upstream.stream(BEGUN, 0.02, CUT)
    upstream.answer({"error": {"message": "no"}}, status=503)
    upstream.stream(REST)
    body, record = await ask()
    assert text_of(frames_of(body)) == "one two five six"
    assert [each.status for each in record.attempts] == [200, 503, 200]


async def test_a_target_that_answers_whole_goes_on_as_well(upstream, ask):
    upstream.stream(BEGUN, 0.02, CUT)
    upstream.answer()
    body, record = await ask()
    assert text_of(frames_of(body)) == "one two Hello"
    assert record.ending == "complete"


async def test_a_model_that_has_nothing_to_add_ends_the_answer(upstream, ask):
    upstream.stream(BEGUN, 0.02, CUT)
    upstream.stream(sse(chunk(finish="stop")))
    body, record = await ask()
    assert text_of(frames_of(body)) == "one two "
    assert record.ending == "complete"


async def test_where_nobody_can_go_on_the_client_is_told_what_broke(
    upstream, gateway, serve, sdk, complete, eventually
):
    upstream.stream(BEGUN, 0.02, CUT)
    upstream.answer({"error": {"message": "no"}}, status=503)
    client = sdk(await serve(gateway))
    with pytest.raises(openai.APIError, match="others could not go on: second:"):
        async for _ in await client.chat.completions.create(**ASK, extra_headers=ON):
            pass
    await eventually(lambda: complete and not gateway.in_flight)
    [record] = complete
    assert record.ending == "failed"
    assert [each.error for each in record.attempts][:1] == ["upstream_truncated"]
    assert len(record.attempts) == len(upstream.seen) == 3
    assert record.usage.output_tokens == 2  # of "one two ", a guess


NEVER = [
    pytest.param(
        {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{"}}]}, id="call"
    ),
    pytest.param({"reasoning_content": "I think"}, id="reasoning"),
    pytest.param({"refusal": "I cannot"}, id="refusal"),
]


@pytest.mark.parametrize("delta", NEVER)
async def test_only_a_text_is_gone_on_with(upstream, ask, delta):
    piece = chunk()
    piece["choices"][0]["delta"] = delta
    upstream.stream(sse(piece, done=False), 0.02, sse(piece, done=False), CUT)
    upstream.stream(REST)
    body, record = await ask()
    assert body.count(b'"error"') == 1
    assert record.ending == "failed"
    assert len(upstream.seen) == 1


@pytest.mark.parametrize(
    ("headers", "fields"),
    [
        ({}, {}),
        ({"x-aigw-continue": "false"}, {}),
        (ON, {"n": 2}),
        (ON, {"response_format": {"type": "json_object"}}),
    ],
)
async def test_nobody_goes_on_unasked_or_where_the_text_would_be_begun_anew(upstream, ask, headers, fields):
    upstream.stream(BEGUN, 0.02, MORE, CUT)
    upstream.stream(REST)
    body, record = await ask(headers, **fields)
    assert body.count(b'"error"') == 1
    assert record.ending == "failed"
    assert len(upstream.seen) == 1


async def test_a_request_may_refuse_what_the_operator_wants_for_all(upstream, serve, http):
    made = aigw.Gateway(Config(routing=RoutingConfig(continue_streams=True)))
    made.models.register("m", targets=two_targets(upstream))
    upstream.stream(BEGUN, 0.02, CUT)
    upstream.stream(REST)
    headers = {"x-aigw-continue": "false"}
    async with http.post(await serve(made) + "/v1/chat/completions", json=ASK, headers=headers) as response:
        assert (await response.read()).count(b'"error"') == 1
    assert len(upstream.seen) == 1


async def test_the_winner_of_a_race_is_gone_on_with(upstream, serve, http):
    routing = RoutingConfig(continue_streams=True, hedge=HedgeConfig(after_s=5.0))
    made = aigw.Gateway(Config(routing=routing))
    made.models.register("m", targets=two_targets(upstream))
    upstream.stream(BEGUN, 0.02, CUT)
    upstream.stream(REST)
    async with http.post(await serve(made) + "/v1/chat/completions", json=ASK) as response:
        assert text_of(frames_of(await response.read())) == "one two five six"
    states = made.router.board.states.values()
    assert [state.in_flight for state in states] == [0, 0]


async def test_plugins_edit_the_joined_text(upstream, gateway, ask):
    class Loud:
        name = "loud"

        def transform_stream(self, exchange):
            def louder(event):
                if isinstance(event, TextDelta):
                    event.text = event.text.upper()
                yield event

            return louder

    gateway.hooks.register(Loud())
    upstream.stream(BEGUN, 0.02, CUT)
    upstream.stream(REST)
    body, _ = await ask()
    assert text_of(frames_of(body)) == "ONE TWO FIVE SIX"
    assert upstream.seen[1].json["messages"][1]["content"] == "one two"  # in its author's own words


async def test_both_targets_health_is_told_and_nothing_is_left_in_flight(upstream, gateway, ask):
    upstream.stream(BEGUN, 0.02, CUT)
    upstream.stream(REST)
    await ask()
    states = gateway.router.board.states
    assert [state.in_flight for state in states.values()] == [0, 0, 0]
    assert states["first/x"].breaker.consecutive == 1
    assert states["second/x"].breaker.consecutive == 0


async def test_what_is_never_broken_is_as_it_would_be(upstream, ask):
    upstream.stream(BEGUN, 0.02, REST)
    body, record = await ask()
    assert text_of(frames_of(body)) == "one two five six"
    assert len(record.attempts) == 1
    assert record.usage.extras == {}


async def test_a_client_that_leaves_while_the_next_is_looked_for_ends_it(
    upstream, gateway, serve, http, complete, eventually
):
    upstream.stream(BEGUN, 0.02, CUT)
    upstream.stream(HANG)
    async with http.post(await serve(gateway) + "/v1/chat/completions", json=ASK, headers=ON) as response:
        await response.content.readuntil(b"one two ")
        await eventually(lambda: len(upstream.seen) == 2)
    await eventually(lambda: complete and not gateway.in_flight and not upstream.open)
    assert [record.ending for record in complete] == ["hung_up"]
    await asyncio.sleep(0)


async def test_the_search_for_the_next_has_a_deadline(upstream, serve, http):
    made = aigw.Gateway(Config(routing=RoutingConfig(deadline_s=0.3, continue_streams=True)))
    made.models.register("m", targets=two_targets(upstream))
    upstream.stream(BEGUN, 0.02, CUT)
    upstream.stream(HANG)
    async with (
        asyncio.timeout(3),
        http.post(await serve(made) + "/v1/chat/completions", json=ASK) as response,
    ):
        assert (await response.read()).count(b'"error"') == 1
    assert len(upstream.seen) == 2
