"""A hook that fails: closed in the caller's format, or open."""

import json
from inspect import iscoroutinefunction, signature

import pytest
from support.plugins import CHAT, STREAM
from support.scripted import HELLO, chunk, sse

from aigw.hooks.spec import HookSpec
from aigw.hooks.table import HOOK_NAMES

FAILING = [point for point in HOOK_NAMES if point not in {"provide", "setup", "on_error", "on_complete"}]


def plugin_that_fails(point, on_failure):
    """Make a plugin whose one hook has the parameters that the specification names, and raises."""
    names = ", ".join(signature(getattr(HookSpec, point)).parameters)
    kind = "async def" if iscoroutinefunction(getattr(HookSpec, point)) else "def"
    space = {}
    exec(f"{kind} {point}({names}):\n    raise ValueError('sk-secret')", space)
    return type("Broken", (), {"name": "broken", "on_failure": on_failure, point: space[point]})()


@pytest.mark.parametrize("on_failure", ["closed", "open"])
@pytest.mark.parametrize("point", FAILING)
async def test_a_failing_hook_fails_closed_or_open(gateway, upstream, post, caplog, point, on_failure):
    body = STREAM if "stream" in point else CHAT
    upstream.stream(HELLO) if "stream" in point else upstream.answer()
    gateway.hooks.register(plugin_that_fails(point, on_failure))
    status, headers, text = await post(gateway, body)
    assert f"plugin broken failed in {point}" in caplog.text
    assert "sk-secret" not in text
    if on_failure == "open":  # but whoever cannot say who asks has not said that anybody may
        assert status == (401 if point == "authenticate" else 200)
        return
    error = json.loads(text)["error"]
    assert (status, error["code"]) == (500, "hook_failed")
    assert error["message"].startswith(f'plugin "broken" failed in {point}')
    assert headers["x-request-id"]
    assert "Traceback" not in text


async def test_a_failing_on_error_hook_still_gives_the_caller_an_error(gateway, upstream, post):
    upstream.raw(b"no", status=500)
    gateway.hooks.register(plugin_that_fails("on_error", "closed"))
    status, _, text = await post(gateway)
    assert (status, json.loads(text)["error"]["code"]) == (500, "hook_failed")


async def test_a_failing_on_error_hook_still_lets_a_stream_end_well(gateway, upstream, post):
    upstream.stream(sse(chunk("a"), done=False), 0.05, "cut")
    gateway.hooks.register(plugin_that_fails("on_error", "closed"))
    status, _, text = await post(gateway, STREAM)
    assert status == 200
    assert text.count('"error"') == 1
    assert "hook_failed" in text
