"""The silence between two chunks has a limit of its own, beside those for the head and the first content."""

import pytest
from support.scripted import HANG, chunk, sse

import aigw
from aigw.upstream.provider import Timeouts

BEGUN = sse(chunk("a"), done=False)
REST = sse(chunk("b"), chunk(finish="stop"))
ASK = {"model": "n", "messages": [], "stream": True}


@pytest.fixture
def ask(upstream, gateway, serve, http, complete, eventually):
    async def stream(**limits):
        gateway.models.register("n", aigw.Provider(upstream.url, name="n", timeouts=Timeouts(**limits)))
        async with http.post(await serve(gateway) + "/v1/chat/completions", json=ASK) as response:
            body = await response.read()
        await eventually(lambda: complete)
        return body, complete[0]

    return stream


async def test_a_pause_amid_a_stream_may_be_longer_than_the_wait_for_its_beginning(upstream, ask):
    upstream.stream(BEGUN, 0.5, REST)
    body, record = await ask(first_byte_s=0.1, first_token_s=0.1, read_s=5)
    assert b'"b"' in body
    assert record.ending == "complete"


async def test_a_pause_that_is_too_long_ends_the_stream_and_says_so(upstream, ask, eventually):
    upstream.stream(BEGUN, HANG)
    body, record = await ask(first_byte_s=60, first_token_s=60, read_s=0.1)
    assert b"was silent for more than 0.1 s" in body
    assert record.error == "upstream_timeout"
    await eventually(lambda: upstream.dropped == 1)
