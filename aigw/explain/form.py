"""What is common to all forms in which a request may be written down: its parts, and mistakes in them."""

from __future__ import annotations

from attrs import frozen


class UsageError(Exception):
    """What the person wrote cannot be read; the message names what was seen and what was wanted."""


@frozen
class Form:
    """The parts of a request as far as they are said."""

    method: str | None = None
    path: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


def header_of(line: str) -> tuple[str, str]:
    """Return (name, value) of `Name: value`. Raises UsageError, which does not show the value."""
    name, colon, value = line.partition(":")
    name, value = name.strip(), value.strip()
    is_token = name.isascii() and all(char.isalnum() or char in "-_.!#$%&'*+^`|~" for char in name)
    if not colon or not name or not is_token or not (value.isprintable() or not value):
        shown = name[:40] if colon and is_token else f"{len(line)} characters"
        raise UsageError(f'header: got "{shown}", wanted "Name: value" on one line')
    return name, value
