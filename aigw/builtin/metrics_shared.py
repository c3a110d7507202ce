"""Metrics of several workers as one: each tells the others what it has counted, and adds up what they tell.

Owns the snapshots: samples as Prometheus gets them, in JSON. A worker gives its own at once to whoever opens
its socket, and keeps the last one in a file, for when it can give none any more. What it tells is in the file
before it is told, so that no sum is ever smaller than one before. Knows no series by what it counts; nothing
here is on the way of a request.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING, Any

import orjson
from attrs import define, field
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from aigw.builtin.meanwhile import meanwhile

if TYPE_CHECKING:
    from aigw.builtin.metrics import Metrics

logger = logging.getLogger("aigw")

KEEP_S = 1.0
"""How often the file is written: what a worker that is killed has counted since is lost."""
KEEP_SHARE = 0.01
"""The share of a processor that this may take; where there is much to write, it is written less often."""
ASK_S = 1.0
"""How long a worker may take to answer; then its file has to do."""
REMEMBERED = 1000
"""Of so many dead workers it is known that they are in the sum of the dead."""
LEAST = frozenset({"aigw_state_up", "process_start_time_seconds", "process_max_fds"})
MOST = frozenset({"aigw_info", "python_info"})

Families = Sequence[tuple[str, str, str, Sequence[tuple[str, dict[str, str], float]]]]
"""Rows of (name, type, text, rows of (sample's name, labels, value))."""


def packed(families: Iterable[Metric]) -> Families:
    """Return metrics as rows that JSON can hold."""
    return [
        (
            each.name,
            each.type,
            each.documentation,
            [(one.name, one.labels, one.value) for one in each.samples],
        )
        for each in families
    ]


@define(eq=False)
class Sum(Collector):
    """Metrics of several processes as if one had counted them.

    Counters and histograms are added up, and so are gauges, but for the few of which the least or the most
    says more: a state's gauge so says in how many workers it holds.
    """

    _families: dict[str, Metric] = field(factory=dict)
    _values: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = field(factory=dict)

    def add(self, families: Families, *, lives: bool) -> None:
        """Add what one process told. Of one that does not live any more, gauges say nothing."""
        for name, kind, text, samples in families:
            if kind == "gauge" and not lives:
                continue
            self._families.setdefault(name, Metric(name, text, kind))
            values = self._values.setdefault(name, {})
            for sample, labels, value in samples:
                key = (sample, tuple(labels.items()))
                values[key] = _joined(name, values[key], value) if key in values else value

    def collect(self) -> Iterator[Metric]:
        for name, family in self._families.items():
            family.samples = [
                Sample(sample, dict(labels), value) for (sample, labels), value in self._values[name].items()
            ]
            yield family


def _joined(name: str, one: float, other: float) -> float:
    if name in LEAST:
        return min(one, other)
    return max(one, other) if name in MOST else one + other


# The dead.


def absorb(files: Path) -> None:
    """Add what a worker that has ended had counted to what all the dead had, and remove its files.

    For the supervisor alone. Whoever reads at that moment finds it in one place or in both, and knows of
    which workers it is in the second.
    """
    total, merged = Sum(), [files.name]
    if gone := _read(_gone(files)):
        total.add(gone["families"], lives=False)
        merged = [*gone["merged"][1 - REMEMBERED :], files.name]
    if own := _read(files.with_suffix(".json")):
        total.add(own, lives=False)
        content = {"merged": merged, "families": packed(total.collect())}
        try:
            _write(_gone(files), orjson.dumps(content))
        except OSError as error:
            logger.warning("metrics of a worker that has ended are lost: %s", error)
    for suffix in (".json", ".sock", ".ready"):
        files.with_suffix(suffix).unlink(missing_ok=True)


def _gone(files: Path) -> Path:
    return files.with_name("gone.json")


def _read(path: Path) -> Any:
    """Return a file's content, or None where there is none (any more)."""
    with suppress(OSError, ValueError):
        return orjson.loads(path.read_bytes())


def _write(path: Path, content: bytes) -> None:
    """Put a file in place of another, so that whoever reads finds one of the two, whole."""
    draft = path.with_suffix(".draft")
    draft.write_bytes(content)
    draft.replace(path)


# The living.


@define(eq=False)
class Shared:
    """One worker's part. files: its own, without suffix, beside those of the others. own: what it counted."""

    files: Path
    own: Collector
    _is_broken: bool = False

    def snapshot(self) -> bytes:
        """Return what this worker has counted, once it is in the file.

        These are kilobytes for the page cache: a thread would cost more, and need a lock.
        """
        content = orjson.dumps(packed(self.own.collect()))
        try:
            _write(self.files.with_suffix(".json"), content)
            self._is_broken = False
        except OSError as error:
            if not self._is_broken:
                logger.warning("metrics cannot be kept for when this worker ends: %s", error)
            self._is_broken = True
        return content

    async def keep(self) -> None:
        """Write the file again and again, until cancelled."""
        while True:
            began = process_time()
            self.snapshot()
            await asyncio.sleep(max(KEEP_S, (process_time() - began) / KEEP_SHARE))

    async def tell(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Give whoever opened the socket a snapshot."""
        with suppress(ConnectionError):
            writer.write(self.snapshot())
            await writer.drain()
        writer.close()

    async def total(self) -> Collector:
        """Ask all workers, and return what they and those before them have counted."""
        total = Sum()
        total.add(orjson.loads(self.snapshot()), lives=True)
        others = _others(self.files)
        asked = await asyncio.gather(*map(_ask, others))
        kept = [_read(each.with_suffix(".json")) if told is None else None
                for each, told in zip(others, asked, strict=True)]  # fmt: skip
        # Read last: whose file was gone by then is in here.
        gone = _read(_gone(self.files)) or {"merged": (), "families": ()}
        merged = {*gone["merged"]}
        for each, told, last in zip(others, asked, kept, strict=True):
            if each.name not in merged and (families := last if told is None else told):
                total.add(families, lives=told is not None)
        total.add(gone["families"], lives=False)
        total.add(packed([_workers(1 + sum(told is not None for told in asked))]), lives=True)
        return total


def _workers(count: int) -> Metric:
    return GaugeMetricFamily("aigw_workers", "Workers that answered this scrape", value=count)


def _others(files: Path) -> list[Path]:
    """Return the files of all other workers, without suffix."""
    found = {each.stem for each in files.parent.iterdir() if each.suffix in {".sock", ".json"}}
    return [files.with_name(stem) for stem in sorted(found - {files.name, "gone"})]


async def _ask(files: Path) -> Families | None:
    """Return what a worker tells; None where it does not."""
    with suppress(OSError, ValueError, TimeoutError):  # ValueError: it ended amid its answer
        async with asyncio.timeout(ASK_S):
            reader, writer = await asyncio.open_unix_connection(files.with_suffix(".sock"))
            try:
                told: Families = orjson.loads(await reader.read())
                return told
            finally:
                writer.close()
    return None


@asynccontextmanager
async def sharing(metrics: Metrics, files: Path) -> AsyncIterator[None]:
    """Let a worker's metrics be those of all while this lasts; at its end the last ones are in the file."""
    shared = Shared(files, metrics.registry)
    try:
        server = await asyncio.start_unix_server(shared.tell, files.with_suffix(".sock"))
    except OSError as error:  # as where the path is too long for a socket
        logger.warning("other workers' metrics lag behind, and are without this one's gauges: %s", error)
        server = None
    metrics.source = shared.total
    try:
        async with meanwhile(shared.keep()):
            yield
    finally:
        if server is not None:
            server.close()
        shared.snapshot()
