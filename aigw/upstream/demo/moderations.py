"""Moderations: flags texts that hold one fixed word, and nothing else. It judges nothing."""

from __future__ import annotations

from typing import Any

from aigw.upstream.demo.fields import missing, wrong_type
from aigw.upstream.demo.question import Question, Tree, text_of
from aigw.upstream.demo.script import Whole
from aigw.upstream.demo.steering import Steering

FLAG_WORD = "demo-flag"
FLAG_CATEGORY = "harassment"

CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)


def answer(question: Question, _steering: Steering) -> Whole:
    """Answer one request. Raises Refusal."""
    results = [_judge(text) for text in _read_texts(question.tree.get("input"))]
    return Whole.json({"id": question.id("modr-"), "model": question.model, "results": results})


def _read_texts(value: Any) -> list[str]:
    """Return the texts to judge: each of a list of strings, but one for a list of parts."""
    if value is None:
        raise missing("input")
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return value
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return [text_of(value)]
    raise wrong_type("input", value, "a string, an array of strings or an array of objects")


def _judge(text: str) -> Tree:
    flagged = FLAG_WORD in text.lower()
    hits = {name: flagged and name == FLAG_CATEGORY for name in CATEGORIES}
    return {
        "flagged": flagged,
        "categories": hits,
        "category_scores": {name: float(hit) for name, hit in hits.items()},
        "category_applied_input_types": {name: ["text"] for name in CATEGORIES},
    }
