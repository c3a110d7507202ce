"""A simple `curl` command, read as the request it makes.

Owns the few options that say what is sent, and those that say nothing of it; refuses all others by name.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from urllib.parse import urlsplit

from attrs import define, field

from aigw.explain.form import Form, UsageError, header_of

_VALUES = {
    "-X": "method",
    "--request": "method",
    "-H": "header",
    "--header": "header",
    "-d": "data",
    "--data": "data",
    "--data-ascii": "data",
    "--data-binary": "data",
    "--data-raw": "raw",
    "--json": "json",
    "--url": "url",
    "-A": "agent",
    "--user-agent": "agent",
    "-o": "ignored",
    "--output": "ignored",
    "-m": "ignored",
    "--max-time": "ignored",
    "--connect-timeout": "ignored",
    "-w": "ignored",
    "--write-out": "ignored",
}
_BARE = frozenset(
    {
        "--silent",
        "--show-error",
        "--include",
        "--insecure",
        "--verbose",
        "--no-buffer",
        "--location",
        "--fail",
        "--fail-with-body",
        "--compressed",
        "--globoff",
        "--http1.1",
    }
)
_BARE_LETTERS = frozenset("sSikvNLfg")


@define
class _Read:
    method: str | None = None
    url: str | None = None
    headers: list[tuple[str, str]] = field(factory=list)
    data: list[bytes] = field(factory=list)


def read_curl(text: str, data_of: Callable[[str], bytes]) -> Form:
    """Return the request of a command line. data_of: the bytes that `-d` means. Raises UsageError."""
    try:
        words = shlex.split(text.replace("\\\r\n", " ").replace("\\\n", " "))[1:]
    except ValueError as error:
        raise UsageError(f"curl: the command breaks off ({error})") from None
    read = _Read()
    left = iter(words)
    for word in left:
        name, value = _split(word)
        if name is None:
            read.url = word
        elif not _is_bare(name):
            if name not in _VALUES:
                raise UsageError(f"curl: got {name}, wanted only -X, -H, -d, --json and a URL")
            value = next(left, None) if value is None else value
            if value is None:
                raise UsageError(f"curl: {name} wants a value")
            _take(read, _VALUES[name], value, data_of)
    return _form(read)


def _split(word: str) -> tuple[str | None, str | None]:
    """Return (option, the value that stands in the same word); the first is None for the URL."""
    if not word.startswith("-") or word == "-":
        return None, None
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        return name, value if equals else None
    if word[:2] in _VALUES:
        return word[:2], word[2:] or None
    return word, None


def _is_bare(name: str) -> bool:
    return name in _BARE or (not name.startswith("--") and set(name[1:]) <= _BARE_LETTERS)


def _take(read: _Read, meaning: str, value: str, data_of: Callable[[str], bytes]) -> None:
    match meaning:
        case "method":
            read.method = value
        case "header":
            read.headers.append(header_of(value))
        case "agent":
            read.headers.append(("User-Agent", value))
        case "url":
            read.url = value
        case "data":
            read.data.append(data_of(value))
        case "raw":
            read.data.append(value.encode("utf-8", "surrogateescape"))
        case "json":
            read.data.append(data_of(value))
            read.headers.append(("Content-Type", "application/json"))


def _form(read: _Read) -> Form:
    if read.url is None:
        raise UsageError("curl: got no URL")
    url = urlsplit(read.url if "://" in read.url else f"http://{read.url}")
    headers = list(read.headers)
    names = {name.lower() for name, _ in headers}
    if "host" not in names and url.netloc:
        headers.insert(0, ("Host", url.netloc.rpartition("@")[2]))
    if read.data and "content-type" not in names:
        headers.append(("Content-Type", "application/x-www-form-urlencoded"))  # so does curl
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    return Form(read.method, path, tuple(headers), b"&".join(read.data))
