"""Embeddings, pictures and token counts between clients and providers that know them by other URLs."""

import base64
import struct

import anthropic
import pytest
from google import genai
from google.genai import types

import aigw
from aigw.upstream.registry import Target

# The SDK's own HTTP client is a subclass of aiohttp's.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")

VECTORS = {"embeddings": [{"values": [0.5, -1.0]}, {"values": [2.0, 0.25]}]}
COUNTED = {**VECTORS, "usageMetadata": {"promptTokenCount": 7, "totalTokenCount": 7}}
EMBEDDINGS = {
    "object": "list",
    "model": "e",
    "data": [{"object": "embedding", "index": n, "embedding": [0.5, -1.0]} for n in range(2)],
    "usage": {"prompt_tokens": 7, "total_tokens": 7},
}
PICTURE = {
    "candidates": [
        {
            "content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]},
            "finishReason": "STOP",
        }
    ],
    "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 10, "totalTokenCount": 15},
}


@pytest.fixture
def house(upstream):
    """Make a gateway whose model "m" is `model` at a provider that speaks these APIs."""

    def make(*apis, model="up-model"):
        gateway = aigw.Gateway()
        gateway.models.register(
            "m", aigw.Provider(upstream.url, "sk-upstream", name="up", apis=apis), rewrite=model
        )
        return gateway

    return make


@pytest.fixture
async def google():
    """Make google-genai SDK clients for a base URL; they are closed at the end."""
    clients = []

    def make(url):
        options = types.HttpOptions(base_url=url)
        clients.append(genai.Client(api_key="sk-client", http_options=options))
        return clients[-1].aio

    yield make
    for client in clients:
        await client.aio.aclose()
        client.close()


def keep_records(gateway):
    records = []

    class Keeper:
        name = "keeper"

        def on_complete(self, record):
            records.append(record)

    gateway.hooks.register(Keeper())
    return records


@pytest.mark.parametrize("encoding", ["float", "base64"])
async def test_a_client_of_openai_embeds_with_gemini(house, upstream, serve, sdk, encoding):
    upstream.answer(COUNTED)
    gateway = house("gemini")
    records = keep_records(gateway)
    got = await sdk(await serve(gateway)).embeddings.create(
        model="m", input=["a", "b"], dimensions=2, encoding_format=encoding
    )
    seen = upstream.seen[-1]
    assert seen.path == "/v1beta/models/up-model:batchEmbedContents"
    assert seen.headers["x-goog-api-key"] == "sk-upstream"
    assert seen.json["requests"] == [
        {"model": "models/up-model", "outputDimensionality": 2, "content": {"parts": [{"text": text}]}}
        for text in ("a", "b")
    ]
    vectors = [each.embedding for each in got.data]
    if encoding == "base64":
        vectors = [list(struct.unpack("<2f", base64.b64decode(vector))) for vector in vectors]
    assert vectors == [[0.5, -1.0], [2.0, 0.25]]
    assert (got.usage.prompt_tokens, records[0].usage.input_tokens) == (7, 7)


async def test_counts_that_gemini_did_not_tell_are_zero_and_said_to_be_lost(house, upstream, serve, sdk):
    upstream.answer(VECTORS)
    client = sdk(await serve(house("gemini")))
    got = await client.embeddings.with_raw_response.create(model="m", input="a")
    assert got.parse().usage.prompt_tokens == 0
    assert got.headers["x-aigw-dropped"] == "usage"


@pytest.mark.parametrize("tokens", [[1, 2], [[1, 2], [3]]])
async def test_tokens_are_refused_where_only_texts_are_embedded(house, upstream, serve, http, tokens):
    url = await serve(house("gemini"))
    async with http.post(url + "/v1/embeddings", json={"model": "m", "input": tokens}) as response:
        assert response.status == 400
        error = (await response.json())["error"]
    assert (error["param"], error["code"]) == ("input", "unsupported_value")
    assert "takes no tokens" in error["message"]
    assert upstream.seen == []


