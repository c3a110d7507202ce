"""What a model calls the tool of an MCP server: a function's name that every provider takes. Pure."""

from __future__ import annotations

import re
from collections.abc import Container
from hashlib import sha256

MAX_CHARS = 64
_UNFIT = re.compile(r"[^a-zA-Z0-9_-]")
_MARK_CHARS = 8


def function_name(label: str, tool: str, taken: Container[str] = ()) -> str:
    """Return the name of a server's tool as a function: the same one at every asking.

    One that had to be changed, or is taken already, carries a mark made of the whole of it.
    """
    whole = f"{label}__{tool}"
    name = _UNFIT.sub("_", whole)
    if name == whole and len(name) <= MAX_CHARS and name not in taken:
        return name
    attempt = 0
    while True:
        mark = sha256(f"{whole}\0{attempt}".encode()).hexdigest()[:_MARK_CHARS]
        marked = f"{name[: MAX_CHARS - _MARK_CHARS - 1]}_{mark}"
        if marked not in taken:
            return marked
        attempt += 1
