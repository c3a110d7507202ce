"""Prometheus metrics: counted in plain numbers, put into Prometheus's shape when it asks.

Owns what is counted and under which labels. Labels are bounded: a model is the name it was registered
under (never what a client made up), and past MAX_SERIES everything new is counted as "other". On the
hot path a request costs a few additions; prometheus-client does the rest at scrape time.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TYPE_CHECKING

from aiohttp import web
from attrs import define, field
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from aigw.hooks.registry import Registry
from aigw.model import Usage
from aigw.pipeline.exchange import Record
from aigw.routing.health import News
from aigw.routing.rows import condition
from aigw.version import __version__

if TYPE_CHECKING:
    from aigw.gateway import Gateway
    from aigw.responses.guard import Guard

MAX_SERIES = 1000
MAX_KINDS = 4096
DURATION_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
FIRST_TOKEN_BUCKETS_S = (0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 30.0)

Labels = tuple[str | int | None, ...]


@define
class Histogram:
    """One series: how many observations fell into each bucket, the last for all above, and their sum."""

    bounds: tuple[float, ...]
    counts: list[int] = field(init=False)
    total: float = 0.0

    def __attrs_post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def cumulative(self) -> list[tuple[str, float]]:
        """Return (upper bound, observations up to it) as Prometheus wants them."""
        rows: list[tuple[str, float]] = []
        running = 0
        for bound, count in zip((*self.bounds, float("inf")), self.counts, strict=True):
            running += count
            rows.append(("+Inf" if bound == float("inf") else str(bound), running))
        return rows


@define(eq=False)
class Count:
    """One series that only grows."""

    value: int = 0


@define(eq=False)
class Kind:
    """The series that exchanges of one kind are counted in: those found once need not be looked up again."""

    provider: str
    model: str
    requests: Count
    endings: Count
    durations: Histogram
    first_tokens: Histogram | None = None
    good_attempts: Count | None = None
    given: Count | None = None
    answered: Count | None = None


@define(eq=False)
class Counts:
    """Everything counted, by labels."""

    requests: dict[Labels, Count] = field(factory=dict)
    attempts: dict[Labels, Count] = field(factory=dict)
    tokens: dict[Labels, Count] = field(factory=dict)
    endings: dict[Labels, Count] = field(factory=dict)
    durations: dict[Labels, Histogram] = field(factory=dict)
    first_tokens: dict[Labels, Histogram] = field(factory=dict)
    left_alone: dict[Labels, Count] = field(factory=dict)
    _kinds: dict[Labels, Kind] = field(factory=dict)

    def add(self, record: Record, model: str) -> None:
        """Count one exchange. `model` is its bounded name."""
        key = (record.api, model, record.provider, record.status, record.stream, record.ending)
        kind = self._kinds.get(key)
        if kind is None:
            kind = self._kind(record, model, key)
        kind.requests.value += 1
        kind.endings.value += 1
        kind.durations.observe(record.duration_s)
        if len(record.attempts) == 1 and record.attempts[0].error is None and record.attempts[0].status:
            good = kind.good_attempts
            if good is None:
                good = kind.good_attempts = _count(self.attempts, (kind.provider, "ok"))
            good.value += 1
        else:
            for attempt in record.attempts:
                outcome = attempt.error or ("ok" if attempt.status else "cut_off")
                _count(self.attempts, (attempt.provider, outcome)).value += 1
        if record.first_token_s is not None:
            first = kind.first_tokens
            if first is None:
                first = _histogram(self.first_tokens, (kind.provider,), FIRST_TOKEN_BUCKETS_S)
                kind.first_tokens = first
            first.observe(record.first_token_s)
        if record.usage is not None:
            self._add_tokens(kind, record.usage)

    def _add_tokens(self, kind: Kind, usage: Usage) -> None:
        if usage.input_tokens:
            given = kind.given
            if given is None:
                given = kind.given = _count(self.tokens, (kind.provider, kind.model, "input"))
            given.value += usage.input_tokens
        if usage.output_tokens:
            answered = kind.answered
            if answered is None:
                answered = kind.answered = _count(self.tokens, (kind.provider, kind.model, "output"))
            answered.value += usage.output_tokens
        if usage.cached_tokens:
            _count(self.tokens, (kind.provider, kind.model, "cached")).value += usage.cached_tokens
        if usage.reasoning_tokens:
            _count(self.tokens, (kind.provider, kind.model, "reasoning")).value += usage.reasoning_tokens

    def _kind(self, record: Record, model: str, key: Labels) -> Kind:
        if len(self._kinds) >= MAX_KINDS:  # the counts are kept by their labels
            self._kinds.clear()
        api, provider = str(record.api), record.provider or "none"
        mode = "stream" if record.stream else "whole"
        kind = self._kinds[key] = Kind(
            provider,
            model,
            _count(self.requests, (api, model, provider, record.status)),
            _count(self.endings, (api, mode, str(record.ending))),
            _histogram(self.durations, (api, provider), DURATION_BUCKETS_S),
        )
        return kind


def _count(series: dict[Labels, Count], labels: Labels) -> Count:
    """Return a series; a new one as long as there is room for it."""
    found = series.get(labels)
    if found is None:
        if len(series) >= MAX_SERIES:
            labels = ("other",) * len(labels)
        found = series.setdefault(labels, Count())
    return found


def _histogram(series: dict[Labels, Histogram], labels: Labels, bounds: tuple[float, ...]) -> Histogram:
    found = series.get(labels)
    if found is None:
        found = series[labels] = Histogram(bounds)
    return found


class Metrics(Collector):
    """Count every exchange; GET /metrics gives what was counted.

    registry: what this process counts. source: asks for all that is to be told, where that is more.
    """

    name = "metrics"
    on_failure = "open"

    def __init__(self) -> None:
        self._counts = Counts()
        self._gateway: Gateway | None = None
        self.registry = CollectorRegistry()
        self.registry.register(self)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self.source: Callable[[], Awaitable[Collector]] | None = None

    def provide(self, registry: Registry) -> None:
        registry.route("GET", "/metrics", self._page)

    async def setup(self, gateway: Gateway) -> AsyncIterator[None]:
        self._gateway = gateway
        gateway.router.board.listeners.append(self._hear)
        yield
        gateway.router.board.listeners.remove(self._hear)  # what was counted may still be asked for

    def on_complete(self, record: Record) -> None:
        self._counts.add(record, record.exchange.entry or "unknown")

    def _hear(self, news: News) -> None:
        if news.for_s and self._gateway is not None:
            known = news.target in self._gateway.models.target_names()
            name = news.target if known else f"{news.target.partition('/')[0]}/*"
            _count(self._counts.left_alone, (name, news.reason)).value += 1

    async def _page(self, _request: web.Request) -> web.Response:
        body = generate_latest(self.registry if self.source is None else await self.source())
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    def collect(self) -> Iterator[Metric]:
        """Put the counts into Prometheus's shape. Called by prometheus-client at each scrape."""
        counts = self._counts
        yield _counter(
            "aigw_requests", "Requests answered", ("api", "model", "provider", "status"), counts.requests
        )
        yield _counter(
            "aigw_attempts", "Calls to providers by outcome", ("provider", "outcome"), counts.attempts
        )
        yield _counter("aigw_tokens", "Tokens used", ("provider", "model", "kind"), counts.tokens)
        yield _counter("aigw_endings", "How exchanges ended", ("api", "mode", "ending"), counts.endings)
        yield _histograms(
            "aigw_request_duration_seconds", "Time until the last byte", ("api", "provider"), counts.durations
        )
        yield _histograms(
            "aigw_time_to_first_token_seconds",
            "Time until a stream's first content",
            ("provider",),
            counts.first_tokens,
        )
        yield _counter(
            "aigw_target_left_alone",
            "Times a target's circuit opened, or it was parked",
            ("target", "reason"),
            counts.left_alone,
        )
        if self._gateway is not None:
            yield from _targets(self._gateway)
        in_flight = self._gateway.in_flight if self._gateway else 0
        yield GaugeMetricFamily("aigw_in_flight", "Requests being answered now", value=in_flight)
        if self._gateway is not None:
            yield from _state(self._gateway.responses.guard)
        info = GaugeMetricFamily("aigw_info", "The gateway's version", labels=["version"])
        info.add_metric([__version__], 1)
        yield info


