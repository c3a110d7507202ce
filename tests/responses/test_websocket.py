"""`/v1/responses` over a WebSocket: the upgrade, the turns, and what is told where something fails."""

import json

import aiohttp
import pytest
from support.openresponses_wire import needs_description
from support.plugins import use
from support.recordings import ANSWERS
from support.scripted import CUT, HANG, HELLO, chunk, sse
from support.talk import Talk, check_envelope, check_turn, is_envelope

import aigw
from aigw.config import AuthConfig, Config, KeyConfig, Secret, ServerConfig
from aigw.pipeline.exchange import Identity

LOCKED = Config(auth=AuthConfig(keys=(KeyConfig(key=Secret("sk-client"), name="one"),)))
TOOL_CALL = {
    "tool_calls": [
        {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    ]
}
CALLS = sse(
    {**chunk(), "choices": [{"index": 0, "delta": TOOL_CALL, "finish_reason": None}]},
    chunk(finish="tool_calls"),
)
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@pytest.fixture
async def serve(aiohttp_server):
    """Run a gateway on its own; that it does the same mounted is asserted elsewhere. Returns its URL."""

    async def run(gateway):
        server = await aiohttp_server(gateway.make_app())
        return str(server.make_url("/")).rstrip("/")

    return run


@pytest.fixture
async def connect(serve, http):
    """Open a connection to a gateway."""

    async def to(gateway, **options):
        url = await serve(gateway)
        return Talk(await http.ws_connect(url + "/v1/responses", **options))

    return to


@pytest.fixture
def house(upstream):
    """Make a gateway whose model "m" is the scripted provider's "up-model", spoken to by these APIs."""

    def make(*apis, config=None):
        gateway = aigw.Gateway(config)
        provider = aigw.Provider(upstream.url, "sk-upstream", name="up", apis=apis)
        gateway.models.register("m", provider, rewrite="up-model")
        return gateway

    return make


@pytest.fixture
def gateway(house):
    """A gateway in front of a provider that speaks chat completions alone."""
    return house("chat")


async def test_a_turn_is_answered_with_the_events_of_the_stream(gateway, upstream, connect):
    upstream.stream(HELLO)
    talk = await connect(gateway)
    events = await talk.turn()
    assert events[0]["type"] == "response.created"
    assert "".join(event["delta"] for event in events if event["type"].endswith("text.delta")) == "Hello"
    assert upstream.seen[0].json["stream"] is True
    check_turn(events)


@needs_description
@pytest.mark.parametrize("api", ["chat", "messages", "gemini"])
@pytest.mark.parametrize("kind", sorted(ANSWERS))
async def test_events_are_as_specified_whatever_the_provider_speaks(house, upstream, connect, api, kind):
    upstream.stream(ANSWERS[kind][api].bytes(api, stream=True))
    talk = await connect(house(api))
    check_turn(await talk.turn())


async def test_every_event_of_a_provider_that_speaks_responses_arrives_untouched(house, upstream, connect):
    recorded = ANSWERS["text"]["responses"].bytes("responses", stream=True)
    extension = {"type": "acme:trace", "sequence_number": 1, "žluť": [1.50, None], "nested": {"a": "b"}}
    created, rest = recorded.split(b"\n\n", 1)
    shifted = rest.replace(b'"sequence_number":1,', b'"sequence_number":11,', 1)
    frame = b"event: acme:trace\ndata: " + json.dumps(extension).encode() + b"\n\n"
    upstream.stream(created + b"\n\n" + frame + shifted)
    talk = await connect(house("responses"))
    await talk.ask()
    raw = []
    while not raw or '"response.completed"' not in raw[-1]:
        raw.append((await talk.socket.receive(timeout=5)).data)
    sent = [
        line[6:].decode()
        for line in (created + b"\n" + frame + shifted).split(b"\n")
        if line[:6] == b"data: "
    ]
    sent.remove("[DONE]")
    assert raw[:-1] == sent[:-1]
    # The last event is what is kept; it may say more than the provider did.
    last, told = json.loads(sent[-1])["response"], json.loads(raw[-1])["response"]
    assert {**told, **last} == told


async def test_turns_run_one_after_the_other_in_the_order_they_came(gateway, upstream, connect):
    for word in ("one", "two", "three"):
        upstream.stream(sse(chunk(word), done=False), 0.05, sse(chunk(finish="stop")))
    talk = await connect(gateway)
    for word in ("one", "two", "three"):
        await talk.ask(word)
    for word in ("one", "two", "three"):
        events = await talk.answer()
        assert {event.get("delta", word) for event in events} == {word}
        check_turn(events)
        assert upstream.open == 0 or len(upstream.seen) < 4
    assert [seen.json["messages"][-1]["content"] for seen in upstream.seen] == ["one", "two", "three"]


async def test_no_two_responses_of_a_connection_are_in_flight_at_a_time(
    gateway, upstream, connect, eventually
):
    upstream.stream(sse(chunk("a"), done=False), HANG)
    talk = await connect(gateway)
    await talk.ask()
    await talk.ask()
    await eventually(lambda: upstream.open == 1)
    while (await talk.next()).get("delta") != "a":
        pass
    await talk.socket.ping()
    assert gateway.in_flight == 1
    assert len(upstream.seen) == 1
    await talk.socket.close()


async def test_two_connections_run_in_parallel(gateway, upstream, serve, http, eventually):
    upstream.stream(sse(chunk("a"), done=False), HANG)
    url = await serve(gateway) + "/v1/responses"
    talks = [Talk(await http.ws_connect(url)) for _ in range(2)]
    for talk in talks:
        await talk.ask()
    await eventually(lambda: upstream.open == 2)
    for talk in talks:
        await talk.socket.close()
    await eventually(lambda: upstream.open == 0)


async def test_more_messages_than_may_wait_are_refused(gateway, upstream, connect, eventually):
    upstream.stream(sse(chunk("a"), done=False), 0.1, sse(chunk(finish="stop")))
    upstream.stream(HELLO)
    talk = await connect(gateway)
    await talk.ask()
    await eventually(lambda: upstream.open == 1)
    for _ in range(17):
        await talk.ask()
    answers, refusals = 0, []
    while answers < 17:
        event = await talk.next()
        answers += event["type"] == "response.completed"
        refusals += [event] if event["type"] == "error" else []
    assert [check_envelope(each)["error"]["code"] for each in refusals] == ["websocket_queue_full"]
    assert refusals[0]["status"] == 429


async def test_waiting_messages_are_bounded_in_bytes_too(upstream, house, connect, eventually):
    upstream.stream(sse(chunk("a"), done=False), 0.1, sse(chunk(finish="stop")))
    talk = await connect(house("chat", config=Config(server=ServerConfig(max_body_bytes=2000))))
    await talk.ask()
    await eventually(lambda: upstream.open == 1)
    await talk.ask("x" * 1500)
    await talk.ask("x" * 1500)
    events = []
    while len([event for event in events if event["type"] == "response.completed"]) < 2:
        events.append(await talk.next())
    assert [event["error"]["code"] for event in events if is_envelope(event)] == ["websocket_queue_full"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"stream": False}, "stream"),
        ({"stream_options": {"include_obfuscation": False}}, "stream_options"),
        ({"background": True}, "background"),
        ({"background": False}, "background"),
        ({"stream_id": "a"}, "stream_id"),
        ({"generate": "no"}, "generate"),
        ({"type": "response.cancel"}, "type"),
        ({"type": ...}, "type"),
        ({"model": ...}, "model"),
        ({"previous_response_id": 7}, "previous_response_id"),
    ],
)
async def test_a_message_at_fault_is_refused_by_field_and_the_connection_stays(
    gateway, upstream, connect, fields, param
):
    upstream.stream(HELLO)
    talk = await connect(gateway)
    envelope = await talk.refused(**fields)
    assert (envelope["status"], envelope["error"]["param"]) == (400, param)
    assert envelope["error"]["type"] == "invalid_request_error"
    assert not upstream.seen
    assert (await talk.response())["status"] == "completed"


