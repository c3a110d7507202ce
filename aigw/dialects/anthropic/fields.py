"""The names this format gives to extras: its own fields, and its notes to itself."""

from __future__ import annotations

from aigw.dialects.fields import OwnFields

NAME = "anthropic"

_own = OwnFields(NAME)
keep, restore = _own.keep, _own.restore

# The caller put this system message among the others, where newer models take one.
IN_PLACE = _own.note("in_place")
