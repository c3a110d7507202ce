"""How OpenAI's API tells failures: one table from kind to status and type, and the way back.

Shared by every API of the OpenAI family. Source: OpenAI's error codes guide, and recorded traffic.
"""

from __future__ import annotations

from typing import Any

import orjson

from aigw.dialects.base import Tree
from aigw.errors import ClientError, ErrorKind, GatewayError, UpstreamError

MAX_MESSAGE_CHARS = 2000

_BAD = "invalid_request_error"
_SERVER = "server_error"
_RATE = "rate_limit_error"

STATUS_AND_TYPE: dict[ErrorKind, tuple[int, str]] = {
    ErrorKind.INVALID_REQUEST: (400, _BAD),
    ErrorKind.INVALID_JSON: (400, _BAD),
    ErrorKind.MISSING_FIELD: (400, _BAD),
    ErrorKind.UNSUPPORTED: (400, _BAD),
    ErrorKind.AUTHENTICATION: (401, _BAD),
    ErrorKind.PERMISSION: (403, _BAD),
    ErrorKind.MODEL_NOT_ALLOWED: (403, _BAD),
    ErrorKind.MODEL_NOT_FOUND: (404, _BAD),
    ErrorKind.NOT_FOUND: (404, _BAD),
    ErrorKind.UNKNOWN_URL: (404, _BAD),
    ErrorKind.METHOD_NOT_ALLOWED: (405, _BAD),
    ErrorKind.CONFLICT: (409, _BAD),
    ErrorKind.TOO_LARGE: (413, _BAD),
    ErrorKind.UNSUPPORTED_MEDIA_TYPE: (415, _BAD),
    ErrorKind.RATE_LIMITED: (429, _RATE),
    ErrorKind.QUOTA_EXCEEDED: (429, "insufficient_quota"),
    ErrorKind.CONTEXT_LENGTH: (400, _BAD),
    ErrorKind.CONTENT_FILTER: (400, _BAD),
    ErrorKind.CLIENT_CLOSED: (499, _BAD),
    ErrorKind.UPSTREAM_ERROR: (502, _SERVER),
    ErrorKind.UPSTREAM_CREDENTIAL: (502, _SERVER),
    ErrorKind.UPSTREAM_RATE_LIMITED: (429, _RATE),
    ErrorKind.UPSTREAM_OVERLOADED: (503, _SERVER),
    ErrorKind.UPSTREAM_UNREACHABLE: (502, _SERVER),
    ErrorKind.UPSTREAM_TIMEOUT: (504, _SERVER),
    ErrorKind.UPSTREAM_PROTOCOL: (502, _SERVER),
    ErrorKind.UPSTREAM_TRUNCATED: (502, _SERVER),
    ErrorKind.INTERNAL: (500, _SERVER),
    ErrorKind.HOOK_FAILED: (500, _SERVER),
    ErrorKind.MISCONFIGURED: (500, _SERVER),
    ErrorKind.UNAVAILABLE: (503, _SERVER),
}

# An upstream's own word is more exact than its status.
_CODES: dict[str, ErrorKind] = {
    "context_length_exceeded": ErrorKind.CONTEXT_LENGTH,
    "string_above_max_length": ErrorKind.CONTEXT_LENGTH,
    "exceed_context_size_error": ErrorKind.CONTEXT_LENGTH,  # llama.cpp
    "content_filter": ErrorKind.CONTENT_FILTER,
    "content_policy_violation": ErrorKind.CONTENT_FILTER,
    "model_not_found": ErrorKind.MODEL_NOT_FOUND,
    "insufficient_quota": ErrorKind.UPSTREAM_RATE_LIMITED,
    "rate_limit_exceeded": ErrorKind.UPSTREAM_RATE_LIMITED,
    "rate_limit_error": ErrorKind.UPSTREAM_RATE_LIMITED,
    "overloaded_error": ErrorKind.UPSTREAM_OVERLOADED,
    "invalid_api_key": ErrorKind.UPSTREAM_CREDENTIAL,
    "unsupported_value": ErrorKind.UNSUPPORTED,
    "unsupported_parameter": ErrorKind.UNSUPPORTED,
    "server_error": ErrorKind.UPSTREAM_ERROR,
}
_STATUSES: dict[int, ErrorKind] = {
    401: ErrorKind.UPSTREAM_CREDENTIAL,
    402: ErrorKind.UPSTREAM_RATE_LIMITED,
    403: ErrorKind.UPSTREAM_CREDENTIAL,
    404: ErrorKind.NOT_FOUND,
    405: ErrorKind.UPSTREAM_ERROR,
    408: ErrorKind.UPSTREAM_TIMEOUT,
    409: ErrorKind.CONFLICT,
    413: ErrorKind.TOO_LARGE,
    415: ErrorKind.UNSUPPORTED_MEDIA_TYPE,
    429: ErrorKind.UPSTREAM_RATE_LIMITED,
    498: ErrorKind.UPSTREAM_OVERLOADED,  # Groq: flex tier at capacity
    503: ErrorKind.UPSTREAM_OVERLOADED,
    504: ErrorKind.UPSTREAM_TIMEOUT,
    529: ErrorKind.UPSTREAM_OVERLOADED,
}


