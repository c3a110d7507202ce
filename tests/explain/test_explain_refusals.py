"""Who asks, and what a caller would see who is refused."""

import pytest
from support.explained import BEARER, HI


async def test_the_caller_is_named(ask):
    tree = await ask({"model": "claude", "messages": HI})
    assert tree["caller"] == {"tenant": "team-a", "name": "ci", "models": ["*"], "is_admin": False}
    assert tree["hooks"]["authenticate"] == ["keys"]


@pytest.mark.parametrize(
    ("body", "headers", "status", "words"),
    [
        ({"model": "claude", "messages": HI}, (), 401, "no API key was sent"),
        ({"model": "claude", "messages": HI}, ("x-api-key: sk-stranger-0",), 401, "not known here"),
        (
            {"model": "fast", "messages": HI},
            ("x-api-key: sk-other-secret-2",),
            403,
            "not allowed for this key",
        ),
        ({"model": "claud", "messages": HI}, (BEARER,), 404, 'did you mean "claude"?'),
        ({"messages": HI}, (BEARER,), 400, '"model" is missing'),
        ("{broken", (BEARER,), 400, "not valid JSON"),
        ({"model": "claude", "messages": HI}, (BEARER, "Content-Type: text/plain"), 415, "text/plain"),
        ({"model": "claude", "messages": HI}, (BEARER, "x-aigw-fallbacks: nope"), 404, "no such model"),
    ],
)
async def test_a_refusal_is_what_the_client_would_see(ask, body, headers, status, words):
    tree = await ask(body, path="/v1/chat/completions", headers=headers)
    assert not tree["sent"]
    assert tree["targets"] == []
    assert tree["answer"]["status"] == status
    assert words in tree["answer"]["body"]["error"]["message"]
    assert (tree["caller"] is None) is (status == 401)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/v1/messages", {"type": "error"}),
        ("/v1/chat/completions", {}),
        ("/v1beta/models/nope:generateContent", {}),
    ],
)
async def test_a_refusal_has_the_clients_own_shape(ask, path, told):
    tree = await ask({"model": "nope", "messages": HI, "contents": []}, path=path)
    error = tree["answer"]["body"]["error"]
    assert tree["answer"]["body"].items() >= told.items()
    assert ("status" in error) is ("v1beta" in path)


async def test_a_url_that_is_none_is_refused(ask):
    tree = await ask({"model": "claude"}, path="/v2/chat")
    assert (tree["sent"], tree["answer"]["status"], tree["caller"]) == (False, 404, None)
