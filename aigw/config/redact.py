"""Masks secrets in messages that other code wrote: validators of plugins, exceptions of libraries.

Knows which texts of a tree are secrets; cannot know what a foreign message did to them, so a field
that is a secret itself gets no foreign message at all (see `structure`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import attrs

from aigw.config.place import looks_secret
from aigw.config.secrets import MASK, Interpolated, Secret


def redact(message: str, *values: object) -> str:
    """Return the message on one line with every secret text that the values hold replaced by `***`."""
    texts = {text for value in values for text in secret_texts(value, hidden=False)}
    for text in sorted(texts, key=len, reverse=True):
        for form in (text, repr(text)[1:-1]):
            message = message.replace(form, MASK)
    return " ".join(message.split())


def secret_texts(value: object, *, hidden: bool) -> Iterator[str]:
    """Yield the texts below a value that no message may show."""
    if isinstance(value, Secret):
        yield from filter(None, [value.reveal()])
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from secret_texts(item, hidden=hidden or looks_secret(str(key)))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from secret_texts(item, hidden=hidden)
    elif attrs.has(kind := type(value)):
        for field in attrs.fields(kind):
            yield from secret_texts(getattr(value, field.name, None), hidden=looks_secret(field.name))
    elif hidden or isinstance(value, Interpolated):
        yield from filter(None, [_as_text(value)])


def _as_text(value: object) -> str:
    if isinstance(value, str):
        return str(value)
    return repr(value) if isinstance(value, float) else ""
