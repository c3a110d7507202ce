"""How the cost of aigw grows: with keys, models, plugins, streams, sizes, conversations.

Prints a Markdown table for each, and a verdict that is worked out from its figures: the exponent b of
cost = a * size^b, by least squares on logarithms, of all points and of the last three; the higher one counts.
Takes about three minutes, ends by itself, stays on loopback.
"""

import argparse
import asyncio
import hashlib
import json
import os
import re
import resource
import sys
import tempfile
import time
from pathlib import Path

from harness.ready import ensure

if __name__ == "__main__":
    ensure()

import uvloop
from attrs import define, field
from harness import wire
from harness.configured import start_aigw, wait_for_aigw
from harness.gateways import start_provider
from harness.load import run
from harness.plain_client import BrokenError, Connections
from harness.processes import cores, cpu_s, free_port, rss_mb, running, stop, why_not
from harness.scenarios import Scenario, chat, stream
from harness.tables import markdown
from harness.trend import exponent

FLAT, LINEAR = 0.15, 1.15
CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
CHUNKS_PER_S = 25_000
CONFIG = """
[server]
access_log = false
metrics = true
[auth]
keys = [
{keys}
]
[state]
path = "{folder}/state.db"
[providers.one]
base_url = "{upstream}/v1"
apis = ["chat", "embeddings"]
[models]
{models}
"""


class Failed(Exception):  # noqa: N818 - what it says is the message
    """A run had wrong answers, so its cost means nothing."""


