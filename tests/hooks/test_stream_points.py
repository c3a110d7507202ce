"""The laws of the hooks that meet an answer: streams and whole ones."""

import json

import pytest
from attrs import evolve
from support.plugins import STREAM, use
from support.scripted import HELLO, chunk, sse

import aigw
from aigw.model import Finished, TextDelta


@pytest.mark.parametrize("also_editing", [False, True])
async def test_watch_stream_sees_whole_frames_and_is_asked_once(gateway, upstream, post, also_editing):
    whole = HELLO
    upstream.stream(whole[:30], 0.05, whole[30:90], 0.05, whole[90:])
    seen, asked = [], []

    def watch_stream(exchange):
        asked.append(exchange.model)
        return seen.append

    use(gateway, watch_stream=watch_stream)
    if also_editing:
        use(gateway, "edit", transform_stream=lambda exchange: None)
    _, _, text = await post(gateway, STREAM)
    assert b"".join(seen).decode() == text
    assert all(frames.endswith(b"\n\n") for frames in seen)
    assert asked == ["m"]


async def test_watch_stream_sees_nothing_of_an_attempt_that_the_client_never_saw(gateway, upstream, post):
    role = {**chunk(), "choices": [{"index": 0, "delta": {"role": "assistant"}, "finish_reason": None}]}
    upstream.stream(sse(role, done=False), "cut")
    upstream.stream(HELLO)
    provider = gateway.models.providers["up"]
    gateway.models.register("two", targets=[aigw.Target(provider, "a"), aigw.Target(provider, "b", weight=0)])
    seen = []

    def watch_stream(exchange):
        mine = []
        seen.append(mine)
        return mine.append

    use(gateway, watch_stream=watch_stream)
    _, headers, text = await post(gateway, {**STREAM, "model": "two"})
    assert headers["x-aigw-attempts"] == "2"
    assert [b"".join(frames).decode() for frames in seen if frames] == [text]


async def test_watch_stream_that_fails_is_asked_no_more_and_the_stream_goes_on(
    gateway, upstream, post, caplog
):
    upstream.stream(sse(chunk("a"), done=False), 0.05, sse(chunk("b"), chunk(finish="stop")))
    calls = []

    def watcher(frames):
        calls.append(frames)
        raise ValueError("blind")

    use(gateway, watch_stream=lambda exchange: watcher)
    status, _, text = await post(gateway, STREAM)
    assert (status, text.count("[DONE]"), len(calls)) == (200, 1, 1)
    assert "plugin p failed in watch_stream" in caplog.text


async def test_transform_stream_changes_drops_and_adds_events(gateway, upstream, post):
    upstream.stream(sse(chunk("one "), chunk("two "), chunk("three"), chunk(finish="stop")))

    def transform_stream(exchange):
        held = []

        def transform(event):
            if isinstance(event, TextDelta) and event.text == "two ":
                return []
            if isinstance(event, TextDelta):
                held.append(event)
                return [evolve(event, text=event.text.upper())]
            return [event]

        return transform

    use(gateway, transform_stream=transform_stream)
    _, _, text = await post(gateway, STREAM)
    assert "ONE " in text
    assert "THREE" in text
    assert "two" not in text.lower()
    assert text.count("[DONE]") == 1


async def test_transform_stream_runs_in_the_order_of_plugins_and_ends_with_finished(gateway, upstream, post):
    upstream.stream(HELLO)
    last = []

    def adds(mark):
        def transform_stream(exchange):
            def transform(event):
                last.append(event)
                return [evolve(event, text=event.text + mark) if isinstance(event, TextDelta) else event]

            return transform

        return transform_stream

    use(gateway, "a", transform_stream=adds("1"))
    use(gateway, "b", transform_stream=adds("2"))
    _, _, text = await post(gateway, STREAM)
    assert '"Hel12"' in text
    assert isinstance(last[-1], Finished)


async def test_transform_stream_that_fails_ends_the_stream_unless_it_is_open(gateway, upstream, post):
    upstream.stream(sse(chunk("a"), done=False), 0.05, sse(chunk("b"), chunk(finish="stop")))

    def transform_stream(exchange):
        def transform(event):
            if isinstance(event, TextDelta) and event.text == "b":
                raise ValueError("secret detail")
            return [event]

        return transform

    use(gateway, transform_stream=transform_stream)
    status, _, text = await post(gateway, STREAM)
    assert status == 200
    assert 'plugin \\"p\\" failed in transform_stream' in text
    assert '"b"' not in text
    assert "secret detail" not in text


async def test_rewrite_response_changes_a_whole_answer(gateway, upstream, post):
    upstream.answer()

    async def rewrite_response(exchange, payload):
        assert payload.decoded() is not None
        payload.edit()["note"] = "changed"

    use(gateway, rewrite_response=rewrite_response)
    status, headers, text = await post(gateway)
    assert (status, json.loads(text)["note"]) == (200, "changed")
    assert int(headers["Content-Length"]) == len(text)


async def test_rewrite_response_meets_no_stream_and_no_error(gateway, upstream, post):
    upstream.stream(HELLO)
    upstream.answer({"error": {"message": "no"}}, status=400)
    met = []

    async def rewrite_response(exchange, payload):
        met.append(exchange)

    use(gateway, rewrite_response=rewrite_response)
    assert (await post(gateway, STREAM))[0] == 200
    assert (await post(gateway))[0] == 400
    assert met == []
