"""What is told of attempts that failed: to the client in a header and in the last error's words.

Owns these two shapes. Names targets, statuses and codes, never what a provider said or a credential.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from aigw.errors import ErrorKind, GatewayError
from aigw.pipeline.exchange import Attempt

MAX_HEADER_CHARS = 1000
MAX_CODE_CHARS = 64
_UNFIT = re.compile(r"[^0-9A-Za-z._/-]+")
_RANKS = {
    ErrorKind.CONTEXT_LENGTH: 0,
    ErrorKind.CONTENT_FILTER: 0,
    ErrorKind.UPSTREAM_RATE_LIMITED: 1,
    ErrorKind.UPSTREAM_OVERLOADED: 2,
    ErrorKind.UPSTREAM_ERROR: 3,
}


def fallback_header(attempts: Sequence[Attempt]) -> str:
    """Return what made the gateway move on, as `provider:error_code, ...`; empty where nothing did."""
    causes = [
        f"{attempt.target.provider.name}:{_code(attempt.error)}"
        for attempt in attempts
        if attempt.error is not None
    ]
    return ", ".join(causes)[:MAX_HEADER_CHARS]


def most_useful(attempts: Sequence[Attempt]) -> GatewayError:
    """Of attempts that failed, return the error that tells the caller most; it says what was tried."""
    failures = [attempt.error for attempt in attempts if attempt.error is not None]
    best = min(failures, key=lambda error: _RANKS.get(error.kind, len(_RANKS)))
    targets = {attempt.target.name for attempt in attempts}
    if len(targets) > 1:
        outcomes = ", ".join(map(_outcome, attempts))
        best.message += f" ({len(targets)} targets were tried: {outcomes})"
        best.words = None  # the provider's own body would not say so
    return best


def _outcome(attempt: Attempt) -> str:
    bad = attempt.status is not None and attempt.status >= 300
    return f"{attempt.target.name} {f'HTTP {attempt.status}' if bad else _code(attempt.error)}"


def _code(error: GatewayError | None) -> str:
    """Return an error's code as it may stand in a header: some are in the provider's own words."""
    return "unknown" if error is None else _UNFIT.sub("_", error.code)[:MAX_CODE_CHARS]