@pytest.mark.parametrize("message", ["", "{", "[]", '"hi"', "null", "7", '{"type": "a", }', "\x00"])
async def test_text_that_is_no_object_is_refused_and_the_connection_stays(
    gateway, upstream, connect, message
):
    upstream.stream(HELLO)
    talk = await connect(gateway)
    await talk.socket.send_str(message)
    assert check_envelope(await talk.next())["status"] == 400
    assert (await talk.response())["status"] == "completed"


async def test_binary_messages_are_refused_and_the_connection_stays(gateway, upstream, connect):
    upstream.stream(HELLO)
    talk = await connect(gateway)
    await talk.socket.send_bytes(b'{"type": "response.create", "model": "m", "input": "hi"}')
    assert "binary" in check_envelope(await talk.next())["error"]["message"]
    assert (await talk.response())["status"] == "completed"


async def test_what_only_says_that_the_answer_is_streamed_may_be_said(gateway, upstream, connect):
    upstream.stream(HELLO)
    talk = await connect(gateway)
    assert (await talk.response(stream=True))["status"] == "completed"


async def test_a_message_larger_than_a_body_may_be_ends_the_connection(upstream, house, connect):
    upstream.stream(HELLO)
    talk = await connect(house("chat", config=Config(server=ServerConfig(max_body_bytes=1000))))
    await talk.ask("x" * 2000)
    assert await talk.closed() == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
    assert not upstream.seen


