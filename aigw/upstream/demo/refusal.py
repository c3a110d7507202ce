"""What the demo says when it does not answer: errors in OpenAI's shape.

Owns the error object and its status. Source: OpenAI's API reference, error codes, read 2026-11.
"""

from __future__ import annotations

from typing import Any

import orjson

from aigw.upstream.provider import Answer, BufferedAnswer

_KNOWN = {
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", "unsupported_country_region_territory"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
    503: ("server_error", "service_unavailable"),
}


class Refusal(Exception):  # noqa: N818 - it is an answer, raised to get out of the handler
    """A request the demo refuses, as OpenAI would."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        param: str | None = None,
        code: str | None = None,
        kind: str = "invalid_request_error",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.param = param
        self.code = code
        self.kind = kind

    def tree(self) -> dict[str, Any]:
        """Return the body: one `error` object."""
        error = {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}
        return {"error": error}

    def answer(self) -> Answer:
        """Return the whole answer; a 429 says when to come back."""
        headers = {"Content-Type": "application/json"}
        if self.status == 429:
            headers["Retry-After"] = "1"
        return BufferedAnswer(self.status, headers, orjson.dumps(self.tree()))


def steered_refusal(status: int) -> Refusal:
    """Return the error that a message asked for with `[[demo error=...]]`."""
    kind, code = _KNOWN.get(status, ("server_error" if status >= 500 else "invalid_request_error", None))
    return Refusal(f"aigw demo: error {status}, as the message asked.", status=status, kind=kind, code=code)
