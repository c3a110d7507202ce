"""Failures in each client's own words: its status, its shape, its SDK's exception, one terminal event."""

import json
import re

import pytest
from support.recordings import FOLDERS, WIRE
from support.scripted import HANG
from support.sdks import SDKS, Wish

from aigw.upstream.provider import Timeouts

APIS = tuple(SDKS)
URLS = {
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
    "gemini": "/v1beta/models/{model}:generateContent",
}
BODIES = {
    "chat": {"model": "m", "messages": [{"role": "user", "content": "hi"}]},
    "responses": {"model": "m", "input": "hi"},
    "messages": {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]},
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
}
# What each format calls the failures, as its vendor's reference has it.
TYPES = {
    "messages": {
        400: "invalid_request_error",
        404: "not_found_error",
        429: "rate_limit_error",
        529: "overloaded_error",
        500: "api_error",
        502: "api_error",
        503: "api_error",
        504: "timeout_error",
    },
    "gemini": {
        400: "INVALID_ARGUMENT",
        404: "NOT_FOUND",
        429: "RESOURCE_EXHAUSTED",
        500: "INTERNAL",
        502: "INTERNAL",
        503: "UNAVAILABLE",
        504: "DEADLINE_EXCEEDED",
    },
}


def url_of(client, *, stream=False, model="m"):
    url = URLS[client].replace("{model}", model)
    return url.replace(":generateContent", ":streamGenerateContent?alt=sse") if stream else url


def body_of(client, *, stream=False, **more):
    body = {**BODIES[client], **more}
    if client == "gemini":
        body.pop("model", None)
    elif stream:
        body["stream"] = True
    return body


def check_shape(client, status, tree):
    """Hold an error against the shape of a format, as its vendor's reference tells it; return its message."""
    error = tree["error"]
    assert error["message"]
    if client == "messages":
        assert tree["type"] == "error"
        assert error["type"] == TYPES["messages"].get(status, error["type"])
        assert error["type"].endswith("_error")
    elif client == "gemini":
        assert error["code"] == status
        assert error["status"] == TYPES["gemini"].get(status, error["status"])
        assert re.fullmatch(r"[A-Z_]+", error["status"])
    else:
        assert {"message", "type", "param", "code"} <= error.keys()
    return error["message"]


def openai_error(status, word):
    kind, code = {
        400: ("invalid_request_error", None),
        401: ("invalid_request_error", "invalid_api_key"),
        429: ("requests", "rate_limit_exceeded"),
    }.get(status, ("server_error", None))
    return {"error": {"message": word, "type": kind, "param": None, "code": code}}


ERRORS = {
    "chat": openai_error,
    "responses": openai_error,
    "messages": lambda status, word: {
        "type": "error",
        "error": {"type": TYPES["messages"].get(status, "api_error"), "message": word},
    },
    "gemini": lambda status, word: {
        "error": {"code": status, "message": word, "status": TYPES["gemini"].get(status, "UNKNOWN")}
    },
}


@pytest.mark.parametrize("client", APIS)
async def test_a_body_that_is_no_json_is_a_400_in_the_clients_words(house, upstream, serve, http, client):
    url = await serve(house("chat"))
    headers = {"Content-Type": "application/json"}
    async with http.post(url + url_of(client), data=b'{"a": ', headers=headers) as response:
        assert response.status == 400
        assert "JSON" in check_shape(client, 400, await response.json())
        assert response.headers["x-request-id"]
    assert upstream.seen == []


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("client", APIS)
async def test_an_unknown_model_is_a_404_in_the_clients_words(house, serve, http, client, stream):
    url = await serve(house("chat"))
    path = url_of(client, stream=stream, model="nobody")
    async with http.post(url + path, json=body_of(client, stream=stream, model="nobody")) as response:
        assert response.status == 404
        assert '"nobody"' in check_shape(client, 404, await response.json())


@pytest.mark.parametrize("client", APIS)
async def test_a_field_that_is_no_good_is_named_in_the_clients_words(house, serve, http, client):
    broken = {"chat": "messages", "responses": "input", "messages": "messages", "gemini": "contents"}[client]
    url = await serve(house("messages" if client != "messages" else "chat"))
    async with http.post(url + url_of(client), json=body_of(client, **{broken: 7})) as response:
        assert response.status == 400
        assert broken in check_shape(client, 400, await response.json())


@pytest.mark.parametrize(
    ("sent", "wanted"),
    [(400, 400), (401, 502), (429, 429), (500, 502), (503, 503)],
)
@pytest.mark.parametrize("provider", APIS)
@pytest.mark.parametrize("client", APIS)
async def test_what_a_provider_refuses_is_told_in_the_clients_words(
    house, upstream, serve, http, client, provider, sent, wanted
):
    if sent == 503 and provider == "messages":
        sent = 529
    word = "a secret of ours" if sent == 401 else "some words"
    upstream.answer(ERRORS[provider](sent, word), status=sent, headers={"retry-after": "7"})
    url = await serve(house(provider))
    for stream in (False, True):
        path = url_of(client, stream=stream)
        async with http.post(url + path, json=body_of(client, stream=stream)) as response:
            tree = await response.json()
            status = 529 if wanted == 503 and client == "messages" else wanted
            assert response.status == status, tree
            message = check_shape(client, status, tree)
            assert ("secret" not in message) if sent == 401 else ("some words" in message)
            assert response.headers["x-aigw-provider"] == "up"
            if sent == 429:
                assert response.headers["retry-after"] == "7"


