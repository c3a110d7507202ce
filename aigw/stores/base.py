"""What a store of responses and conversations must do: `StateStore`, the records it keeps, its failures.

Owns the interface alone. A store keeps bytes: it knows no item type, no provider, no HTTP. Everything
belongs to a tenant; what another tenant keeps is not there. Every backend passes the same conformance
suite (`tests/stores/conformance.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from attrs import define, frozen

RUNNING = frozenset({"queued", "in_progress"})
"""States of a response that is still to change; every other one is its last."""


class StoreError(Exception):
    """The store cannot be used now: unreachable, full, locked, too slow. The message holds no content."""


class MissingError(LookupError):
    """A response that a chain leads through is not kept. id: which one."""

    def __init__(self, missing: str) -> None:
        super().__init__(missing)
        self.id = missing


@define  # not frozen, though nobody changes one: that would take twice as long for each
class ResponseRecord:
    """One response as it is kept.

    created_at: Unix seconds. status: as the response object has it, `completed`, `in_progress`...
    body: the response object, JSON, as GET answers it.
    input: JSON array of the items that its own request brought, each with an id; not those it continued.
    previous_id: the response it continues. conversation_id: the conversation it belongs to.
    item_ids: ids of the items in `input` and in the output, so that a request may refer to one.
    lease_until: Unix seconds; while `status` is a running one, whoever runs it moves this ahead. Once it
        has passed, nobody runs it any more.
    """

    tenant: str
    id: str
    created_at: float
    status: str
    body: bytes
    input: bytes = b"[]"
    previous_id: str | None = None
    conversation_id: str | None = None
    item_ids: tuple[str, ...] = ()
    lease_until: float | None = None

    @property
    def is_running(self) -> bool:
        return self.status in RUNNING


@frozen
class ItemRecord:
    """One item of a conversation. body: the item, JSON, its id in it."""

    id: str
    body: bytes


@frozen
class ConversationRecord:
    """One conversation. created_at: Unix seconds. metadata: a JSON object."""

    tenant: str
    id: str
    created_at: float
    metadata: bytes = b"{}"


@frozen
class ItemPage:
    """Some items of a conversation in the order asked for. has_more: others follow in that order."""

    items: tuple[ItemRecord, ...]
    has_more: bool = False


@frozen
class Retention:
    """How long and how much is kept.

    keep_s: seconds since the last use of a response or conversation; None keeps it for ever. A response
        that a kept one continues is in use: it stays with it.
    max_bytes: above this the oldest go first, whole chains of them; None sets no limit.
    """

    keep_s: float | None = None
    max_bytes: int | None = None


class StateStore(Protocol):
    """Keeps responses and conversations.

    Law: when a writing method returns, what it wrote survives the death of this process (where the
    backend outlives one at all), and every later read sees it, from any process. Nothing is ever read
    half written. Methods raise StoreError when the backend cannot do it, and wait no longer than they must:
    how long a caller waits is the caller's business.
    """

    async def open(self) -> None:
        """Acquire what must live as long as the gateway, in the running loop; make a missing schema."""

    async def close(self) -> None:
        """Write what is owed and release everything, within some seconds: what is not done then fails."""

    # Responses.

    async def save(self, record: ResponseRecord, items: Sequence[ItemRecord] = ()) -> None:
        """Keep a response, in place of one of the same id.

        items: what is added to its conversation in the same step: both are kept, or neither.
        Raises MissingError when `items` are given and the conversation is not there.
        """

    async def finish(self, record: ResponseRecord, items: Sequence[ItemRecord] = ()) -> bool:
        """Keep the last state of a response, as `save` does, if the kept one is still running.

        Returns False, and changes nothing, where it has ended already (somebody cancelled it) or is gone.
        """

    async def response(self, tenant: str, response_id: str) -> ResponseRecord | None:
        """Return a response; None if it is not there."""

    async def chain(self, tenant: str, response_id: str) -> list[ResponseRecord]:
        """Return a response and all those it continues, the first one first. Counts as a use of them.

        Raises MissingError with the id of the one that is not there.
        """

    async def delete_response(self, tenant: str, response_id: str) -> bool:
        """Remove a response and its events; False if it is not there."""

    async def find_items(self, tenant: str, item_ids: Sequence[str]) -> dict[str, bytes]:
        """Return the JSON of those of these items that are kept, of a response or of a conversation.

        Where several are kept under one id, it is any of them.
        """

    async def renew(self, running: Sequence[tuple[str, str]], lease_until: float) -> set[tuple[str, str]]:
        """Move the lease of running responses, each (tenant, id), ahead.

        Returns those that run no more: cancelled, ended or deleted by somebody else.
        """

    # Events of a running response, for clients that come back to its stream.

    async def add_events(self, tenant: str, response_id: str, events: Sequence[tuple[int, bytes]]) -> None:
        """Keep events, each (sequence number, its JSON), of a response that is kept; of another, none."""

    async def events(self, tenant: str, response_id: str, after: int = -1) -> list[tuple[int, bytes]]:
        """Return the events with a number above `after`, in order."""

    # Conversations.

    async def create_conversation(self, record: ConversationRecord, items: Sequence[ItemRecord] = ()) -> None:
        """Keep a new conversation with its first items, in place of one of the same id."""

    async def conversation(self, tenant: str, conversation_id: str) -> ConversationRecord | None:
        """Return a conversation; None if it is not there."""

    async def update_conversation(self, record: ConversationRecord) -> bool:
        """Put another `metadata` in its place; False if it is not there."""

    async def delete_conversation(self, tenant: str, conversation_id: str) -> bool:
        """Remove a conversation and its items; False if it is not there. Its responses stay."""

    async def add_items(self, tenant: str, conversation_id: str, items: Sequence[ItemRecord]) -> None:
        """Add items at the end, all or none; one whose id is there already replaces it in its place.

        Raises MissingError when the conversation is not there.
        """

    async def items(
        self,
        tenant: str,
        conversation_id: str,
        *,
        after: str | None = None,
        limit: int | None = None,
        descending: bool = False,
    ) -> ItemPage:
        """Return items in the order they were added, or the reverse, behind item `after`; counts as a use.

        Raises MissingError when the conversation is not there, or `after` is no item of it.
        """

    async def item(self, tenant: str, conversation_id: str, item_id: str) -> ItemRecord | None:
        """Return one item of a conversation; None if it is not there."""

    async def delete_item(self, tenant: str, conversation_id: str, item_id: str) -> bool:
        """Remove one item of a conversation; False if it is not there."""

    # Retention.

    async def sweep(self, now: float) -> int:
        """Remove what the store's `Retention` does not keep at `now` (Unix seconds); return how many went."""
