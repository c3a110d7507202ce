"""`truncation: "auto"`: when the context is too long for the model, its oldest turns go, and it is said.

Owns which items may go and how they are told: system messages stay, the last turn stays, calls go together
with their outputs. With "disabled" nothing is ever cut: the provider's refusal is the answer.
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler

from aigw.dialects.base import Tree
from aigw.errors import ErrorKind, GatewayError
from aigw.pipeline.exchange import Exchange
from aigw.responses.compaction import OUTPUTS
from aigw.responses.session import items_of

TRUNCATED = "x-aigw-truncated"
KEPT_ROLES = frozenset({"system", "developer"})
ASKING_ROLES = KEPT_ROLES | {"user"}


async def shortened(exchange: Exchange, handler: Handler, request: web.Request) -> web.StreamResponse:
    """Answer; as long as the context is too long and turns are left, with fewer of them."""
    removed = 0
    while True:
        try:
            return await handler(request)
        except GatewayError as error:
            if error.kind is not ErrorKind.CONTEXT_LENGTH or exchange.committed:
                raise
            if exchange.payload.fields.get("truncation") != "auto":
                raise
            items = items_of(exchange.payload.fields.get("input"))
            rest = without_oldest(items)
            if len(rest) == len(items):
                raise
            removed += len(items) - len(rest)
            exchange.payload.edit()["input"] = rest
            exchange.headers[TRUNCATED] = f"{removed} items"


def without_oldest(items: Sequence[Tree]) -> list[Tree]:
    """Return these items without the oldest half of their bytes, in whole turns.

    Where one turn is all there is, its oldest steps go: what the user asked and the last step stay.
    """
    turns = turns_of(items)
    if len(turns) > 1:
        return _newer_half(turns)
    head, *steps = steps_of(turns[0])
    return [*head, *_newer_half(steps)] if len(steps) > 1 else list(items)


def _newer_half(groups: Sequence[Sequence[Tree]]) -> list[Tree]:
    """Return the items of the newer groups, and of the others what stays in any case."""
    sizes = [sum(len(orjson.dumps(item)) for item in group) for group in groups]
    excess = sum(sizes) / 2
    kept: list[Tree] = []
    for group, size in zip(groups[:-1], sizes, strict=False):
        kept += group if excess <= 0 else [item for item in group if item.get("role") in KEPT_ROLES]
        excess -= size
    return [*kept, *groups[-1]]


def turns_of(items: Sequence[Tree]) -> list[list[Tree]]:
    """Cut items into turns, each begun by a message of the user: so no call is parted from its output."""
    turns: list[list[Tree]] = [[]]
    for item in items:
        begins = item.get("role") == "user"
        if begins and any(each.get("role") not in KEPT_ROLES for each in turns[-1]):
            turns.append([])
        turns[-1].append(item)
    return turns


def steps_of(turn: Sequence[Tree]) -> list[list[Tree]]:
    """Cut one turn into what the user said and the steps of the model behind it, each with its outputs."""
    steps: list[list[Tree]] = [[]]
    answered = False
    for item in turn:
        is_output = item.get("type") in OUTPUTS
        begins = len(steps) == 1 and item.get("role") not in ASKING_ROLES
        if begins or (answered and not is_output):
            steps.append([])
        answered = is_output
        steps[-1].append(item)
    return steps
