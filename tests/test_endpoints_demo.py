"""Every endpoint, asked by the official SDK and answered by the demo provider."""

import io
import wave

import pytest
from pydantic import BaseModel

import aigw

USER = [{"role": "user", "content": "Tell me of the sea"}]
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER = {"type": "function", "function": {"name": "get_weather", "parameters": CITY}}
SDK_SAYS_DEPRECATED = pytest.mark.filterwarnings("ignore::DeprecationWarning")


class Town(BaseModel):
    name: str
    people: int


@pytest.fixture
async def client(serve, sdk):
    gateway = aigw.Gateway()
    demo = aigw.DemoProvider(pace_s=0)
    gateway.models.register("fast", demo, rewrite="demo", aliases=["quick", "family/quick"])
    gateway.models.register("pictures-*", demo)
    return sdk(await serve(gateway))


def recording():
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(8000)
        writer.writeframes(bytes(range(256)) * 50)
    return "speech.wav", file.getvalue(), "audio/wav"


async def test_chat_is_answered_whole(client):
    answer = await client.chat.completions.create(model="fast", messages=USER)
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens > 0


async def test_chat_is_answered_as_a_stream(client):
    stream = await client.chat.completions.create(model="quick", messages=USER, stream=True)
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert not any(chunk.usage for chunk in chunks)


async def test_a_stream_tells_its_usage_to_whoever_asks(client):
    stream = await client.chat.completions.create(
        model="fast", messages=USER, stream=True, stream_options={"include_usage": True}
    )
    assert [chunk.usage.total_tokens > 0 async for chunk in stream if chunk.usage] == [True]


async def test_chat_gives_as_many_choices_as_were_asked_for(client):
    answer = await client.chat.completions.create(model="fast", messages=USER, n=3)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    stream = await client.chat.completions.create(model="fast", messages=USER, n=3, stream=True)
    assert {choice.index async for chunk in stream for choice in chunk.choices} == {0, 1, 2}


async def test_chat_calls_tools(client):
    answer = await client.chat.completions.create(
        model="fast", messages=USER, tools=[WEATHER], tool_choice="required"
    )
    call = answer.choices[0].message.tool_calls[0]
    assert call.function.name == "get_weather"
    assert "city" in call.function.arguments
    assert answer.choices[0].finish_reason == "tool_calls"


async def test_a_stream_calls_tools(client):
    async with client.chat.completions.stream(
        model="fast", messages=USER, tools=[WEATHER], tool_choice="required"
    ) as stream:
        answer = await stream.get_final_completion()
    assert "city" in answer.choices[0].message.tool_calls[0].function.arguments


async def test_chat_keeps_to_a_json_schema(client):
    answer = await client.chat.completions.parse(model="fast", messages=USER, response_format=Town)
    assert isinstance(answer.choices[0].message.parsed, Town)


async def test_completions_are_answered_whole_and_streamed(client):
    whole = await client.completions.create(model="fast", prompt="Once upon a time")
    assert whole.choices[0].text
    stream = await client.completions.create(model="fast", prompt="Once upon a time", stream=True)
    assert (
        "".join([chunk.choices[0].text async for chunk in stream if chunk.choices]) == whole.choices[0].text
    )


async def test_embeddings_are_the_same_as_floats_and_as_base64(client):
    packed = await client.embeddings.create(model="fast", input=["sea", "land"])
    floats = await client.embeddings.create(model="fast", input=["sea", "land"], encoding_format="float")
    assert [row.index for row in packed.data] == [0, 1]
    for one, other in zip(packed.data, floats.data, strict=True):
        assert one.embedding == pytest.approx(other.embedding)


async def test_images_are_generated_whole_and_streamed(client):
    answer = await client.images.generate(model="pictures-sea", prompt="the sea", n=2)
    assert all(row.b64_json for row in answer.data)
    stream = await client.images.generate(
        model="pictures-sea", prompt="the sea", stream=True, partial_images=1
    )
    types = [event.type async for event in stream]
    assert types == ["image_generation.partial_image", "image_generation.completed"]


async def test_images_are_edited(client):
    answer = await client.images.edit(
        model="pictures-sea", image=("a.png", b"\x89PNG\r\n\x1a\n\x00\xff", "image/png"), prompt="bluer"
    )
    assert answer.data[0].b64_json


async def test_edited_images_are_streamed(client):
    stream = await client.images.edit(
        model="pictures-sea", image=[("a.png", b"\x00\xff", "image/png")], prompt="bluer", stream=True
    )
    assert [event.type async for event in stream] == ["image_edit.completed"]


@SDK_SAYS_DEPRECATED
async def test_variations_of_images_are_made(client):
    answer = await client.images.create_variation(
        model="pictures-sea", image=("a.png", b"\x89PNG\r\n\x1a\n", "image/png"), n=1
    )
    assert answer.data


async def test_speech_comes_as_a_binary_stream(client):
    request = {"model": "fast", "voice": "alloy", "input": "one two three", "response_format": "wav"}
    async with client.audio.speech.with_streaming_response.create(**request) as response:
        sound = b"".join([chunk async for chunk in response.iter_bytes()])
        assert response.headers["content-type"] == "audio/wav"
        assert response.headers["x-aigw-provider"] == "demo"
    assert sound[:4] == b"RIFF"
    assert sound == (await client.audio.speech.create(**request)).content


async def test_recordings_are_transcribed(client):
    answer = await client.audio.transcriptions.create(model="fast", file=recording())
    assert "12844 bytes" in answer.text
    text = await client.audio.transcriptions.create(model="fast", file=recording(), response_format="text")
    assert text.strip() == answer.text


async def test_transcriptions_are_streamed(client):
    stream = await client.audio.transcriptions.create(model="fast", file=recording(), stream=True)
    events = [event async for event in stream]
    assert events[-1].type == "transcript.text.done"
    assert "".join(event.delta for event in events[:-1]) == events[-1].text


@SDK_SAYS_DEPRECATED
async def test_recordings_are_translated(client):
    answer = await client.audio.translations.create(model="fast", file=recording())
    assert "12844 bytes" in answer.text


async def test_texts_are_moderated(client):
    answer = await client.moderations.create(model="fast", input=["one", "two"])
    assert len(answer.results) == 2


async def test_responses_are_answered_whole_and_streamed(client):
    answer = await client.responses.create(model="fast", input="Tell me of the sea")
    assert answer.status == "completed"
    assert answer.output_text
    async with client.responses.stream(model="fast", input="Tell me of the sea") as stream:
        final = await stream.get_final_response()
    assert final.output_text == answer.output_text


async def test_models_are_listed(client):
    names = [model.id async for model in client.models.list()]
    assert {"fast", "quick", "family/quick", "demo/demo"} <= set(names)
    assert "pictures-*" not in names


@pytest.mark.parametrize("name", ["fast", "quick", "family/quick", "pictures-sea", "demo/anything"])
async def test_one_model_is_shown_also_with_a_slash_in_its_name(client, name):
    model = await client.models.retrieve(name)
    assert (model.id, model.owned_by, model.object) == (name, "demo", "model")
