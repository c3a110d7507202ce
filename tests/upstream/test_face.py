"""A provider as it is for one of its models."""

import pytest
from multidict import CIMultiDict

import aigw
from aigw.dialects.endpoints import Api, generation
from aigw.upstream.face import face_of


class Two(aigw.BaseProvider):
    """Speaks two formats, and says which model it was asked for."""

    async def call(self, call):
        return aigw.Answer.json({"model": call.model})


@pytest.fixture
def two():
    provider = Two("two", apis=["chat", "messages"])
    provider.forward_client_key = True
    provider.forward_headers = ("x-note",)
    provider.stream_usage = "never"
    provider.done_optional = True
    provider.timeouts = aigw.Timeouts(read_s=3.0)
    return provider


async def test_a_face_has_some_formats_and_all_else_is_the_providers(two):
    face = face_of(two, {Api.MESSAGES, Api.GEMINI})
    assert face.apis == {Api.MESSAGES}
    kept = ["name", "vendor", "forward_client_key", "forward_headers", "stream_usage", "done_optional"]
    for name in (*kept, "timeouts"):
        assert getattr(face, name) == getattr(two, name)
    endpoint = generation(Api.MESSAGES, stream=False)
    answer = await face.call(aigw.Call(endpoint, "m", "/v1/messages", CIMultiDict(), b"{}"))
    assert await answer.read() == b'{"model":"m"}'


@pytest.mark.parametrize("spoken", [set(Api), {Api.GEMINI}, set()])
def test_a_provider_is_its_own_face_where_nothing_or_all_is_left(two, spoken):
    assert face_of(two, spoken) is two
