"""What a client asks reaches every provider: well-formed to its vendor's own types, and whole."""

import base64

import pytest
from attrs import evolve
from support.received import Received, read
from support.recordings import ANSWERS
from support.sdks import ANSWER_SCHEMA, PNG, SCHEMA, SDKS, Wish

APIS = tuple(SDKS)
CALLS = (("call_1", "f", {"city": "Brno"}), ("call_2", "g", {}))
RESULTS = (("call_1", "f", "rain", False), ("call_2", "g", "no such city", True))
ASKS = {
    "text": (Wish("Ahoj, koníku 🐎"), Received(texts=["Ahoj, koníku 🐎"])),
    "system prompt": (Wish(system="Be brief."), Received(texts=["hi"], system="Be brief.")),
    "image": (
        Wish("look", image=True),
        Received(texts=["look"], images=[("image/png", base64.b64encode(PNG).decode())]),
    ),
    "tools": (
        Wish(tools=("f", "g"), must_call=True),
        Received(texts=["hi"], tools={"f": SCHEMA, "g": SCHEMA}, must_call=True),
    ),
    "tool results": (
        Wish(tools=("f", "g"), results=RESULTS),
        Received(
            texts=["hi"],
            tools={"f": SCHEMA, "g": SCHEMA},
            calls=list(CALLS),
            results=[(call_id, text, is_error) for call_id, _, text, is_error in RESULTS],
        ),
    ),
    "schema": (Wish(schema=True), Received(texts=["hi"], schema=ANSWER_SCHEMA)),
    "limits": (
        Wish(max_tokens=500, temperature=0.5, stop=("END",)),
        Received(texts=["hi"], max_tokens=500, temperature=0.5, stop=["END"]),
    ),
    "thinking": (Wish(thinking=True, max_tokens=5000), Received(texts=["hi"], max_tokens=5000, thinks=True)),
}
BUDGETS = {"messages", "gemini"}
"""Formats that say how long to think in tokens."""
NO_ERRORS = {"chat", "responses"}
"""Formats in which a tool's result cannot be marked as an error."""


def normal(schema):
    """Gemini writes types in capitals where it takes its own kind of schema."""
    if isinstance(schema, dict):
        return {
            key: value.lower() if key == "type" and isinstance(value, str) else normal(value)
            for key, value in schema.items()
            if key != "propertyOrdering"
        }
    return [normal(each) for each in schema] if isinstance(schema, list) else schema


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize("provider", APIS)
@pytest.mark.parametrize("client", APIS)
async def test_a_request_says_the_same_to_every_provider(
    house, upstream, serve, sdk_for, client, provider, ask
):
    wish, wanted = ASKS[ask]
    if wish.results:
        wish = evolve(wish, turns=tuple(SDKS[client].turn(CALLS)))
    upstream.raw(ANSWERS["text"][provider].bytes(provider, stream=False))
    await sdk_for(client, await serve(house(provider))).ask(wish, stream=False)
    [seen] = upstream.seen
    got = read(provider, seen.json)
    got.tools = {name: normal(schema) for name, schema in got.tools.items()}
    got.schema = normal(got.schema)
    if "messages" in {client, provider} and wanted.max_tokens is None:
        assert provider != "messages" or got.max_tokens
        got.max_tokens = None  # it must be said there
    if {client, provider} & {"responses"}:
        got.stop = wanted.stop  # it cannot be said there
    marked = [(*result[:2], result[2] and not {client, provider} & NO_ERRORS) for result in wanted.results]
    if client in BUDGETS and provider not in BUDGETS:
        got.thinks = wanted.thinks  # test_loss: a budget of tokens is no effort, and is told to be lost
    if provider == "gemini" and got.schema:
        got.schema = {**got.schema, "additionalProperties": False}
    assert got == evolve(wanted, results=marked)
    assert "aigw" not in seen.body.decode()
