"""The strategy that keeps a session on one target, so that the provider finds its prompt in its cache.

Owns what a session is known by, and weighted rendezvous hashing: each target gets its share of all sessions,
and where one is lost, its sessions alone go elsewhere. Source: Schindelhauer and Schomaker, "Weighted
Distributed Hash Tables"; the logarithmic method.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from math import log
from typing import TYPE_CHECKING, Any

import orjson
from attrs import define

from aigw.routing.seats import Seat, Strategy
from aigw.upstream.target import Group

if TYPE_CHECKING:
    from aigw.pipeline.exchange import Exchange

KeyOf = Callable[["Exchange"], str | None]
"""Returns what a request's session is known by; None where this way tells nothing of it."""

_OPENINGS = ("messages", "input", "contents")
_INSTRUCTIONS = ("system", "instructions", "systemInstruction", "system_instruction")


@define(eq=False)
class Sticky:
    """By what the session is known by; requests of no session as `otherwise` says."""

    keys: tuple[KeyOf, ...]
    otherwise: Strategy

    def order(self, exchange: Exchange, seats: Sequence[Seat], now: float) -> Sequence[Seat]:
        for key_of in self.keys:
            key = key_of(exchange)
            if key:
                return rendezvous(key, seats)
        return self.otherwise.order(exchange, seats, now)


def rendezvous(key: str, seats: Sequence[Seat]) -> list[Seat]:
    """Order seats for a key: the same way each time, whichever others there are."""
    return sorted(seats, key=lambda seat: _score(key, seat.target.name, seat.target.weight), reverse=True)


def _score(key: str, name: str, weight: float) -> float:
    """Return how much a target wants a key. Weight 0 wants nothing, and comes last."""
    if weight <= 0:
        return -1.0
    digest = blake2b(f"{name}\0{key}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return weight / -log((int.from_bytes(digest) + 0.5) / 2**64)


def sticky(group: Group, otherwise: Strategy) -> Sticky:
    """Make the strategy for a group. Raises ValueError on a way to know sessions that there is not."""
    return Sticky(tuple(map(_key_of, group.sticky_by)), otherwise)


def _key_of(way: str) -> KeyOf:
    head, _, name = way.partition(":")
    if head == "header" and name:
        return lambda exchange: exchange.request.headers.get(name)
    if way not in _WAYS:
        known = ", ".join(("header:NAME", *_WAYS))
        raise ValueError(f'sticky_by: got "{way}", wanted one of {known}')
    return _WAYS[way]


def _user(exchange: Exchange) -> str | None:
    fields = exchange.payload.fields
    metadata = fields.get("metadata")
    inner = metadata.get("user_id") if isinstance(metadata, Mapping) else None
    return _text(fields.get("user")) or _text(fields.get("safety_identifier")) or _text(inner)


def _cache_key(exchange: Exchange) -> str | None:
    return _text(exchange.payload.fields.get("prompt_cache_key"))


def _conversation(exchange: Exchange) -> str | None:
    """Return a conversation's id; where the client sends its whole history each time, how that begins."""
    fields = exchange.payload.fields
    conversation = fields.get("conversation")
    if isinstance(conversation, Mapping):
        conversation = conversation.get("id")
    return _text(conversation) or _opening(fields)


def _opening(fields: Mapping[str, Any]) -> str | None:
    """Return a digest of the instructions and of the turns up to the first that the caller wrote."""
    turns = next((fields[name] for name in _OPENINGS if fields.get(name)), None)
    if turns is None:
        return None
    head: list[object] = [fields.get(name) for name in _INSTRUCTIONS]
    for turn in turns if isinstance(turns, list) else [turns]:
        head.append(turn)
        if not isinstance(turn, Mapping) or turn.get("role") not in {"system", "developer"}:
            break
    return blake2b(orjson.dumps(head, default=str), digest_size=16).hexdigest()


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


_WAYS: Mapping[str, KeyOf] = {
    "user": _user,
    "tenant": lambda exchange: exchange.identity.tenant,
    "prompt_cache_key": _cache_key,
    "conversation": _conversation,
}
