"""The plugin in a real gateway, with a provider that keeps what it was asked."""

import pytest
from aigw_polite import Polite, PoliteConfig

import aigw
from aigw.config import structure

WORDS = "Be kind."
QUESTION = {"role": "user", "content": "Tea?"}


class Listener(aigw.BaseProvider):
    """Answers anything, and remembers every call."""

    def __init__(self):
        super().__init__("listener", apis=["chat", "responses"])
        self.calls = []

    async def call(self, call):
        self.calls.append(call)
        return aigw.Answer.json({"object": "whatever"})


@pytest.fixture
def listener():
    return Listener()


@pytest.fixture
async def client(listener, aiohttp_client):
    gateway = aigw.Gateway()
    gateway.models.register("fast", listener)
    gateway.models.register("slow", listener)
    gateway.hooks.register(Polite(PoliteConfig(WORDS, ("fast",), "X-Title", "polite")))
    return await aiohttp_client(gateway.make_app())


async def test_a_chat_begins_with_the_words(client, listener):
    await client.post("/v1/chat/completions", json={"model": "fast", "messages": [QUESTION]})
    assert listener.calls[0].json()["messages"] == [{"role": "system", "content": WORDS}, QUESTION]
    assert listener.calls[0].headers["X-Title"] == "polite"


async def test_instructions_of_responses_follow_the_words(client, listener):
    body = {"model": "fast", "input": "Tea?", "instructions": "Be brief."}
    await client.post("/v1/responses", json=body)
    assert listener.calls[0].json()["instructions"] == "Be kind.\n\nBe brief."


async def test_other_models_are_left_alone(client, listener):
    await client.post("/v1/chat/completions", json={"model": "slow", "messages": [QUESTION]})
    assert listener.calls[0].json()["messages"] == [QUESTION]
    assert "X-Title" not in listener.calls[0].headers


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"words": " "}, "wanted some words"),
        ({"models": []}, "wanted names or patterns of models"),
        ({"header": "X-Title"}, "wanted header and value both, or neither"),
        ({"wrods": "Be kind."}, 'did you mean "words"?'),
    ],
)
def test_mistakes_in_its_section_are_told(section, said):
    problems = []
    assert structure(PoliteConfig, section, "plugins.polite", problems) is None
    assert len(problems) == 1
    assert said in problems[0]
