"""What would be sent, told by the chain itself: in any format, translated, changed, guessed."""

import json

import pytest
from support.explained import BEARER, CONFIG, FORMATS, HI, KEY, no_file, to_tree

import aigw
from aigw.config import loads
from aigw.explain.asked import Flags, read_request
from aigw.explain.dry_run import dry_run

NATIVE = {"chat": "own/llama", "messages": "claude", "gemini": "gem-model", "responses": "res"}


@pytest.mark.parametrize("model", NATIVE.values())
@pytest.mark.parametrize("client", FORMATS)
async def test_any_format_is_explained_at_any_provider(ask, client, model):
    body, path = FORMATS[client]
    tree = await ask({"model": model, **body}, path=path.format(model))
    assert tree["sent"]
    (target,) = tree["targets"]
    call = target["call"]
    assert call["translated"] is (NATIVE[client] != model)
    assert tree["request"]["format"] == client
    assert NATIVE[target["format"]] == model
    said = {**call["body"]}
    assert "hi" in json.dumps(said)
    if model != "gem-model":
        assert said["model"] in {"llama", "claude-x", "model-r"}
    shown = [value for name, value in call["headers"].items()
             if name.lower() in {"authorization", "x-api-key", "x-goog-api-key"}]  # fmt: skip
    assert shown in (["Bearer ***"], ["***"])


@pytest.mark.parametrize("client", FORMATS)
async def test_a_path_is_guessed_from_the_body(ask, client):
    body, path = FORMATS[client]
    tree = await ask({"model": "res", **body})
    assert tree["request"]["path"] == path.format("res")
    assert tree["request"]["path_is_guessed"]


async def test_what_is_told_is_what_is_sent(upstream, http, aiohttp_client):
    """The same request, once explained and once made."""
    upstream.answer()
    config = loads(to_tree(CONFIG, upstream.url), {}, known_providers=None)
    body = {"model": "own/llama", "stream": False, "messages": HI, "unknown_field": [1]}
    flags = Flags(None, "/v1/chat/completions?x=1", None, (BEARER, "OpenAI-Beta: b"), json.dumps(body))
    done = await dry_run(read_request(flags, no_file), config, {}, installed={})
    (outgoing,) = done.noted.calls.values()
    assert upstream.seen == []
    app = aigw.assemble.assemble(config, {}, installed={}).gateway.make_app()
    client = await aiohttp_client(app)
    sent = {"Authorization": f"Bearer {KEY}", "OpenAI-Beta": "b", "Content-Type": "application/json"}
    answer = await client.post(flags.path, data=flags.data.encode(), headers=sent)
    assert answer.status == 200
    (seen,) = upstream.seen
    assert (seen.body, seen.method) == (outgoing.call.body, "POST")
    assert outgoing.url == f"{upstream.url}{seen.path}?{seen.query}"
    theirs = {name.lower(): value for name, value in seen.headers.items()}
    for name, value in outgoing.call.headers.items():
        assert theirs[name.lower()] == value


async def test_what_another_format_cannot_hold_is_told(ask):
    tree = await ask({"model": "claude", "messages": HI, "seed": 4, "logit_bias": {"3": 1}})
    (target,) = tree["targets"]
    assert target["call"]["dropped"] == ["sampling.logit_bias", "sampling.seed"]
    assert "seed" not in target["call"]["body"]


async def test_under_strict_what_would_be_dropped_goes_to_another_target(ask):
    body = {"model": "both", "messages": HI, "seed": 4}
    tree = await ask(body, headers=(BEARER, "x-aigw-strict: 1"))
    first, second = tree["targets"]
    assert first["call"]["body"]["seed"] == 4
    assert second["call"] is None
    assert "cannot hold sampling.seed" in second["refused"]["message"]
    assert tree["request"]["strict"]
    tree = await ask({**body, "model": "claude"}, headers=(BEARER, "x-aigw-strict: 1"))
    assert (tree["sent"], tree["answer"]["status"]) == (False, 400)
    assert "cannot hold sampling.seed" in tree["answer"]["body"]["error"]["message"]


async def test_what_a_profile_changes_is_told(ask):
    profile = (
        '[profiles.odd]\nmodels = ["claude-x"]\ndrop = ["sampling.temperature"]\nmax_output_tokens = 9\n'
    )
    body = {"model": "claude", "messages": HI, "temperature": 0.3, "max_tokens": 100}
    tree = await ask(body, config=CONFIG + profile)
    call = tree["targets"][0]["call"]
    assert call["profile"] == {"name": "odd", "changed": ["sampling.temperature", "max_output_tokens"]}
    assert call["body"]["max_tokens"] == 9


async def test_a_background_response_is_explained_as_it_will_be_asked(ask):
    tree = await ask({"model": "res", "input": "hi", "background": True})
    assert "background" not in tree["targets"][0]["call"]["body"]


async def test_the_same_request_is_told_in_the_same_words(ask):
    for client, (body, path) in FORMATS.items():
        first, second = [await ask({"model": "fast", **body}, path=path.format("fast")) for _ in range(2)]
        assert first == second, client
