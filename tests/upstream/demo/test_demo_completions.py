"""Completions: every prompt is answered, be it text or tokens."""

from __future__ import annotations

import pytest
from openai.types import (
    Completion,
)
from support.demo import ask_chunks, ask_json


async def test_completions_answer_every_prompt_n_times():
    tree = await ask_json("/v1/completions", {"model": "m", "prompt": ["one", "two"], "n": 2})
    whole = Completion.model_validate(tree)
    assert [choice.index for choice in whole.choices] == [0, 1, 2, 3]
    assert '"two"' in whole.choices[2].text
    chunks = await ask_chunks(
        "/v1/completions",
        {"model": "m", "prompt": ["one", "two"], "n": 2, "stream_options": {"include_usage": True}},
    )
    for at, choice in enumerate(whole.choices):
        mine = [part for chunk in chunks for part in chunk["choices"] if part["index"] == at]
        assert "".join(part["text"] for part in mine) == choice.text
        assert [part["finish_reason"] for part in mine if part["finish_reason"]] == ["stop"]
    assert chunks[-1]["usage"] == tree["usage"]


@pytest.mark.parametrize(("prompt", "tokens"), [("a b", 2), ([1, 2, 3], 3), ([[1], [2, 3]], 3)])
async def test_completions_take_texts_and_tokens(prompt, tokens):
    tree = await ask_json("/v1/completions", {"prompt": prompt, "max_tokens": 1, "echo": True})
    assert tree["usage"]["prompt_tokens"] == tokens
    assert tree["choices"][0]["finish_reason"] == "length"
