"""The embedded demo provider: what holds for all its APIs."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict
from support.demo import CHAT, ENDPOINT, JSON, ask, demo

from aigw.dialects.endpoints import Api, Endpoint
from aigw.upstream.provider import Call


def test_it_serves_every_openai_api_and_no_other():
    assert demo().apis == frozenset(Api) - {Api.MESSAGES, Api.GEMINI}


async def test_models_are_demos_by_name():
    assert await demo().models() == ["demo", "demo-embedding", "demo-image", "demo-audio"]


async def test_a_path_it_does_not_know_is_not_found():
    call = Call(Endpoint("/v1/other", Api.CHAT), "demo", "/v1/other", CIMultiDict(), b"{}")
    assert (await demo().call(call)).status == 404


async def test_a_model_must_be_named_somewhere():
    answer = await demo().call(Call(ENDPOINT[CHAT], "", CHAT, CIMultiDict(), b"{}"))
    assert answer.status == 400
    assert b"model parameter" in await answer.read()


# What the gateway answers by itself where a provider cannot.
NOT_ITS_OWN = {"/v1/responses/compact", "/v1/responses/input_tokens"}
_FIELDS = (
    "messages", "input", "prompt", "n", "stop", "tools", "tool_choice", "response_format", "stream_options",
    "stream", "text", "size", "dimensions", "instructions", "model", "max_tokens", "echo", "partial_images",
)  # fmt: skip


@given(path=st.sampled_from(sorted(ENDPOINT)), body=st.dictionaries(st.sampled_from(_FIELDS), JSON))
def test_any_object_is_answered_or_refused(path, body):
    async def scenario():
        if ENDPOINT[path].api not in demo().apis:
            return
        answer = await ask(path, body)
        await answer.read()
        assert answer.status in ((400, 404) if path in NOT_ITS_OWN else (200, 400))

    asyncio.run(scenario())
