"""How a failure is told: the `error` event, and the `error` of a response that has failed."""

from __future__ import annotations

from aigw.dialects.base import Tree
from aigw.dialects.openai_chat.errors import STATUS_AND_TYPE
from aigw.errors import ErrorKind, GatewayError

# Codes a response's own `error` may hold: typed clients know these and no others.
_CODES = frozenset(
    (
        *("server_error", "rate_limit_exceeded", "invalid_prompt", "vector_store_timeout"),
        *("data_residency_mismatch", "bio_policy", "misalignment_policy_violation"),
        *("invalid_image", "invalid_image_format", "invalid_base64_image", "invalid_image_url"),
        *("image_too_large", "image_too_small", "image_parse_error", "image_content_policy_violation"),
        *("invalid_image_mode", "image_file_too_large", "unsupported_image_media_type"),
        *("empty_image_file", "failed_to_download_image", "image_file_not_found"),
    )
)
_LIMITS = frozenset((ErrorKind.RATE_LIMITED, ErrorKind.QUOTA_EXCEEDED, ErrorKind.UPSTREAM_RATE_LIMITED))


def response_error(error: GatewayError) -> Tree:
    """Return the `error` of a failed response, its code the nearest one of the few there are."""
    if error.code in _CODES:
        return {"code": error.code, "message": error.message}
    code = "rate_limit_exceeded" if error.kind in _LIMITS else "server_error"
    return {"code": code, "message": error.message}


def error_event(error: GatewayError, sequence_number: int) -> Tree:
    """Return the `error` event: as OpenAI writes it, and within it as the specification does."""
    _, kind = STATUS_AND_TYPE.get(error.kind, (500, "server_error"))
    facts = {"code": error.code, "message": error.message, "param": error.param}
    return {
        "type": "error",
        "sequence_number": sequence_number,
        **facts,
        "error": {"type": kind, **facts},
    }
