"""What a request and a chunk cost through aigw, beside a bare aiohttp proxy in the same run."""

import argparse
import asyncio
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).parent
KEY = "sk-bench"
MESSAGES = [{"role": "user", "content": "word " * 60}]
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
CONFIG = """
[server]
access_log = false
[auth]
keys = [{{ key = "{key}", tenant = "bench" }}]
[providers.one]
base_url = "{upstream}/v1"
[providers.two]
base_url = "{upstream}/v1"
[models.m]
targets = [
    {{ provider = "one", model = "m-1", weight = 3 }},
    {{ provider = "two", model = "m-2", weight = 1 }},
]
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(cpu, *command):
    pinned = ["taskset", "-c", str(cpu)] if os.cpu_count() > 1 and Path("/usr/bin/taskset").exists() else []
    return subprocess.Popen([*pinned, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait_for(port, path, body):
    deadline = time.monotonic() + 20
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    while True:
        try:
            request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, headers)
            with urllib.request.urlopen(request, timeout=2):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def cpu_s(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def rss_mb(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def request_bytes(port, *, stream):
    body = json.dumps({"model": "m", "messages": MESSAGES, "stream": stream}).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {KEY}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def read_answer(reader):
    """Read one answer to its end; it has to be a good and a whole one."""
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    lower = head.lower()
    if b"content-length:" in lower:
        length = int(lower.split(b"content-length:")[1].split(b"\r\n")[0])
        body = await reader.readexactly(length)
        assert b'"finish_reason"' in body
        return
    body = await reader.readuntil(b"0\r\n\r\n")
    assert b"data: [DONE]" in body


async def whole(port, connections, seconds):
    """Ask in closed loops; return the number of answers and their latencies in seconds."""
    ask = request_bytes(port, stream=False)
    stop_at = time.monotonic() + seconds
    taken = []

    async def one():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.monotonic() < stop_at:
            began = time.perf_counter()
            writer.write(ask)
            await read_answer(reader)
            taken.append(time.perf_counter() - began)
        writer.close()

    await asyncio.gather(*(one() for _ in range(connections)))
    return taken


async def streams(port, count):
    """Open `count` streams at once, each of 100 chunks at 5 ms; return how long each took, in seconds."""
    ask = request_bytes(port, stream=True)

    async def one():
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
        began = time.perf_counter()
        writer.write(ask)
        await read_answer(reader)
        writer.close()
        return time.perf_counter() - began

    return await asyncio.gather(*(one() for _ in range(count)))


async def measure(gateway, port, seconds):
    await whole(port, 16, 0.5)
    before = cpu_s(gateway.pid)
    taken = await whole(port, 64, seconds)
    per_request = (cpu_s(gateway.pid) - before) / len(taken) * 1e6
    alone = statistics.median(await whole(port, 1, 1.0)) * 1e6
    before = cpu_s(gateway.pid)
    lasted = await streams(port, 200)
    per_chunk = (cpu_s(gateway.pid) - before) / (200 * 100) * 1e6
    return per_request, len(taken) / seconds, alone, per_chunk, max(lasted) * 1000, rss_mb(gateway.pid)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="of asking, for each gateway and round")
    options = parser.parse_args()
    provider_port, bare_port, aigw_port = free_port(), free_port(), free_port()
    upstream = f"http://127.0.0.1:{provider_port}"
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    other = max(os.sched_getaffinity(0))
    running = []
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "aigw.toml"
        config.write_text(CONFIG.format(key=KEY, upstream=upstream))
        try:
            running.append(start(other, sys.executable, str(HERE / "mock_provider.py"), str(provider_port)))
            bare = start(0, sys.executable, str(HERE / "bare_proxy.py"), upstream, str(bare_port))
            command = [sys.executable, "-m", "aigw", "--config", str(config), "--port", str(aigw_port)]
            ours = start(0, *command)
            running += [bare, ours]
            body = json.dumps({"model": "m", "messages": MESSAGES}).encode()
            rows = {}
            for port in (bare_port, aigw_port):
                wait_for(port, "/v1/chat/completions", body)
            for _ in range(options.rounds):
                for name, process, port in (
                    ("bare aiohttp proxy", bare, bare_port),
                    ("aigw", ours, aigw_port),
                ):
                    rows.setdefault(name, []).append(asyncio.run(measure(process, port, options.seconds)))
        finally:
            for process in running:
                process.terminate()
                process.wait()
    report(rows)


COLUMNS = (
    "",
    "CPU us a request",
    "requests/s",
    "one connection, p50 us",
    "CPU us a chunk",
    "200 streams, slowest ms",
    "RSS MB",
)


def report(rows):
    """Print the best of all rounds: what is left of noise can only make it worse."""
    best = {name: [min(column) for column in zip(*each, strict=True)] for name, each in rows.items()}
    for name, measured in rows.items():
        best[name][1] = max(each[1] for each in measured)
    machine = platform.processor() or platform.machine()
    print(f"{machine}, Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}\n")
    print("| " + " | ".join(COLUMNS) + " |")
    print("|---|" + "--:|" * (len(COLUMNS) - 1))
    for name, values in best.items():
        print(f"| {name} | " + " | ".join(f"{value:.1f}" for value in values) + " |")
    bare, ours = best["bare aiohttp proxy"], best["aigw"]
    ratios = [f"{mine / theirs:.2f}" for mine, theirs in zip(ours, bare, strict=True)]
    print("| ratio | " + " | ".join(ratios) + " |")


if __name__ == "__main__":
    main()
