"""How a response ends that nobody brought to its end, and a kept one told as events again. Pure.

Events here have no number yet: whoever sends them numbers them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from aigw.dialects.base import Tree
from aigw.dialects.openresponses import OPENRESPONSES
from aigw.dialects.openresponses.failure import error_event, response_error
from aigw.errors import ErrorKind, GatewayError, ServerError
from aigw.model import unfold
from aigw.wire.sse import split_frames

ENDS = {"completed": "response.completed", "failed": "response.failed"}
"""States that have an event of their own; a response that was cancelled ends as an incomplete one does."""
STATES = {"response.incomplete": "incomplete", **{kind: state for state, kind in ENDS.items()}}
"""States that events tell where their response does not say its own."""
TERMINAL = frozenset(STATES)
_UNSTARTED: Tree = {
    "output": [],
    "usage": None,
    "completed_at": None,
    "error": None,
    "incomplete_details": None,
}


def stopped() -> ServerError:
    """Return what a response has failed with whose process has ended before it."""
    return ServerError(
        "the gateway stopped while this response ran; make it again",
        kind=ErrorKind.UNAVAILABLE,
        code="server_error",
    )


def failed(response: Tree, error: GatewayError, output: list[Tree] | None = None) -> Tree:
    """Return a response as it stands after a failure. output: what there is of it."""
    tree = {**response, "status": "failed", "completed_at": None, "error": response_error(error)}
    return tree if output is None else {**tree, "output": output}


def cancelled(response: Tree, output: list[Tree]) -> Tree:
    """Return a response as it stands after it was cancelled. output: what there is of it."""
    return {**response, "status": "cancelled", "completed_at": None, "output": output}


def end_of(response: Tree) -> list[Tree]:
    """Return the events that tell the end of a response: one, and before that of a failure its error."""
    name = ENDS.get(response["status"], "response.incomplete")
    last = {"type": name, "response": response}
    if name != "response.failed":
        return [last]
    told = response.get("error") or {}
    error = ServerError(str(told.get("message") or "the response failed"), code=told.get("code"))
    return [error_event(error, 0), last]


def told_again(response: Tree) -> Iterator[Tree]:
    """Yield the events of a stream that would have brought a response which has ended."""
    begun = {**response, **_UNSTARTED, "status": "in_progress"}
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    output = response.get("output") or []
    for event in _items(response, output):
        number = event.get("output_index")
        if event["type"] == "response.output_item.done" and number is not None and number < len(output):
            event["item"] = output[number]  # the very one that was kept
        yield event
    yield from end_of(response)


def _items(response: Tree, output: list[Any]) -> Iterator[Tree]:
    """Yield the events between beginning and end."""
    encoder = OPENRESPONSES.stream_encoder(None)
    try:
        # Its own end is told by others; here it must only not be taken for an error.
        decoded = OPENRESPONSES.decode_response({**response, "status": "completed", "error": None})
        frames = b"".join([encoder.encode(event) for event in unfold(decoded)])
    except GatewayError:  # an item that not even this format's reader knows
        for number, item in enumerate(output):
            for step in ("added", "done"):
                yield {"type": f"response.output_item.{step}", "output_index": number, "item": item}
        return
    for frame in split_frames(frames):
        if frame.event is not None and "output_index" in (tree := orjson.loads(frame.data)):
            yield tree
