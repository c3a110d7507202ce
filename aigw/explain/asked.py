"""A request as a person has it at hand, as the request that a client would send.

Owns the forms it may come in: a JSON body, a whole HTTP/1.1 request, a `curl` command, and flags that lie
over them. Reads files that are named, and calls nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import orjson
from attrs import evolve, frozen

from aigw.explain.curl import read_curl
from aigw.explain.form import Form, UsageError, header_of
from aigw.explain.guess import guess_path

Read = Callable[[str], bytes]
"""Returns the bytes of a file by its name; "-" is standard input. Raises OSError."""


@frozen
class Flags:
    """What the command line says of a request. headers, as `name: value`; data, as curl's `-d`."""

    request: str | None = None
    path: str | None = None
    method: str | None = None
    headers: tuple[str, ...] = ()
    data: str | None = None


@frozen
class Asked:
    """A request that can be sent. guessed: its path stood nowhere."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    guessed: bool


def read_request(flags: Flags, read: Read) -> Asked:
    """Return the request that file and flags describe. Raises UsageError, and OSError on files."""
    form = Form() if flags.request is None else _read_form(flags.request, read)
    if flags.data is not None:
        form = evolve(form, body=data_of(flags.data, read))
    more = tuple(header_of(line) for line in flags.headers)
    said = {name.lower() for name, _ in more}
    headers = (*(pair for pair in form.headers if pair[0].lower() not in said), *more)
    path = flags.path or form.path
    if path is None and not form.body:
        raise UsageError("got no request; wanted a file, -d with a body, or --path")
    method = flags.method or form.method or ("POST" if form.body else "GET")
    guessed = path is None
    path = path or guess_path(form.body, (name for name, _ in headers))
    if not method.isalpha():
        raise UsageError(f'-X: got "{method}", wanted a method, as POST')
    if not (path.startswith("/") and path.isascii() and path.isprintable()) or " " in path:
        raise UsageError(f'--path: got "{path}", wanted the path of a URL, as /v1/chat/completions')
    return Asked(method.upper(), path, _completed(headers, form.body), form.body, guessed)


def data_of(text: str, read: Read) -> bytes:
    """Return what curl's `-d` means: the text itself, or a file's content behind an @."""
    return read(text[1:]) if text.startswith("@") else text.encode("utf-8", "surrogateescape")


def from_disk(name: str) -> bytes:
    """Read a file."""
    return Path(name).read_bytes()


def _read_form(request: str, read: Read) -> Form:
    """Tell by its beginning what a request is written as."""
    raw = request.encode() if request.startswith("curl ") else read(request)
    text = raw.decode("utf-8", "surrogateescape").lstrip("\ufeff \t\r\n")
    if text.startswith("curl "):
        return read_curl(text, lambda data: data_of(data, read))
    first = text.partition("\n")[0].split()
    if len(first) == 3 and first[2].startswith("HTTP/1."):
        return _read_http(text)
    return Form(body=raw, headers=() if _is_json(raw) else (("Content-Type", "text/plain"),))


def _read_http(text: str) -> Form:
    """Read a request as it goes over the wire, but for its line ends: an editor may have changed them."""
    head, blank, body = text.partition("\r\n\r\n")
    if not blank or "\n\n" in head:
        head, _, body = text.partition("\n\n")
    first, *lines = head.splitlines()
    method, path, _ = first.split()
    headers = tuple(header_of(line) for line in lines)
    if "content-length" not in {name.lower() for name, _ in headers}:
        body = body.rstrip("\n")
    return Form(method, path, headers, body.encode("utf-8", "surrogateescape"))


_FRAMING = frozenset({"content-length", "transfer-encoding", "connection", "expect"})


def _completed(headers: Iterable[tuple[str, str]], body: bytes) -> tuple[tuple[str, str], ...]:
    """Return headers as a client sends them; those of the connection are the connection's own."""
    kept = [(name, value) for name, value in headers if name.lower() not in _FRAMING]
    names = {name.lower() for name, _ in kept}
    if "host" not in names:
        kept.insert(0, ("Host", "localhost"))
    if body and "content-type" not in names:
        kept.append(("Content-Type", "application/json"))
    return tuple(kept)


def _is_json(raw: bytes) -> bool:
    try:
        orjson.loads(raw)
    except orjson.JSONDecodeError:
        return raw.lstrip()[:1] in {b"{", b"["}  # broken JSON is to be told as such
    return True
