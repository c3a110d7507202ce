"""Every hook runs for every endpoint that reaches a model: none can be skipped."""

import json

import pytest
from aiohttp import FormData
from support.plugins import CHAT

import aigw
from aigw.dialects.endpoints import ENDPOINTS
from aigw.hooks.table import HOOK_NAMES

REQUEST_HOOKS = tuple(name for name in HOOK_NAMES if name not in {"provide", "setup"})


class Everything:
    """Every hook of a request, and a note of each that ran."""

    name = "everything"

    def __init__(self):
        self.ran = []

    async def authenticate(self, exchange):
        self.ran.append("authenticate")
        return aigw.Identity()

    async def admit(self, exchange):
        self.ran.append("admit")

    async def rewrite_request(self, exchange, payload):
        self.ran.append("rewrite_request")

    async def choose_targets(self, exchange, targets):
        self.ran.append("choose_targets")

    async def before_call(self, exchange, attempt, call):
        self.ran.append("before_call")

    async def after_call(self, exchange, attempt, answer):
        self.ran.append("after_call")

    def watch_stream(self, exchange):
        self.ran.append("watch_stream")

    def transform_stream(self, exchange):
        self.ran.append("transform_stream")

    async def rewrite_response(self, exchange, payload):
        self.ran.append("rewrite_response")

    async def on_error(self, exchange, error):
        self.ran.append("on_error")

    def on_complete(self, record):
        self.ran.append("on_complete")


def test_what_follows_is_of_every_hook_there_is():
    assert {name for name in dir(Everything) if name in HOOK_NAMES} == set(REQUEST_HOOKS)


CONTENT = {"role": "user", "parts": [{"text": "hi"}]}
BODIES = {
    "/v1/chat/completions": CHAT,
    "/v1/messages": {**CHAT, "max_tokens": 9},
    "/v1/messages/count_tokens": CHAT,
    ":generateContent": {"contents": [CONTENT]},
    ":streamGenerateContent": {"contents": [CONTENT]},
    ":countTokens": {"contents": [CONTENT]},
    ":embedContent": {"content": CONTENT},
    ":batchEmbedContents": {"requests": [{"model": "models/demo", "content": CONTENT}]},
    "/v1/completions": {"prompt": "hi"},
    "/v1/responses": {"input": "hi"},
    "/v1/responses/compact": {"input": "hi"},
    "/v1/responses/input_tokens": {"input": "hi"},
    "/v1/embeddings": {"input": "hi"},
    "/v1/moderations": {"input": "hi"},
    "/v1/images/generations": {"prompt": "a cat"},
    "/v1/images/edits": {"prompt": "a cat", "image": b"png"},
    "/v1/images/variations": {"image": b"png"},
    "/v1/audio/speech": {"input": "hi", "voice": "alloy"},
    "/v1/audio/transcriptions": {"file": b"wav"},
    "/v1/audio/translations": {"file": b"wav"},
}
# What the demo provider has no word for is asked of one that says the same to everybody.
COUNTS = {
    "/v1/responses/compact": {"id": "resp_1", "object": "response.compaction", "output": []},
    "/v1/responses/input_tokens": {"object": "response.input_tokens", "input_tokens": 1},
    "/v1/messages/count_tokens": {"input_tokens": 1},
    ":countTokens": {"totalTokens": 1},
    ":embedContent": {"embedding": {"values": [0.5]}},
    ":batchEmbedContents": {"embeddings": [{"values": [0.5]}]},
}
BEFORE = ["authenticate", "admit", "rewrite_request", "choose_targets", "before_call", "after_call"]
BY_PATH = pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.path)


def key_of(endpoint):
    """Return the endpoint's name in the tables: its path, or what it does with the model in its path."""
    return ":" + endpoint.path.rpartition(":")[2] if endpoint.has_model_in_path else endpoint.path


@pytest.fixture
def gateway_for(upstream):
    """Make a gateway with a plugin, whose one model can do all that an endpoint asks."""

    def make(endpoint, plugin):
        gateway = aigw.Gateway()
        provider = aigw.DemoProvider(pace_s=0)
        if key_of(endpoint) in COUNTS:
            upstream.answer(COUNTS[key_of(endpoint)])
            provider = aigw.Provider(upstream.url, "k", name="counting", apis=[endpoint.api])
            provider.compacts = True
        gateway.models.register("*", provider)
        gateway.hooks.register(plugin)
        return gateway

    return make


def path_for(endpoint):
    return endpoint.path_for("demo") + (f"?{endpoint.query}" if endpoint.query else "")


def body_for(endpoint, **more):
    fields = {**BODIES[key_of(endpoint)]}
    if not endpoint.has_model_in_path:
        fields |= {"model": "demo", **more}
    if endpoint.body == "json":
        return {"json": fields}
    form = FormData(quote_fields=False)
    for name, value in fields.items():
        file = {"filename": "file.png", "content_type": "image/png"} if isinstance(value, bytes) else {}
        form.add_field(name, value if isinstance(value, bytes | str) else json.dumps(value), **file)
    return {"data": form}


@pytest.mark.parametrize(
    "endpoint",
    [endpoint for endpoint in ENDPOINTS if not endpoint.stream],
    ids=lambda endpoint: endpoint.path,
)
async def test_no_endpoint_skips_a_hook(endpoint, gateway_for, http, serve, eventually):
    plugin = Everything()
    url = await serve(gateway_for(endpoint, plugin))
    async with http.post(url + path_for(endpoint), **body_for(endpoint)) as response:
        assert response.status == 200, await response.text()
        is_json = response.content_type == "application/json"
        await response.read()
    await eventually(lambda: "on_complete" in plugin.ran)
    rest = ["rewrite_response"] if is_json else []
    assert plugin.ran == [*BEFORE, *rest, "on_complete"]


@pytest.mark.parametrize(
    "endpoint", [endpoint for endpoint in ENDPOINTS if endpoint.grammar], ids=lambda endpoint: endpoint.path
)
async def test_no_endpoint_that_streams_skips_a_stream_hook(endpoint, gateway_for, http, serve, eventually):
    plugin = Everything()
    url = await serve(gateway_for(endpoint, plugin))
    more = {"stream_format": "sse"} if endpoint.path == "/v1/audio/speech" else {}
    async with http.post(url + path_for(endpoint), **body_for(endpoint, stream=True, **more)) as response:
        assert (response.status, response.content_type) == (200, "text/event-stream"), await response.text()
        await response.read()
    await eventually(lambda: "on_complete" in plugin.ran)
    assert plugin.ran[:-3] == BEFORE
    assert sorted(plugin.ran[-3:-1]) == ["transform_stream", "watch_stream"]


@BY_PATH
async def test_no_endpoint_skips_on_error(endpoint, gateway_for, http, serve, eventually):
    plugin = Everything()

    async def after_call(exchange, attempt, answer):
        raise aigw.ClientError("no")

    plugin.after_call = after_call
    url = await serve(gateway_for(endpoint, plugin))
    async with http.post(url + path_for(endpoint), **body_for(endpoint)) as response:
        assert response.status == 400
    await eventually(lambda: "on_complete" in plugin.ran)
    assert plugin.ran == [*BEFORE[:-1], "on_error", "on_complete"]
