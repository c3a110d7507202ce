"""Bedrock's failures in the words of the API that was asked: one table from AWS's names.

AWS names a failure in the header `x-amzn-errortype`, and its body has a message alone. Source: botocore's
model of bedrock-runtime, and the common errors in Bedrock's API reference, read 2026-11.
"""

from __future__ import annotations

from typing import Any

import orjson
from attrs import frozen

from aigw.dialects.base import Tree
from aigw.dialects.endpoints import Api
from aigw.upstream.provider import Answer, BufferedAnswer

MAX_ERROR_BYTES = 64 * 1024

_BAD = "invalid_request_error"
_DENIED = "permission_error"
_API = "api_error"
_RATE = "rate_limit_error"
_LATE = "timeout_error"

# Name -> status and Anthropic's type. Where AWS's own status would blame the client for what it cannot help
# (424: the model failed), or hides a limit (400: a quota is used up), another stands here.
FAILURES: dict[str, tuple[int, str]] = {
    "ValidationException": (400, _BAD),
    "ConflictException": (409, "conflict_error"),
    "ResourceNotFoundException": (404, "not_found_error"),
    "AccessDeniedException": (403, _DENIED),
    "UnrecognizedClientException": (403, _DENIED),
    "InvalidSignatureException": (403, _DENIED),
    "IncompleteSignatureException": (403, _DENIED),
    "MissingAuthenticationTokenException": (403, _DENIED),
    "ExpiredTokenException": (403, _DENIED),
    "ThrottlingException": (429, _RATE),
    "TooManyRequestsException": (429, _RATE),
    "ServiceQuotaExceededException": (429, _RATE),
    "ModelNotReadyException": (429, _RATE),
    "ModelTimeoutException": (504, _LATE),
    "ModelErrorException": (502, _API),
    "ModelStreamErrorException": (502, _API),
    "InternalServerException": (500, _API),
    "ServiceUnavailableException": (503, "overloaded_error"),
}
_STATUSES: dict[int, str] = {
    401: _DENIED,
    403: _DENIED,
    404: "not_found_error",
    408: _LATE,
    413: "request_too_large",
    429: _RATE,
    503: "overloaded_error",
    504: _LATE,
}


@frozen
class Told:
    """A failure: HTTP status, Anthropic's type, OpenAI's code, message."""

    status: int
    type: str
    message: str
    code: str | None = None


# What AWS says only in words, under one name for all: (what the words begin with, what is meant).
_WORDS = (
    ("input is too long", Told(400, _BAD, "prompt is too long: ", "context_length_exceeded")),
    ("the provided model identifier is invalid", Told(404, "not_found_error", "model: ", "model_not_found")),
)


def name_failure(name: str, message: str, status: int = 500) -> Told:
    """Say what a failure of AWS is. name: as AWS writes it, perhaps in lower camel case."""
    name = name[:1].upper() + name[1:]
    # A 4xx that nobody has listed is the request's fault, unless it says otherwise.
    rest = (status, _STATUSES.get(status, _BAD if 400 <= status < 500 else _API))
    status, kind = FAILURES.get(name, rest)
    message = message or name or f"Bedrock answered with status {status}"
    for words, meant in _WORDS:
        if status == 400 and message.lower().startswith(words):
            return Told(meant.status, meant.type, meant.message + message, meant.code)
    return Told(status, kind, message)


def anthropic_body(told: Told) -> Tree:
    """Return a failure as Anthropic's API tells it."""
    return {"type": "error", "error": {"type": told.type, "message": told.message}}


def openai_body(told: Told) -> Tree:
    """Return a failure as OpenAI's APIs tell it."""
    return {"error": {"message": told.message, "type": told.type, "param": None, "code": told.code}}


async def tell_failure(answer: Answer, api: Api | None) -> Answer:
    """Read an error answer and return it in the words of the API; closes the one it was given."""
    try:
        body = (await answer.read(MAX_ERROR_BYTES))[:MAX_ERROR_BYTES]
    finally:
        await answer.close()
    kept = ("retry-after", "retry-after-ms")
    headers = {name: value for name, value in answer.headers.items() if name.lower() in kept}
    headers["Content-Type"] = "application/json"
    tree = _tree(body)
    if isinstance(tree.get("error"), dict):  # Mantle says it as OpenAI or Anthropic would
        return BufferedAnswer(answer.status, headers, body)
    kind = answer.headers.get("x-amzn-errortype") or _text(tree.get("__type"))
    told = name_failure(_bare(kind), _message(tree), answer.status)
    shaped = anthropic_body(told) if api is Api.MESSAGES else openai_body(told)
    return BufferedAnswer(told.status, headers, orjson.dumps(shaped))


def _bare(name: str) -> str:
    """Take the name out of `ns#ThrottlingException:http://...`: AWS adds to it at either end."""
    return name.partition(":")[0].rpartition("#")[2].strip()


def _tree(body: bytes) -> Tree:
    try:
        tree = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return tree if isinstance(tree, dict) else {}


def _message(tree: Tree) -> str:
    return _text(tree.get("message")) or _text(tree.get("Message"))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
