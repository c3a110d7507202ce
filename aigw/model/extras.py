"""Names for the untyped corners of the vocabulary: JSON trees, and fields that one format alone has.

An extras key is "dialect:field", as in "anthropic:cache_control". A dialect writes back what stands
under its own name and leaves the rest alone, so that a field born yesterday survives a trip through
the gateway when both sides speak the same format.
"""

from __future__ import annotations

from typing import Any

JsonObject = dict[str, Any]
"""A JSON object as a parser gives it. Never changed in place once it is part of the vocabulary."""

Extras = dict[str, Any]
"""Fields of one format, keyed "dialect:field". Never changed in place."""