def encode_error(error: GatewayError) -> tuple[int, Tree]:
    """Return status and body. The error's own status wins over the table's."""
    status, kind = STATUS_AND_TYPE.get(error.kind, (500, _SERVER))
    return error.status or status, {
        "error": {"message": error.message, "type": kind, "param": error.param, "code": error.code}
    }


def decode_error(status: int, body: bytes) -> GatewayError:
    """Name the failure an upstream answered with, whatever its body looks like."""
    try:
        tree = orjson.loads(body)
    except orjson.JSONDecodeError:
        return _error(status, _plain(body), None, None)
    return error_from_tree(tree, status)


def error_from_tree(tree: Any, status: int | None = None) -> GatewayError:
    """Name the failure a parsed body, or a frame in mid-stream, tells; its code may stand in for a status."""
    if isinstance(tree, list) and tree:
        tree = tree[0]
    if not isinstance(tree, dict):
        return _error(status, str(tree) if tree else "", None, None)
    inner = tree.get("error", tree)
    if not isinstance(inner, dict):
        return _error(status, _message({"message": inner}), tree.get("code"), None)
    code = inner.get("code")
    if code is None or code == "":
        code = inner.get("type")
    if status is None and isinstance(code, int) and 400 <= code <= 599:
        status = code
    return _error(status, _message(inner), code, inner.get("param"))


def _message(tree: Tree) -> str:
    for field in ("message", "detail", "error_message", "title", "msg"):
        value = tree.get(field)
        if isinstance(value, str) and value:
            return value
        if value and not isinstance(value, str):
            return orjson.dumps(value).decode()
    return ""


def _plain(body: bytes) -> str:
    text = body[: 4 * MAX_MESSAGE_CHARS].decode("utf-8", "replace").strip()
    # A proxy's page: its markup helps nobody.
    return "" if text.startswith("<") else text


def _error(status: int | None, message: str, code: Any, param: Any) -> GatewayError:
    code = code if isinstance(code, str) and code else None
    kind = _CODES.get(code or "")
    if kind is None or status in {401, 403}:
        kind = _kind(status)
    elif kind is ErrorKind.UPSTREAM_ERROR:  # "server_error" says less than a 503 does
        kind = _STATUSES.get(status or 0, kind)
    if not message:
        message = f"the provider answered with status {status}" if status else "the provider reports an error"
    return _branch(kind)(
        message[:MAX_MESSAGE_CHARS],
        kind=kind,
        param=param if isinstance(param, str) else None,
        code=code if kind is not ErrorKind.UPSTREAM_CREDENTIAL else None,
        status=status if kind in _CLIENT_KINDS and status and 400 <= status < 500 else None,
    )


def _kind(status: int | None) -> ErrorKind:
    if status is None:
        return ErrorKind.UPSTREAM_ERROR
    known = _STATUSES.get(status)
    if known is not None:
        return known
    return ErrorKind.INVALID_REQUEST if 400 <= status < 500 else ErrorKind.UPSTREAM_ERROR


_CLIENT_KINDS = frozenset(
    (
        ErrorKind.INVALID_REQUEST,
        ErrorKind.UNSUPPORTED,
        ErrorKind.MODEL_NOT_FOUND,
        ErrorKind.NOT_FOUND,
        ErrorKind.CONFLICT,
        ErrorKind.TOO_LARGE,
        ErrorKind.UNSUPPORTED_MEDIA_TYPE,
        ErrorKind.CONTEXT_LENGTH,
        ErrorKind.CONTENT_FILTER,
    )
)


def _branch(kind: ErrorKind) -> type[GatewayError]:
    return ClientError if kind in _CLIENT_KINDS else UpstreamError
