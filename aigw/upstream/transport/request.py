"""What a request may say, whichever client writes it: one thing, and nothing that the client says itself.

A line break in a header would begin another one, a blank in a path another word, and a second length
another request. Who configures a header or writes a hook may get this wrong. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from aigw.errors import ErrorKind, UpstreamError

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BREAK = re.compile(r"[\r\n\0]")
_FRAMING = frozenset({"content-length", "transfer-encoding"})


def check_request(method: str, url: str, headers: Mapping[str, str]) -> None:
    """Raise UpstreamError (MISCONFIGURED) unless all of it can be written as it is."""
    check_method(method)
    check_url(url)
    for name, value in headers.items():
        check_name(name)
        if _BREAK.search(value):
            raise misconfigured("a header of the request holds a line break")
        try:
            value.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise misconfigured("a header of the request is no text") from None


@lru_cache(maxsize=64)
def check_method(method: str) -> None:
    """Raise UpstreamError unless it is one word."""
    if not _TOKEN.fullmatch(method):
        raise misconfigured("the request's method is not one word")


def check_url(url: str) -> None:
    """Raise UpstreamError if a blank, a control character or half a surrogate pair is in it."""
    if not url.isprintable() or " " in url:
        raise misconfigured("its URL holds a blank or a control character")


@lru_cache(maxsize=1024)
def check_name(name: str) -> None:
    """Raise UpstreamError unless it is a header's name, and none of those that say where a body ends."""
    if not _TOKEN.fullmatch(name):
        raise misconfigured("a header's name of the request is not one word")
    if name.lower() in _FRAMING:
        raise misconfigured(f'a header of the request is "{name}", which only the client may write')


def misconfigured(what: str) -> UpstreamError:
    """Return the error for a request that cannot be written; it shows no value: one may be a key."""
    return UpstreamError(what, kind=ErrorKind.MISCONFIGURED)
