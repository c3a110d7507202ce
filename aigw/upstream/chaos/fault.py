"""`Fault`: what may go wrong with one call, as plain data. Knows nothing of how it is done."""

from __future__ import annotations

from typing import Final, Literal, Self, get_args

from attrs import field, frozen

from aigw.config import checks
from aigw.config.checks import Check, Wanted

FaultKind = Literal[
    "pass",
    "latency",
    "drip",
    "status",
    "connect",
    "hang",
    "empty",
    "disguise",
    "garbage",
    "malformed",
    "truncate",
    "disconnect",
    "stream_error",
    "silent",
]

KINDS: Final[tuple[FaultKind, ...]] = get_args(FaultKind)

_kind: Check[str] = Check(f"one of {', '.join(KINDS)}", lambda kind: kind in KINDS)
_rate: Check[float] = Check("a number from 0 to 1", lambda rate: 0 <= rate <= 1)
_status: Check[int] = Check("an HTTP status from 300 to 599", lambda status: 300 <= status <= 599)


@frozen
class Fault:
    """One thing that goes wrong. In configuration the kind alone, as text, will do.

    kind: `pass` (nothing), `latency`, `drip` (a slow trickle), `status` (an error with a body in the format's
        shape), `connect` (no connection), `hang` (no head, ever), `empty` (a 200 with nothing in it),
        `disguise` (a 200 that is an error), `garbage` (bytes that mean nothing), `malformed` (a frame that is
        no JSON), `truncate` (a clean end before the format's own), `disconnect`, `stream_error` (the stream
        itself tells a failure), `silent` (a head, and then nothing, ever).
    rate: how likely it is, from 0 to 1.
    status, message, body, retry_after_s: of `status`, `disguise` and `stream_error`; body: in place of the
        format's own shape, with `status` alone.
    head_s, first_byte_s, chunk_s: seconds of `latency` before the head, before the first byte behind it, and
        before each chunk more.
    after: how many frames of a stream are let through first: of `garbage`, `malformed`, `stream_error`,
        `silent`.
    at_byte: where `disconnect` cuts; a body that is shorter is cut at its end.
    size_bytes, pause_s: `drip` gives so many bytes, then waits; `garbage` has `size_bytes` too.
    """

    kind: FaultKind = field(validator=_kind)
    rate: float = field(default=1.0, validator=_rate)
    status: int = field(default=503, validator=_status)
    message: str = "chaos: the provider was told to fail"
    body: str | None = None
    retry_after_s: float | None = field(default=None, validator=checks.not_negative)
    head_s: float = field(default=0.0, validator=checks.not_negative)
    first_byte_s: float = field(default=0.0, validator=checks.not_negative)
    chunk_s: float = field(default=0.0, validator=checks.not_negative)
    after: int = field(default=0, validator=checks.count)
    at_byte: int = field(default=0, validator=checks.count)
    size_bytes: int = field(default=64, validator=checks.at_least_one)
    pause_s: float = field(default=0.01, validator=checks.not_negative)

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read a kind that stands alone. Raises Wanted on another word."""
        found = next((kind for kind in KINDS if kind == text), None)
        if found is None:
            raise Wanted(_kind.wanted)
        return cls(found)
