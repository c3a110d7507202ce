"""Moderations: one word is flagged, and nothing else."""

from __future__ import annotations

from openai.types import (
    ModerationCreateResponse,
)
from support.demo import ask_json

from aigw.upstream.demo.moderations import FLAG_WORD


async def test_moderation_flags_one_word_and_nothing_else():
    tree = await ask_json(
        "/v1/moderations", {"model": "m", "input": ["terrible things", f"a {FLAG_WORD} here"]}
    )
    clean, flagged = ModerationCreateResponse.model_validate(tree).results
    assert not clean.flagged
    assert not any(clean.categories.model_dump().values())
    assert flagged.flagged
    assert flagged.categories.harassment
    assert sum(flagged.category_scores.model_dump().values()) == 1


async def test_moderation_of_parts_is_one_result():
    parts = [{"type": "text", "text": FLAG_WORD}, {"type": "image_url", "image_url": {"url": "data:,"}}]
    (result,) = (await ask_json("/v1/moderations", {"input": parts}))["results"]
    assert result["flagged"]
    await ask_json("/v1/moderations", {"input": [5]}, status=400)