async def test_a_provider_that_refuses_is_told_as_one_envelope_with_its_headers(gateway, upstream, connect):
    upstream.answer(
        {"error": {"message": "slow down", "type": "x", "code": "rate_limit_exceeded"}},
        status=429,
        headers={"retry-after": "7", "x-ratelimit-remaining-requests": "0"},
    )
    talk = await connect(gateway)
    envelope = await talk.refused()
    assert (envelope["status"], envelope["error"]["code"]) == (429, "rate_limit_exceeded")
    told = envelope["error"]["headers"]
    assert told["retry-after"] == "7"
    assert told["x-ratelimit-remaining-requests"] == "0"
    assert told["x-aigw-provider"] == "up"
    assert told["x-request-id"].startswith("req_")


async def test_an_unknown_model_is_404(gateway, upstream, connect):
    talk = await connect(gateway)
    assert (await talk.refused(model="nope"))["status"] == 404


@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_a_stream_that_breaks_ends_with_an_error_and_a_failed_response(house, upstream, connect, api):
    whole = ANSWERS["text"][api].bytes(api, stream=True)
    cut = whole.rfind(b"\n\n", 0, len(whole) * 2 // 3) + 2
    upstream.stream(whole[:cut], 0.02, CUT)
    upstream.stream(whole)
    talk = await connect(house(api))
    events = await talk.turn()
    assert [event["type"] for event in events[-2:]] == ["error", "response.failed"]
    assert events[-2]["status"] == 502
    assert events[-2]["error"]["code"]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert (await talk.response())["status"] == "completed"


async def test_what_the_provider_cannot_hold_is_said_in_the_first_event(gateway, upstream, connect):
    upstream.stream(HELLO)
    talk = await connect(gateway)
    events = await talk.turn(truncation="auto", max_tool_calls=3)
    assert "max_tool_calls" in events[0]["aigw:dropped"]
    assert not any("aigw:dropped" in event for event in events[1:])
    assert not any("aigw:dropped" in event for event in await talk.turn())


async def test_tools_are_called_and_their_results_continue_the_response(gateway, upstream, connect):
    upstream.stream(CALLS)
    upstream.stream(HELLO)
    talk = await connect(gateway)
    tools = [{"type": "function", "name": "f", "parameters": {"type": "object"}}]
    first = await talk.response("call f", tools=tools, store=False)
    (call,) = [item for item in first["output"] if item["type"] == "function_call"]
    result = {"type": "function_call_output", "call_id": call["call_id"], "output": "42"}
    second = await talk.response([result], tools=tools, store=False, previous_response_id=first["id"])
    assert second["previous_response_id"] == first["id"]
    user, asked, answered = upstream.seen[1].json["messages"]
    assert (user["role"], user["content"]) == ("user", "call f")
    assert asked["tool_calls"][0]["id"] == call["call_id"]
    assert (answered["role"], answered["content"]) == ("tool", "42")


async def test_a_plain_get_is_told_what_to_do(gateway, serve, http):
    url = await serve(gateway) + "/v1/responses"
    async with http.get(url) as answer:
        assert answer.status == 426
        assert answer.headers["Upgrade"] == "websocket"
        error = (await answer.json())["error"]
    assert error["code"] == "upgrade_required"
    assert "POST" in error["message"]


@pytest.mark.parametrize("wrong", [{"Sec-WebSocket-Key": "short"}, {"Sec-WebSocket-Version": "1"}])
async def test_a_handshake_that_is_not_valid_is_told_so(gateway, serve, http, wrong):
    async with http.get(await serve(gateway) + "/v1/responses", headers={**UPGRADE, **wrong}) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"]["code"] == "invalid_handshake"


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer sk-wrong"}], ids=["none", "wrong"])
async def test_strangers_get_401_before_the_upgrade(house, serve, http, headers):
    async with http.get(
        await serve(house("chat", config=LOCKED)) + "/v1/responses", headers=UPGRADE | headers
    ) as answer:
        assert answer.status == 401
        assert (await answer.json())["error"]["code"] == "invalid_api_key"


async def test_a_key_opens_a_connection(house, upstream, connect):
    upstream.stream(HELLO)
    gateway = house("chat", config=LOCKED)
    talk = await connect(
        gateway, headers={"Authorization": "Bearer sk-client", "Origin": "https://evil.example"}
    )
    assert (await talk.response())["status"] == "completed"


async def test_a_key_that_is_revoked_is_refused_at_the_next_turn_and_the_connection_closed(
    gateway, upstream, connect
):
    upstream.stream(HELLO)
    good = ["sk-client"]

    async def authenticate(exchange):
        return Identity() if exchange.credential in good else None

    use(gateway, authenticate=authenticate)
    talk = await connect(gateway, headers={"Authorization": "Bearer sk-client"})
    await talk.response()
    good.clear()
    assert (await talk.refused())["status"] == 401
    assert await talk.closed() == aiohttp.WSCloseCode.POLICY_VIOLATION
    assert len(upstream.seen) == 1


@pytest.mark.parametrize("open_to_all", [False, True])
async def test_pages_of_other_sites_may_not_open_a_connection_without_a_key(house, serve, http, open_to_all):
    gateway = house("chat", config=Config(auth=AuthConfig(allow_anonymous=open_to_all)))
    url = await serve(gateway) + "/v1/responses"
    async with http.get(url, headers=UPGRADE | {"Origin": "https://evil.example"}) as answer:
        assert answer.status == 403
        assert "evil.example" in (await answer.json())["error"]["message"]


@pytest.mark.parametrize(
    ("config", "headers"),
    [
        (Config(), {"Origin": "http://localhost:3000"}),
        (
            Config(server=ServerConfig(cors_origins=("https://app.example",))),
            {"Origin": "https://app.example"},
        ),
        (
            Config(auth=AuthConfig(allow_anonymous=True)),
            {"Origin": "https://ai.example", "Host": "ai.example"},
        ),
    ],
    ids=["own machine", "listed", "same site"],
)
async def test_pages_that_belong_here_may_open_a_connection(house, upstream, connect, config, headers):
    upstream.stream(HELLO)
    talk = await connect(house("chat", config=config), headers=headers)
    assert (await talk.response())["status"] == "completed"


async def test_headers_of_the_upgrade_do_not_reach_the_provider(gateway, upstream, connect):
    upstream.stream(HELLO)
    talk = await connect(gateway, headers={"OpenAI-Beta": "responses_websockets=2026-02-06"})
    await talk.response()
    seen = {name.lower(): value for name, value in upstream.seen[0].headers.items()}
    assert not [name for name in seen if name.startswith("sec-websocket") or name == "upgrade"]
    assert seen["content-type"] == "application/json"


async def test_to_plugins_a_turn_is_a_request_with_an_id_of_its_own(gateway, upstream, connect):
    upstream.stream(HELLO)
    seen = []

    async def admit(exchange):
        seen.append((exchange.id, exchange.request.method, dict(exchange.request.headers)))

    use(gateway, admit=admit)
    talk = await connect(gateway, headers={"X-Request-ID": "mine", "X-Title": "app"})
    assert talk.socket._response.headers["x-request-id"] == "mine"
    await talk.response()
    await talk.response()
    ids, methods, headers = zip(*seen, strict=True)
    assert len({"mine", *ids}) == 3
    assert set(methods) == {"POST"}
    assert headers[0]["X-Title"] == "app"
    assert not {"upgrade", "connection", "x-request-id"} & {name.lower() for name in headers[0]}
