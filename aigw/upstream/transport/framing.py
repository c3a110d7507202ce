"""What an answer's head must say for its end to be beyond doubt, whichever parser has read it.

Two programs that read one head differently can be made to take one answer for two: what is not clear is
refused, never guessed. Pure.
"""

from __future__ import annotations

from functools import lru_cache

from multidict import MultiMapping, istr

from aigw.errors import ErrorKind, UpstreamError

CONTENT_ENCODING = istr("Content-Encoding")
CONTENT_LENGTH = istr("Content-Length")
TRANSFER_ENCODING = istr("Transfer-Encoding")

MAX_LENGTH_DIGITS = 18
"""The largest 64-bit number means "until close" to llhttp, and no answer is an exabyte long."""


def check_head(status: int, headers: MultiMapping[str]) -> None:
    """Raise UpstreamError (UPSTREAM_PROTOCOL) unless this is the head of an answer we can read.

    "chunked" alone says where a body ends; no request here asks for another transfer coding (TE), and
    nothing here would undo one. No request asks to leave HTTP either (101).
    """
    if status == 101:
        raise broken("it switched protocols unasked")
    if not 100 <= status <= 599:
        raise broken(f"its status is {status}, wanted 100 to 599")
    if len(headers.get(CONTENT_LENGTH, "")) > MAX_LENGTH_DIGITS:
        raise broken(f"its length has more than {MAX_LENGTH_DIGITS} digits")
    if TRANSFER_ENCODING not in headers:
        return
    codings = ", ".join(headers.getall(TRANSFER_ENCODING))
    if codings.strip().lower() != "chunked":
        raise broken(f'its transfer coding is "{codings[:40]}", wanted "chunked"')


@lru_cache(maxsize=1024)
def field_name(name: bytes) -> istr:
    """Return a header's name as text. Cached: providers send the same few, and an `istr` knows its hash."""
    return istr(name.decode("latin-1"))


def broken(what: str) -> UpstreamError:
    """Return the error for an answer that is not HTTP as we speak it."""
    return UpstreamError(f"not valid HTTP: {what}", kind=ErrorKind.UPSTREAM_PROTOCOL)
