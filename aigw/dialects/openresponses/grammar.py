"""How to watch a responses stream go by, and how its failure is told where bytes only pass through.

Owns what is to stand behind the terminal event whatever the provider does, and the two events of a
failure: they go on in the numbering the client has seen, and repeat the answer as it has begun. What is
wrong with a stream's frames is `mending`'s to put right.
"""

from __future__ import annotations

import orjson
from attrs import evolve

from aigw.dialects.base import Passed, Tree
from aigw.dialects.fields import int_or_none, object_of, text_or_none
from aigw.dialects.openai_events import RESPONSES
from aigw.dialects.openresponses.failure import error_event, response_error
from aigw.dialects.openresponses.fields import seconds_or_none
from aigw.dialects.openresponses.finish import Ending
from aigw.dialects.openresponses.item_writer import Numbering
from aigw.dialects.openresponses.mending import mender
from aigw.dialects.openresponses.response import base_of, snapshot
from aigw.errors import GatewayError
from aigw.wire.sse import cut_frames, encode_frame, split_frames

CLOSING = b"data: [DONE]\n\n"


def _encode_error_frame(error: GatewayError) -> bytes:
    # Its true number is unknown here; readers of the numbers want one all the same.
    return encode_frame(orjson.dumps(error_event(error, 0)), "error")


def encode_failure(error: GatewayError, passed: Passed) -> bytes:
    """Return the frames that end a stream of which `passed` has gone before."""
    numbering = Numbering()
    numbering.next = _last_number(passed.last) + 1
    told = b"" if passed.told else numbering.frame("error", error_event(error, numbering.next))
    if _last_number(passed.end) == numbering.next:
        return told + passed.end + CLOSING
    response = _failed(passed.begun, error)
    return told + numbering.frame("response.failed", {"response": response}) + CLOSING


def _last_number(frames: bytes) -> int:
    """Return the number of the last event that has one; -1 where none has."""
    for raw in reversed(cut_frames(frames)):
        for frame in split_frames(raw):
            number = int_or_none(_object(frame.data).get("sequence_number"))
            if number is not None:
                return number
    return -1


def _failed(begun: bytes, error: GatewayError) -> Tree:
    """Return the response as its provider began it, with every field of the format, and failed."""
    response = object_of(_object(begun).get("response"))
    created = seconds_or_none(response.get("created_at"))
    model = text_or_none(response.get("model"))
    base = base_of(text_or_none(response.get("id")), model, created, None, None)
    whole = {**snapshot(base, {}, Ending("failed"), [], None), **response}
    return {**whole, "status": "failed", "completed_at": None, "error": response_error(error)}


def _object(data: bytes) -> Tree:
    try:
        return object_of(orjson.loads(data))
    except orjson.JSONDecodeError:
        return {}


GRAMMAR = evolve(
    RESPONSES,
    encode_error=_encode_error_frame,
    closing=CLOSING,
    behind_end=CLOSING,
    encode_failure=encode_failure,
    mender=mender,
)
