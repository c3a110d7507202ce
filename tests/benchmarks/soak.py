"""Whether aigw stays as it is: mixed traffic for an hour, every answer checked, memory and files watched.

One gateway on one core, provider and clients on another, a steady load that leaves both room for others.
Ends by itself, also on Ctrl-C, with the curve and a verdict; the exit code is 1 when something grew, was
left behind, or was wrong. Everything stays on loopback.
"""

import argparse
import asyncio
import contextlib
import csv
import json
import os
import random
import re
import signal
import sys
import tempfile
import time
from pathlib import Path

from harness.ready import ensure

if __name__ == "__main__":
    ensure()

import uvloop
from attrs import asdict, fields, frozen
from harness.configured import start_aigw, wait_for_aigw
from harness.failing_provider import failing_provider
from harness.gateways import start_provider
from harness.plain_client import BrokenError, Connections
from harness.processes import cores, cpu_s, free_port, rss_mb, running, why_not
from harness.tables import markdown
from harness.traffic import KEYS, KINDS, Traffic
from harness.trend import rising, sparkline

CONFIG = """
[server]
access_log = false
keepalive_timeout_s = 10
[auth]
keys = [{keys}]
[state]
path = "{folder}/state.db"
keep_s = 120
[routing]
retry = {{ budget_ratio = 1.0, budget_floor_per_s = 100, budget_burst = 100, backoff_s = 0.05 }}
health = {{ open_s = 0.5, max_open_s = 0.5 }}
[providers.good]
base_url = "http://127.0.0.1:{good}/v1"
apis = ["chat", "embeddings"]
pool = {{ keepalive_s = 5 }}
[providers.fails]
base_url = "http://127.0.0.1:{bad}/fails/v1"
apis = ["chat"]
[providers.dies]
base_url = "http://127.0.0.1:{bad}/dies/v1"
apis = ["chat"]
[models]
m = "good/m-1"
broken = "dies/m"
[models.flaky]
strategy = "priority"
targets = ["fails/m", "good/m-2"]
"""
WARM_UP_SHARE = 1 / 6
SETTLE_S = 60.0
MOST_MB_PER_HOUR = 5.0
MOST_GROWTH = 0.05
LEAST_JUDGED_S = 1200.0


@frozen
class Sample:
    """The gateway at one moment. cpu: share of a core since the last one. store_kb: files of the store."""

    seconds: float
    requests: int
    wrong: int
    rss_mb: float
    fds: int
    tasks: int
    in_flight: int
    objects: int
    store_kb: int
    cpu: float

    def line(self):
        minutes = f"{int(self.seconds) // 60:3d}:{int(self.seconds) % 60:02d}"
        return (
            f"{minutes}  requests {self.requests}  wrong {self.wrong}  RSS {self.rss_mb:.1f} MB"
            f"  fds {self.fds}  tasks {self.tasks}  in flight {self.in_flight}  objects {self.objects}"
            f"  store {self.store_kb} KB  CPU {self.cpu:.0%}"
        )


def fds_of(pid):
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


class Watch:
    """Reads the gateway's process from outside and, where only it can tell, from inside."""

    def __init__(self, pid, folder, traffic):
        self._pid, self._folder, self._traffic = pid, folder, traffic
        self._began = self._last_at = time.monotonic()
        self._last_cpu_s = cpu_s(pid)

    async def sample(self, inside="/inside"):
        ask = self._traffic.connections.ask
        inside = json.loads((await ask("GET", inside)).body)
        metrics = (await ask("GET", "/metrics")).body.decode()
        now, used = time.monotonic(), cpu_s(self._pid)
        share = (used - self._last_cpu_s) / max(0.001, now - self._last_at)
        self._last_at, self._last_cpu_s = now, used
        return Sample(
            seconds=round(now - self._began, 1),
            requests=sum(self._traffic.asked.values()),
            wrong=sum(self._traffic.wrong.values()),
            rss_mb=round(rss_mb(self._pid), 2),
            fds=fds_of(self._pid),
            tasks=inside["tasks"],
            in_flight=int(float(re.search(r"^aigw_in_flight (\S+)", metrics, re.MULTILINE)[1])),
            objects=inside["objects"],
            store_kb=sum(each.stat().st_size for each in self._folder.glob("state.db*")) // 1024,
            cpu=round(share, 3),
        )

    async def settled(self, like=None):
        """Wait until nothing changes any more, or is as in `like`; return the last sample."""
        deadline, before = time.monotonic() + SETTLE_S, None
        while True:
            await asyncio.sleep(2)
            now = await self.sample("/inside?collect=1")  # amid the traffic nobody collects but the gateway
            is_still = before is not None and (now.fds, now.tasks) == (before.fds, before.tasks)
            is_done = not left_behind(like, now) if like else is_still and self._last_at > deadline - 40
            if is_done or time.monotonic() > deadline:
                return now
            before = now


def left_behind(before, after):
    """Return what is there after the traffic that was not there before it."""
    found = [
        f"{name}: {getattr(after, name)}, {getattr(before, name)} before the traffic"
        for name in ("fds", "tasks")
        if getattr(after, name) > getattr(before, name)
    ]
    return found + ([f"in flight: {after.in_flight}"] if after.in_flight else [])


async def keep_asking(traffic, rate, until, running_now):
    """Begin `rate` requests a second, at times of chance, whatever became of those before."""
    at = time.monotonic()
    while (at := at + traffic.chance.expovariate(rate)) < until:
        await asyncio.sleep(max(0.0, at - time.monotonic()))
        task = asyncio.ensure_future(traffic.one())
        running_now.add(task)
        task.add_done_callback(running_now.discard)


