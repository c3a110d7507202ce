"""Naming what a format could not hold, in the spelling `aigw.dialects.base.Encoded` lays down."""

from __future__ import annotations

from aigw.model import Extras


def lost_extras(dialect: str, extras: Extras, path: str = "") -> list[str]:
    """Name the fields of other dialects than this one, as `items[2].parts[0].anthropic:cache_control`.

    path: of the thing they stand beside; empty for the request itself. Notes a dialect has made to itself
    ("@word") are no fields; a field of an object inside is named by its last word.
    """
    found = []
    for key in extras:
        origin, _, field = key.partition(":")
        if origin == dialect:
            continue
        if field.startswith("@"):
            field = field.partition("/")[2]
        if field:
            found.append(f"{path}.{origin}:{field}" if path else f"{origin}:{field}")
    return found
