"""The Responses API as a stream of events. Source: OpenAI's streaming reference, read 2026-11."""

from __future__ import annotations

from collections.abc import Iterator

from aigw.upstream.demo.question import Tree
from aigw.upstream.demo.refusal import steered_refusal
from aigw.upstream.demo.script import Script, event_frame
from aigw.upstream.demo.talk import Reply


def script(head: Tree, reply: Reply, items: list[Tree], end: Tree) -> Script:
    """Return the stream. head: the response as it begins. end: what its last event changes in it."""
    return Script(
        (event_frame(event) for event in numbered(_events(head, reply, items, end))),
        failure=lambda count: b"".join(map(event_frame, numbered(_failure(head), count))),
    )


def numbered(events: Iterator[Tree], start: int = 0) -> Iterator[Tree]:
    """Give each event its place in the stream."""
    for at, event in enumerate(events, start):
        yield {**event, "sequence_number": at}


def _events(head: Tree, reply: Reply, items: list[Tree], end: Tree) -> Iterator[Tree]:
    yield {"type": "response.created", "response": head}
    yield {"type": "response.in_progress", "response": head}
    for at, item in enumerate(items):
        if item["type"] == "function_call":
            yield from _call_events(at, item, reply.calls[at].pieces)
        else:
            yield from _message_events(at, item, reply.pieces)
    yield {"type": f"response.{end['status']}", "response": {**head, **end}}


def _message_events(at: int, item: Tree, pieces: list[str]) -> Iterator[Tree]:
    (part,) = item["content"]
    place = {"item_id": item["id"], "output_index": at, "content_index": 0}
    begun = {**item, "status": "in_progress", "content": []}
    yield {"type": "response.output_item.added", "output_index": at, "item": begun}
    yield {"type": "response.content_part.added", **place, "part": {**part, "text": ""}}
    for piece in pieces:
        yield {"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []}
    yield {"type": "response.output_text.done", **place, "text": part["text"], "logprobs": []}
    yield {"type": "response.content_part.done", **place, "part": part}
    yield {"type": "response.output_item.done", "output_index": at, "item": item}


def _call_events(at: int, item: Tree, pieces: list[str]) -> Iterator[Tree]:
    place = {"item_id": item["id"], "output_index": at}
    begun = {**item, "status": "in_progress", "arguments": ""}
    yield {"type": "response.output_item.added", "output_index": at, "item": begun}
    for piece in pieces:
        yield {"type": "response.function_call_arguments.delta", **place, "delta": piece}
    arguments = item["arguments"]
    done = {"type": "response.function_call_arguments.done", **place, "name": item["name"]}
    yield {**done, "arguments": arguments}
    yield {"type": "response.output_item.done", "output_index": at, "item": item}


def _failure(head: Tree) -> Iterator[Tree]:
    # OpenAI tells a failure twice: as an error, then as the end of the response.
    message = steered_refusal(500).message
    yield {"type": "error", "code": "server_error", "message": message, "param": None}
    error = {"code": "server_error", "message": message}
    yield {"type": "response.failed", "response": {**head, "status": "failed", "error": error}}
