"""Plugins that edit the events of a stream, alone and through the whole gateway."""

import json

import aiohttp
import pytest
from attrs import evolve
from support.scripted import HELLO, USAGE, USAGE_CHUNK, chunk, sse

from aigw.dialects.opaque import OpaqueDecoder, OpaqueEncoder
from aigw.dialects.openai_chat import OPENAI_CHAT
from aigw.dialects.openai_events import COMPLETIONS, RESPONSES
from aigw.errors import ErrorKind, ServerError, UpstreamError
from aigw.hooks.table import Hook
from aigw.model import Failed, Finished, Foreign, TextDelta, UsageReported
from aigw.relay.translate import TranslateRelay

ASK = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}
TEXT = {"choices": [{"index": 0, "text": "Hi", "finish_reason": None}]}
STOP = {"choices": [{"index": 0, "text": "", "finish_reason": "stop"}]}


def uppercase(event):
    return [evolve(event, text=event.text.upper())] if isinstance(event, TextDelta) else [event]


def drop_text(event):
    return [] if isinstance(event, TextDelta) else [event]


def drop_all(event):
    return []


def say_twice(event):
    return [event, event]


def add_behind_the_end(event):
    return [event, TextDelta(0, "late")] if isinstance(event, Finished) else [event]


class Plugin:
    def __init__(self, transform, on_failure="closed"):
        self.transform = transform
        self.on_failure = on_failure

    def transform_stream(self, exchange):
        return self.transform


@pytest.fixture
async def http():
    async with aiohttp.ClientSession() as session:
        yield session


async def ask(http, url, path="/v1/chat/completions", **fields):
    async with http.post(url + path, json={**ASK, **fields}) as response:
        return response.status, await response.read()


def trees(body):
    datas = [frame.partition(b"data: ")[2] for frame in body.split(b"\n\n") if frame]
    return [json.loads(data) for data in datas if data and data != b"[DONE]"]


def text_of(body):
    return "".join(
        choice["delta"].get("content") or "" for tree in trees(body) for choice in tree.get("choices", ())
    )


def relay_of(transform, *, is_open=False, **options):
    hook = Hook("editor", "transform_stream", transform, is_open)
    decoder, encoder = OPENAI_CHAT.stream_decoder(), OPENAI_CHAT.stream_encoder(None)
    return TranslateRelay(decoder, encoder, [(hook, transform)], **options)


@pytest.mark.parametrize(
    ("transform", "text"), [(uppercase, "HELLO"), (drop_text, ""), (say_twice, "HelHello" + "lo")]
)
async def test_a_plugin_edits_what_the_client_reads(
    gateway, upstream, serve, http, complete, transform, text
):
    if transform is say_twice:
        transform = lambda event: [event, event] if isinstance(event, TextDelta) else [event]  # noqa: E731
        text = "HelHellolo"
    gateway.hooks.register(Plugin(transform))
    upstream.stream(HELLO)
    status, body = await ask(http, await serve(gateway))
    if not text:  # an answer with nothing in it any more still ends
        assert (status, body.endswith(b"data: [DONE]\n\n")) == (200, True)
    assert text_of(body) == text
    assert body.count(b"data: [DONE]\n\n") == 1
    assert [record.ending for record in complete] == ["complete"]


@pytest.mark.parametrize("transform", [drop_all, say_twice, add_behind_the_end])
def test_a_stream_ends_exactly_once_whatever_a_plugin_does_to_its_end(transform):
    relay = relay_of(transform)
    out = relay.feed(HELLO) + relay.close()
    assert relay.ended
    assert out.count(b"[DONE]") == 1
    assert out.endswith(b"data: [DONE]\n\n")
    assert b"late" not in out


def test_a_failure_cannot_be_dropped_either():
    relay = relay_of(drop_all)
    out = relay.feed(sse(chunk("a"), done=False)) + relay.close()
    assert relay.error.kind is ErrorKind.UPSTREAM_TRUNCATED
    assert trees(out)[-1]["error"]["code"] == "upstream_truncated"


def test_token_counts_are_taken_down_even_if_a_plugin_drops_them():
    relay = relay_of(lambda event: [] if isinstance(event, UsageReported) else [event])
    out = relay.feed(sse(chunk("a"), chunk(finish="stop"), USAGE_CHUNK))
    assert relay.usage.output_tokens == 2
    assert b"completion_tokens" not in out


def test_an_observer_that_fails_leaves_the_event_as_it_was():
    relay = relay_of(lambda event: 1 / 0, is_open=True)
    assert text_of(relay.feed(HELLO)) == "Hello"


def test_an_editor_that_fails_raises_and_lets_no_text_through():
    relay = relay_of(lambda event: 1 / 0)
    with pytest.raises(ServerError) as caught:
        relay.feed(HELLO)
    assert caught.value.kind is ErrorKind.HOOK_FAILED
    out = relay.fail(caught.value)
    assert b"Hel" not in out
    assert trees(out)[-1]["error"]["code"] == "hook_failed"


