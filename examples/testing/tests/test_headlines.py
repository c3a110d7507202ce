"""The application's tests: what a model once said comes from `tapes/`, and what may go wrong from `chaos`.

Run them: `python -m pytest`. What is missing among the tapes is recorded with `AIGW_TAPES=record_missing`.
"""

import os
from pathlib import Path

import openai
import pytest
from headlines import NO_HEADLINE, headline, told_slowly

from aigw.assemble import assemble, to_config

TAPES = Path(__file__).parents[1] / "tapes"
SPARE = {"provider": "spare", "model": "writer-1"}
QUICK = {"connect_s": 0.1, "first_byte_s": 0.1}
ARTICLE = "The library on Mill Street opens on Sundays from May on."


def settings(**chaos):
    """The gateway of these tests: a tape, in front of it chaos, and for the model "safe" a second tape."""
    tape = {"dir": str(TAPES), "mode": os.environ.get("AIGW_TAPES", "play"), "of": "demo"}
    return {
        "providers": {
            "tape": {"kind": "replay", "options": tape},
            "spare": {"kind": "replay", "options": tape},
            "flaky": {"kind": "chaos", "options": {"of": "tape", **chaos}, "timeouts": QUICK},
        },
        "models": {
            "writer": {"targets": ["flaky/writer-1"], "retry": {"retries": 0}},
            "safe": {"targets": ["flaky/writer-1", {**SPARE, "weight": 0}]},
        },
    }


@pytest.fixture
async def start(aiohttp_server):
    """Start a gateway with some chaos; return a client for it, and the chaos."""
    clients = []

    async def run(**chaos):
        gateway = assemble(to_config(settings(**chaos), {}), {}, installed={}).gateway
        server = await aiohttp_server(gateway.make_app())
        url = str(server.make_url("/v1"))
        clients.append(openai.AsyncOpenAI(base_url=url, api_key="sk-test", max_retries=0))
        return clients[-1], gateway.models.providers["flaky"]

    yield run
    for client in clients:
        await client.close()


async def test_a_headline_is_what_the_model_said(start):
    client, _ = await start()
    assert "Mill Street" in await headline(client, ARTICLE)


async def test_a_headline_may_come_piece_by_piece(start):
    client, _ = await start()
    pieces = await told_slowly(client, ARTICLE)
    assert len(pieces) > 5
    assert "Mill Street" in "".join(pieces)


@pytest.mark.parametrize("fault", ["connect", "empty", "garbage", {"kind": "status", "status": 429}])
async def test_without_a_model_there_is_no_headline(start, fault):
    client, flaky = await start(script=[fault], repeat=True)
    assert await headline(client, ARTICLE) == NO_HEADLINE
    assert flaky.calls == 1


async def test_a_stream_that_breaks_off_is_seen_to_break_off(start):
    client, _ = await start(script=["truncate"])
    *pieces, last = await told_slowly(client, ARTICLE)
    assert pieces
    assert last == "..."


@pytest.mark.parametrize("fault", ["connect", "hang", "disguise"])
async def test_the_spare_steps_in(start, fault):
    client, flaky = await start(script=[fault])
    assert "Mill Street" in await headline(client, ARTICLE, model="safe")
    assert flaky.injected[fault] == 1


async def test_what_was_never_recorded_is_told_with_the_first_difference(start):
    client, _ = await start()
    messages = [{"role": "user", "content": "Something else?"}]
    with pytest.raises(openai.NotFoundError, match=r"nearest is chat-completions.*messages\[0\]\.content"):
        await client.chat.completions.create(model="writer", messages=messages)
