"""Responses and conversations in this process's memory: no thread, no file, gone at exit.

Owns dictionaries and about how many bytes they take. Each method does its work in one go, so nothing is
ever seen half done. Above its limit the store forgets the oldest at once, as a sweep would.
"""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import count

from attrs import define, evolve, field

from aigw.stores.base import (
    ConversationRecord,
    ItemPage,
    ItemRecord,
    MissingError,
    ResponseRecord,
    Retention,
)
from aigw.stores.contents import items_inside
from aigw.stores.retention import last_use

Key = tuple[str, str]
"""(tenant, id)"""

OVERHEAD_BYTES = 500
"""About what the objects around a body take."""


@define(eq=False)
class _Response:
    number: int
    record: ResponseRecord
    used_at: float
    size: int = 0
    events: dict[int, bytes] = field(factory=dict)


@define(eq=False)
class _Conversation:
    number: int
    record: ConversationRecord
    used_at: float
    size: int = 0
    items: dict[str, ItemRecord] = field(factory=dict)


_Kept = _Response | _Conversation


class MemoryStore:
    """A `StateStore` in memory."""

    def __init__(self, retention: Retention | None = None, *, clock: Callable[[], float] = time.time) -> None:
        self._retention = retention or Retention()
        self._clock = clock
        self._responses: dict[Key, _Response] = {}
        self._conversations: dict[Key, _Conversation] = {}
        self._continued: dict[Key, dict[Key, None]] = {}
        self._holders: dict[Key, dict[Key, None]] = {}
        self._numbers = count()
        self._numbered: dict[int, _Kept] = {}
        self._ages: list[tuple[float, int]] = []
        self._size = 0

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    # Responses.

    async def save(self, record: ResponseRecord, items: Sequence[ItemRecord] = ()) -> None:
        conversation = self._needed(record.tenant, record.conversation_id or "") if items else None
        self._keep(record)
        if conversation:
            self._add(conversation, items)
        self._make_room()

    async def finish(self, record: ResponseRecord, items: Sequence[ItemRecord] = ()) -> bool:
        kept = self._responses.get((record.tenant, record.id))
        if kept is None or not kept.record.is_running:
            return False
        await self.save(record, items)
        return True

    async def response(self, tenant: str, response_id: str) -> ResponseRecord | None:
        kept = self._responses.get((tenant, response_id))
        return kept.record if kept else None

    async def chain(self, tenant: str, response_id: str) -> list[ResponseRecord]:
        found: dict[str, _Response] = {}
        following: str | None = response_id
        while following is not None:
            kept = self._responses.get((tenant, following))
            if kept is None or following in found:
                raise MissingError(following)
            found[following] = kept
            following = kept.record.previous_id
        now = self._clock()
        for kept in found.values():
            kept.used_at = now
        return [kept.record for kept in reversed(found.values())]

    async def delete_response(self, tenant: str, response_id: str) -> bool:
        kept = self._responses.get((tenant, response_id))
        return kept is not None and self._forget_response(kept)

    async def find_items(self, tenant: str, item_ids: Sequence[str]) -> dict[str, bytes]:
        return {item_id: body for item_id in item_ids if (body := self._find(tenant, item_id)) is not None}

    async def renew(self, running: Sequence[tuple[str, str]], lease_until: float) -> set[tuple[str, str]]:
        ended = set()
        for key in running:
            kept = self._responses.get(key)
            if kept and kept.record.is_running:
                kept.record = evolve(kept.record, lease_until=lease_until)
                kept.used_at = self._clock()
            else:
                ended.add(key)
        return ended

    # Events.

    async def add_events(self, tenant: str, response_id: str, events: Sequence[tuple[int, bytes]]) -> None:
        if kept := self._responses.get((tenant, response_id)):
            self._grow(kept, sum(len(body) for number, body in events if number not in kept.events))
            kept.events.update(events)
            self._make_room()

    async def events(self, tenant: str, response_id: str, after: int = -1) -> list[tuple[int, bytes]]:
        kept = self._responses.get((tenant, response_id))
        return (
            sorted((number, body) for number, body in kept.events.items() if number > after) if kept else []
        )

    # Conversations.

    async def create_conversation(self, record: ConversationRecord, items: Sequence[ItemRecord] = ()) -> None:
        await self.delete_conversation(record.tenant, record.id)
        kept = _Conversation(next(self._numbers), record, self._clock())
        self._conversations[record.tenant, record.id] = kept
        self._begin(kept, OVERHEAD_BYTES + len(record.metadata))
        self._add(kept, items)
        self._make_room()

    async def conversation(self, tenant: str, conversation_id: str) -> ConversationRecord | None:
        kept = self._conversations.get((tenant, conversation_id))
        return kept.record if kept else None

    async def update_conversation(self, record: ConversationRecord) -> bool:
        kept = self._conversations.get((record.tenant, record.id))
        if kept is None:
            return False
        self._grow(kept, len(record.metadata) - len(kept.record.metadata))
        kept.record, kept.used_at = evolve(kept.record, metadata=record.metadata), self._clock()
        self._make_room()
        return True

    async def delete_conversation(self, tenant: str, conversation_id: str) -> bool:
        kept = self._conversations.get((tenant, conversation_id))
        return kept is not None and self._forget_conversation(kept)

    async def add_items(self, tenant: str, conversation_id: str, items: Sequence[ItemRecord]) -> None:
        self._add(self._needed(tenant, conversation_id), items)
        self._make_room()

    async def items(
        self,
        tenant: str,
        conversation_id: str,
        *,
        after: str | None = None,
        limit: int | None = None,
        descending: bool = False,
    ) -> ItemPage:
        kept = self._needed(tenant, conversation_id)
        kept.used_at = self._clock()
        items = [*(reversed(kept.items.values()) if descending else kept.items.values())]
        if after is not None:
            if after not in kept.items:
                raise MissingError(after)
            items = items[items.index(kept.items[after]) + 1 :]
        return ItemPage(tuple(items[:limit]), has_more=limit is not None and len(items) > limit)

    async def item(self, tenant: str, conversation_id: str, item_id: str) -> ItemRecord | None:
        kept = self._conversations.get((tenant, conversation_id))
        return kept.items.get(item_id) if kept else None

    async def delete_item(self, tenant: str, conversation_id: str, item_id: str) -> bool:
        kept = self._conversations.get((tenant, conversation_id))
        item = kept.items.pop(item_id, None) if kept else None
        if kept is None or item is None:
            return False
        self._grow(kept, -OVERHEAD_BYTES - len(item.body))
        self._let_go((tenant, conversation_id), [item_id])
        return True

    # Retention.

    async def sweep(self, now: float) -> int:
        keep_s = self._retention.keep_s
        return self._make_room(-math.inf if keep_s is None else now - keep_s)

    def _make_room(self, cutoff: float = -math.inf) -> int:
        """Remove what was used last before `cutoff`, and the oldest of what is too much; return how many."""
        limit, removed = self._retention.max_bytes, 0
        while self._ages and (self._ages[0][0] < cutoff or (limit is not None and self._size > limit)):
            known_at, number = heapq.heappop(self._ages)
            if number not in self._numbered:
                continue
            tree = self._tree(self._numbered[number])
            used = last_use([(kept.number, parent, kept.used_at) for kept, parent in tree])
            if used[number] > known_at:
                for kept, _ in tree:
                    kept.used_at = used[kept.number]
                heapq.heappush(self._ages, (used[number], number))
                continue
            removed += sum(self._forget(kept) for kept, _ in tree)
        return removed

    def _tree(self, root: _Kept) -> list[tuple[_Kept, int | None]]:
        """Return it and, of a response, all that continue it, with the number of the one each continues."""
        tree: list[tuple[_Kept, int | None]] = [(root, None)]
        seen = {root.number}
        for kept, _ in tree:
            for child in self._continuing(kept):
                if child.number not in seen:
                    seen.add(child.number)
                    tree.append((child, kept.number))
        return tree

    def _continuing(self, kept: _Kept) -> list[_Response]:
        if isinstance(kept, _Conversation):
            return []
        return [self._responses[key] for key in self._continued.get((kept.record.tenant, kept.record.id), ())]

    # The books.

    def _keep(self, record: ResponseRecord) -> None:
        key, now = (record.tenant, record.id), self._clock()
        kept = self._responses.get(key)
        if kept is None:
            kept = self._responses[key] = _Response(next(self._numbers), record, now)
            self._begin(kept, OVERHEAD_BYTES)
        else:
            self._unlink(kept)
            self._grow(kept, -len(kept.record.body) - len(kept.record.input))
        kept.record, kept.used_at = record, now
        self._grow(kept, len(record.body) + len(record.input))
        if record.previous_id is not None:
            self._continued.setdefault((record.tenant, record.previous_id), {})[key] = None
        self._hold(key, record.item_ids)

    def _add(self, conversation: _Conversation, items: Sequence[ItemRecord]) -> None:
        record = conversation.record
        for item in items:
            old = conversation.items.get(item.id)
            self._grow(
                conversation, len(item.body) - len(old.body) if old else len(item.body) + OVERHEAD_BYTES
            )
            conversation.items[item.id] = item
        conversation.used_at = self._clock()
        self._hold((record.tenant, record.id), [item.id for item in items])

    def _needed(self, tenant: str, conversation_id: str) -> _Conversation:
        try:
            return self._conversations[tenant, conversation_id]
        except KeyError:
            raise MissingError(conversation_id) from None

    def _begin(self, kept: _Kept, size: int) -> None:
        self._numbered[kept.number] = kept
        heapq.heappush(self._ages, (kept.used_at, kept.number))
        self._grow(kept, size)

    def _grow(self, kept: _Kept, size: int) -> None:
        kept.size += size
        self._size += size

    def _forget(self, kept: _Kept) -> bool:
        if isinstance(kept, _Response):
            return self._forget_response(kept)
        return self._forget_conversation(kept)

    def _forget_response(self, kept: _Response) -> bool:
        self._unlink(kept)
        del self._responses[kept.record.tenant, kept.record.id], self._numbered[kept.number]
        self._size -= kept.size
        return True

    def _forget_conversation(self, kept: _Conversation) -> bool:
        key = (kept.record.tenant, kept.record.id)
        self._let_go(key, kept.items)
        del self._conversations[key], self._numbered[kept.number]
        self._size -= kept.size
        return True

    def _unlink(self, kept: _Response) -> None:
        record, key = kept.record, (kept.record.tenant, kept.record.id)
        self._let_go(key, record.item_ids)
        if record.previous_id is not None:
            _discard(self._continued, (record.tenant, record.previous_id), key)

    # Which response or conversation holds an item, so that it is found by its id.

    def _hold(self, holder: Key, item_ids: Iterable[str]) -> None:
        for item_id in item_ids:
            self._holders.setdefault((holder[0], item_id), {})[holder] = None

    def _let_go(self, holder: Key, item_ids: Iterable[str]) -> None:
        for item_id in item_ids:
            _discard(self._holders, (holder[0], item_id), holder)

    def _find(self, tenant: str, item_id: str) -> bytes | None:
        for key in self._holders.get((tenant, item_id), ()):
            if (conversation := self._conversations.get(key)) and item_id in conversation.items:
                return conversation.items[item_id].body
            if response := self._responses.get(key):
                inside = dict(items_inside(response.record.input, response.record.body))
                if item_id in inside:
                    return inside[item_id]
        return None


def _discard(index: dict[Key, dict[Key, None]], key: Key, value: Key) -> None:
    values = index.get(key, {})
    values.pop(value, None)
    if not values:
        index.pop(key, None)
