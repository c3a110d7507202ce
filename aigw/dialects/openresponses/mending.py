"""Frames of a responses stream put right: line ends, the event's name beside its data, and its number.

Not every server writes them as the specification wants. One look at the first frames tells; a stream that
is well written costs nothing more. Pure.
"""

from __future__ import annotations

import orjson

from aigw.dialects.base import Mend, Tree
from aigw.dialects.openai_chat.grammar import DONE, parse
from aigw.errors import ProtocolError
from aigw.wire.sse import SseFrame, cut_frames, encode_frame, split_frames


def mender(first: bytes) -> Mend | None:
    """Return what mends a stream that begins with these frames; None where nothing is wrong with them."""
    if b"\r" not in first and all(_is_well_written(frame) for frame in split_frames(first)):
        return None
    return _Mending().mend


def _is_well_written(frame: SseFrame) -> bool:
    try:
        tree = parse(frame.data)
    except ProtocolError:  # nothing to mend in it; whether it may stand there is the grammar's to say
        return True
    return frame.event == tree.get("type") and tree.get("sequence_number").__class__ is int


class _Mending:
    """Writes each event anew: named, and numbered from 0. Comments keep their words."""

    def __init__(self) -> None:
        self._next = 0

    def mend(self, frames: bytes) -> bytes:
        return b"".join([self._one(raw) for raw in cut_frames(frames)])

    def _one(self, raw: bytes) -> bytes:
        found = split_frames(raw)
        if not found:
            return raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        frame = found[0]
        if frame.data.strip() in {b"", DONE}:
            return encode_frame(frame.data)
        return self._event(frame.event, parse(frame.data))

    def _event(self, event: str | None, tree: Tree) -> bytes:
        name = tree.get("type")
        if not isinstance(name, str) or not name:
            name = event or "error"  # nothing else comes without a name of any kind
        number = self._next
        self._next += 1
        return encode_frame(orjson.dumps({**tree, "type": name, "sequence_number": number}), name)
