"""Bytes through, but for the answer's own object: fields that the client knows otherwise than the provider.

Owns putting those fields into every snapshot of a response that goes by. All other frames stay the very
bytes they were.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from aigw.errors import GatewayError
from aigw.model import Usage
from aigw.relay.stream import Relay
from aigw.wire.sse import cut_frames, encode_frame, split_frames

_SNAPSHOT = b'"response"'


class PatchingRelay:
    """Wraps the relay of a responses stream. patch: fields of the response object, by name."""

    def __init__(self, relay: Relay, patch: Mapping[str, Any]) -> None:
        self._relay = relay
        self._patch = patch

    @property
    def has_content(self) -> bool:
        return self._relay.has_content

    @property
    def may_be_empty(self) -> bool:
        return self._relay.may_be_empty

    @property
    def ended(self) -> bool:
        return self._relay.ended

    @property
    def error(self) -> GatewayError | None:
        return self._relay.error

    @property
    def usage(self) -> Usage | None:
        return self._relay.usage

    def feed(self, chunk: bytes) -> bytes:
        return self._patched(self._relay.feed(chunk))

    def close(self) -> bytes:
        return self._patched(self._relay.close())

    def fail(self, error: GatewayError) -> bytes:
        return self._patched(self._relay.fail(error))

    def _patched(self, frames: bytes) -> bytes:
        if _SNAPSHOT not in frames:
            return frames
        return b"".join([self._one(raw) if _SNAPSHOT in raw else raw for raw in cut_frames(frames)])

    def _one(self, raw: bytes) -> bytes:
        frames = split_frames(raw)
        tree = orjson.loads(frames[0].data) if frames else None
        if not isinstance(tree, dict) or not isinstance(tree.get("response"), dict):
            return raw
        tree["response"].update(self._patch)
        return encode_frame(orjson.dumps(tree), frames[0].event)
