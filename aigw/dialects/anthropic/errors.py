"""How Anthropic's API tells failures: one table from kind to status and type, and the way back.

The shape has a type and a message alone: a field's path is put before the message, where Anthropic
itself writes it, and a code goes beside the two, which clients are used to ignore.
Source: Anthropic's errors page and the error types of its SDK, read 2026-11.
"""

from __future__ import annotations

from typing import Any

import orjson

from aigw.dialects.base import Tree
from aigw.dialects.fields import text_of
from aigw.errors import ClientError, ErrorKind, GatewayError, UpstreamError

MAX_MESSAGE_CHARS = 2000

_BAD = "invalid_request_error"
_API = "api_error"
_RATE = "rate_limit_error"
_BUSY = "overloaded_error"
_LATE = "timeout_error"

STATUS_AND_TYPE: dict[ErrorKind, tuple[int, str]] = {
    ErrorKind.INVALID_REQUEST: (400, _BAD),
    ErrorKind.INVALID_JSON: (400, _BAD),
    ErrorKind.MISSING_FIELD: (400, _BAD),
    ErrorKind.UNSUPPORTED: (400, _BAD),
    ErrorKind.AUTHENTICATION: (401, "authentication_error"),
    ErrorKind.PERMISSION: (403, "permission_error"),
    ErrorKind.MODEL_NOT_ALLOWED: (403, "permission_error"),
    ErrorKind.MODEL_NOT_FOUND: (404, "not_found_error"),
    ErrorKind.NOT_FOUND: (404, "not_found_error"),
    ErrorKind.UNKNOWN_URL: (404, "not_found_error"),
    ErrorKind.METHOD_NOT_ALLOWED: (405, _BAD),
    ErrorKind.CONFLICT: (409, "conflict_error"),
    ErrorKind.TOO_LARGE: (413, "request_too_large"),
    ErrorKind.UNSUPPORTED_MEDIA_TYPE: (415, _BAD),
    ErrorKind.RATE_LIMITED: (429, _RATE),
    ErrorKind.QUOTA_EXCEEDED: (429, _RATE),
    ErrorKind.CONTEXT_LENGTH: (400, _BAD),
    ErrorKind.CONTENT_FILTER: (400, _BAD),
    ErrorKind.CLIENT_CLOSED: (499, _BAD),
    ErrorKind.UPSTREAM_ERROR: (502, _API),
    ErrorKind.UPSTREAM_CREDENTIAL: (502, _API),
    ErrorKind.UPSTREAM_RATE_LIMITED: (429, _RATE),
    ErrorKind.UPSTREAM_OVERLOADED: (529, _BUSY),
    ErrorKind.UPSTREAM_UNREACHABLE: (502, _API),
    ErrorKind.UPSTREAM_TIMEOUT: (504, _LATE),
    ErrorKind.UPSTREAM_PROTOCOL: (502, _API),
    ErrorKind.UPSTREAM_TRUNCATED: (502, _API),
    ErrorKind.INTERNAL: (500, _API),
    ErrorKind.HOOK_FAILED: (500, _API),
    ErrorKind.MISCONFIGURED: (500, _API),
    ErrorKind.UNAVAILABLE: (503, _BUSY),
}

_TYPES: dict[str, ErrorKind] = {
    _BAD: ErrorKind.INVALID_REQUEST,
    "authentication_error": ErrorKind.UPSTREAM_CREDENTIAL,
    "permission_error": ErrorKind.UPSTREAM_CREDENTIAL,
    # The account behind our credential has no money left: another target may have.
    "billing_error": ErrorKind.UPSTREAM_RATE_LIMITED,
    "not_found_error": ErrorKind.NOT_FOUND,
    "conflict_error": ErrorKind.CONFLICT,
    "request_too_large": ErrorKind.TOO_LARGE,
    _RATE: ErrorKind.UPSTREAM_RATE_LIMITED,
    _API: ErrorKind.UPSTREAM_ERROR,
    _LATE: ErrorKind.UPSTREAM_TIMEOUT,
    _BUSY: ErrorKind.UPSTREAM_OVERLOADED,
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
    503: ErrorKind.UPSTREAM_OVERLOADED,
    504: ErrorKind.UPSTREAM_TIMEOUT,
    529: ErrorKind.UPSTREAM_OVERLOADED,
}
# Anthropic has one type for all that is wrong with a request; its words tell more.
_TOO_LONG = ("prompt is too long", "input length and `max_tokens` exceed context limit")
_NO_CREDIT = "credit balance is too low"

