"""Every failure the gateway can name: one tree, three branches, one kind each.

Owns what went wrong and whose fault it was. Knows no wire format and no HTTP library: each dialect
has one table from `ErrorKind` to its own status, type and shape. A message is written for the
caller of the API and never holds a secret, a stack trace or an internal address.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class ErrorKind(StrEnum):
    """What went wrong. The value is the `code` a client sees unless the error carries its own."""

    # The caller's fault.
    INVALID_REQUEST = "invalid_request"
    INVALID_JSON = "invalid_json"
    MISSING_FIELD = "missing_required_parameter"
    UNSUPPORTED = "unsupported_value"
    AUTHENTICATION = "invalid_api_key"
    PERMISSION = "permission_denied"
    MODEL_NOT_ALLOWED = "model_not_allowed"
    MODEL_NOT_FOUND = "model_not_found"
    NOT_FOUND = "not_found"
    UNKNOWN_URL = "unknown_url"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    CONFLICT = "conflict"
    TOO_LARGE = "request_too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    RATE_LIMITED = "rate_limit_exceeded"
    QUOTA_EXCEEDED = "insufficient_quota"
    CONTEXT_LENGTH = "context_length_exceeded"
    CONTENT_FILTER = "content_filter"
    CLIENT_CLOSED = "client_closed_request"

    # The provider's.
    UPSTREAM_ERROR = "upstream_error"
    UPSTREAM_CREDENTIAL = "upstream_credential_refused"
    UPSTREAM_RATE_LIMITED = "upstream_rate_limited"
    UPSTREAM_OVERLOADED = "upstream_overloaded"
    UPSTREAM_UNREACHABLE = "upstream_unreachable"
    UPSTREAM_TIMEOUT = "upstream_timeout"
    UPSTREAM_PROTOCOL = "upstream_protocol_error"
    UPSTREAM_TRUNCATED = "upstream_truncated"

    # Ours.
    INTERNAL = "internal_error"
    HOOK_FAILED = "hook_failed"
    MISCONFIGURED = "gateway_misconfigured"
    UNAVAILABLE = "service_unavailable"


class GatewayError(Exception):
    """A failure with a name.

    message: for the caller of the API. Names the value seen and the value wanted.
    param: path of the offending request field, in the caller's own spelling, as `messages[0].role`.
    code: machine-readable; the kind's value unless something more exact is known.
    status: HTTP status to use in place of the dialect's own choice (an upstream's 4xx is kept).
    retry_after_s: seconds after which trying again makes sense.
    provider: name of the provider involved, if one was.
    words: the provider's own error body with its dialect's name, to be handed on as it is where the
        caller speaks that dialect.
    """

    default_kind: ClassVar[ErrorKind] = ErrorKind.INTERNAL

    def __init__(  # noqa: PLR0913 - each is one optional fact of the same failure
        self,
        message: str,
        *,
        kind: ErrorKind | None = None,
        param: str | None = None,
        code: str | None = None,
        status: int | None = None,
        retry_after_s: float | None = None,
        provider: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind or self.default_kind
        self.param = param
        self.code = code or self.kind.value
        self.status = status
        self.retry_after_s = retry_after_s
        self.provider = provider
        self.words: tuple[str, bytes] | None = None


class ClientError(GatewayError):
    """The request is at fault; sending it again unchanged will fail again (429 apart)."""

    default_kind = ErrorKind.INVALID_REQUEST


class UpstreamError(GatewayError):
    """The provider failed, or could not be reached, or answered what its format does not allow."""

    default_kind = ErrorKind.UPSTREAM_ERROR


class ServerError(GatewayError):
    """The gateway itself failed."""

    default_kind = ErrorKind.INTERNAL


class ProtocolError(UpstreamError):
    """Bytes that are not what the wire format promises. Raised by codecs and framers alone."""

    default_kind = ErrorKind.UPSTREAM_PROTOCOL


class ConfigError(Exception):
    """The operator's configuration is wrong; `problems` lists every mistake found, not the first."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
