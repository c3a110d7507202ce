"""Making a request fit the model it goes to, by the profile of that model.

Owns which profile holds for an attempt, and when one may hold at all: a request that is in the provider's
own format already stays as its client wrote it, unless the operator has said otherwise. What a profile does
to a request is `aigw.upstream.fitting`'s.
"""

from __future__ import annotations

from aigw.pipeline.exchange import Attempt, Exchange
from aigw.upstream.fitting import fit
from aigw.upstream.profile import NOTHING_KNOWN, Place, Profile


def profile_of(exchange: Exchange, attempt: Attempt) -> Profile:
    """Return what is known of the attempt's model, as far as it may be acted upon."""
    seat = attempt.seat
    if seat is None:
        return _found(exchange, attempt)
    if seat.profile is None:
        seat.profile = _found(exchange, attempt)
    return seat.profile


def _found(exchange: Exchange, attempt: Attempt) -> Profile:
    endpoint, target = attempt.endpoint, attempt.target
    native = endpoint.api is exchange.endpoint.api
    if endpoint.api is None or (native and not exchange.gateway.config.server.fix_parameters):
        return NOTHING_KNOWN
    provider = target.provider
    place = Place(provider.vendor, provider.name, target.model, endpoint.api)
    return exchange.gateway.profiles.find(place, target.profile, certain=native)


def must_be_fitted(exchange: Exchange, attempt: Attempt) -> bool:
    """Tell whether a request in the provider's own format has to be written again to be taken at all."""
    if exchange.endpoint.codec is None:
        return False
    profile = profile_of(exchange, attempt)
    if profile is NOTHING_KNOWN:
        return False
    if any(field in exchange.payload.fields for field in profile.rename):
        return True
    request = exchange.payload.decoded()
    return request is not None and fit(request, profile).request != request
