"""Token counts out of a whole answer, without parsing the answer.

An answer with a thousand embedding vectors takes milliseconds to parse and has one small object of
interest in it, near the end. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from aigw.model import Usage

_KEY = b'"usage"'
_OTHER_KEY = b'"usageMetadata"'  # Google's, and amid its answers
_SMALL = 4096


def find_usage(body: bytes, read: Callable[[dict[str, Any]], Usage | None]) -> Usage | None:
    """Return the token counts in a JSON answer, or None. `read` takes it, or one that has them alone."""
    if _KEY not in body and _OTHER_KEY not in body:
        return None
    found = None if len(body) <= _SMALL or _OTHER_KEY in body else _last_field(body)
    if isinstance(found, dict):
        return read({"usage": found})
    try:
        tree = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return read(tree) if isinstance(tree, dict) else None


def _last_field(body: bytes) -> Any:
    """Parse `"usage"` if it is the answer's own last field; None where that takes a real parser."""
    at = body.rfind(_KEY)
    rest = body[at + len(_KEY) :].strip()
    # What follows must be the value and one closing brace: with more than one it belongs to an inner object.
    is_last = rest.startswith(b":") and rest.endswith(b"}") and len(rest) <= _SMALL
    if not is_last or body[at - 1 : at] == b"\\":
        return None
    try:
        return orjson.loads(rest[1:-1])
    except orjson.JSONDecodeError:
        return None