async def test_a_plugin_that_fails_in_mid_stream_ends_it_with_an_error_event(
    gateway, upstream, serve, http, complete
):
    def transform(event):
        if isinstance(event, TextDelta) and event.text == "secret":
            raise ZeroDivisionError
        return [event]

    gateway.hooks.register(Plugin(transform))
    upstream.stream(sse(chunk("a"), done=False), 0.05, sse(chunk("secret"), chunk("b"), chunk(finish="stop")))
    status, body = await ask(http, await serve(gateway))
    assert status == 200
    assert text_of(body) == "a"
    assert b"secret" not in body
    assert trees(body)[-1]["error"]["code"] == "hook_failed"
    assert b"[DONE]" not in body
    assert [record.ending for record in complete] == ["failed"]


async def test_a_plugin_that_fails_before_content_is_a_real_status(gateway, upstream, serve, http):
    gateway.hooks.register(Plugin(lambda event: 1 / 0))
    upstream.stream(HELLO)
    status, body = await ask(http, await serve(gateway))
    assert (status, json.loads(body)["error"]["code"]) == (500, "hook_failed")


@pytest.mark.parametrize("asked", [True, False])
async def test_token_counts_are_shown_to_those_who_asked(gateway, upstream, serve, http, complete, asked):
    gateway.hooks.register(Plugin(uppercase))
    upstream.stream(sse(chunk("a"), chunk(finish="stop"), USAGE_CHUNK))
    more = {"stream_options": {"include_usage": True}} if asked else {}
    _, body = await ask(http, await serve(gateway), **more)
    assert (b'"completion_tokens":2' in body) is asked
    assert (b'"usage"' in body) is asked
    assert text_of(body) == "A"
    assert complete[0].usage.output_tokens == 2


@pytest.mark.parametrize("asked", [True, False])
async def test_a_stream_nobody_can_read_is_edited_frame_by_frame(
    gateway, upstream, serve, http, complete, asked
):
    def transform(event):
        if isinstance(event, Foreign) and event.tree["choices"]:
            event.tree["choices"][0]["text"] = event.tree["choices"][0]["text"].upper()
        return [event]

    gateway.hooks.register(Plugin(transform))
    upstream.stream(sse(TEXT, STOP, {"choices": [], "usage": USAGE}))
    more = {"stream_options": {"include_usage": True}} if asked else {}
    _, body = await ask(http, await serve(gateway), "/v1/completions", prompt="hi", **more)
    assert trees(body)[0]["choices"][0]["text"] == "HI"
    assert body.endswith(b"data: [DONE]\n\n")
    assert (b'"usage"' in body) is asked
    assert complete[0].usage.output_tokens == 2
    assert [record.ending for record in complete] == ["complete"]


def test_event_names_survive_an_edit_of_a_stream_nobody_can_read():
    delta = {"type": "response.output_text.delta", "delta": "a"}
    end = {"type": "response.completed", "response": {"usage": {"input_tokens": 1, "output_tokens": 2}}}
    stream = b"".join(b"event: %s\n" % tree["type"].encode() + sse(tree, done=False) for tree in (delta, end))
    relay = TranslateRelay(OpaqueDecoder(RESPONSES), OpaqueEncoder(RESPONSES))
    out = relay.feed(stream)
    assert trees(out) == [delta, end]
    assert [line for line in out.split(b"\n") if line.startswith(b"event")] == [
        line for line in stream.split(b"\n") if line.startswith(b"event")
    ]
    assert relay.ended
    assert relay.usage.output_tokens == 2


def opaque_events(stream, **options):
    decoder = OpaqueDecoder(COMPLETIONS, **options)
    return decoder.feed(stream) + decoder.close()


@pytest.mark.parametrize(
    ("stream", "options", "end"),
    [
        (sse(TEXT, STOP), {}, Finished),
        (sse(TEXT, STOP, done=False) + b"data: [DONE]", {}, Finished),
        (sse(TEXT, STOP, done=False), {"done_optional": True}, Finished),
        (sse(TEXT, STOP, done=False), {}, Failed),
        (sse(TEXT, done=False), {"done_optional": True}, Failed),
        (sse(TEXT, STOP, done=False) + b"data: {", {"done_optional": True}, Failed),
        (sse(TEXT, {"error": {"message": "no"}}, TEXT), {}, Failed),
        (sse(TEXT, STOP) + sse(TEXT), {}, Finished),
        (b"", {}, Failed),
    ],
)
def test_an_opaque_stream_has_exactly_one_end(stream, options, end):
    events = opaque_events(stream, **options)
    assert [type(event) for event in events if isinstance(event, Finished | Failed)] == [end]
    assert isinstance(events[-1], end)


def test_an_opaque_encoder_ends_once():
    encoder = OpaqueEncoder(COMPLETIONS)
    assert encoder.encode(Finished()) == b""
    assert encoder.close() == b"data: [DONE]\n\n"
    assert encoder.close() == b""
    assert b"gone" in OpaqueEncoder(COMPLETIONS).fail(UpstreamError("gone"))
