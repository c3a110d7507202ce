"""Chat Completions, whole and streamed. Source: OpenAI's API reference, read 2026-11."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

from aigw.upstream.demo.chat_request import read_prompt, wants_usage
from aigw.upstream.demo.fields import whole_number
from aigw.upstream.demo.question import FINGERPRINT, Question, Tree
from aigw.upstream.demo.script import DONE, Script, Whole, data_frame
from aigw.upstream.demo.steering import Steering
from aigw.upstream.demo.talk import Reply, reply_to


def answer(question: Question, steering: Steering) -> Script | Whole:
    """Answer one request. Raises Refusal."""
    prompt = read_prompt(question.tree, steering)
    count = whole_number(question.tree, "n", 1, 128) or 1
    replies = [reply_to(prompt, question, choice) for choice in range(count)]
    usage = usage_tree(prompt.prompt_words, sum(reply.words for reply in replies))
    if question.stream:
        return Script(_frames(question, replies, usage if wants_usage(question.tree) else None))
    wants_usage(question.tree)
    choices = [
        {"index": at, "message": _message(reply), "logprobs": None, "finish_reason": reply.finish}
        for at, reply in enumerate(replies)
    ]
    return Whole.json({**_head(question, "chat.completion"), "choices": choices, "usage": usage})


def usage_tree(prompt_words: int, completion_words: int) -> Tree:
    """Count in the spelling that Chat and Completions share."""
    return {
        "prompt_tokens": prompt_words,
        "completion_tokens": completion_words,
        "total_tokens": prompt_words + completion_words,
    }


def _head(question: Question, kind: str) -> Tree:
    return {
        "id": question.id("chatcmpl-"),
        "object": kind,
        "created": question.created,
        "model": question.model,
        "system_fingerprint": FINGERPRINT,
    }


def _message(reply: Reply) -> Tree:
    message: Tree = {"role": "assistant", "content": reply.text, "refusal": None, "annotations": []}
    if reply.calls:
        message["content"] = None
        message["tool_calls"] = [_call(call.id, call.name, call.arguments) for call in reply.calls]
    return message


def _call(call_id: str, name: str, arguments: str) -> Tree:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def _frames(question: Question, replies: list[Reply], usage: Tree | None) -> Iterator[bytes]:
    head = _head(question, "chat.completion.chunk")
    # Who asks for usage gets the field in every chunk, null in all but the last.
    tail: Tree = {} if usage is None else {"usage": None}
    rows = zip_longest(*map(_deltas, replies))
    for row in rows:
        for at, step in enumerate(row):
            if step is None:
                continue
            delta, finish = step
            choice = {"index": at, "delta": delta, "logprobs": None, "finish_reason": finish}
            yield data_frame({**head, "choices": [choice], **tail})
    if usage is not None:
        yield data_frame({**head, "choices": [], "usage": usage})
    yield DONE


def _deltas(reply: Reply) -> Iterator[tuple[Tree, str | None]]:
    yield {"role": "assistant", "content": None if reply.calls else "", "refusal": None}, None
    for piece in reply.pieces:
        yield {"content": piece}, None
    for at, call in enumerate(reply.calls):
        yield {"tool_calls": [{"index": at, **_call(call.id, call.name, "")}]}, None
        for piece in call.pieces:
            yield {"tool_calls": [{"index": at, "function": {"arguments": piece}}]}, None
    yield {}, reply.finish
