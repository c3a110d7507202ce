"""The names this format gives to extras: its own fields, and its notes to itself; and how it writes times."""

from __future__ import annotations

from aigw.dialects.fields import MAX_INT, OwnFields

NAME = "openresponses"

_own = OwnFields(NAME)
keep, restore = _own.keep, _own.restore

# Thinking that came without an id, in this format: a provider that showed it so takes it back.
OWN_REASONING = _own.note("own_reasoning")
# The caller of this format left to it whether a tool's arguments must keep to the schema.
DEFAULT_STRICT = _own.note("default_strict")
# The caller used the penalties of the published specification, which OpenAI itself refuses.
EXTENSIONS = _own.note("extensions")


def seconds_or_none(value: object) -> int | None:
    """Return a time in whole Unix seconds; some servers write a fraction."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < MAX_INT:
        return None
    return int(value)
