import pytest
from stores.conformance import Conformance, item_record, keep_chain, kept

from aigw.stores.base import ConversationRecord, Retention
from aigw.stores.memory import MemoryStore


class TestMemoryStore(Conformance):
    @pytest.fixture
    def new_store(self):
        return lambda retention, clock: MemoryStore(retention, clock=clock)


async def test_the_limit_holds_without_a_sweep():
    store = MemoryStore(Retention(max_bytes=100_000))
    for name in range(100):
        await keep_chain(store, 2, f"{name}-", b"x" * 9_000)
    assert store._size <= 100_000
    assert await kept(store, "99-1", "0-0") == ["99-1"]


async def test_what_went_leaves_nothing_behind():
    store = MemoryStore(Retention(keep_s=1.0), clock=lambda: 1.0)
    await keep_chain(store, 10)
    await store.delete_response("t", "r3")
    await store.add_events("t", "r4", [(0, b"x" * 100), (0, b"y")])
    await store.create_conversation(ConversationRecord("t", "c", 1.0), [item_record("a"), item_record("b")])
    await store.update_conversation(ConversationRecord("t", "c", 1.0, b'{"a": "b"}'))
    await store.delete_item("t", "c", "a")
    assert await store.sweep(100.0) == 10
    assert store._size == 0
    assert not any((store._responses, store._conversations, store._continued, store._holders))
    assert not any((store._numbered, store._ages))
