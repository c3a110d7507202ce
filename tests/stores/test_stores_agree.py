"""Whatever is done to both, the SQLite store answers as the memory store does."""

import asyncio
import tempfile
from pathlib import Path

import orjson
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from stores.conformance import DAY, OWN, OWN_ITEM, Clock, item_record, record

from aigw.stores.base import ConversationRecord, MissingError, Retention
from aigw.stores.memory import MemoryStore
from aigw.stores.sqlite import SqliteStore

TENANTS = st.sampled_from(["t", "other"])
NAMES_USED = ("a", "b", "c", OWN, OWN_ITEM)
NAMES = st.sampled_from(NAMES_USED)
RESPONSES = st.builds(
    lambda made, **fields: record(
        body=orjson.dumps({"output": [{"id": one} for one in made]}), item_ids=tuple(made), **fields
    ),
    st.lists(NAMES, max_size=2, unique=True),
    response_id=NAMES,
    previous_id=st.none() | NAMES,
    tenant=TENANTS,
    status=st.sampled_from(["queued", "in_progress", "completed", "cancelled"]),
    created_at=st.floats(0, 2e9),
    lease_until=st.none() | st.floats(0, 2e9),
    conversation_id=st.none() | NAMES,
)
ITEMS = st.lists(st.builds(item_record, NAMES, st.text(max_size=5)), max_size=3)
CONVERSATIONS = st.builds(ConversationRecord, TENANTS, NAMES, st.floats(0, 2e9), st.binary(max_size=9))
EVENTS = st.lists(st.tuples(st.integers(0, 9), st.binary(max_size=9)), max_size=3)


class Stores(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = Clock()
        keep = Retention(keep_s=30 * DAY)
        self.memory = MemoryStore(keep, clock=self.clock)
        self.sqlite = SqliteStore(Path(self.folder.name) / "state.db", keep, clock=self.clock)
        self.runner.run(self.sqlite.open())

    def teardown(self):
        self.runner.run(self.sqlite.close())
        self.runner.close()
        self.folder.cleanup()

    def both(self, method, *arguments, **options):
        async def answer(store):
            try:
                return await getattr(store, method)(*arguments, **options)
            except MissingError as error:
                return "missing", error.id

        expected = self.runner.run(answer(self.memory))
        assert self.runner.run(answer(self.sqlite)) == expected

    @rule(record=RESPONSES, items=ITEMS, method=st.sampled_from(["save", "finish"]))
    def keep(self, method, record, items):
        self.both(method, record, items)

    @rule(tenant=TENANTS, name=NAMES)
    def delete_response(self, tenant, name):
        self.both("delete_response", tenant, name)

    @rule(tenant=TENANTS, name=NAMES)
    def chain(self, tenant, name):
        self.both("chain", tenant, name)

    @rule(tenant=TENANTS, names=st.lists(NAMES, unique=True), until=st.floats(0, 2e9))
    def renew(self, tenant, names, until):
        self.both("renew", [(tenant, name) for name in names], until)

    @rule(tenant=TENANTS, name=NAMES, events=EVENTS, after=st.integers(-1, 9))
    def add_events(self, tenant, name, events, after):
        self.both("add_events", tenant, name, events)
        self.both("events", tenant, name, after)

    @rule(record=CONVERSATIONS, items=ITEMS)
    def create_conversation(self, record, items):
        self.both("create_conversation", record, items)

    @rule(record=CONVERSATIONS)
    def update_conversation(self, record):
        self.both("update_conversation", record)

    @rule(tenant=TENANTS, name=NAMES)
    def delete_conversation(self, tenant, name):
        self.both("delete_conversation", tenant, name)

    @rule(tenant=TENANTS, name=NAMES, items=ITEMS)
    def add_items(self, tenant, name, items):
        self.both("add_items", tenant, name, items)

    @rule(tenant=TENANTS, name=NAMES, item=NAMES)
    def delete_item(self, tenant, name, item):
        self.both("delete_item", tenant, name, item)

    @rule(
        tenant=TENANTS,
        name=NAMES,
        after=st.none() | NAMES,
        limit=st.none() | st.integers(0, 3),
        descending=st.booleans(),
    )
    def items(self, tenant, name, **page):
        self.both("items", tenant, name, **page)

    @rule(days=st.integers(1, 20))
    def time_passes(self, days):
        self.clock.now += days * DAY

    @rule()
    def sweep(self):
        self.both("sweep", self.clock.now)

    @invariant()
    def both_hold_the_same(self):
        expected = self.runner.run(everything(self.memory))
        assert self.runner.run(everything(self.sqlite)) == expected


async def everything(store):
    """Return all that a store holds for the tenants and names of this test."""
    reads = [
        read
        for tenant in ("t", "other")
        for name in NAMES_USED
        for read in (
            store.response(tenant, name),
            store.events(tenant, name),
            store.conversation(tenant, name),
            store.item(tenant, name, "a"),
        )
    ]
    found = [await store.find_items(tenant, [*NAMES_USED]) for tenant in ("t", "other")]
    # Of several items with one id, a store may find any.
    return [*map(set, found), *await asyncio.gather(*reads)]


TestStoresAgree = Stores.TestCase
TestStoresAgree.settings = settings(max_examples=12, stateful_step_count=20, deadline=None)