@define
class Bench:
    """Starts gateways and measures them. quick: fewer points, shorter runs."""

    folder: Path
    upstream: str
    core: int
    processes: list
    quick: bool
    _number: int = field(init=False, default=0)

    def points(self, *values, few=4):
        """Return the sizes to look at; with `quick` the first few."""
        return values[:few] if self.quick else values

    def last_words(self):
        """Return what the gateway that was started last has said last."""
        return (self.folder / f"{self._number}" / "aigw.log").read_text()[-2000:]

    def gateway(self, *, keys=1, models=1, plugins=0, patience_s=120.0):
        """Start a gateway; return it as Gateway."""
        self._number += 1
        folder = self.folder / f"{self._number}"
        folder.mkdir()
        hashes = [hashlib.sha256(b"sk-%d" % number).hexdigest() for number in range(keys - 1)]
        hashes.insert(keys // 2, hashlib.sha256(wire.KEY.encode()).hexdigest())
        config = CONFIG.format(
            keys="\n".join(
                f'{{ key_hash = "sha256:{digest}", tenant = "tenant-{number}" }},'
                for number, digest in enumerate(hashes)
            ),
            models="\n".join([f'{wire.MODEL} = "one/m-1"', *(_model(number) for number in range(1, models))]),
            folder=folder,
            upstream=self.upstream,
        )
        names = {f"hooked{number}": "hooked_plugin:Hooked" for number in range(plugins)}
        began = time.monotonic()
        process, port = start_aigw(self.core, folder, config, plugins=names)
        self.processes.append(process)
        wait_for_aigw(process, port, folder, patience_s=patience_s)
        started_s = time.monotonic() - began
        time.sleep(0.3)
        return Gateway(self, process, port, started_s, rss_mb(process.pid))


def _model(number):
    return (
        f'"acme-large-{number:05d}-instruct" = {{ targets = [{{ provider = "one", model = "m-{number}" }}] }}'
    )


@define
class Gateway:
    """One gateway that runs; stopped at the end of a `with`."""

    bench: Bench
    process: object
    port: int
    started_s: float
    idle_mb: float

    def __enter__(self):
        return self

    def __exit__(self, *_):
        stop(self.process)
        self.bench.processes.remove(self.process)

    def measure(self, scenario):
        """Ask as the scenario says; return `Measured`. Raises Failed when an answer was wrong."""
        measured = uvloop.run(run(self.port, scenario, self.process.pid))
        if measured.errors:
            raise Failed(f"{scenario.title}: {measured.errors} errors, {'; '.join(measured.samples)}")
        return measured

    def us(self, scenario, rounds=2):
        """Return CPU microseconds of an answer, or of a chunk of one: the least of some rounds."""
        found = [self.measure(scenario) for _ in range(rounds)]
        return min(each.cpu_s / each.answers / (scenario.chunks or 1) * 1e6 for each in found)

    def us_of(self, method, path, body, is_right, *, count=200, width=8, **changes):
        """Return CPU microseconds of any request, also one that is refused. Raises Failed."""
        return min(
            uvloop.run(self._spent(method, path, body, is_right, count, width, changes)) for _ in range(2)
        )

    async def _spent(self, method, path, body, is_right, count, width, changes):
        connections = Connections(self.port, kept=width)

        async def some():
            for _ in range(count // width):
                answer = await connections.ask(method, path, body, **changes)
                if not is_right(answer):
                    raise Failed(f"{method} {path}: {answer.status} {bytes(answer.body[:300])!r}")

        before = cpu_s(self.process.pid)
        await asyncio.gather(*(some() for _ in range(width)))
        spent = cpu_s(self.process.pid) - before
        connections.close()
        return spent / (count // width * width) * 1e6


def tenants(bench):
    """CPU of a request, start-up and memory, by keys in the configuration."""
    rows = []
    for keys in bench.points(1, 10, 100, 1000, 10_000, 100_000, few=5):
        with bench.gateway(keys=keys) as gateway:
            us = gateway.us(_requests(bench))
            wrong = gateway.us_of(
                "POST", CHAT, wire.chat_body(), lambda answer: answer.status == 401, key="sk-no"
            )
            rows.append((keys, us, wrong, gateway.started_s, gateway.idle_mb))
    yield "keys", ("request µs", "wrong key µs", "start-up s", "idle MB"), rows


def models(bench):
    """CPU of a request for a known and an unknown model, of the list, start-up and memory, by models."""
    rows = []
    near = wire.chat_body().replace(b'"m"', b'"acme-large-00001-instrukt"')
    far = wire.chat_body().replace(b'"m"', b'"zzz"')

    def is_unknown(answer):
        return answer.status == 404 and b"no such model" in answer.body

    for count in bench.points(1, 10, 100, 1000, 10_000):
        with bench.gateway(models=count) as gateway:
            number = 80 if count < 2000 else 16
            rows.append(
                (
                    count,
                    gateway.us(_requests(bench)),
                    gateway.us_of("POST", CHAT, near, is_unknown, count=number),
                    gateway.us_of("POST", CHAT, far, is_unknown, count=number),
                    gateway.us_of(
                        "GET", "/v1/models", b"", lambda answer: answer.status == 200, count=number
                    ),
                    gateway.started_s,
                    gateway.idle_mb,
                )
            )
    head = ("request µs", "unknown, near µs", "unknown, far µs", "list µs", "start-up s", "idle MB")
    yield "models", head, rows


def plugins(bench):
    """CPU of a request and a chunk, by plugins that each hook rewrite_request, watch_stream, on_complete."""
    rows = []
    for count in bench.points(0, 1, 2, 5, 10, few=3):
        with bench.gateway(plugins=count) as gateway:
            us = gateway.us(_requests(bench), rounds=3)
            rows.append((count + 1, us, gateway.us(_streams(100, 5, 100), rounds=4)))
    yield "plugins + 1", ("request µs", "chunk µs"), rows


def lengths(bench):
    """CPU of a chunk, and memory, by how many chunks a stream has: passed through, translated, kept."""
    rows = []
    for chunks in bench.points(10, 100, 1000, 10_000, few=3):
        with bench.gateway() as gateway:
            each = max(1, 200 // chunks)
            pace_ms = 5 if chunks < 10_000 else 1
            found = [gateway.measure(make(chunks, pace_ms, each)) for make in (_passed, _translated, _kept)]
            rows.append(
                (
                    chunks,
                    *(one.cpu_s / one.answers / chunks * 1e6 for one in found),
                    *(one.rss_mb for one in found),
                )
            )
    head = ("passed µs a chunk", "translated µs", "kept µs", "passed MB", "translated MB", "kept MB")
    yield "chunks of a stream", head, rows


def requests(bench):
    """CPU of a request by the size of its body: passed through, translated."""
    rows = []
    with bench.gateway() as gateway:
        for kb in bench.points(1, 4, 16, 64, 256, 1024, 4096):
            count = max(16, min(400, 32_000 // kb))
            passed = wire.chat_body(ask_bytes=kb * 1024, size=600)
            text = wire.steering(size=600) + " " + "word " * (kb * 1024 // 5)
            tree = {"model": wire.MODEL, "max_tokens": 9, "messages": [{"role": "user", "content": text}]}
            found = [
                gateway.us_of("POST", path, body, lambda answer: answer.status == 200, count=count)
                for path, body in ((CHAT, passed), (MESSAGES, json.dumps(tree).encode()))
            ]
            rows.append((kb, *found, *(us / kb for us in found), rss_mb(gateway.process.pid)))
    head = ("passed µs", "translated µs", "passed µs a KB", "translated µs a KB", "MB")
    yield "KB of the request", head, rows


def answers(bench):
    """CPU of a request by the size of its answer: passed through, translated."""
    rows = []
    with bench.gateway() as gateway:
        for kb in bench.points(1, 4, 16, 64, 256, 1024, 4096):
            count = max(16, min(400, 32_000 // kb))
            said = wire.steering(size=kb * 1024)
            tree = {"model": wire.MODEL, "max_tokens": 9, "messages": [{"role": "user", "content": said}]}
            whole = wire.text_of(kb * 1024).encode()
            found = [
                gateway.us_of(
                    "POST", path, body, lambda answer, whole=whole: whole in answer.body, count=count
                )
                for path, body in (
                    (CHAT, wire.chat_body(size=kb * 1024)),
                    (MESSAGES, json.dumps(tree).encode()),
                )
            ]
            rows.append((kb, *found, *(us / kb for us in found), rss_mb(gateway.process.pid)))
    head = ("passed µs", "translated µs", "passed µs a KB", "translated µs a KB", "MB")
    yield "KB of the answer", head, rows


def streams(bench):
    """CPU of a chunk and memory of a stream, by how many run at a time; at most 25,000 chunks a second."""
    rows = []
    for count in bench.points(1, 10, 100, 1000, 5000):
        with bench.gateway() as gateway:
            pace_ms = max(20, count * 1000 // CHUNKS_PER_S)
            measured = gateway.measure(
                stream(
                    "s",
                    f"{count} streams",
                    chunks=50,
                    pace_ms=pace_ms,
                    connections=count,
                    each=1 if count > 50 else 2,
                    spread_s=min(2.0, count / 1000),
                    seconds=90.0,
                )
            )
            grown_kb = (measured.rss_mb - gateway.idle_mb) * 1024
            rows.append(
                (
                    count,
                    measured.cpu_s / measured.answers / 50 * 1e6,
                    measured.rss_mb,
                    grown_kb / count,
                    measured.answers,
                    measured.answers * 50 / measured.reads,
                )
            )
    yield "streams at a time", ("chunk µs", "MB", "KB a stream", "whole", "chunks a read"), rows


def conversations(bench):
    """CPU of one more turn by the turns before it: continued by its id, and sent whole without keeping it."""
    marks, rows = bench.points(1, 2, 5, 10, 20, 50, 100, 200, few=5), []
    with bench.gateway() as gateway:
        ids, said = uvloop.run(_chain(gateway.port, max(marks)))
        for turns in marks:
            more = {"model": wire.MODEL, "input": "and again"}
            kept = json.dumps({**more, "previous_response_id": ids[turns - 1]}).encode()
            sent = json.dumps({**more, "input": said[: 2 * turns], "store": False}).encode()
            found = [
                gateway.us_of("POST", RESPONSES, body, lambda answer: b'"completed"' in answer.body)
                for body in (kept, sent)
            ]
            rows.append((turns, *found, found[0] - found[1], found[0] / turns))
    yield "turns", ("continued µs", "sent whole µs", "difference µs", "continued µs a turn"), rows


async def _chain(port, turns):
    """Have a conversation that is kept; return (ids, items of all turns)."""
    connections, ids, said = Connections(port), [], []
    for number in range(turns):
        text = wire.steering(size=300) if not number else f"turn {number} " + "word " * 20
        tree = {"model": wire.MODEL, "input": text}
        if ids:
            tree["previous_response_id"] = ids[-1]
        answer = await connections.ask("POST", RESPONSES, json.dumps(tree).encode())
        if answer.status != 200:
            raise Failed(f"turn {number}: {answer.status} {bytes(answer.body[:300])!r}")
        response = json.loads(answer.body)
        ids.append(response["id"])
        said += [{"role": "user", "content": text}, *response["output"]]
    connections.close()
    return ids, said


def _requests(bench):
    return chat("r", "600-byte answers", connections=32, seconds=0.5 if bench.quick else 1.0)


def _streams(chunks, pace_ms, connections, each=2):
    return stream(
        "s",
        f"{chunks} chunks",
        chunks=chunks,
        pace_ms=pace_ms,
        connections=connections,
        each=each,
        spread_s=0.2,
        seconds=90.0,
    )


def _passed(chunks, pace_ms, each):
    return _streams(chunks, pace_ms, 10, each)


def _translated(chunks, pace_ms, each):
    said = wire.steering(chunks=chunks, pace_ms=pace_ms)
    tree = {"model": wire.MODEL, "max_tokens": 9, "messages": [{"role": "user", "content": said}]}
    return _other(chunks, each, MESSAGES, tree, b"message_stop")


def _kept(chunks, pace_ms, each):
    said = wire.steering(chunks=chunks, pace_ms=pace_ms)
    return _other(chunks, each, RESPONSES, {"model": wire.MODEL, "input": said}, b"response.completed")


def _other(chunks, each, path, tree, end):
    """Return streams in another format than the provider's; words may come again behind the last delta."""
    wanted = [b"%05d" % number for number in range(chunks)]

    def check(body):
        found = re.findall(rb"tk(\d{5}) ", body)
        return found[:chunks] == wanted and body.count(b"event: " + end) == 1

    body = json.dumps({**tree, "stream": True}).encode()
    return Scenario(
        "o",
        f"{path}, {chunks} chunks",
        body,
        check,
        path=path,
        connections=10,
        each=each,
        chunks=chunks,
        seconds=90.0,
        spread_s=0.2,
    )


GROWTHS = {
    each.__name__: each
    for each in (tenants, models, plugins, lengths, requests, answers, streams, conversations)
}


def verdict(points):
    """Return how a figure grows with its size: a word, and the exponent that it stands for."""
    points = [(x, y) for x, y in points if y > 0]
    if len(points) < 3:
        return "too few figures"
    b = max(exponent(points), exponent(points[-3:]))
    word = "flat" if b < FLAT else "linear or less" if b <= LINEAR else "WORSE THAN LINEAR"
    return f"{word} ({b:+.2f})"


def shown(value):
    return f"{value:,}" if isinstance(value, int) else f"{value:.2f}" if abs(value) < 10 else f"{value:,.1f}"


def report(growth, table):
    """Print one table with a verdict below each of its columns."""
    size, head, rows = table
    columns = list(zip(*rows, strict=True))
    verdicts = [verdict(list(zip(columns[0], column, strict=True))) for column in columns[1:]]
    print(f"\n**{growth.__name__}.** {growth.__doc__}\n")
    cells = [[shown(value) for value in row] for row in rows]
    print(markdown([size, *head], [*cells, ["growth", *verdicts]]), flush=True)


def more_files(wanted=20_000):
    """Let this process, and those that it starts, hold as many connections as the machine allows."""
    least, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    most_here = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(least, most_here), most))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=GROWTHS, action="append", help="one growth; may be given again")
    parser.add_argument("--quick", action="store_true", help="fewer points, shorter runs")
    options = parser.parse_args()
    if reason := why_not():
        raise SystemExit(reason)
    more_files()
    ours, others = cores()
    port, failed = free_port(), []
    with tempfile.TemporaryDirectory(prefix="aigw-growth-") as name, running() as processes:
        folder = Path(name)
        processes.append(start_provider(others, port, log=folder / "provider.log"))
        os.sched_setaffinity(0, {others})
        bench = Bench(folder, f"http://127.0.0.1:{port}", ours, processes, options.quick)
        for growth in (GROWTHS[each] for each in options.only or GROWTHS):
            began = time.monotonic()
            try:
                for table in growth(bench):
                    report(growth, table)
            except (Failed, BrokenError, OSError) as error:
                failed.append(f"{growth.__name__}: {error!r}; {bench.last_words()}")
            print(f"{growth.__name__}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    if failed:
        raise SystemExit("\n".join(failed))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
