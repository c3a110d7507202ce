"""One line of the log: which fields it has, and how bodies are shown in it.

Owns that no header and no credential is ever in a line. Pure: no clock, no file. `take` runs on the
event loop and only picks values; `encode` does the costly rest on the writer's thread.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from attrs import frozen

from aigw.model import Usage
from aigw.pipeline.exchange import AttemptRecord, Record

REDACTED = "[redacted]"

Line = dict[str, Any]


@frozen
class Body:
    """What was kept of a body. size: all of it, in bytes."""

    kept: bytes
    size: int
    content_type: str = "application/json"

    @classmethod
    def cut(cls, body: bytes, limit: int, content_type: str = "application/json") -> Body:
        return cls(body[:limit], len(body), content_type)

    @property
    def is_whole(self) -> bool:
        return len(self.kept) == self.size


def take(record: Record, ended_at: str) -> Line:
    """Return the fields of a line. ended_at: ISO 8601, UTC."""
    return {
        "time": ended_at,
        "id": record.id,
        "tenant": record.tenant,
        "key_name": record.key_name,
        "api": record.api,
        "path": record.path,
        "model": record.model,
        "provider": record.provider,
        "upstream_model": record.upstream_model,
        "stream": record.stream,
        "status": record.status,
        "ending": record.ending.value,
        "error": record.error,
        "usage": None if record.usage is None else _usage(record.usage),
        "attempts": [_attempt(attempt) for attempt in record.attempts],
        "first_token_s": _rounded(record.first_token_s),
        "duration_s": _rounded(record.duration_s),
        "bytes": {"in": record.bytes_in, "out": record.bytes_out},
    }


def encode(line: Line, redact_fields: frozenset[str]) -> bytes:
    """Return a line's bytes, with the line end."""
    shown = {key: show(body, redact_fields) if isinstance(body, Body) else body for key, body in line.items()}
    return orjson.dumps(_without(shown, redact_fields), option=orjson.OPT_APPEND_NEWLINE, default=str)


def show(body: Body, redact_fields: frozenset[str]) -> Mapping[str, Any]:
    """Return a body as JSON where it is whole and JSON, else as text; of a form only its size."""
    shown: dict[str, Any] = {"bytes": body.size}
    if not body.is_whole:
        shown["truncated"] = True
    if body.content_type == "text/event-stream":
        shown["text"] = _frames(body.kept, redact_fields)
    elif body.content_type != "application/json":
        shown["note"] = f"{body.content_type.partition(';')[0]} is not written"
    else:
        try:
            shown["json"] = orjson.loads(body.kept)
        except orjson.JSONDecodeError:
            # Fields cannot be found in a piece of JSON, so that nothing of it may be shown.
            shown["text"] = REDACTED if redact_fields else _text(body.kept)
    return shown


def _frames(kept: bytes, redact_fields: frozenset[str]) -> str:
    if not redact_fields:
        return _text(kept)
    return "\n".join(_frame_line(line, redact_fields) for line in kept.split(b"\n"))


def _frame_line(line: bytes, redact_fields: frozenset[str]) -> str:
    name, _, value = line.partition(b":")
    if name != b"data" or value.strip() == b"[DONE]":
        return _text(line)
    try:
        tree = _without(orjson.loads(value), redact_fields)
    except orjson.JSONDecodeError:
        return f"data: {REDACTED}"
    return "data: " + orjson.dumps(tree).decode()


def _without(tree: Any, names: frozenset[str]) -> Any:
    if not names:
        return tree
    if isinstance(tree, Mapping):
        return {key: REDACTED if key in names else _without(value, names) for key, value in tree.items()}
    return [_without(value, names) for value in tree] if isinstance(tree, list) else tree


def _usage(usage: Usage) -> dict[str, int]:
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_tokens": usage.cached_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "total_tokens": usage.total,
    }


def _attempt(attempt: AttemptRecord) -> dict[str, Any]:
    return {
        "provider": attempt.provider,
        "model": attempt.model,
        "status": attempt.status,
        "error": attempt.error,
        "first_byte_s": _rounded(attempt.first_byte_s),
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)


def _text(kept: bytes) -> str:
    return kept.decode("utf-8", "replace")
