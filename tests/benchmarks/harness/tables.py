"""What was measured, as Markdown.

It shows the best of all rounds: what is left of noise can only make it worse. Not so with one figure: a
chunk looks cheap when its gateway was kept waiting and found several at once, so its cost is that of the
round whose streams were least late.
"""

from .scenarios import SCENARIOS

COST = ("a64", "L", "f", "e", "c50", "c", "d")
REFERENCE = "bare"


def markdown(head, rows):
    """Return a table; every cell but the first of a row is a number."""
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def best(results, gateway, name, figure):
    """Return the least of a figure over all rounds, None where there is none."""
    found = [figure(each) for each in results.get((gateway, name), ()) if each.answers]
    return min((each for each in found if each is not None), default=None)


def cpu_us(scenario):
    """Return the figure: CPU microseconds of the gateway for one answer, or one chunk of a stream.

    A run with errors has none: what the gateway did for them is in its time, too.
    """
    parts = scenario.chunks or 1

    def figure(each):
        return None if each.cpu_s is None or each.errors else each.cpu_s / each.answers / parts * 1e6

    return figure


def cost_table(results, gateways, names):
    """Return CPU microseconds, and in brackets the ratio to the reference of the same run."""
    names = [name for name in COST if name in names]
    head = [
        "CPU µs (ratio)",
        *(f"{name}, a {'chunk' if SCENARIOS[name].chunks else 'request'}" for name in names),
    ]
    rows = [
        [gateway.title, *(_cost(results, gateway.name, name) for name in names)]
        for gateway in gateways
        if gateway.launch
    ]
    return markdown(head, rows) if names else ""


def cost_us(results, gateway, name):
    """Return CPU microseconds of one answer or chunk, None where there is none."""
    scenario, runs = SCENARIOS[name], results.get((gateway, name), ())
    if scenario.chunks:
        runs = sorted(runs, key=lambda each: each.latencies_s[1])[:1]
    return best({(gateway, name): runs}, gateway, name, cpu_us(scenario))


def _cost(results, gateway, name):
    mine, reference = (cost_us(results, each, name) for each in (gateway, REFERENCE))
    if mine is None:
        return "-"
    ratio = f" ({mine / reference:.2f})" if reference else ""
    return f"{mine:.1f}{ratio}"


def time_table(results, gateways, names):
    """Return latencies and rates; those of streams are counted from the moment of asking."""
    columns = [column for column in _COLUMNS if column[0] in names]
    rows = [
        [gateway.title, *(_number(column[2](results, gateway.name)) for column in columns)]
        for gateway in gateways
    ]
    return markdown(["", *(column[1] for column in columns)], rows) if columns else ""


def _figure(name, figure):
    return lambda results, gateway: best(results, gateway, name, figure)


def _added(rank):
    """Return how many microseconds a gateway adds to the latency of one connection."""

    def added(results, gateway):
        mine, direct = (
            best(results, each, "a1", lambda each: each.latencies_s[rank] * 1e6)
            for each in (gateway, "direct")
        )
        return None if mine is None or direct is None else mine - direct

    return added


def _most(name):
    """Return answers a second, of the best round."""

    def rate(results, gateway):
        return max((each.answers / each.seconds for each in results.get((gateway, name), ())), default=None)

    return rate


def _chunks_a_read(name):
    """Return how many chunks came at once: above one, gateway or load were late, and had it cheaper."""
    return _figure(name, lambda each: each.answers * SCENARIOS[name].chunks / each.reads)


def _behind(name):
    """Return by how many ms the 99th percentile of streams lasted longer than the provider took."""
    return _figure(name, lambda each: (each.latencies_s[1] - SCENARIOS[name].ideal_s) * 1000)


_COLUMNS = (
    ("a1", "a1, p50 µs", _figure("a1", lambda each: each.latencies_s[0] * 1e6)),
    ("a1", "added p50", _added(0)),
    ("a1", "added p99", _added(1)),
    ("a64", "a64, requests/s", _most("a64")),
    ("a64", "a64, p99 ms", _figure("a64", lambda each: each.latencies_s[1] * 1000)),
    ("c50", "c50, chunks a read", _chunks_a_read("c50")),
    ("c", "c, chunks a read", _chunks_a_read("c")),
    ("c", "c, first word p99 ms", _figure("c", lambda each: each.firsts_s[1] * 1000)),
    ("d", "d, whole streams", _figure("d", lambda each: each.answers)),
    ("d", "d, p99 above ideal ms", _behind("d")),
)


def memory_table(results, running, names):
    """Return memory in MB, with nothing to do and at work, and the seconds from start to the first 200."""
    names = [name for name in ("a64", "f", "d") if name in names]
    rows = []
    for each in running:
        if each.process is not None:
            used = [best(results, each.gateway.name, name, lambda run: run.rss_mb) for name in names]
            rows.append([each.gateway.title, f"{each.started_s:.2f}", *map(_number, (*each.idle_mb, *used))])
    return markdown(["", "first 200 after s", "idle MB", *(f"{name}, MB" for name in names)], rows)


def _number(value):
    return "-" if value is None else f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}"


def failures(results):
    """Return a line for each run that had errors."""
    return [
        f"{gateway} {name}: {each.errors} errors, {each.answers} good answers; {'; '.join(each.samples)}"
        for (gateway, name), runs in results.items()
        for each in runs
        if each.errors
    ]
