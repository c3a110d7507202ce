"""Which headers cross the gateway, and which never do.

Pure. Hop-by-hop headers and credentials end here in both directions; what is forwarded is listed, so that
a header nobody thought of stays where it is. Source: RFC 9110 section 7.6.1; the vendors' references.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime
from functools import lru_cache

from multidict import CIMultiDict

FORWARDED_TO_PROVIDER = (
    "Accept",
    "OpenAI-Beta",
    "anthropic-beta",
    "anthropic-version",
    "Idempotency-Key",
    "X-Client-Request-Id",
    "X-Session-Id",
    "HTTP-Referer",
    "X-Title",
    "traceparent",
    "tracestate",
)
"""Client headers a provider gets: they change the answer or name the request, and none is a secret."""

CREDENTIAL_HEADERS = frozenset(
    {"authorization", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie", "set-cookie"}
)

HOP_BY_HOP = frozenset(
    {
        "connection", "keep-alive", "proxy-authenticate", "proxy-connection", "te", "trailer",
        "transfer-encoding", "upgrade", "host", "content-length", "content-encoding", "expect",
    }
)  # fmt: skip

_FORWARDED = frozenset(name.lower() for name in FORWARDED_TO_PROVIDER)
_NEVER = HOP_BY_HOP | CREDENTIAL_HEADERS
_RETURNED = frozenset(
    {
        "retry-after", "retry-after-ms", "openai-processing-ms", "openai-version", "openai-model",
        "x-should-retry", "content-disposition", "content-language",
    }
)  # fmt: skip
_RETURNED_PREFIXES = ("x-ratelimit-", "anthropic-ratelimit-")
# A byte that is no UTF-8 comes as a lone surrogate: it cannot be written again, and breaks the request.
_SANE_VALUE = re.compile(r"[\t\x20-\x7e\x80-\ud7ff\ue000-\U0010ffff]*")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/=+-]{1,128}")


def to_provider(headers: Mapping[str, str], more: Iterable[str] = ()) -> CIMultiDict[str]:
    """Pick the client headers that a provider may see; `more` are names its configuration adds."""
    picked: CIMultiDict[str] = CIMultiDict()
    for name, value in headers.items():
        if is_forwarded(name) and name not in picked and _SANE_VALUE.fullmatch(value):
            picked[name] = value
    for name in more:
        given = headers.get(name)
        if given is not None and name.lower() not in _NEVER and _SANE_VALUE.fullmatch(given):
            picked[name] = given
    return picked


@lru_cache(maxsize=1024)
def is_forwarded(name: str) -> bool:
    """Tell whether a client's header goes on to every provider. Cached: it is always the same few names."""
    return name.lower() in _FORWARDED


def to_client(headers: Mapping[str, str]) -> dict[str, str]:
    """Pick the provider's headers that the client may see: its rate limits, and when to come back."""
    return {
        name: value for name, value in headers.items() if is_returned(name) and _SANE_VALUE.fullmatch(value)
    }


@lru_cache(maxsize=1024)
def is_returned(name: str) -> bool:
    """Tell whether a provider's header goes on to the client. Cached: it is always the same few names."""
    name = name.lower()
    return name in _RETURNED or name.startswith(_RETURNED_PREFIXES)


@lru_cache(maxsize=256)
def media_type_of(content_type: str) -> str:
    """Return the media type of a Content-Type, less its parameters, in lower case. Cached: they are few."""
    return content_type.partition(";")[0].strip().lower()


def sane_request_id(value: str | None) -> str | None:
    """Return a client's request id if it may stand in headers and logs, else None."""
    return value if value is not None and _REQUEST_ID.fullmatch(value) else None


MAX_RETRY_AFTER_S = 86_400


def retry_after_s(headers: Mapping[str, str], now: float) -> float | None:
    """Read `retry-after-ms` or `retry-after` in seconds; nonsense is None. now: Unix seconds, for a date."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            seconds = float(value) * unit
        except ValueError:
            seconds = _until(value, now)
        if 0 <= seconds < MAX_RETRY_AFTER_S:
            return seconds
    return None


def _until(date: str, now: float) -> float:
    try:
        return max(0.0, parsedate_to_datetime(date).timestamp() - now)
    except (ValueError, OverflowError):
        return -1.0
