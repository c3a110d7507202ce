"""What every store of responses and conversations must do: one suite, for any backend.

A test module of a backend inherits from `Conformance` and says how one is made:

    class TestMine(Conformance):
        @pytest.fixture
        def new_store(self):
            return lambda retention, clock: MyStore(..., retention, clock=clock)
"""

import asyncio

import orjson
import pytest
from attrs import evolve

from aigw.stores.base import (
    ConversationRecord,
    ItemRecord,
    MissingError,
    ResponseRecord,
    Retention,
)

DAY = 86400.0


class Clock:
    """Unix seconds that pass when the test says so."""

    def __init__(self):
        self.now = 1764000000.25

    def __call__(self):
        return self.now


def item(item_id, text="hello"):
    return {"id": item_id, "type": "message", "content": text}


def record(response_id, previous_id=None, **fields):
    """Return a completed response with one item in, `msg_<id>_in`, and one out, `msg_<id>_out`."""
    brought, made = item(f"msg_{response_id}_in"), item(f"msg_{response_id}_out", "wörld \u0000 \U0001f600")
    values = {
        "tenant": "t",
        "id": response_id,
        "created_at": 1764000000.123457,
        "status": "completed",
        "body": orjson.dumps({"id": response_id, "output": [made]}),
        "input": orjson.dumps([brought]),
        "previous_id": previous_id,
        "item_ids": (brought["id"], made["id"]),
    }
    return ResponseRecord(**values | fields)


OWN = "resp_066111fa220abf01a5b1a35c62ad5a72371eec6e0cc1f933"
"""A response as the gateway names one."""

OWN_ITEM = "msg_aigw066111fa220abf01a5b1a35c62ad5a72371eec6e0cc1f93300"
"""The first item that it puts out, as the gateway names that."""


def own_record(response_id=OWN, **fields):
    """Return a response that holds an item whose name tells that it is of `OWN`."""
    body = orjson.dumps({"id": response_id, "output": [item(OWN_ITEM)]})
    return record(response_id, body=body, input=b"[]", item_ids=(OWN_ITEM,), **fields)


def item_record(item_id, text="hello"):
    return ItemRecord(item_id, orjson.dumps(item(item_id, text)))


async def keep_chain(store, count, name="r", body=None):
    """Keep a chain of responses `<name>0`, `<name>1`...; return their records."""
    fields = {} if body is None else {"body": body}
    records = [
        record(f"{name}{number}", f"{name}{number - 1}" if number else None, **fields)
        for number in range(count)
    ]
    await asyncio.gather(*map(store.save, records))
    return records


async def kept(store, *response_ids):
    """Return those of these responses that are there."""
    return [one for one in response_ids if await store.response("t", one)]


async def ids(store, conversation_id="c", **page):
    return [one.id for one in (await store.items("t", conversation_id, **page)).items]


