"""How an exchange ended: the one word that is counted, logged and billed.

Owns the words alone.
"""

from __future__ import annotations

from enum import StrEnum


class Ending(StrEnum):
    """How an exchange ended; exactly one of these, always."""

    COMPLETE = "complete"
    REFUSED = "refused"
    """An error answer, before anything else was sent."""
    FAILED = "failed"
    """The answer broke after it had begun; the client was told in its own format."""
    HUNG_UP = "hung_up"
    """The client went away first."""
    STALLED = "stalled"
    """The client took nothing for so long that it was given up."""
    CANCELLED = "cancelled"
    """It was cancelled by whoever had asked for it."""
    SHUT_DOWN = "shut_down"
    """The gateway stopped while the answer was running."""

    __hash__ = str.__hash__  # an Enum's own is written in Python
