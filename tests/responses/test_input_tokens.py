"""POST /v1/responses/input_tokens: the provider's own count, another API's, or an estimate that says so."""

import pytest
from support.answers import error_of

import aigw

PATH = "/v1/responses/input_tokens"
COUNT = {"object": "response.input_tokens", "input_tokens": 11}
THEIRS = {
    "responses": (COUNT, PATH),
    "messages": ({"input_tokens": 11}, "/v1/messages/count_tokens"),
    "gemini": ({"totalTokens": 11}, "/v1beta/models/up-model:countTokens"),
}


def gateway_for(upstream, api):
    gateway = aigw.Gateway()
    gateway.models.register(
        "m", aigw.Provider(upstream.url, "sk-up", name="up", apis=[api]), rewrite="up-model"
    )
    return gateway


@pytest.mark.parametrize("api", THEIRS)
async def test_a_provider_that_counts_is_asked(upstream, serve, sdk, api):
    answer, path = THEIRS[api]
    upstream.answer(answer)
    client = sdk(await serve(gateway_for(upstream, api)))
    count = await client.responses.input_tokens.count(model="m", input="How many?", instructions="Be brief.")
    assert count.to_dict() == COUNT
    assert upstream.seen[0].path == path


async def test_where_nobody_counts_the_answer_is_an_estimate_that_says_so(upstream, serve, http):
    url = await serve(gateway_for(upstream, "chat"))
    body = {"model": "m", "input": [{"role": "user", "content": "word " * 400}]}
    answer = await http.post(url + PATH, json=body)
    tree = await answer.json()
    assert answer.headers["x-aigw-estimated"] == "true"
    assert 400 <= tree["input_tokens"] <= 600
    assert upstream.seen == []


async def test_a_server_of_responses_that_does_not_know_the_url_is_no_error(upstream, serve, http):
    upstream.answer({"detail": "Not Found"}, status=404)
    url = await serve(gateway_for(upstream, "responses"))
    answer = await http.post(url + PATH, json={"model": "m", "input": "hi"})
    assert answer.status == 200
    assert answer.headers["x-aigw-estimated"] == "true"


async def test_what_a_request_continues_is_counted_with_it(upstream, serve, http):
    upstream.answer()
    url = await serve(gateway_for(upstream, "chat"))
    first = await (await http.post(url + "/v1/responses", json={"model": "m", "input": "word " * 400})).json()
    body = {"model": "m", "input": "and?", "previous_response_id": first["id"]}
    tree = await (await http.post(url + PATH, json=body)).json()
    assert tree["input_tokens"] > 400


async def test_an_unknown_model_is_a_404(upstream, serve, http):
    url = await serve(gateway_for(upstream, "chat"))
    answer = await http.post(url + PATH, json={"model": "nowhere", "input": "hi"})
    await error_of(answer, 404, "model_not_found", "model")