async def watch(watching, samples, write, every_s):
    began = time.monotonic()
    for number in range(sys.maxsize):
        await asyncio.sleep(max(0.0, began + number * every_s - time.monotonic()))
        with contextlib.suppress(TimeoutError):
            sample = await watching.sample()
            samples.append(sample)
            write(sample)


async def soak(options, traffic, watching, samples, write):
    """Ask and watch until time is up or we are stopped; return what was left behind."""
    for name in [*KINDS] * 3:
        await traffic.one(name)
    before = await watching.settled()
    print("before  " + before.line(), flush=True)
    stopped, asking = asyncio.Event(), set()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    work = [
        asyncio.ensure_future(
            keep_asking(traffic, options.rate, time.monotonic() + 60 * options.minutes, asking)
        ),
        asyncio.ensure_future(watch(watching, samples, write, options.every)),
        asyncio.ensure_future(stopped.wait()),
    ]
    await asyncio.wait([work[0], work[2]], return_when=asyncio.FIRST_COMPLETED)
    for task in work:
        task.cancel()
    failed = [each for each in await asyncio.gather(*work, return_exceptions=True) if _is_failure(each)]
    if asking:
        await asyncio.wait(asking, timeout=SETTLE_S)
    traffic.connections.close()
    after = await watching.settled(like=before)
    print("after   " + after.line(), flush=True)
    return left_behind(before, after) + [f"the soak itself failed: {each!r}" for each in failed]


def _is_failure(each):
    return isinstance(each, BaseException) and not isinstance(each, asyncio.CancelledError)


def report(samples, traffic, faults, every_s):
    """Print the curve and the verdict; return the exit code."""
    late = [each for each in samples if each.seconds >= samples[-1].seconds * WARM_UP_SHARE]
    figures = [(each.seconds / 3600, each.rss_mb) for each in late]
    slope, error = rising(figures)
    first, last = (sum(each.rss_mb for each in part) / len(part) for part in _ends(late))
    step = max(1, len(samples) // 24)
    names = [each.name for each in fields(Sample)]
    print("\n" + markdown(names, [asdict(each).values() for each in samples[::step]]))
    for name in ("rss_mb", "fds", "tasks", "objects", "store_kb"):
        values = [getattr(each, name) for each in samples]
        print(f"\n{name}, {min(values)} to {max(values)}:  {sparkline(values)}")
    print("\n" + markdown(["kind", "asked", "wrong"], _counts(traffic)) + "\n")
    print(f"RSS {first:.1f} MB after warm-up, {last:.1f} MB at the end: {(last / first - 1):+.1%}")
    print(f"slope {slope:+.2f} MB an hour, standard error {error:.2f} (a sample every {every_s:.0f} s)")
    grows = slope - 2 * error > MOST_MB_PER_HOUR and last / first - 1 > MOST_GROWTH
    if late[-1].seconds - late[0].seconds < LEAST_JUDGED_S:
        grows = False
        print(f"less than {LEAST_JUDGED_S / 60:.0f} minutes after warm-up: memory is not judged")
    faults = [*faults, *(["memory grows"] if grows else []), *traffic.samples]
    print("\n".join(faults) if faults else "nothing grew, nothing was left behind, no answer was wrong")
    return 1 if faults else 0


def _ends(samples):
    """Return the first and the last tenth."""
    size = max(1, len(samples) // 10)
    return samples[:size], samples[-size:]


def _counts(traffic):
    return [[name, count, traffic.wrong.get(name, 0)] for name, count in sorted(traffic.asked.items())]


@contextlib.contextmanager
def written_to(path):
    """Yield what writes a sample to a CSV file (where there is one) and tells it; each is there at once."""
    names = [each.name for each in fields(Sample)]
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(Path(path).open("w", newline="")) if path else None
        rows = csv.writer(file) if file else None
        if rows:
            rows.writerow(names)

        def write(sample):
            print(sample.line(), flush=True)
            if rows:
                rows.writerow(asdict(sample).values())
                file.flush()

        yield write


async def main(options, folder, processes):
    ours, others = cores()
    good = free_port()
    processes.append(start_provider(others, good, log=folder / "provider.log"))
    os.sched_setaffinity(0, {others})
    async with failing_provider() as bad:
        keys = ", ".join(f'{{ key = "{key}", tenant = "{tenant}" }}' for key, tenant in KEYS.items())
        config = CONFIG.format(keys=keys, folder=folder, good=good, bad=bad)
        process, port = start_aigw(ours, folder, config, plugins={"inside": "inside_plugin:Inside"})
        processes.append(process)
        wait_for_aigw(process, port, folder)
        traffic, samples = Traffic(Connections(port), random.Random(options.seed)), []
        watching = Watch(process.pid, folder, traffic)
        with written_to(options.out) as write:
            try:
                faults = await soak(options, traffic, watching, samples, write)
            except (OSError, BrokenError) as error:
                faults = [f"the gateway is gone: {error!r}", (folder / "aigw.log").read_text()[-2000:]]
        log = (folder / "aigw.log").read_text()
        if "Traceback" in log:
            faults.append("the gateway's log has a traceback:\n" + log[log.index("Traceback") :][:2000])
    return report(samples, traffic, faults, options.every) if samples else print(*faults, sep="\n") or 1


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=150.0, help="requests a second that begin")
    parser.add_argument("--every", type=float, default=30.0, help="seconds between two samples")
    parser.add_argument("--out", help="CSV file that gets each sample at once")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    if reason := why_not():
        raise SystemExit(reason)
    try:
        with tempfile.TemporaryDirectory(prefix="aigw-soak-") as name, running() as processes:
            code = uvloop.run(main(arguments(), Path(name), processes))
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)
