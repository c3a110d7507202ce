"""Whether an answer must be held to the calls its request allows.

Owns finding out cheaply: bytes that pass through are decoded for this only where the request speaks of it.
"""

from __future__ import annotations

from aigw.dialects.openresponses import OPENRESPONSES
from aigw.pipeline.exchange import Attempt, Exchange
from aigw.pipeline.speak import is_translated
from aigw.relay.allowed import Restraint, restraint_of

_CHOICE = b'"tool_choice"'


def restraint_on(exchange: Exchange, attempt: Attempt) -> Restraint | None:
    """Return which calls the client may see; None where it may see all that the model makes.

    A provider is trusted with it in its own format, but for the one whose specification says that the server
    must enforce it.
    """
    if not is_translated(exchange, attempt):
        if exchange.endpoint.codec is not OPENRESPONSES:
            return None
        payload = exchange.payload
        if _CHOICE not in payload.raw and not payload.changed:
            return None
    return None if exchange.endpoint.codec is None else restraint_of(exchange.payload.decoded())