@pytest.mark.parametrize("client", APIS)
async def test_a_provider_that_says_nothing_is_a_504_in_the_clients_words(
    house, upstream, serve, http, client
):
    upstream.raw(HANG)
    gateway = house("chat" if client != "chat" else "messages")
    gateway.models.providers["up"].timeouts = Timeouts(connect_s=0.05, first_byte_s=0.05, read_s=0.05)
    url = await serve(gateway)
    for stream in (False, True):
        path = url_of(client, stream=stream)
        async with http.post(url + path, json=body_of(client, stream=stream)) as response:
            assert response.status == 504
            check_shape(client, 504, await response.json())


@pytest.mark.parametrize(
    ("method", "path", "client", "status"),
    [
        ("POST", "/v1/messages/nothing", "messages", 404),
        ("GET", "/v1/messages", "messages", 405),
        ("GET", "/v1/messages/batches", "messages", 404),
        ("GET", "/v1beta/nothing", "gemini", 404),
        ("POST", "/v1beta/models/m:nothing", "gemini", 404),
        ("GET", "/v1beta/models/m:generateContent", "gemini", 405),
        ("POST", "/v1/nothing", "chat", 404),
    ],
)
async def test_an_url_that_does_not_exist_is_told_in_the_words_of_its_format(
    house, serve, http, method, path, client, status
):
    url = await serve(house("chat"))
    async with http.request(method, url + path, json={}) as response:
        assert response.status == status
        check_shape(client, status, await response.json())


BROKEN = {
    "chat": "error_object",
    "responses": "failed",
    "messages": "error_event",
    "gemini": "error_in_mid_stream",
}
CUT = {
    "chat": "no_done",
    "responses": "no_terminal_event",
    "messages": "no_message_stop",
    "gemini": "no_finish_reason",
}
TERMINAL = {
    "chat": rb"^data: \[DONE\]$|^data: \{\"error\":",
    "responses": rb"^event: (?:response\.(?:completed|incomplete|failed)|error)$",
    "messages": rb"^event: (?:message_stop|error)$",
    "gemini": rb'^data: .*"finishReason":|^data: \{"error":',
}


@pytest.mark.parametrize("broken", [BROKEN, CUT], ids=["error", "cut"])
@pytest.mark.parametrize("provider", APIS)
@pytest.mark.parametrize("client", APIS)
async def test_a_stream_that_fails_ends_with_one_error_and_the_sdk_raises(
    house, upstream, serve, sdk_for, tap, client, provider, broken
):
    recording = (WIRE / FOLDERS[provider] / "broken" / f"{broken[provider]}.sse").read_bytes()
    # The failure comes in a read of its own: with the first content in one, it would be a real error status.
    at = recording.rstrip(b"\n").rfind(b"\n\n") + 2
    upstream.stream(recording[:at], 0.02, recording[at:])
    gateway = house(provider)
    frames = tap(gateway)
    sdk = sdk_for(client, await serve(gateway))
    with pytest.raises(sdk.fails):
        await sdk.ask(Wish(), stream=True)
    body = b"".join(frames)
    ends = re.findall(TERMINAL[client], body, re.MULTILINE)
    if client == "responses":  # OpenAI's own word for it, then the one of the specification; each once
        assert ends in ([b"event: error", b"event: response.failed"], ends[:1])
        body = body.removesuffix(b"data: [DONE]\n\n")
    else:
        assert len(ends) == 1
    assert body.endswith(b"\n\n")
    assert b"error" in body.strip().rpartition(b"\n\n")[2]


@pytest.mark.parametrize("provider", APIS)
@pytest.mark.parametrize("client", APIS)
async def test_a_stream_that_fails_for_one_who_wants_the_whole_is_a_real_error(
    house, upstream, serve, http, client, provider
):
    upstream.stream((WIRE / FOLDERS[provider] / "broken" / f"{BROKEN[provider]}.sse").read_bytes())
    async with http.post(await serve(house(provider)) + url_of(client), json=body_of(client)) as response:
        tree = await response.json()
        assert response.status in {429, 502, 503, 529}
        check_shape(client, response.status, tree)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("client", APIS)
async def test_a_whole_answer_that_has_failed_is_a_real_error(house, upstream, serve, http, client, stream):
    failed = {"code": "server_error", "message": "it broke"}
    answer = {"id": "resp_1", "object": "response", "created_at": 1, "status": "failed", "model": "gpt-x"}
    upstream.answer({**answer, "output": [], "error": failed, "usage": None})
    url = await serve(house("responses"))
    async with http.post(
        url + url_of(client, stream=stream), json=body_of(client, stream=stream)
    ) as response:
        body = await response.text()
        if client == "responses" and not stream:
            assert json.loads(body)["error"] == failed  # its own client is told in its provider's very words
            return
        assert response.status == 502, body
        assert "it broke" in check_shape(client, 502, json.loads(body))
