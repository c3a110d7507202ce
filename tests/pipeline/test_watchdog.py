"""One timer looks at all exchanges: what goes wrong with one is no harm to the others."""

import asyncio

from aigw.pipeline.watchdog import TICK_S, Verdict, Watch, Watchdog


class Gone:
    """A request whose client has left."""

    transport = None


class Broken:
    """A request that cannot be looked at."""

    @property
    def transport(self):
        raise RuntimeError("no transport")


async def test_one_that_cannot_be_looked_at_leaves_the_others_watched(caplog):
    watchdog = Watchdog()
    tasks = [asyncio.ensure_future(asyncio.Event().wait()) for _ in range(4)]
    watches = [Watch(request, task) for request, task in zip((Broken(), Gone()) * 2, tasks, strict=True)]
    for watch in watches:
        watchdog.add(watch)
    await asyncio.sleep(2.5 * TICK_S)
    assert [watch.verdict for watch in watches] == [None, Verdict.GONE] * 2
    late = Watch(Gone(), tasks[0])
    watchdog.add(late)
    await asyncio.sleep(1.5 * TICK_S)
    assert late.verdict is Verdict.GONE
    assert "could not be looked at" in caplog.text
    watchdog.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
