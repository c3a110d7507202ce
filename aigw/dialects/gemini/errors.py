"""How Google's API tells failures: one table from kind to HTTP status and rpc status, and the way back.

Source: google.rpc.Code and google.rpc error details, Gemini's troubleshooting guide, recorded traffic.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from aigw.dialects.base import Tree
from aigw.dialects.fields import list_of, object_of, text_of
from aigw.errors import ClientError, ErrorKind, GatewayError, UpstreamError

MAX_MESSAGE_CHARS = 2000

_ARGUMENT = "INVALID_ARGUMENT"
_UNAVAILABLE = "UNAVAILABLE"

STATUS_AND_CODE: dict[ErrorKind, tuple[int, str]] = {
    ErrorKind.INVALID_REQUEST: (400, _ARGUMENT),
    ErrorKind.INVALID_JSON: (400, _ARGUMENT),
    ErrorKind.MISSING_FIELD: (400, _ARGUMENT),
    ErrorKind.UNSUPPORTED: (400, _ARGUMENT),
    ErrorKind.AUTHENTICATION: (401, "UNAUTHENTICATED"),
    ErrorKind.PERMISSION: (403, "PERMISSION_DENIED"),
    ErrorKind.MODEL_NOT_ALLOWED: (403, "PERMISSION_DENIED"),
    ErrorKind.MODEL_NOT_FOUND: (404, "NOT_FOUND"),
    ErrorKind.NOT_FOUND: (404, "NOT_FOUND"),
    ErrorKind.UNKNOWN_URL: (404, "NOT_FOUND"),
    ErrorKind.METHOD_NOT_ALLOWED: (405, "UNIMPLEMENTED"),
    ErrorKind.CONFLICT: (409, "ABORTED"),
    ErrorKind.TOO_LARGE: (413, _ARGUMENT),
    ErrorKind.UNSUPPORTED_MEDIA_TYPE: (415, _ARGUMENT),
    ErrorKind.RATE_LIMITED: (429, "RESOURCE_EXHAUSTED"),
    ErrorKind.QUOTA_EXCEEDED: (429, "RESOURCE_EXHAUSTED"),
    ErrorKind.CONTEXT_LENGTH: (400, _ARGUMENT),
    ErrorKind.CONTENT_FILTER: (400, _ARGUMENT),
    ErrorKind.CLIENT_CLOSED: (499, "CANCELLED"),
    ErrorKind.UPSTREAM_ERROR: (502, "INTERNAL"),
    ErrorKind.UPSTREAM_CREDENTIAL: (502, "INTERNAL"),
    ErrorKind.UPSTREAM_RATE_LIMITED: (429, "RESOURCE_EXHAUSTED"),
    ErrorKind.UPSTREAM_OVERLOADED: (503, _UNAVAILABLE),
    ErrorKind.UPSTREAM_UNREACHABLE: (502, _UNAVAILABLE),
    ErrorKind.UPSTREAM_TIMEOUT: (504, "DEADLINE_EXCEEDED"),
    ErrorKind.UPSTREAM_PROTOCOL: (502, "INTERNAL"),
    ErrorKind.UPSTREAM_TRUNCATED: (502, "INTERNAL"),
    ErrorKind.INTERNAL: (500, "INTERNAL"),
    ErrorKind.HOOK_FAILED: (500, "INTERNAL"),
    ErrorKind.MISCONFIGURED: (500, "INTERNAL"),
    ErrorKind.UNAVAILABLE: (503, _UNAVAILABLE),
}

_KINDS: dict[str, ErrorKind] = {
    "INVALID_ARGUMENT": ErrorKind.INVALID_REQUEST,
    "OUT_OF_RANGE": ErrorKind.INVALID_REQUEST,
    "FAILED_PRECONDITION": ErrorKind.INVALID_REQUEST,  # a region without the free tier, billing not set up
    "UNAUTHENTICATED": ErrorKind.UPSTREAM_CREDENTIAL,
    "PERMISSION_DENIED": ErrorKind.UPSTREAM_CREDENTIAL,
    "NOT_FOUND": ErrorKind.NOT_FOUND,
    "ALREADY_EXISTS": ErrorKind.CONFLICT,
    "ABORTED": ErrorKind.CONFLICT,
    "RESOURCE_EXHAUSTED": ErrorKind.UPSTREAM_RATE_LIMITED,
    "CANCELLED": ErrorKind.UPSTREAM_ERROR,
    "UNAVAILABLE": ErrorKind.UPSTREAM_OVERLOADED,
    "DEADLINE_EXCEEDED": ErrorKind.UPSTREAM_TIMEOUT,
}
_STATUSES: dict[int, ErrorKind] = {
    401: ErrorKind.UPSTREAM_CREDENTIAL,
    403: ErrorKind.UPSTREAM_CREDENTIAL,
    404: ErrorKind.NOT_FOUND,
    408: ErrorKind.UPSTREAM_TIMEOUT,
    409: ErrorKind.CONFLICT,
    413: ErrorKind.TOO_LARGE,
    415: ErrorKind.UNSUPPORTED_MEDIA_TYPE,
    429: ErrorKind.UPSTREAM_RATE_LIMITED,
    499: ErrorKind.UPSTREAM_ERROR,
    503: ErrorKind.UPSTREAM_OVERLOADED,
    504: ErrorKind.UPSTREAM_TIMEOUT,
    529: ErrorKind.UPSTREAM_OVERLOADED,
}
# Google says 400 to a bad key as well; the reason in the details tells.
_CREDENTIAL_REASONS = frozenset(
    ("API_KEY_INVALID", "API_KEY_SERVICE_BLOCKED", "SERVICE_DISABLED", "ACCESS_TOKEN_EXPIRED")
)
_CLIENT_KINDS = frozenset(
    (
        ErrorKind.INVALID_REQUEST,
        ErrorKind.NOT_FOUND,
        ErrorKind.MODEL_NOT_FOUND,
        ErrorKind.CONFLICT,
        ErrorKind.TOO_LARGE,
        ErrorKind.UNSUPPORTED_MEDIA_TYPE,
        ErrorKind.CONTEXT_LENGTH,
    )
)
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s", re.ASCII)
_TOO_LONG = re.compile(r"input token count.*exceeds the maximum", re.IGNORECASE | re.DOTALL)
_NO_MODEL = re.compile(r"\bmodels?/[^ ]+ is not found", re.IGNORECASE)


def encode_error(error: GatewayError) -> tuple[int, Tree]:
    """Return status and body. The error's own status wins over the table's."""
    status, code = STATUS_AND_CODE.get(error.kind, (500, "INTERNAL"))
    status = error.status or status
    inner: Tree = {"code": status, "message": error.message, "status": code}
    if details := _details(error):
        inner["details"] = details
    return status, {"error": inner}


def _details(error: GatewayError) -> list[Tree]:
    details: list[Tree] = []
    if error.param is not None:
        violation = {"field": error.param, "description": error.message}
        details.append({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]})
    if error.retry_after_s is not None:
        delay = f"{error.retry_after_s:g}s"
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay})
    return details


def decode_error(status: int, body: bytes) -> GatewayError:
    """Name the failure an upstream answered with, whatever its body looks like."""
    try:
        tree = orjson.loads(body)
    except orjson.JSONDecodeError:
        text = body[: 4 * MAX_MESSAGE_CHARS].decode("utf-8", "replace").strip()
        # A proxy's page: its markup helps nobody.
        return _error(status, "" if text.startswith("<") else text, "", [])
    return error_from_tree(tree, status)


def error_from_tree(tree: Any, status: int | None = None) -> GatewayError:
    """Name the failure a parsed body, or a frame in mid-stream, tells; its code may stand in for a status."""
    if isinstance(tree, list) and tree:  # so a stream of the JSON array form is refused
        tree = tree[0]
    if not isinstance(tree, dict):
        return _error(status, str(tree) if tree else "", "", [])
    inner = tree.get("error", tree)
    if not isinstance(inner, dict):
        inner = {"message": inner if isinstance(inner, str) else orjson.dumps(inner).decode()}
    code = inner.get("code")
    if status is None and isinstance(code, int) and 400 <= code <= 599:
        status = code
    details = [object_of(detail) for detail in list_of(inner.get("details"))]
    return _error(status, text_of(inner.get("message")), text_of(inner.get("status")), details)


def _error(status: int | None, message: str, code: str, details: list[Tree]) -> GatewayError:
    kind = _kind(status, message, code, details)
    if not message:
        message = f"the provider answered with status {status}" if status else "the provider reports an error"
    branch = ClientError if kind in _CLIENT_KINDS else UpstreamError
    return branch(
        message[:MAX_MESSAGE_CHARS],
        kind=kind,
        param=_param(details),
        status=status if kind in _CLIENT_KINDS and status and 400 <= status < 500 else None,
        retry_after_s=_retry_after_s(details),
    )


def _kind(status: int | None, message: str, code: str, details: list[Tree]) -> ErrorKind:
    if any(detail.get("reason") in _CREDENTIAL_REASONS for detail in details) or (
        status == 400 and message.startswith("API key ")
    ):
        return ErrorKind.UPSTREAM_CREDENTIAL
    kind = _STATUSES.get(status or 0) or _KINDS.get(code)
    if kind is None:
        known = status is not None and 400 <= status < 500
        kind = ErrorKind.INVALID_REQUEST if known else ErrorKind.UPSTREAM_ERROR
    if kind is ErrorKind.INVALID_REQUEST and _TOO_LONG.search(message):
        return ErrorKind.CONTEXT_LENGTH
    if kind is ErrorKind.NOT_FOUND and _NO_MODEL.search(message):
        return ErrorKind.MODEL_NOT_FOUND
    return kind


def _retry_after_s(details: list[Tree]) -> float | None:
    for detail in details:
        match = _DURATION.fullmatch(text_of(detail.get("retryDelay")))
        if match is not None:
            return float(match[1])
    return None


def _param(details: list[Tree]) -> str | None:
    for detail in details:
        for violation in list_of(detail.get("fieldViolations")):
            if field := text_of(object_of(violation).get("field")):
                return field
    return None
