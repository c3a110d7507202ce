"""A guard on cost: of a request and a chunk through aigw, as the ratio to a bare aiohttp proxy's in one run.

It compares CPU time of two processes on one core that are asked at the same time, and takes the median of
several rounds. Whatever else the machine does befalls both alike: waiting costs nothing, colder caches cost
both, and chunks that pile up are cheaper for both. What passes the bounds is a mistake in the hot path.
"""

import asyncio
import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.harness.gateways import known_gateways, start_gateway, start_provider, wait_for_gateway
from benchmarks.harness.load import run
from benchmarks.harness.processes import cores, free_port, pinned, running, why_not
from benchmarks.harness.scenarios import chat, stream
from benchmarks.harness.tables import cpu_us
from benchmarks.harness.wire import is_whole_stream, words

MOST = {"request": 1.0, "chunk": 1.3}
"""The highest ratio of CPU time to the bare proxy's that passes, of a request and of a chunk of a stream."""

ROUNDS = 7
CASES = (
    chat("request", "600-byte answers", connections=16, each=50, seconds=20.0),
    stream(
        "chunk",
        "40 chunks at 5 ms",
        chunks=40,
        pace_ms=5,
        connections=25,
        each=1,
        spread_s=0.05,
        seconds=20.0,
    ),
)


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Start the bare proxy, and aigw with all that it does for a request; return {name: (port, pid)}."""
    if reason := why_not():
        pytest.skip(reason)
    ours, others = cores()
    folder, provider, known = tmp_path_factory.mktemp("cost"), free_port(), known_gateways()
    with running() as processes:
        processes.append(start_provider(others, provider))
        started = {}
        for name in ("bare", "aigw"):
            port = free_port()
            process = start_gateway(known[name], ours, folder, f"http://127.0.0.1:{provider}", port)
            processes.append(process)
            started[name] = (process, port)
        for name, (process, port) in started.items():
            wait_for_gateway(known[name], process, port, folder)
        yield {name: (port, process.pid) for name, (process, port) in started.items()}


async def ask_both(both, case):
    """Return the ratio of what it costs through aigw to what it costs through the bare proxy."""
    measured = await asyncio.gather(*(run(port, case, pid) for port, pid in (both["aigw"], both["bare"])))
    for each in measured:
        assert not each.errors, each.samples
    ours, bare = map(cpu_us(case), measured)
    return ours / bare


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_passes_through_costs_little_more_than_through_a_bare_proxy(both, case):
    with pinned(cores()[1]):
        ratios = [asyncio.run(ask_both(both, case)) for _ in range(ROUNDS)]
    assert statistics.median(ratios) < MOST[case.name], ratios


FRAMES = [*(f"data: {word} \n\n".encode() for word in words(3).split()), b"data: [DONE]\n\n"]


@pytest.mark.parametrize(
    ("order", "is_whole"),
    [
        ("0123", True),
        ("013", False),
        ("0213", False),
        ("01123", False),
        ("012", False),
        ("0132", False),
        ("", False),
    ],
)
def test_the_load_takes_no_stream_for_an_answer_that_lost_a_chunk_or_its_order(order, is_whole):
    body = b"".join(FRAMES[int(place)] for place in order)
    assert is_whole_stream(3)(body) is is_whole


def test_every_benchmark_can_be_imported():
    """They have commands of their own, which nobody runs for each change."""
    folder = Path(__file__).parent / "benchmarks"
    names = sorted(path.stem for path in folder.glob("*.py"))
    assert {"compare", "micro"} <= set(names)
    command = [sys.executable, "-W", "error", "-c", f"import {', '.join(names)}"]
    paths = {"PYTHONPATH": f"{folder}:{folder.parent}"}
    done = subprocess.run(command, check=False, env={**os.environ, **paths}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