_CLIENT_KINDS = frozenset(
    (
        ErrorKind.INVALID_REQUEST,
        ErrorKind.MODEL_NOT_FOUND,
        ErrorKind.NOT_FOUND,
        ErrorKind.CONFLICT,
        ErrorKind.TOO_LARGE,
        ErrorKind.UNSUPPORTED_MEDIA_TYPE,
        ErrorKind.CONTEXT_LENGTH,
    )
)


def encode_error(error: GatewayError) -> tuple[int, Tree]:
    """Return status and body. The error's own status wins over the table's."""
    status, kind = STATUS_AND_TYPE.get(error.kind, (500, _API))
    message = error.message
    if error.param is not None and error.param not in message:
        message = f"{error.param}: {message}"
    return error.status or status, {
        "type": "error",
        "error": {"type": kind, "message": message, "code": error.code},
    }


def decode_error(status: int, body: bytes) -> GatewayError:
    """Name the failure an upstream answered with, whatever its body looks like."""
    try:
        tree = orjson.loads(body)
    except orjson.JSONDecodeError:
        text = body[: 4 * MAX_MESSAGE_CHARS].decode("utf-8", "replace").strip()
        # A proxy's page: its markup helps nobody.
        return _error(status, "" if text.startswith("<") else text, "")
    return error_from_tree(tree, status)


def error_from_tree(tree: Any, status: int | None = None) -> GatewayError:
    """Name the failure a parsed body, or a frame in mid-stream, tells."""
    if not isinstance(tree, dict):
        return _error(status, str(tree) if tree else "", "")
    inner = tree.get("error", tree)
    if not isinstance(inner, dict):
        return _error(status, _message({"message": inner}), "")
    return _error(status, _message(inner), text_of(inner.get("type")))


def _message(tree: Tree) -> str:
    for field in ("message", "detail"):
        value = tree.get(field)
        if isinstance(value, str) and value:
            return value
        if value and not isinstance(value, str):
            return orjson.dumps(value).decode()
    return ""


def _error(status: int | None, message: str, word: str) -> GatewayError:
    kind = _kind(status, message.lower(), word)
    if not message:
        message = f"the provider answered with status {status}" if status else "the provider reports an error"
    is_clients = kind in _CLIENT_KINDS
    branch = ClientError if is_clients else UpstreamError
    own_status = status if is_clients and status and 400 <= status < 500 else None
    return branch(message[:MAX_MESSAGE_CHARS], kind=kind, status=own_status)


def _kind(status: int | None, message: str, word: str) -> ErrorKind:
    kind = _TYPES.get(word)
    if kind is None or status in {401, 403}:
        kind = _kind_of_status(status)
    if kind is ErrorKind.INVALID_REQUEST:
        if any(words in message for words in _TOO_LONG):
            return ErrorKind.CONTEXT_LENGTH
        if _NO_CREDIT in message:
            return ErrorKind.UPSTREAM_RATE_LIMITED
    if kind is ErrorKind.NOT_FOUND and message.startswith("model:"):
        return ErrorKind.MODEL_NOT_FOUND
    return kind


def _kind_of_status(status: int | None) -> ErrorKind:
    if status is None:
        return ErrorKind.UPSTREAM_ERROR
    known = _STATUSES.get(status)
    if known is not None:
        return known
    return ErrorKind.INVALID_REQUEST if 400 <= status < 500 else ErrorKind.UPSTREAM_ERROR