async def test_a_refusal_of_gemini_reaches_an_openai_client_in_its_own_shape(house, upstream, serve, http):
    upstream.answer({"error": {"code": 400, "message": "too long", "status": "INVALID_ARGUMENT"}}, status=400)
    url = await serve(house("gemini"))
    async with http.post(url + "/v1/embeddings", json={"model": "m", "input": "a"}) as response:
        assert response.status == 400
        assert (await response.json())["error"]["message"] == "too long"


@pytest.mark.parametrize("answer", [{}, {"embeddings": 1}, {"embeddings": [{"values": ["x"]}]}])
async def test_an_answer_without_vectors_is_the_providers_failure(house, upstream, serve, http, answer):
    upstream.answer(answer)
    url = await serve(house("gemini"))
    body = {"model": "m", "input": "a", "encoding_format": "base64"}
    async with http.post(url + "/v1/embeddings", json=body) as response:
        assert response.status == 502


async def test_a_client_of_google_embeds_with_an_openai_provider(house, upstream, serve, google):
    upstream.answer(EMBEDDINGS)
    gateway = house("embeddings")
    records = keep_records(gateway)
    client = google(await serve(gateway))
    config = types.EmbedContentConfig(output_dimensionality=2)
    got = await client.models.embed_content(model="m", contents=["a", "b"], config=config)
    seen = upstream.seen[-1]
    assert (seen.path, seen.headers["Authorization"]) == ("/v1/embeddings", "Bearer sk-upstream")
    assert seen.json == {"model": "up-model", "input": ["a", "b"], "dimensions": 2}
    assert [each.values for each in got.embeddings] == [[0.5, -1.0]] * 2
    assert records[0].usage.input_tokens == 7


async def test_one_content_is_answered_by_one_vector_and_losses_are_told(house, upstream, serve, http):
    upstream.answer({**EMBEDDINGS, "data": EMBEDDINGS["data"][:1]})
    url = await serve(house("embeddings"))
    body = {"content": {"parts": [{"text": "a"}]}, "taskType": "CLUSTERING"}
    async with http.post(url + "/v1beta/models/m:embedContent", json=body) as response:
        assert response.headers["x-aigw-dropped"] == "taskType"
        told = await response.json()
    assert told["embedding"] == {"values": [0.5, -1.0]}
    async with http.post(
        url + "/v1beta/models/m:embedContent", json=body, headers={"x-aigw-strict": "true"}
    ) as response:
        assert response.status == 400


async def test_a_gemini_model_draws_for_a_client_of_openai(house, upstream, serve, sdk):
    upstream.answer(PICTURE)
    gateway = house("gemini", model="gemini-2.5-flash-image")
    records = keep_records(gateway)
    client = sdk(await serve(gateway))
    got = await client.images.with_raw_response.generate(
        model="m", prompt="a cat", size="1536x1024", quality="high"
    )
    picture = got.parse()
    assert picture.data[0].b64_json == "AAAA"
    assert picture.created > 1_700_000_000
    assert got.headers["x-aigw-dropped"] == "quality, size"
    seen = upstream.seen[-1]
    assert seen.path == "/v1beta/models/gemini-2.5-flash-image:generateContent"
    assert seen.json["generationConfig"] == {
        "responseModalities": ["IMAGE"],
        "imageConfig": {"aspectRatio": "3:2"},
    }
    assert records[0].usage.output_tokens == 10


async def test_imagen_draws_several(house, upstream, serve, sdk):
    drawn = {"bytesBase64Encoded": "AAAA", "mimeType": "image/png"}
    upstream.answer({"predictions": [drawn, drawn]})
    client = sdk(await serve(house("gemini", model="imagen-4.0-generate-001")))
    got = await client.images.generate(model="m", prompt="a cat", n=2, size="1024x1024")
    assert [each.b64_json for each in got.data] == ["AAAA", "AAAA"]
    seen = upstream.seen[-1]
    assert seen.path == "/v1beta/models/imagen-4.0-generate-001:predict"
    assert seen.json == {
        "instances": [{"prompt": "a cat"}],
        "parameters": {"sampleCount": 2, "aspectRatio": "1:1"},
    }


