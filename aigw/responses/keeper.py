"""Keeps a response before its client is told that it is whole.

Owns finding the response in what is about to go out, and what happens when it cannot be kept: the answer
says that it is not, or it is refused, as the operator wants.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import orjson

from aigw.dialects.base import Tree
from aigw.dialects.openresponses.failure import error_event, response_error
from aigw.errors import GatewayError, ServerError
from aigw.hooks.table import retold
from aigw.pipeline.exchange import Exchange
from aigw.responses.guard import Guard, unavailable
from aigw.responses.session import CONTINUABLE, Session, output_of, status_of
from aigw.stores.base import ItemRecord, MissingError, ResponseRecord
from aigw.wire.sse import cut_frames, encode_frame, split_frames

ENDS = frozenset({"response.completed", "response.incomplete", "response.failed"})
NOT_STORED = ("x-aigw-store", "unavailable")

Write = Callable[[ResponseRecord, Sequence[ItemRecord]], Awaitable[object]]
"""`save` or `finish` of a store."""


def heed_outage(exchange: Exchange, session: Session) -> None:
    """While the store is known to be down, say at once that a response will not be kept.

    Raises ServerError (503), before any model is asked, where it must be.
    """
    responses = exchange.gateway.responses
    if not session.stored or not responses.guard.is_shut:
        return
    if responses.refuse or session.background:
        raise unavailable()
    session.stored = False
    exchange.headers.update([NOT_STORED])
    exchange.patch = session.patch


class Terminal(NamedTuple):
    """The last event of a stream: its place among the frames, and what it says."""

    place: int
    tree: Tree


class ResponseKeeper:
    """Keeps one response. refuse: one that cannot be kept is not answered."""

    def __init__(self, session: Session, guard: Guard, write: Write, *, refuse: bool = False) -> None:
        self._session = session
        self._guard = guard
        self._write = write
        self._refuse = refuse

    async def before_whole(
        self, exchange: Exchange, headers: dict[str, str], body: bytes, tree: Tree | None = None
    ) -> bytes:
        response = orjson.loads(body) if tree is None else tree
        if not _has_name(response):
            return body
        said = response.get("store")
        if not await self._keep(exchange, response, body):
            headers.update([NOT_STORED])
        return body if response.get("store") is said else orjson.dumps(response)

    async def before_end(self, exchange: Exchange, frames: bytes) -> bytes:
        pieces = cut_frames(frames)
        end = terminal(pieces)
        if end is None or not _has_name(end.tree["response"]):
            return frames
        response = end.tree["response"]
        said = response.get("store")
        try:
            await self._keep(exchange, response)
        except ServerError as error:
            exchange.error = await retold(exchange.gateway.hooks.on_error, exchange, error)
            pieces[end.place : end.place + 1] = failed(end.tree, exchange.error)
        else:
            if response.get("store") is said:
                return frames
            pieces[end.place] = _frame(end.tree)
        return b"".join(pieces)

    async def _keep(self, exchange: Exchange, response: Tree, body: bytes | None = None) -> bool:
        """Keep a response; False if that failed. Raises ServerError where that refuses the answer.

        body: the response as its provider wrote it.
        Its `store`, where there is one, says in the end what has become of it, whatever its provider thought.
        """
        session = self._session
        is_kept = True
        if response.get("store", session.stored) is not session.stored:
            response["store"], body = session.stored, None
        if session.stored:
            try:
                await self._save(response, body)
            except ServerError:
                if self._refuse:
                    raise
                response["store"] = is_kept = False
        if exchange.recent is not None and status_of(response) in CONTINUABLE:
            exchange.recent[response["id"]] = [*session.context, *session.items, *output_of(response)]
        return is_kept

    async def _save(self, response: Tree, body: bytes | None) -> None:
        record = self._session.record(response, body)
        try:
            await self._guard.ask(self._write(record, self._session.added(response)))
        except MissingError:  # its conversation was deleted while it ran
            await self._guard.ask(self._write(record, ()))


def _has_name(response: object) -> bool:
    """Tell whether this is a response that anybody could ask for."""
    return isinstance(response, dict) and isinstance(response.get("id"), str)


def terminal(pieces: Sequence[bytes]) -> Terminal | None:
    """Return the terminal event among raw frames, the last one first; None if there is none."""
    for place in reversed(range(len(pieces))):
        if b'"response.' not in pieces[place]:
            continue
        for frame in split_frames(pieces[place]):
            tree = orjson.loads(frame.data)
            if tree.get("type") in ENDS and isinstance(tree.get("response"), dict):
                return Terminal(place, tree)
    return None


def failed(tree: Tree, error: GatewayError) -> list[bytes]:
    """Return the frames that tell a failure in the place of the terminal event `tree`."""
    number = tree.get("sequence_number", 0)
    response = {**tree["response"], "status": "failed", "error": response_error(error), "store": False}
    response["completed_at"] = None
    return [
        _frame(error_event(error, number)),
        _frame({"type": "response.failed", "sequence_number": number + 1, "response": response}),
    ]


def _frame(tree: Tree) -> bytes:
    return encode_frame(orjson.dumps(tree), tree["type"])