class Conformance:
    """The laws of `StateStore`."""

    @pytest.fixture
    def clock(self):
        return Clock()

    @pytest.fixture
    def retention(self):
        return Retention()

    @pytest.fixture
    async def store(self, new_store, retention, clock):
        store = new_store(retention, clock)
        await store.open()
        yield store
        await store.close()

    # Responses.

    async def test_a_response_comes_back_as_it_was_saved(self, store):
        full = record("r", "before", conversation_id="c", lease_until=1764000060.654321, status="queued")
        await store.save(full)
        assert await store.response("t", "r") == full

    async def test_a_response_that_was_not_saved_is_not_there(self, store):
        assert await store.response("t", "r") is None

    async def test_another_tenants_response_is_not_there(self, store):
        await store.save(record("r"))
        await store.save(record("r", tenant="other", body=b'{"output": []}', item_ids=()))
        assert (await store.response("t", "r")).tenant == "t"
        assert await store.response("third", "r") is None
        assert not await store.delete_response("third", "r")
        with pytest.raises(MissingError):
            await store.chain("third", "r")
        assert await store.find_items("other", ["msg_r_in"]) == {}
        assert await store.delete_response("other", "r")
        assert await kept(store, "r") == ["r"]

    async def test_saving_again_replaces(self, store):
        await store.save(record("r"))
        again = record("r", body=b'{"output": [{"id": "new"}]}', item_ids=("new",), input=b"[]")
        await store.save(again)
        assert await store.response("t", "r") == again
        assert await store.find_items("t", ["msg_r_in", "new"]) == {"new": b'{"id":"new"}'}

    async def test_bytes_need_not_be_text(self, store):
        strange = record("r", body=b'"\xff\x00\x1e', input=b"")
        await store.save(strange)
        assert await store.response("t", "r") == strange

    async def test_a_read_sees_a_write_that_was_only_queued(self, store):
        saving = asyncio.ensure_future(store.save(record("r")))
        await asyncio.sleep(0)
        assert await store.response("t", "r")
        assert await store.find_items("t", ["msg_r_in"])
        deleting = asyncio.ensure_future(store.delete_response("t", "r"))
        await asyncio.sleep(0)
        assert await store.response("t", "r") is None
        await asyncio.gather(saving, deleting)

    async def test_many_writes_at_once_are_all_there(self, store):
        records = [record(f"r{number}") for number in range(500)]
        await asyncio.gather(*map(store.save, records))
        assert await asyncio.gather(*[store.response("t", one.id) for one in records]) == records

    async def test_two_saves_of_one_response_at_once_end_with_the_later(self, store):
        versions = [record("r", body=b'{"version": %d}' % number) for number in range(100)]
        await asyncio.gather(*map(store.save, versions))
        assert await store.response("t", "r") == versions[-1]

    async def test_a_deleted_response_is_gone_with_its_items_and_events(self, store):
        await store.save(record("r"))
        await store.add_events("t", "r", [(0, b"{}")])
        assert await store.delete_response("t", "r")
        assert not await store.delete_response("t", "r")
        assert await store.response("t", "r") is None
        assert await store.events("t", "r") == []
        assert await store.find_items("t", ["msg_r_in", "msg_r_out"]) == {}
        await store.save(record("r"))
        assert await store.events("t", "r") == []

    # Chains.

    async def test_a_chain_begins_with_its_first_response(self, store):
        records = await keep_chain(store, 4)
        assert await store.chain("t", "r3") == records
        assert await store.chain("t", "r1") == records[:2]

    async def test_branches_share_their_beginning(self, store):
        first, second = await keep_chain(store, 2)
        left, right = record("left", "r1"), record("right", "r1")
        await store.save(left)
        await store.save(right)
        assert await store.chain("t", "left") == [first, second, left]
        assert await store.chain("t", "right") == [first, second, right]

    async def test_a_chain_of_thousands_comes_whole(self, store):
        records = await keep_chain(store, 5000, body=b'{"output":[]}')
        assert await store.chain("t", "r4999") == records

    async def test_a_chain_names_what_it_lacks(self, store):
        await keep_chain(store, 4)
        with pytest.raises(MissingError) as unknown:
            await store.chain("t", "nowhere")
        assert unknown.value.id == "nowhere"
        await store.delete_response("t", "r1")
        with pytest.raises(MissingError) as hole:
            await store.chain("t", "r3")
        assert hole.value.id == "r1"

    async def test_a_chain_does_not_cross_tenants(self, store):
        await store.save(record("r0", tenant="other"))
        await store.save(record("r1", "r0"))
        with pytest.raises(MissingError):
            await store.chain("t", "r1")

    async def test_a_chain_in_a_circle_ends(self, store):
        await store.save(record("a", "b"))
        await store.save(record("b", "a"))
        with pytest.raises(MissingError):
            await store.chain("t", "a")

    # Running responses.

    async def test_a_running_response_is_finished_once(self, store):
        await store.save(record("r", status="in_progress", lease_until=1.5))
        done = record("r", body=b'{"output":[{"id":"made"}]}', item_ids=("made",))
        assert await store.finish(done)
        assert not await store.finish(evolve(done, status="failed"))
        assert await store.response("t", "r") == done
        assert await store.find_items("t", ["made"]) == {"made": b'{"id":"made"}'}

    async def test_a_cancelled_response_is_not_finished(self, store):
        await store.save(record("r", status="queued"))
        cancelled = record("r", status="cancelled")
        assert await store.finish(cancelled)
        assert not await store.finish(record("r"))
        assert await store.response("t", "r") == cancelled

    async def test_of_two_that_finish_at_once_one_does(self, store):
        await store.save(record("r", status="in_progress"))
        ends = [record("r", status=status) for status in ("completed", "cancelled")]
        assert sorted(await asyncio.gather(*map(store.finish, ends))) == [False, True]

    async def test_a_response_that_is_gone_is_not_finished(self, store):
        assert not await store.finish(record("r"))
        assert await store.response("t", "r") is None

    async def test_finishing_keeps_the_events(self, store):
        await store.save(record("r", status="in_progress"))
        await store.add_events("t", "r", [(0, b"{}")])
        await store.finish(record("r"))
        assert await store.events("t", "r") == [(0, b"{}")]

    async def test_a_lease_moves_ahead_while_the_response_runs(self, store):
        for name, status in (("a", "queued"), ("b", "in_progress"), ("c", "cancelled")):
            await store.save(record(name, status=status, lease_until=10.0))
        running = [("t", "a"), ("t", "b"), ("t", "c"), ("t", "d"), ("other", "a")]
        assert await store.renew(running, 20.125) == {("t", "c"), ("t", "d"), ("other", "a")}
        leases = [(await store.response("t", name)).lease_until for name in "abc"]
        assert leases == [20.125, 20.125, 10.0]
        assert await store.renew([], 30.0) == set()

    # Events.

    async def test_events_come_in_order_behind_a_number(self, store):
        await store.save(record("r", status="in_progress"))
        await store.add_events("t", "r", [(0, b"zero"), (1, b"")])
        await store.add_events("t", "r", [(2, b"t\xff\x00wo")])
        await store.add_events("t", "r", [])
        assert await store.events("t", "r") == [(0, b"zero"), (1, b""), (2, b"t\xff\x00wo")]
        assert await store.events("t", "r", 1) == [(2, b"t\xff\x00wo")]
        assert await store.events("t", "r", 2) == []
        assert await store.events("other", "r") == []

    async def test_events_of_a_response_that_is_not_kept_are_not_kept(self, store):
        await store.add_events("t", "r", [(0, b"{}")])
        await store.save(record("r"))
        assert await store.events("t", "r") == []

    async def test_hundreds_of_events_at_once_are_kept(self, store):
        events = [(number, b"%d" % number) for number in range(300)]
        await store.save(record("r", status="in_progress"))
        await asyncio.gather(*[store.add_events("t", "r", [event]) for event in events])
        assert await store.events("t", "r") == events

    # Items.

    async def test_items_are_found_wherever_they_are(self, store):
        await store.save(record("r"))
        await store.create_conversation(ConversationRecord("t", "c", 1.0), [item_record("i")])
        found = await store.find_items("t", ["msg_r_in", "msg_r_out", "i", "nowhere"])
        assert {key: orjson.loads(body)["id"] for key, body in found.items()} == {
            "msg_r_in": "msg_r_in",
            "msg_r_out": "msg_r_out",
            "i": "i",
        }
        assert await store.find_items("other", ["msg_r_in", "i"]) == {}
        assert await store.find_items("t", []) == {}

    async def test_an_item_of_two_responses_stays_until_both_are_gone(self, store):
        await store.save(record("a", input=b'[{"id": "both"}]', item_ids=("both",)))
        await store.save(record("b", input=b'[{"id": "both"}]', item_ids=("both",)))
        await store.delete_response("t", "a")
        assert await store.find_items("t", ["both"]) == {"both": b'{"id":"both"}'}
        await store.delete_response("t", "b")
        assert await store.find_items("t", ["both"]) == {}

    async def test_an_item_whose_name_tells_its_response_is_found(self, store):
        await asyncio.gather(store.save(own_record()), store.save(record("r")))
        found = await store.find_items("t", [OWN_ITEM, "msg_r_in"])
        assert {key: orjson.loads(body) for key, body in found.items()} == {
            OWN_ITEM: item(OWN_ITEM),
            "msg_r_in": item("msg_r_in"),
        }

    async def test_such_an_item_is_not_found_where_its_response_does_not_hold_it(self, store):
        await store.save(record(OWN, body=b'{"output":[]}', input=b"[]", item_ids=()))
        assert await store.find_items("t", [OWN_ITEM]) == {}

    async def test_such_an_item_of_another_tenant_is_not_there(self, store):
        await store.save(own_record(tenant="other"))
        assert await store.find_items("t", [OWN_ITEM]) == {}
        await store.save(record(OWN))
        assert await store.find_items("t", [OWN_ITEM]) == {}

    async def test_such_an_item_is_gone_with_its_response(self, store):
        await store.save(own_record())
        await store.delete_response("t", OWN)
        assert await store.find_items("t", [OWN_ITEM]) == {}

    async def test_such_an_item_that_another_response_holds_too_stays_with_that(self, store):
        await store.save(own_record())
        await store.save(own_record("later"))
        await store.delete_response("t", OWN)
        assert [*await store.find_items("t", [OWN_ITEM])] == [OWN_ITEM]
        await store.delete_response("t", "later")
        assert await store.find_items("t", [OWN_ITEM]) == {}

    async def test_such_an_item_is_found_when_its_response_has_been_finished(self, store):
        await store.save(record(OWN, status="in_progress", body=b'{"output":[]}', input=b"[]", item_ids=()))
        assert await store.finish(own_record())
        assert [*await store.find_items("t", [OWN_ITEM])] == [OWN_ITEM]

    async def test_of_two_saves_at_once_the_items_of_the_later_are_found(self, store):
        await asyncio.gather(
            store.save(record("r")),
            store.save(record("r", body=b'{"output":[{"id":"new"}]}', input=b"[]", item_ids=("new",))),
        )
        assert [*await store.find_items("t", ["msg_r_in", "msg_r_out", "new"])] == ["new"]

    # Conversations.

    async def test_a_conversation_comes_back_as_it_was_made(self, store):
        made = ConversationRecord("t", "c", 1764000000.123457, b'{"topic": "x"}')
        await store.create_conversation(made, [item_record("a"), item_record("b")])
        assert await store.conversation("t", "c") == made
        assert (await store.items("t", "c")).items == (item_record("a"), item_record("b"))
        assert await store.item("t", "c", "b") == item_record("b")
        assert await store.conversation("t", "d") is None

    async def test_another_tenants_conversation_is_not_there(self, store):
        await store.create_conversation(ConversationRecord("t", "c", 1.0), [item_record("a")])
        assert await store.conversation("other", "c") is None
        assert await store.item("other", "c", "a") is None
        assert not await store.update_conversation(ConversationRecord("other", "c", 1.0))
        assert not await store.delete_item("other", "c", "a")
        assert not await store.delete_conversation("other", "c")
        for attempt in (store.items("other", "c"), store.add_items("other", "c", [item_record("b")])):
            with pytest.raises(MissingError):
                await attempt
        assert await ids(store) == ["a"]

    async def test_metadata_is_replaced_and_nothing_else(self, store):
        await store.create_conversation(ConversationRecord("t", "c", 1.5), [item_record("a")])
        assert await store.update_conversation(ConversationRecord("t", "c", 9.0, b'{"a":"b"}'))
        assert await store.conversation("t", "c") == ConversationRecord("t", "c", 1.5, b'{"a":"b"}')
        assert await ids(store) == ["a"]
        assert not await store.update_conversation(ConversationRecord("t", "d", 1.0))

    async def test_a_deleted_conversation_is_gone_and_its_responses_stay(self, store):
        await store.create_conversation(ConversationRecord("t", "c", 1.0), [item_record("a")])
        await store.save(record("r", conversation_id="c"))
        assert await store.delete_conversation("t", "c")
        assert not await store.delete_conversation("t", "c")
        assert await store.conversation("t", "c") is None
        assert await store.item("t", "c", "a") is None
        assert await store.find_items("t", ["a"]) == {}
        with pytest.raises(MissingError):
            await store.items("t", "c")
        assert await kept(store, "r") == ["r"]

    async def test_items_come_in_pages_in_both_directions(self, store):
        await store.create_conversation(ConversationRecord("t", "c", 1.0))
        await store.add_items("t", "c", [item_record("z"), item_record("a")])
        await store.add_items("t", "c", [item_record("m"), item_record("b")])
        assert await ids(store) == ["z", "a", "m", "b"]
        assert await ids(store, descending=True) == ["b", "m", "a", "z"]
        page = await store.items("t", "c", limit=2)
        assert ([one.id for one in page.items], page.has_more) == (["z", "a"], True)
        page = await store.items("t", "c", after="a", limit=2)
        assert ([one.id for one in page.items], page.has_more) == (["m", "b"], False)
        page = await store.items("t", "c", after="m", limit=1, descending=True)
        assert ([one.id for one in page.items], page.has_more) == (["a"], True)
        assert await ids(store, after="b") == []
        with pytest.raises(MissingError) as unknown:
            await store.items("t", "c", after="nowhere")
        assert unknown.value.id == "nowhere"

    async def test_a_deleted_item_is_gone(self, store):
        await store.create_conversation(
            ConversationRecord("t", "c", 1.0), [item_record(one) for one in "abc"]
        )
        assert await store.delete_item("t", "c", "b")
        assert not await store.delete_item("t", "c", "b")
        assert await ids(store) == ["a", "c"]
        assert await store.item("t", "c", "b") is None
        assert await store.find_items("t", ["b"]) == {}

    async def test_an_item_added_again_is_replaced_in_its_place(self, store):
        await store.create_conversation(
            ConversationRecord("t", "c", 1.0), [item_record("a"), item_record("b")]
        )
        await store.add_items("t", "c", [item_record("a", "new")])
        assert (await store.items("t", "c")).items == (item_record("a", "new"), item_record("b"))

    async def test_one_item_may_be_in_two_conversations(self, store):
        for name in "cd":
            await store.create_conversation(ConversationRecord("t", name, 1.0), [item_record("a", name)])
        await store.delete_item("t", "c", "a")
        assert await ids(store, "d") == ["a"]
        assert await store.find_items("t", ["a"]) == {"a": item_record("a", "d").body}

    @pytest.mark.parametrize("method", ["save", "finish"])
    async def test_a_response_and_its_items_are_kept_in_one_step(self, store, method):
        await store.create_conversation(ConversationRecord("t", "c", 1.0))
        await store.save(record("r", status="in_progress", conversation_id="c"))
        await getattr(store, method)(record("r", conversation_id="c"), [item_record("a"), item_record("b")])
        assert await ids(store) == ["a", "b"]
        assert (await store.response("t", "r")).status == "completed"

    @pytest.mark.parametrize("method", ["save", "finish"])
    async def test_neither_is_kept_where_the_conversation_is_gone(self, store, method):
        running = record("r", status="in_progress", conversation_id="c")
        await store.save(running)
        with pytest.raises(MissingError) as missing:
            await getattr(store, method)(record("r", conversation_id="c"), [item_record("a")])
        assert missing.value.id == "c"
        assert await store.response("t", "r") == running
        assert await store.find_items("t", ["a"]) == {}

    async def test_a_response_that_ended_adds_no_items(self, store):
        await store.create_conversation(ConversationRecord("t", "c", 1.0))
        await store.save(record("r", status="cancelled", conversation_id="c"))
        assert not await store.finish(record("r", conversation_id="c"), [item_record("a")])
        assert await ids(store) == []

    async def test_one_write_that_fails_takes_no_other_with_it(self, store):
        fails = store.add_items("t", "nowhere", [item_record("a")])
        results = await asyncio.gather(
            store.save(record("a")), fails, store.save(record("b")), return_exceptions=True
        )
        assert [type(result) for result in results] == [type(None), MissingError, type(None)]
        assert await kept(store, "a", "b") == ["a", "b"]

    # Retention.

    async def test_without_a_limit_all_is_kept(self, store, clock):
        await keep_chain(store, 2)
        assert await store.sweep(clock.now + 1000 * DAY) == 0
        assert await kept(store, "r0", "r1") == ["r0", "r1"]

    @pytest.mark.parametrize("retention", [Retention(keep_s=30 * DAY)])
    async def test_what_was_not_used_for_long_goes(self, store, clock):
        await store.save(record("old"))
        await store.create_conversation(ConversationRecord("t", "c", 1.0), [item_record("a")])
        clock.now += 20 * DAY
        await store.save(record("new"))
        assert await store.sweep(clock.now) == 0
        assert await store.sweep(clock.now + 11 * DAY) == 2
        assert await kept(store, "old", "new") == ["new"]
        assert await store.conversation("t", "c") is None
        assert await store.find_items("t", ["a", "msg_old_in"]) == {}

    @pytest.mark.parametrize("retention", [Retention(keep_s=30 * DAY)])
    async def test_what_is_continued_by_a_kept_one_stays(self, store, clock):
        await keep_chain(store, 3)
        await store.save(record("branch", "r1"))
        clock.now += 20 * DAY
        await store.save(record("tip", "r2"))
        assert await store.sweep(clock.now + 15 * DAY) == 1
        assert await kept(store, "r0", "r1", "r2", "tip", "branch") == ["r0", "r1", "r2", "tip"]
        assert await store.sweep(clock.now + 31 * DAY) == 4
        assert await kept(store, "r0", "r1", "r2", "tip") == []

    @pytest.mark.parametrize("retention", [Retention(keep_s=30 * DAY)])
    async def test_a_use_keeps_longer(self, store, clock):
        await keep_chain(store, 2, "a")
        await keep_chain(store, 2, "b")
        for name in "cd":
            await store.create_conversation(ConversationRecord("t", name, 1.0))
        clock.now += 20 * DAY
        await store.chain("t", "a1")
        await store.items("t", "c")
        assert await store.sweep(clock.now + 15 * DAY) == 3
        assert await kept(store, "a0", "a1", "b0", "b1") == ["a0", "a1"]
        assert [name for name in "cd" if await store.conversation("t", name)] == ["c"]

    @pytest.mark.parametrize("retention", [Retention(keep_s=30 * DAY)])
    async def test_an_old_chain_of_thousands_goes_at_once(self, store, clock):
        await keep_chain(store, 5000, body=b'{"output":[]}')
        assert await store.sweep(clock.now + 31 * DAY) == 5000
        assert await store.response("t", "r4999") is None

    @pytest.mark.parametrize("retention", [Retention(keep_s=30 * DAY)])
    async def test_a_renewed_lease_is_a_use(self, store, clock):
        await store.save(record("r", status="in_progress", lease_until=clock.now))
        clock.now += 20 * DAY
        await store.renew([("t", "r")], clock.now + 60)
        assert await store.sweep(clock.now + 15 * DAY) == 0

    @pytest.mark.parametrize("retention", [Retention(max_bytes=3_000_000)])
    async def test_above_the_limit_the_oldest_chains_go_whole(self, store, clock):
        body = orjson.dumps({"output": [], "text": "x" * 100_000})
        for name in "abcde":
            clock.now += DAY
            await keep_chain(store, 10, name, body)
        await store.sweep(clock.now)
        found = [len(await kept(store, *[f"{name}{n}" for n in range(10)])) for name in "abcde"]
        assert found == [0, 0, 0, 10, 10]

    @pytest.mark.parametrize("retention", [Retention(max_bytes=3_000_000)])
    async def test_above_the_limit_what_was_used_last_stays(self, store, clock):
        body = orjson.dumps({"output": [], "text": "x" * 100_000})
        await keep_chain(store, 10, "a", body)
        clock.now += DAY
        await store.create_conversation(ConversationRecord("t", "c", 1.0), [ItemRecord("i", body)])
        clock.now += DAY
        await keep_chain(store, 10, "b", body)
        clock.now += DAY
        await store.chain("t", "a9")
        await keep_chain(store, 15, "d", body)
        await store.sweep(clock.now)
        assert await kept(store, "a0", "b0", "b9", "d14") == ["a0", "d14"]
        assert await store.conversation("t", "c") is None
