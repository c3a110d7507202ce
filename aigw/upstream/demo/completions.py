"""Completions, the older text API, whole and streamed. Source: OpenAI's API reference, read 2026-11."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from attrs import evolve

from aigw.upstream.demo import words
from aigw.upstream.demo.chat import usage_tree
from aigw.upstream.demo.chat_request import read_limits, wants_usage
from aigw.upstream.demo.fields import missing, whole_number, wrong_type
from aigw.upstream.demo.question import FINGERPRINT, Question, Tree
from aigw.upstream.demo.refusal import Refusal
from aigw.upstream.demo.script import DONE, Script, Whole, data_frame
from aigw.upstream.demo.steering import Steering
from aigw.upstream.demo.talk import Prompt, Reply, reply_to

MAX_CHOICES = 128


def answer(question: Question, steering: Steering) -> Script | Whole:
    """Answer one request. Raises Refusal."""
    tree = question.tree
    prompts = read_inputs(tree, "prompt")
    count = whole_number(tree, "n", 1, 128) or 1
    if count * len(prompts) > MAX_CHOICES:
        raise Refusal(f"The aigw demo writes at most {MAX_CHOICES} choices.", param="n")
    limits = read_limits(tree)
    replies: list[Reply] = []
    for text, size in prompts:
        prompt = Prompt(text, size, limits=limits, chunks=steering.chunks)
        for _ in range(count):
            reply = reply_to(prompt, question, len(replies))
            echoed = [text] if tree.get("echo") is True else []
            replies.append(evolve(reply, pieces=echoed + reply.pieces))
    usage = usage_tree(sum(size for _, size in prompts), sum(reply.words for reply in replies))
    if question.stream:
        return Script(_frames(question, replies, usage if wants_usage(tree) else None))
    wants_usage(tree)
    choices = [_choice(at, reply.text, reply.finish) for at, reply in enumerate(replies)]
    return Whole.json({**_head(question), "choices": choices, "usage": usage})


def read_inputs(tree: Tree, name: str, most: int = 2048) -> list[tuple[str, int]]:
    """Read what Completions and Embeddings both take: texts or arrays of tokens, one or many.

    Returns each as text, and how many tokens it counts for.
    """
    value = tree.get(name)
    if value is None:
        raise missing(name)
    one = isinstance(value, str) or (isinstance(value, list) and bool(value) and _is_number(value[0]))
    many = [value] if one else value
    if not isinstance(many, list):
        raise wrong_type(name, value, "a string or an array")
    if not 0 < len(many) <= most:
        message = f"Invalid '{name}': expected an array of 1 to {most} elements, but got {len(many)}."
        raise Refusal(message, param=name, code="invalid_value")
    return [_read_input(item, name) for item in many]


def _read_input(item: Any, name: str) -> tuple[str, int]:
    if isinstance(item, str):
        return item, words.count(item)
    if isinstance(item, list) and item and all(map(_is_number, item)):
        return " ".join(map(str, item)), len(item)
    raise wrong_type(name, item, "a string or an array of integers")


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _head(question: Question) -> Tree:
    return {
        "id": question.id("cmpl-"),
        "object": "text_completion",
        "created": question.created,
        "model": question.model,
        "system_fingerprint": FINGERPRINT,
    }


def _choice(at: int, text: str, finish: str | None) -> Tree:
    return {"index": at, "text": text, "logprobs": None, "finish_reason": finish}


def _frames(question: Question, replies: list[Reply], usage: Tree | None) -> Iterator[bytes]:
    head = _head(question)
    tail: Tree = {} if usage is None else {"usage": None}
    for row in zip_longest(*(reply.pieces for reply in replies)):
        for at, piece in enumerate(row):
            if piece is not None:
                yield data_frame({**head, "choices": [_choice(at, piece, None)], **tail})
    for at, reply in enumerate(replies):
        yield data_frame({**head, "choices": [_choice(at, "", reply.finish)], **tail})
    if usage is not None:
        yield data_frame({**head, "choices": [], "usage": usage})
    yield DONE
