"""What a section of `kind = "replay"` may say in its `options`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from attrs import field, frozen

from aigw.config import checks
from aigw.config.checks import Check, Wanted

Mode = Literal["play", "record", "record_missing"]
Pace = Literal["original", "none"] | float
AfterLast = Literal["repeat", "error"]

VOLATILE = ("user", "metadata", "safety_identifier", "prompt_cache_key")
"""Fields of a body that name the caller, not what is asked."""

_filled: Callable[[object, object, str], None] = checks.filled
_pace: Check[Pace] = Check(
    '"original", "none" or a number of seconds', lambda pace: isinstance(pace, str) or pace >= 0
)


@frozen
class ReplayOptions:
    """Where recordings are, and what to do with them.

    dir: the folder of the recordings, one file each.
    mode: "play" asks nobody; "record" asks the provider `of` and writes what it answers; "record_missing"
        does so where nothing has been recorded.
    of: the name of the provider that is recorded; playing needs none.
    pace: "original" as it was recorded, "none" at once, or so many seconds before each chunk.
    ignore: fields of the body that do not matter to which recording matches: paths as `metadata` or
        `messages.*.name`, where `*` is every item.
    after_last: the same request asked again gets its next recording; after the last one that one again
        ("repeat"), or an error.
    """

    dir: str = field(validator=_filled)
    mode: Mode = "play"
    of: str | None = field(default=None, validator=checks.filled)
    pace: Pace = field(default="none", validator=_pace)
    ignore: tuple[str, ...] = field(default=VOLATILE, validator=checks.each(checks.filled))
    after_last: AfterLast = "repeat"

    def __attrs_post_init__(self) -> None:
        if self.mode != "play" and self.of is None:
            raise Wanted('of (the name of the provider to record), or mode = "play"')
