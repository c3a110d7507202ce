"""Hooks mean the same where an exchange is translated: canonical coming in, the client's format going out."""

import json

import pytest
from attrs import evolve
from support.plugins import use
from support.received import read
from support.recordings import ANSWERS, CACHED, USAGE
from support.sdks import SDKS, Wish

from aigw.model import Message, TextDelta, TextPart

APIS = tuple(SDKS)
PAIRS = pytest.mark.parametrize(
    ("client", "provider"), [(client, provider) for client in APIS for provider in APIS]
)


@PAIRS
async def test_rewrite_request_sees_and_changes_the_canonical_form(
    house, upstream, serve, sdk_for, client, provider
):
    gateway = house(provider)

    async def rewrite_request(exchange, payload):
        request = payload.decoded()
        said = [item.text for item in request.items if isinstance(item, Message)]
        assert said[-1] == "hi"
        assert request.model == "m"
        items = (*request.items[:-1], Message("user", (TextPart("edited"),)))
        payload.replace(evolve(request, items=items))

    use(gateway, rewrite_request=rewrite_request)
    upstream.raw(ANSWERS["text"][provider].bytes(provider, stream=False))
    told = await sdk_for(client, await serve(gateway)).ask(Wish(system="Be brief."), stream=False)
    assert told.text == ANSWERS["text"][provider].text
    got = read(provider, upstream.seen[0].json)
    assert got.texts == ["edited"]
    assert got.system == "Be brief."


@pytest.mark.parametrize("client", APIS)
async def test_rewrite_request_may_name_another_model(house, upstream, serve, sdk_for, client):
    gateway = house("chat")
    gateway.models.register("n", gateway.models.providers["up"], rewrite="other-model")

    async def rewrite_request(exchange, payload):
        payload.replace(evolve(payload.decoded(), model="n"))

    use(gateway, rewrite_request=rewrite_request)
    upstream.raw(ANSWERS["text"]["chat"].bytes("chat", stream=False))
    await sdk_for(client, await serve(gateway)).ask(Wish(), stream=False)
    assert upstream.seen[0].json["model"] == "other-model"


@PAIRS
async def test_transform_stream_edits_the_events_of_every_format(
    house, upstream, serve, sdk_for, client, provider
):
    gateway = house(provider)

    def transform_stream(exchange):
        def louder(event):
            return [evolve(event, text=event.text.upper())] if isinstance(event, TextDelta) else [event]

        return louder

    use(gateway, transform_stream=transform_stream)
    recorded = ANSWERS["text"][provider]
    sdk = sdk_for(client, await serve(gateway))
    upstream.stream(recorded.bytes(provider, stream=True))
    told = await sdk.ask(Wish(), stream=True)
    assert told.text == recorded.text.upper()
    upstream.scripts.clear()
    upstream.raw(recorded.bytes(provider, stream=False))  # told as a stream, it is one to hooks, too
    told = await sdk.ask(Wish(), stream=True)
    assert told.text == recorded.text.upper()


def keep_records(gateway):
    records = []

    def on_complete(record):
        records.append(record)

    use(gateway, "keep", on_complete=on_complete)
    return records


TEXT_AT = {
    "chat": lambda tree: tree["choices"][0]["message"]["content"],
    "responses": lambda tree: tree["output"][0]["content"][0]["text"],
    "messages": lambda tree: tree["content"][0]["text"],
    "gemini": lambda tree: tree["candidates"][0]["content"]["parts"][0]["text"],
}


@PAIRS
async def test_rewrite_response_meets_the_clients_own_format(
    house, upstream, serve, sdk_for, client, provider
):
    gateway = house(provider)
    recorded = ANSWERS["text"][provider]

    async def rewrite_response(exchange, payload):
        assert TEXT_AT[client](payload.fields) == recorded.text
        response = payload.decoded()
        assert response.text == recorded.text
        [choice] = response.choices
        items = (evolve(choice.items[0], parts=(TextPart("edited"),)),)
        payload.replace(evolve(response, choices=(evolve(choice, items=items),)))

    use(gateway, rewrite_response=rewrite_response)
    sdk = sdk_for(client, await serve(gateway))
    upstream.raw(recorded.bytes(provider, stream=False))
    assert (await sdk.ask(Wish(), stream=False)).text == "edited"
    upstream.scripts.clear()
    upstream.stream(recorded.bytes(provider, stream=True))  # folded, it is a whole answer to hooks, too
    assert (await sdk.ask(Wish(), stream=False)).text == "edited"


@PAIRS
async def test_token_counts_are_taken_note_of(house, upstream, serve, sdk_for, http, client, provider):
    gateway = house(provider)
    records = keep_records(gateway)
    url = await serve(gateway)
    sdk = sdk_for(client, url)
    for stream in (False, True):
        upstream.scripts.clear()
        (upstream.stream if stream else upstream.raw)(
            ANSWERS["text"][provider].bytes(provider, stream=stream)
        )
        await sdk.ask(Wish(), stream=stream)
    assert [record.stream for record in records] == [False, True]
    for record in records:
        assert (record.usage.input_tokens, record.usage.output_tokens) == USAGE[provider]
        assert record.usage.cached_tokens == CACHED[provider]
        assert (record.provider, record.api, record.status) == ("up", client, 200)
        assert record.first_token_s is not None or not record.stream


async def test_a_chat_client_that_asked_for_no_token_counts_is_shown_none(house, upstream, serve, http):
    gateway = house("messages")
    records = keep_records(gateway)
    upstream.stream(ANSWERS["text"]["messages"].bytes("messages", stream=True))
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    async with http.post(await serve(gateway) + "/v1/chat/completions", json=body) as response:
        text = await response.text()
    frames = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    assert not any(frame.get("usage") for frame in frames)
    assert all(frame["choices"] for frame in frames)
    assert records[0].usage.input_tokens == 10


async def test_a_chat_provider_is_asked_for_token_counts_on_every_clients_behalf(
    house, upstream, serve, sdk_for
):
    upstream.stream(ANSWERS["text"]["chat"].bytes("chat", stream=True))
    told = await sdk_for("messages", await serve(house("chat"))).ask(Wish(), stream=True)
    assert upstream.seen[0].json["stream_options"] == {"include_usage": True}
    assert told.usage[1] == 4
