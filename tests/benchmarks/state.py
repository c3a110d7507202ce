"""What it costs to keep one response in SQLite: CPU microseconds of the process, all threads counted."""

import asyncio
import sys
import tempfile
import time
import uuid
from pathlib import Path

from aigw.stores.base import ResponseRecord
from aigw.stores.sqlite import SqliteStore

SAVES = 20_000
READS = 5_000
BODY = b'{"output": [], "text": "' + b"a" * 2000 + b'"}'
INPUT = b'["' + b"b" * 490 + b'"]'


def growing(number):
    """Return an id that begins with the time, as the gateway's own do."""
    return f"{time.time_ns() // 1000:014x}{uuid.uuid4().hex[:18]}"


def anyhow(number):
    return uuid.uuid4().hex


def records(count, make_id):
    previous = None
    for number in range(count):
        unique = make_id(number)
        yield ResponseRecord(
            f"tenant-{number % 7}",
            f"resp_{unique}",
            1764000000.0,
            "completed",
            BODY,
            INPUT,
            previous_id=previous if number % 2 else None,
            item_ids=(f"msg_{unique}a", f"msg_{unique}b"),
        )
        previous = f"resp_{unique}"


async def each(work, arguments, at_a_time):
    """Do some work for each argument, a number of them at a time; return CPU microseconds for one."""
    left = iter(arguments)

    async def some():
        for argument in left:
            await work(argument)

    began = time.process_time()
    await asyncio.gather(*[some() for _ in range(at_a_time)])
    return (time.process_time() - began) / len(arguments) * 1e6


async def cost_us(at_a_time, make_id):
    """Return what a save, a response and a chain of at most two cost."""
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "state.db")
        await store.open()
        kept = list(records(SAVES, make_id))
        saved = await each(store.save, kept, at_a_time)
        read = await each(lambda one: store.response(one.tenant, one.id), kept[:READS], at_a_time)
        first = [one for one in kept if one.previous_id is None][:READS]
        chained = await each(lambda one: store.chain(one.tenant, one.id), first, at_a_time)
        await store.close()
    return saved, read, chained


def main():
    print("| ids | at a time | save | response | chain |")
    print("|---|--:|--:|--:|--:|")
    for name, make_id in (("grow with time", growing), ("random", anyhow)):
        for at_a_time in (1, 8, 64):
            costs = asyncio.run(cost_us(at_a_time, make_id))
            print(f"| {name} | {at_a_time} | " + " | ".join(f"{cost:.1f}" for cost in costs) + " |")


if __name__ == "__main__":
    sys.exit(main())
