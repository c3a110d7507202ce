"""What a request and a chunk cost through aigw, beside other gateways in the same run.

Starts a mock provider and the gateways, each gateway on one core, provider and load on the other; asks
them in turns; prints Markdown. Everything stays on loopback, and ends by itself.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from harness.ready import ensure

if __name__ == "__main__":
    ensure()

from harness import tables
from harness.gateways import Running, known_gateways, start_gateway, start_provider, wait_for_gateway
from harness.load import measure
from harness.processes import cores, family, free_port, rss_mb, running, why_not
from harness.scenarios import SCENARIOS

SETTLE_S = 0.5


def say(*words):
    print(*words, file=sys.stderr, flush=True)


def arguments():
    """Return what was asked for; names of scenarios and gateways are checked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--seconds", type=float, default=3.0, help="of asking with 64 connections; the rest scales"
    )
    parser.add_argument("--only", type=_names, default=list(SCENARIOS), help="scenarios: a64,c")
    parser.add_argument(
        "-g", "--gateways", type=_names, help="of direct,bare,aigw,nginx,litellm; default: all there are"
    )
    parser.add_argument("--litellm", metavar="VENV", help="virtual environment that has LiteLLM")
    options = parser.parse_args()
    known = known_gateways(options.litellm)
    options.gateways = options.gateways or list(known)
    for kind, wanted, there in (
        ("scenario", options.only, SCENARIOS),
        ("gateway", options.gateways, known),
    ):
        for name in wanted:
            if name not in there:
                parser.error(f'{kind} "{name}": not here; there are {", ".join(there)}')
    options.gateways = [known[name] for name in options.gateways]
    return options


def _names(text):
    return text.split(",")


def expected_s(options):
    """Return about how long it takes with gateways that keep pace with the streams.

    One that does not is given up after a minute in each case of them.
    """
    scale = options.seconds / 3
    each = sum(SCENARIOS[name].seconds * scale for name in options.only if not SCENARIOS[name].each)
    streams = 3.0 * ("c" in options.only) + 1.5 * ("c50" in options.only)
    count = sum(1 for gateway in options.gateways if gateway.launch)
    return count * (
        options.rounds * (each + streams + 0.4 * len(options.only)) + 6 * ("d" in options.only) + 2
    )


def launch(gateway, core, folder, upstream, provider_port, processes):
    """Start a gateway and wait for its first 200; return it as `Running`."""
    if gateway.launch is None:
        return Running(gateway, provider_port)
    port = free_port()
    began = time.monotonic()
    process = start_gateway(gateway, core, folder, upstream, port)
    processes.append(process)
    wait_for_gateway(gateway, process, port, folder)
    started_s = time.monotonic() - began
    time.sleep(SETTLE_S)
    return Running(gateway, port, process, started_s, [sum(map(rss_mb, family(process.pid)))])


def rounds(options, core, gateways):
    """Ask each gateway in each scenario, one after the other, round by round; return the results."""
    results = {}
    for number in range(options.rounds):
        for name in options.only:
            scenario = SCENARIOS[name]
            if number and scenario.once:
                continue
            seconds = scenario.seconds if scenario.each else scenario.seconds * options.seconds / 3
            for each in _turned(gateways, number):
                if each.gateway.only and name not in each.gateway.only:
                    continue
                measured = measure(core, each.port, name, pid=each.pid, seconds=seconds)
                results.setdefault((each.gateway.name, name), []).append(measured)
                say(
                    f"round {number + 1}, {name}, {each.gateway.title}: {measured.answers} answers",
                    end_of(measured),
                )
    return results


def end_of(measured):
    return f"in {measured.seconds:.1f} s" + (f", {measured.errors} ERRORS" if measured.errors else "")


def _turned(gateways, number):
    """Return them in an order that changes from round to round: who comes first has a colder machine."""
    first = number % len(gateways)
    return gateways[first:] + gateways[:first]


def counted(gateways):
    """Return what the plugin in aigw has seen, None where aigw took no part."""
    for each in gateways:
        if each.gateway.name == "aigw":
            with urllib.request.urlopen(f"http://127.0.0.1:{each.port}/counted", timeout=5) as answer:
                return json.load(answer)
    return None


def check_counted(seen, results):
    """Return the complaint if the plugin and the load disagree: then the chain was not on."""
    asked = sum(each.answers for (name, _), runs in results.items() if name == "aigw" for each in runs)
    if seen is None or (seen["requests"] >= asked and seen["tokens"] > 0):
        return []
    return [f"aigw: its plugin has seen {seen}, but {asked} requests were answered"]


def report(options, results, gateways):
    shown = [each.gateway for each in gateways]
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {platform.python_implementation()}"
    measured = f"{time.strftime('%Y-%m-%d')}, best of {options.rounds} rounds"
    print(f"{machine} {platform.python_version()}, {measured}\n")
    for name in options.only:
        print(f"- {name}: {SCENARIOS[name].title}")
    printed = [table(results, shown, options.only) for table in (tables.cost_table, tables.time_table)]
    for table in filter(None, (*printed, tables.memory_table(results, gateways, options.only))):
        print("\n" + table)


def main():
    options = arguments()
    if reason := why_not():
        raise SystemExit(reason)
    say(f"this takes about {expected_s(options):.0f} s")
    ours, others = cores()
    port = free_port()
    upstream = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(prefix="aigw-bench-") as name, running() as processes:
        folder = Path(name)
        processes.append(start_provider(others, port, log=folder / "provider.log"))
        gateways = [launch(gateway, ours, folder, upstream, port, processes) for gateway in options.gateways]
        results = rounds(options, others, gateways)
        complaints = tables.failures(results) + check_counted(counted(gateways), results)
    report(options, results, gateways)
    if complaints:
        print()
        raise SystemExit("\n".join(complaints))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
