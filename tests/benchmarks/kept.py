"""What keeping responses costs a request: the same answers kept in SQLite, kept in memory, and not kept."""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from harness.gateways import start_provider
from harness.processes import cpu_s, free_port, start, wait_for
from harness.wire import KEY

CONFIG = """
[server]
access_log = false
[auth]
keys = [{{ key = "{key}", tenant = "bench" }}]
[state]
kind = "{kind}"
path = "{path}"
[providers.one]
base_url = "{upstream}/v1"
apis = ["chat"]
[models.m]
targets = [{{ provider = "one", model = "m-1" }}]
"""
TEXT = "word " * 100
STORES = ("memory", "sqlite")


def request_bytes(port, *, store):
    body = json.dumps({"model": "m", "input": TEXT, "store": store}).encode()
    head = (
        f"POST /v1/responses HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {KEY}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def ask(port, connections, seconds, *, store):
    """Ask in closed loops; return the number of answers."""
    question, stop_at, count = request_bytes(port, store=store), time.monotonic() + seconds, 0
    wanted = b'"store":true' if store else b'"store":false'

    async def one():
        nonlocal count
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.monotonic() < stop_at:
            writer.write(question)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            body = await reader.readexactly(length)
            assert head.startswith(b"HTTP/1.1 200"), body
            assert wanted in body, body
            count += 1
        writer.close()

    await asyncio.gather(*(one() for _ in range(connections)))
    return count


def cost(gateway, port, connections, seconds, *, store):
    """Return CPU microseconds of the gateway's process for one request."""
    before = cpu_s(gateway.pid)
    count = asyncio.run(ask(port, connections, seconds, store=store))
    return (cpu_s(gateway.pid) - before) / count * 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="of asking, for each way and round")
    parser.add_argument("--connections", type=int, default=64)
    options = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    upstream_port, running, rows = free_port(), [], {}
    with tempfile.TemporaryDirectory() as folder:
        try:
            other = max(os.sched_getaffinity(0))
            running.append(start_provider(other, upstream_port))
            gateways = {}
            for kind in STORES:
                port, config = free_port(), Path(folder) / f"{kind}.toml"
                upstream = f"http://127.0.0.1:{upstream_port}"
                path = Path(folder) / f"{kind}.db"
                config.write_text(CONFIG.format(key=KEY, kind=kind, path=path, upstream=upstream))
                command = [sys.executable, "-m", "aigw", "--config", str(config), "--port", str(port)]
                running.append(start(0, *command))
                gateways[kind] = (running[-1], port)
                wait_for(port, "/v1/responses", json.dumps({"model": "m", "input": "hi"}).encode(), key=KEY)
            for _ in range(options.rounds):
                for kind, (gateway, port) in gateways.items():
                    for store in (False, True):
                        spent = cost(gateway, port, options.connections, options.seconds, store=store)
                        rows.setdefault((kind, store), []).append(spent)
        finally:
            for process in running:
                process.terminate()
                process.wait()
    print("| store | CPU us a request, not kept | kept | keeping costs |")
    print("|---|--:|--:|--:|")
    for kind in STORES:
        without, kept = min(rows[kind, False]), min(rows[kind, True])
        print(f"| {kind} | {without:.1f} | {kept:.1f} | {kept - without:.1f} |")


if __name__ == "__main__":
    main()
