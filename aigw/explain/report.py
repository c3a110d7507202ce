"""What a dry run has shown, as one JSON tree: what `--json` prints, and what the text is made of.

Owns the shape. Holds neither times nor ids, so that the same request is told in the same words; everything in
it has been through the mask.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
from attrs import asdict

from aigw.builtin import builtins
from aigw.dialects.base import Tree
from aigw.dialects.endpoints import Endpoint
from aigw.errors import ErrorKind
from aigw.explain.dry_run import DryRun
from aigw.explain.masking import Mask
from aigw.explain.noted import NotCalledError, Outgoing
from aigw.explain.places import Place, left_out, places_of, policy_of
from aigw.pipeline.admit import MEDIA_TYPES
from aigw.pipeline.exchange import Attempt, Exchange
from aigw.pipeline.fit import profile_of
from aigw.pipeline.speak import is_strict, is_translated
from aigw.upstream.fitting import fit


def report(run: DryRun, mask: Mask) -> Tree:
    """Return all there is to tell. sent: somebody would be asked, or the gateway answers by itself."""
    exchange = run.exchange
    answer = None if run.noted.calls else _answer(run, mask)
    tree: Tree = {
        "sent": bool(run.noted.calls) or run.status < 400,
        "request": _request(run, exchange),
        "caller": None if exchange is None or run.status == 401 else _caller(exchange),
        "decisions": [] if exchange is None else [asdict(choice) for choice in exchange.trace or ()],
        "targets": [] if exchange is None else list(_targets(run, exchange, mask)),
        "left_out": [] if exchange is None else left_out(exchange, run.router.groups),
        "otherwise": _otherwise(run, exchange),
        "hooks": {point: list(plugins) for point, plugins in run.hooks.items()},
        "reservations": [type(each).__qualname__ for each in exchange.reservations] if exchange else [],
        "answer": answer,
        "notes": list(_notes(run)),
    }
    masked = mask.tree({name: value for name, value in tree.items() if name not in _MASKED_BEFORE})
    assert isinstance(masked, dict)  # noqa: S101 - a mapping stays one
    return {name: tree[name] if name in _MASKED_BEFORE else masked[name] for name in tree}


_MASKED_BEFORE = frozenset({"targets", "hooks", "answer", "sent"})


def _request(run: DryRun, exchange: Exchange | None) -> Tree:
    asked = run.asked
    path, _, _query = asked.path.partition("?")
    told: Tree = {"method": asked.method, "path": path, "path_is_guessed": asked.guessed}
    if exchange is not None:
        told |= {
            "format": _format(exchange.endpoint),
            "model": exchange.model,
            "entry": exchange.entry,
            "stream": exchange.stream,
            "strict": is_strict(exchange),
        }
    return told


def _caller(exchange: Exchange) -> Tree:
    identity = exchange.identity
    return {
        "tenant": identity.tenant,
        "name": identity.name,
        "models": list(identity.models),
        "is_admin": identity.is_admin,
    }


def _targets(run: DryRun, exchange: Exchange, mask: Mask) -> Iterator[Tree]:
    """Yield the targets in the order in which they are asked, then those that are not reached."""
    places = places_of(run.router.groups)
    made = {attempt.target for attempt in exchange.attempts}
    for attempt in exchange.attempts:
        told = _place(exchange, attempt.target.name, places.get(attempt.target), attempt.endpoint)
        outgoing = run.noted.calls.get(attempt)
        if outgoing is not None:
            told["call"] = _call(exchange, attempt, outgoing, mask)
        error = attempt.error
        if error is not None and not isinstance(error, NotCalledError):
            told["refused"] = {"code": error.code, "message": mask.text(error.message)}
        yield told
    for target in exchange.targets:
        if target not in made:
            told = _place(exchange, target.name, places.get(target), None)
            yield {**told, "refused": {"code": "not_reached", "message": "the request has failed before"}}


def _place(exchange: Exchange, name: str, place: Place | None, spoken: Endpoint | None) -> Tree:
    return {
        "target": name,
        **(asdict(place) if place is not None else {}),
        "why": [choice.reason for choice in exchange.trace or () if choice.target == name],
        "format": _format(spoken) if spoken is not None else None,
        "call": None,
        "refused": None,
    }


def _call(exchange: Exchange, attempt: Attempt, outgoing: Outgoing, mask: Mask) -> Tree:
    call = outgoing.call
    return {
        "translated": is_translated(exchange, attempt),
        "method": call.method,
        "url": None if outgoing.url is None else mask.url(outgoing.url),
        "behind": list(outgoing.behind),
        "keys": list(outgoing.keys),
        "headers": mask.headers(call.headers.items()),
        "body": _body(call.headers.get("Content-Type", ""), call.body, mask),
        "dropped": list(outgoing.dropped),
        "profile": _profile(exchange, attempt),
    }


def _profile(exchange: Exchange, attempt: Attempt) -> Tree | None:
    """Return which profile holds, and what it has changed of the request that had a meaning."""
    profile = profile_of(exchange, attempt)
    request = exchange.payload.decoded() if profile.name and exchange.endpoint.codec else None
    if not profile.name:
        return None
    return {"name": profile.name, "changed": list(fit(request, profile).changed) if request else []}


def _body(content_type: str, raw: bytes, mask: Mask) -> Any:
    """Return a body to be shown: JSON as it is, of a form the names and sizes."""
    if content_type.startswith(MEDIA_TYPES["multipart"]):
        return f"{len(raw)} bytes of {MEDIA_TYPES['multipart']}"
    try:
        return mask.tree(orjson.loads(raw))
    except orjson.JSONDecodeError:
        return mask.text(raw.decode("utf-8", "replace"))


def _otherwise(run: DryRun, exchange: Exchange | None) -> Tree:
    """Return who is asked in other cases: errors that have fallbacks of their own, and a shadow."""
    shadow = run.shadows.config
    told: Tree = {"shadow": None if shadow is None else {"model": shadow.target, "percent": shadow.percent}}
    if exchange is not None and exchange.targets:
        policy = policy_of(exchange)
        told["on_context_length"] = list(policy.on_context_length)
        told["on_content_filter"] = list(policy.on_content_filter)
    return told


def _answer(run: DryRun, mask: Mask) -> Tree:
    return {"status": run.status, "body": _body("application/json", run.body, mask)}


def _notes(run: DryRun) -> Iterator[str]:
    yield from run.notes
    yield from run.noted.notes
    own = builtins(run.gateway.config)
    plugins = [name for name in run.hooks.get("setup", ()) if name not in own]
    if plugins:
        yield f"setup was not run, so what these plugins fetch or open there is missing: {', '.join(plugins)}"
    exchange = run.exchange
    error = None if exchange is None else exchange.error
    if error is not None and error.code.endswith("not_found") and error.kind is not ErrorKind.MODEL_NOT_FOUND:
        yield "responses and conversations that are kept were not looked up: state is empty here"
    if exchange is not None and exchange.targets:
        yield "health is as after a start: what a running gateway has seen of its targets is not known here"


def _format(endpoint: Endpoint) -> str:
    return endpoint.api or endpoint.own
