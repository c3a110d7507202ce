"""Which format a provider is spoken to in, and the request in that format.

Owns the choice of path: the client's own format wherever the provider speaks it, so that bytes pass
through; else the format that the model's `prefer` names, else the provider's native one. Also owns that
what the other format cannot hold is told, or refused, and never dropped in silence. Calls nobody.
"""

from __future__ import annotations

from functools import lru_cache

import orjson
from attrs import evolve

from aigw.dialects.bodies import body_codec
from aigw.dialects.endpoints import PREFERENCE, Api, Endpoint, generation
from aigw.errors import ClientError, ErrorKind
from aigw.model import ForeignTool, ForeignToolChoice, Request
from aigw.model.seal import MARKS
from aigw.pipeline.exchange import Attempt, Exchange
from aigw.pipeline.fit import profile_of
from aigw.upstream.fitting import fit, rename_fields


class CannotHoldError(ClientError):
    """This provider's format cannot say what the request says; that of another target might."""

    default_kind = ErrorKind.UNSUPPORTED


@lru_cache(maxsize=4096)
def spoken(
    endpoint: Endpoint, stream: bool, apis: frozenset[Api], prefer: str | None, model: str = ""
) -> Endpoint | None:
    """Return the endpoint at which to ask a provider that speaks `apis`; None where it cannot answer this.

    endpoint, stream: what the client asked, and how. prefer: an API's name, for providers of several.
    model: the provider's name for it; some are asked at URLs of their own.
    """
    if endpoint.api in apis:
        return endpoint
    if endpoint.codec is None:
        body = body_codec(endpoint, apis, model)
        return None if body is None else body.endpoint
    order = sorted(PREFERENCE, key=lambda api: api != prefer)  # stable: the preferred one first, if any
    return next((generation(api, stream=stream) for api in order if api in apis), None)


def is_translated(exchange: Exchange, attempt: Attempt) -> bool:
    """Tell whether the provider is spoken to in another format than the client's."""
    return attempt.endpoint.api is not exchange.endpoint.api


def must_be_unsealed(exchange: Exchange) -> bool:
    """Tell whether a request in the provider's own format brings back what another provider gave.

    This client keeps it for that other one; to this provider it would be a forged signature.
    """
    if exchange.endpoint.codec is None:
        return False
    payload = exchange.payload
    raw = payload.body() if payload.changed else payload.raw
    for mark in MARKS:  # noqa: SIM110 - `any` costs as much again as the search
        if raw.rfind(mark) >= 0:  # from behind it takes half as long
            return True
    return False


def translate_request(exchange: Exchange, attempt: Attempt) -> bytes:
    """Return the request's body in the provider's format.

    Takes note of what it cannot hold. Raises CannotHoldError where nothing may be lost, and for state that
    only the side which keeps it can continue.
    """
    request = exchange.payload.decoded()
    codec = attempt.endpoint.codec
    if request is None:
        return translate_body(exchange, attempt)
    assert codec is not None  # noqa: S101 - what has a canonical form goes where there is a codec
    if request.previous_response_id is not None and is_translated(exchange, attempt):
        raise CannotHoldError(
            f'provider "{attempt.target.provider.name}" keeps no conversations; send all items as input',
            param="previous_response_id",
        )
    # Token counts are wanted whatever the client asked; it is shown them only if it did.
    counted = attempt.target.provider.stream_usage == "ask"
    exchange.usage_hidden = (
        attempt.endpoint.stream_usage and not request.include_usage and not is_translated(exchange, attempt)
    )
    asked = evolve(request, model=attempt.target.model, stream=exchange.stream, include_usage=counted)
    profile = profile_of(exchange, attempt)
    fitted = fit(asked, profile)
    check_callable(request, codec.name)
    encoded = codec.encode_request(fitted.request)
    note_losses(exchange, attempt, (*fitted.changed, *encoded.dropped), codec.name)
    return orjson.dumps(rename_fields(encoded.tree, profile))


def check_callable(request: Request, spoken_as: str) -> None:
    """Raise CannotHoldError where a tool must be called and none of them can be said in this format."""
    choice = request.tool_choice
    must = isinstance(choice, ForeignToolChoice) or (choice is not None and choice.mode == "required")
    if not must or not request.tools:
        return
    if all(isinstance(tool, ForeignTool) and tool.origin != spoken_as for tool in request.tools):
        raise CannotHoldError(
            "tool_choice wants a tool to be called, and all that are given are a provider's own, which "
            f"{spoken_as} does not have; leave tool_choice out, or give tools that it has",
            param="tool_choice",
        )


def translate_body(exchange: Exchange, attempt: Attempt) -> bytes:
    """Return the body of a request that has no canonical form, in the provider's format."""
    body = body_codec(exchange.endpoint, (attempt.endpoint.api,), attempt.target.model)
    assert body is not None  # noqa: S101 - spoken() has found the endpoint by it
    try:
        encoded = body.encode_request({**exchange.payload.fields, "model": attempt.target.model})
    except ClientError as error:
        if error.kind is ErrorKind.UNSUPPORTED:
            raise CannotHoldError(error.message, param=error.param) from error
        raise
    note_losses(exchange, attempt, encoded.dropped, attempt.endpoint.errors.name)
    return orjson.dumps(encoded.tree)


def note_losses(exchange: Exchange, attempt: Attempt, dropped: tuple[str, ...], spoken_as: str) -> None:
    """Take note of what the provider is not told. Raises CannotHoldError where nothing may be lost."""
    exchange.dropped = tuple(dict.fromkeys(dropped))
    if dropped and is_strict(exchange):
        raise CannotHoldError(
            f'provider "{attempt.target.provider.name}" is spoken to as {spoken_as}, which cannot hold '
            + ", ".join(exchange.dropped),
            param=dropped[0],
        )


def is_strict(exchange: Exchange) -> bool:
    """Tell whether losses are refused: the request may say so, else the configuration does."""
    header = exchange.request.headers.get("x-aigw-strict")
    if header is None:
        return exchange.gateway.config.server.strict
    return header.strip().lower() in {"1", "true", "yes"}
