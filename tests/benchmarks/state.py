"""What it costs to keep one response in SQLite: CPU microseconds of the process, all threads counted."""

import asyncio
import sys
import tempfile
import time
import uuid
from pathlib import Path
from random import getrandbits

from aigw.stores.base import ResponseRecord
from aigw.stores.sqlite import SqliteStore

SAVES = 20_000
READS = 5_000
BODY = b'{"output": [], "text": "' + b"a" * 2000 + b'"}'
INPUT = b'["' + b"b" * 490 + b'"]'


def own(number):
    """Return ids of a response and two items as the gateway makes them: they begin with the time."""
    unique = f"{time.time_ns() // 1000:014x}{getrandbits(136):034x}"
    return f"resp_{unique}", (f"msg_aigw{unique}i00", f"msg_aigw{unique}00")


def others(number):
    """Return ids as a provider may make them: without an order, and without a tie."""
    return f"resp_{uuid.uuid4().hex}", (f"msg_{uuid.uuid4().hex}", f"msg_{uuid.uuid4().hex}")


def records(count, make_ids):
    previous = None
    for number in range(count):
        response_id, item_ids = make_ids(number)
        yield ResponseRecord(
            f"tenant-{number % 7}",
            response_id,
            1764000000.0,
            "completed",
            BODY,
            INPUT,
            previous_id=previous if number % 2 else None,
            item_ids=item_ids,
        )
        previous = response_id


async def each(work, arguments, at_a_time):
    """Do some work for each argument, a number of them at a time; return CPU microseconds for one."""
    left = iter(arguments)

    async def some():
        for argument in left:
            await work(argument)

    began = time.process_time()
    await asyncio.gather(*[some() for _ in range(at_a_time)])
    return (time.process_time() - began) / len(arguments) * 1e6


async def cost_us(at_a_time, make_ids):
    """Return what a save, a response and a chain of at most two cost."""
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "state.db")
        await store.open()
        kept = list(records(SAVES, make_ids))
        saved = await each(store.save, kept, at_a_time)
        read = await each(lambda one: store.response(one.tenant, one.id), kept[:READS], at_a_time)
        first = [one for one in kept if one.previous_id is None][:READS]
        chained = await each(lambda one: store.chain(one.tenant, one.id), first, at_a_time)
        await store.close()
    return saved, read, chained


def main():
    print("| ids | at a time | save | response | chain |")
    print("|---|--:|--:|--:|--:|")
    for name, make_ids in (("the gateway's", own), ("random", others)):
        for at_a_time in (1, 8, 64):
            costs = asyncio.run(cost_us(at_a_time, make_ids))
            print(f"| {name} | {at_a_time} | " + " | ".join(f"{cost:.1f}" for cost in costs) + " |")


if __name__ == "__main__":
    sys.exit(main())
