"""The request that asks another model to go on where an answer broke off, and whether one may.

Owns its two shapes: the text so far as the beginning of the model's own answer (a prefill), for models that
are known to take one, and otherwise a user's message that asks for the rest. Calls nobody.
"""

from __future__ import annotations

from attrs import evolve

from aigw.errors import ClientError
from aigw.model import Message, Request, TextPart
from aigw.pipeline.exchange import Attempt, Exchange
from aigw.relay.legs import CHARS_PER_TOKEN
from aigw.upstream.fitting import reasons
from aigw.upstream.profile import Place

PLEASE_GO_ON = (
    "The connection broke in the middle of your answer above. Go on with it exactly where it stops, even "
    "amid a sentence or word: write only what comes next. Repeat nothing, and do not mention this."
)
_YES = frozenset({"1", "true", "yes"})


def is_continued(exchange: Exchange) -> bool:
    """Tell whether a stream may be gone on with: the request may say so, else the model, else all do.

    A request for several answers has no one text, and one for a structure would be begun anew.
    """
    header = exchange.request.headers.get("x-aigw-continue")
    if header is not None:
        wanted = header.strip().lower() in _YES
    else:
        route = exchange.gateway.models.resolve(exchange.model)
        own = None if route is None else route.policy.continue_streams
        wanted = exchange.gateway.config.routing.continue_streams if own is None else own
    return wanted and exchange.stream and exchange.endpoint.codec is not None and _is_prose(exchange)


def _is_prose(exchange: Exchange) -> bool:
    try:
        request = exchange.payload.decoded()
    except ClientError:  # its own provider has taken it, and no other could be asked
        return False
    if request is None or (request.sampling.n or 1) > 1:
        return False
    form = request.response_format
    return (form is None or form.kind == "text") and set(request.modalities) <= {"text"}


def takes_prefill(exchange: Exchange, attempt: Attempt, request: Request) -> bool:
    """Tell whether the attempt's model takes an assistant's last message for the beginning of its answer."""
    endpoint, target = attempt.endpoint, attempt.target
    if endpoint.api is None:
        return False
    place = Place(target.provider.vendor, target.provider.name, target.model, endpoint.api)
    profile = exchange.gateway.profiles.find(place, target.profile)
    # What has not thought at the beginning of its answer cannot be made to have.
    return profile.prefill is True and not (request.reasoning is not None and reasons(request, profile))


def continued(request: Request, said: str, *, prefill: bool) -> Request:
    """Return the request with what has been said, for a model that is to say the rest.

    White space at the end is left out: some refuse it in a prefill, and none misses it.
    """
    items = (*request.items, Message("assistant", (TextPart(said.rstrip()),)))
    if not prefill:
        items = (*items, Message("user", (TextPart(PLEASE_GO_ON),)))
    limit = request.max_output_tokens
    if limit is not None:
        limit = max(1, limit - len(said) // CHARS_PER_TOKEN)
    return evolve(request, items=items, max_output_tokens=limit)