def _state(guard: Guard) -> Iterator[Metric]:
    yield CounterMetricFamily(
        "aigw_state_failures", "Operations that the store of responses failed", value=guard.failures
    )
    yield GaugeMetricFamily("aigw_state_up", "Whether that store answers", value=not guard.is_down)


def _targets(gateway: Gateway) -> Iterator[Metric]:
    """Yield how each target is that a registered model names: its state, and what it has under way."""
    board, now = gateway.router.board, gateway.router.clock()
    states = GaugeMetricFamily("aigw_target_state", "The state a target is in", labels=["target", "state"])
    running = GaugeMetricFamily("aigw_target_in_flight", "Attempts under way", labels=["target"])
    names = sorted(gateway.models.target_names())[:MAX_SERIES]
    for state in [board.states[name] for name in names if name in board.states]:
        states.add_metric([state.name, condition(state, now)], 1)
        running.add_metric([state.name], state.in_flight)
    yield states
    yield running


def _counter(name: str, text: str, labels: tuple[str, ...], series: dict[Labels, Count]) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for values, count in series.items():
        family.add_metric([str(value) for value in values], count.value)
    return family


def _histograms(name: str, text: str, labels: tuple[str, ...], series: dict[Labels, Histogram]) -> Metric:
    family = HistogramMetricFamily(name, text, labels=labels)
    for values, histogram in list(series.items()):
        family.add_metric([str(value) for value in values], histogram.cumulative(), sum_value=histogram.total)
    return family
