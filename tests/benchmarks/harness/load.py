"""The load: connections that ask and check every answer, in a process apart from what they ask.

A wrong answer (not 200, not whole, a piece missing or out of order) is an error and never throughput.
`measure` runs the load as a child on the other core; the child also reads what the gateway used,
so that nothing but the asking lies between two readings.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import httptools
from attrs import asdict, define, evolve, field, frozen

from .processes import cpu_s, family, pinned, rss_mb
from .scenarios import SCENARIOS
from .wire import has_first_word, request

OPEN_AT_A_TIME = 100
SAMPLE_S = 0.2


@frozen
class Measured:
    """What one run gave.

    answers: good ones; errors: all others, of which `samples` tell a few. seconds: of the run.
    cpu_s, rss_mb: of the gateway's processes, None where none were named; the memory is the highest seen.
    latencies_s, firsts_s: (median, 99th percentile) of whole answers, and of the time to the first word.
    reads: of the load, in all: fewer than there are chunks when several of them came at once.
    """

    answers: int
    errors: int
    samples: list[str]
    seconds: float
    cpu_s: float | None
    rss_mb: float | None
    latencies_s: tuple[float, float]
    firsts_s: tuple[float, float]
    reads: int


@define
class Tally:
    """What all connections of a run have seen so far. stop_at: loop time from which nobody asks again."""

    scenario: object
    stop_at: float
    latencies: list[float] = field(factory=list)
    firsts: list[float] = field(factory=list)
    failures: list[str] = field(factory=list)
    reads: int = 0


class Client(asyncio.Protocol):
    """One connection: asks, checks, asks again until it has what it wants or time is up."""

    def __init__(self, loop, ask, tally):
        self._loop, self._ask, self._tally = loop, ask, tally
        self._left = tally.scenario.each or sys.maxsize
        self._awaiting_first = False
        self.done = loop.create_future()

    def connection_made(self, transport):
        self._transport = transport
        self._next()

    def _next(self):
        if not self._left or self._loop.time() >= self._tally.stop_at:
            self._end()
            return
        self._left -= 1
        self._pieces = []
        self._awaiting_first = self._tally.scenario.chunks > 0
        self._parser = httptools.HttpResponseParser(self)
        self._began = time.perf_counter()
        self._transport.write(self._ask)

    def data_received(self, data):
        if self.done.done():
            return
        self._tally.reads += 1
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"no HTTP: {error!r}")

    def on_body(self, piece):
        self._pieces.append(piece)
        if self._awaiting_first and has_first_word(piece):
            self._awaiting_first = False
            self._tally.firsts.append(time.perf_counter() - self._began)

    def on_message_complete(self):
        took, body = time.perf_counter() - self._began, b"".join(self._pieces)
        status = self._parser.get_status_code()
        if status != 200 or not self._tally.scenario.check(body):
            self._fail(f"{status}, {len(body)} bytes: {body[:150]!r} ... {body[-50:]!r}")
            return
        self._tally.latencies.append(took)
        self._loop.call_soon(self._next)  # the parser is still at work

    def connection_lost(self, error):
        if not self.done.done():
            self._fail(f"the connection closed amid an answer: {error!r}")

    def _fail(self, why):
        self._tally.failures.append(why)
        self._end()

    def _end(self):
        if not self.done.done():
            self.done.set_result(None)
        self._transport.close()


async def ask(port, scenario):
    """Ask as the scenario says; return the Tally. What is not answered in time counts as an error."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    tally = Tally(scenario, began + scenario.seconds)
    question, doors = request(port, scenario.path, scenario.body), asyncio.Semaphore(OPEN_AT_A_TIME)
    patience_s = scenario.seconds + (0 if scenario.each else 30)

    async def one(number):
        await asyncio.sleep(scenario.spread_s * number / scenario.connections)
        async with doors:
            _, client = await loop.create_connection(lambda: Client(loop, question, tally), "127.0.0.1", port)
        await client.done

    each = [asyncio.ensure_future(one(number)) for number in range(scenario.connections)]
    done, late = await asyncio.wait(each, timeout=patience_s)
    for task in late:
        task.cancel()
    tally.failures += [f"no answer within {patience_s} s"] * len(late)
    tally.failures += [repr(task.exception()) for task in done if task.exception() is not None]
    return tally


async def _watch_memory(pids, seen):
    while True:
        seen.append(sum(map(rss_mb, pids)))
        await asyncio.sleep(SAMPLE_S)


async def run(port, scenario, pid=None):
    """Ask, and read what the gateway's processes used meanwhile; return `Measured`."""
    pids, memory = family(pid) if pid else [], []
    watching = asyncio.ensure_future(_watch_memory(pids, memory))
    spent, began = sum(map(cpu_s, pids)), time.perf_counter()
    tally = await ask(port, scenario)
    seconds, spent = time.perf_counter() - began, sum(map(cpu_s, pids)) - spent
    watching.cancel()
    return Measured(
        answers=len(tally.latencies),
        errors=len(tally.failures),
        samples=tally.failures[:3],
        seconds=seconds,
        cpu_s=spent if pid else None,
        rss_mb=max(memory, default=None) if pid else None,
        latencies_s=_percentiles(tally.latencies),
        firsts_s=_percentiles(tally.firsts),
        reads=tally.reads,
    )


def _percentiles(values):
    """Return (median, 99th percentile), zeros where there is nothing."""
    if len(values) < 2:
        return (*values, *values) if values else (0.0, 0.0)
    return statistics.median(values), statistics.quantiles(values, n=100, method="inclusive")[98]


def measure(core, port, name, *, pid=None, **changes):
    """Run a scenario in a child on this core; return `Measured`. changes: fields of it to set anew.

    Raises ChildProcessError when the child fails: what it said is in the message.
    """
    order = json.dumps({"port": port, "name": name, "pid": pid, "changes": changes})
    command = [sys.executable, "-m", "harness.load", order]
    patience_s = evolve(SCENARIOS[name], **changes).seconds + 60
    with pinned(core):
        child = subprocess.run(
            command,
            cwd=Path(__file__).parents[1],
            check=False,
            capture_output=True,
            text=True,
            timeout=patience_s,
        )
    if child.returncode:
        raise ChildProcessError(f"the load ended with {child.returncode}: {child.stderr[-500:]}")
    return Measured(**json.loads(child.stdout))


def main(order):
    import uvloop

    wanted = json.loads(order)
    scenario = evolve(SCENARIOS[wanted["name"]], **wanted["changes"])
    measured = uvloop.run(run(wanted["port"], scenario, wanted["pid"]))
    print(json.dumps(asdict(measured)))


if __name__ == "__main__":
    main(sys.argv[1])
