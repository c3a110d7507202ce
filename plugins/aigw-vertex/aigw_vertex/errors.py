"""Failures in the words of the API that was asked: Vertex tells its own as Google does, for every API.

Owns the way from Google's shape to the others; what a failure means is known to aigw's dialects.
"""

from __future__ import annotations

from typing import Any

import orjson

from aigw.dialects.anthropic import ANTHROPIC
from aigw.dialects.endpoints import Api
from aigw.dialects.gemini import GEMINI
from aigw.dialects.openai_chat import OPENAI_CHAT
from aigw.upstream.provider import Answer, BufferedAnswer

MAX_ERROR_BYTES = 64 * 1024
_DIALECTS = {Api.MESSAGES: ANTHROPIC, Api.CHAT: OPENAI_CHAT}


async def tell_failure(answer: Answer, api: Api | None) -> Answer:
    """Read an error answer and return it in the words of the API; closes the one it was given."""
    try:
        body = (await answer.read(MAX_ERROR_BYTES))[:MAX_ERROR_BYTES]
    finally:
        await answer.close()
    headers = {
        name: value for name, value in answer.headers.items() if name.lower().startswith("retry-after")
    }
    headers["Content-Type"] = answer.headers.get("Content-Type", "application/json")
    tree = _google_error(body)
    if tree is None:
        return BufferedAnswer(answer.status, headers, body)
    headers["Content-Type"] = "application/json"
    body = orjson.dumps(tree)
    if api in _DIALECTS:
        error = GEMINI.decode_error(answer.status, body)
        if error.retry_after_s is not None:
            headers.setdefault("Retry-After", f"{error.retry_after_s:g}")
        body = orjson.dumps(_DIALECTS[api].encode_error(error)[1])
    return BufferedAnswer(answer.status, headers, body)


def _google_error(body: bytes) -> dict[str, Any] | None:
    """Return an error of Google's own; it may stand alone in a list. None for whatever else it is."""
    try:
        tree = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if isinstance(tree, list) and len(tree) == 1:
        tree = tree[0]
    error = tree.get("error") if isinstance(tree, dict) else None
    return tree if isinstance(error, dict) and isinstance(error.get("status"), str) else None