async def test_a_picture_that_was_declined_is_the_callers_fault(house, upstream, serve, http):
    upstream.answer({"candidates": [{"finishReason": "IMAGE_SAFETY"}]})
    url = await serve(house("gemini", model="gemini-2.5-flash-image"))
    async with http.post(url + "/v1/images/generations", json={"model": "m", "prompt": "p"}) as response:
        assert response.status == 400
        assert "IMAGE_SAFETY" in (await response.json())["error"]["message"]


async def test_pictures_are_not_streamed_where_they_come_whole(house, upstream, serve, http):
    url = await serve(house("gemini", model="gemini-2.5-flash-image"))
    body = {"model": "m", "prompt": "p", "stream": True}
    async with http.post(url + "/v1/images/generations", json=body) as response:
        assert response.status == 400
        assert (await response.json())["error"]["param"] == "stream"
    assert upstream.seen == []


async def test_a_client_of_anthropic_counts_with_gemini(house, upstream, serve):
    upstream.answer({"totalTokens": 9})
    url = await serve(house("gemini"))
    async with anthropic.AsyncAnthropic(base_url=url, api_key="sk-client", max_retries=0) as client:
        got = await client.messages.count_tokens(
            model="m", system="be brief", messages=[{"role": "user", "content": "hi"}]
        )
    assert got.input_tokens == 9
    seen = upstream.seen[-1]
    assert seen.path == "/v1beta/models/up-model:countTokens"
    inner = seen.json["generateContentRequest"]
    assert inner["model"] == "models/up-model"
    assert inner["contents"] == [{"role": "user", "parts": [{"text": "hi"}]}]


async def test_a_client_of_google_counts_with_anthropic(house, upstream, serve, google):
    upstream.answer({"input_tokens": 9})
    client = google(await serve(house("messages")))
    got = await client.models.count_tokens(model="m", contents="hi")
    assert got.total_tokens == 9
    seen = upstream.seen[-1]
    assert (seen.path, seen.headers["x-api-key"]) == ("/v1/messages/count_tokens", "sk-upstream")
    assert seen.json == {"model": "up-model", "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/embeddings", {"model": "m", "input": "a"}),
        ("/v1/images/generations", {"model": "m", "prompt": "a"}),
        ("/v1/messages/count_tokens", {"model": "m", "messages": []}),
        ("/v1beta/models/m:countTokens", {"contents": []}),
        ("/v1beta/models/m:embedContent", {"content": {}}),
    ],
)
async def test_a_provider_that_has_nothing_like_it_is_named(house, upstream, serve, http, path, body):
    url = await serve(house("chat"))
    async with http.post(url + path, json=body) as response:
        assert response.status == 404
        message = (await response.json())["error"]["message"]
    assert 'model "m"' in message
    assert "(up)" in message
    assert upstream.seen == []


async def test_a_target_that_embeds_tokens_takes_over_from_one_that_does_not(upstream, serve, http):
    upstream.answer(EMBEDDINGS)
    gateway = aigw.Gateway()
    texts = aigw.Provider(upstream.url, "sk", name="texts", apis=["gemini"])
    tokens = aigw.Provider(upstream.url, "sk", name="tokens", apis=["embeddings"])
    gateway.models.register("m", targets=[Target(texts, "a"), Target(tokens, "b", weight=0)])
    url = await serve(gateway)
    async with http.post(url + "/v1/embeddings", json={"model": "m", "input": [1, 2]}) as response:
        assert response.status == 200
        assert response.headers["x-aigw-provider"] == "tokens"
    assert [seen.path for seen in upstream.seen] == ["/v1/embeddings"]
