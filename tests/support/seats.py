"""Seats at providers that are never called, and a clock and a die that do as they are told."""

import random

from attrs import define, field

import aigw
from aigw.config import HealthConfig, RetryConfig, RoutingConfig
from aigw.dialects.endpoints import ENDPOINTS
from aigw.errors import ErrorKind
from aigw.routing.router import Router
from aigw.routing.strategies import STRATEGIES
from aigw.upstream.target import Group

CHAT = next(each for each in ENDPOINTS if each.path == "/v1/chat/completions")


class Silent(aigw.BaseProvider):
    """A provider that nobody calls."""

    async def call(self, call):
        raise NotImplementedError


@define
class Asked:
    """As much of an exchange as strategies look at: its fields, headers, tenant, and whether it streams."""

    fields: dict = field(factory=dict)
    headers: dict = field(factory=dict)
    tenant: str = "t"
    stream: bool = False

    @property
    def payload(self):
        return self

    request = identity = payload


class Clock:
    """Shows the time it is set to."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def make_router(clock=None, seed=7, health=None, retry=None):
    """Return a router whose clock stands still and whose chance is the same each time."""
    config = RoutingConfig(health=health or HealthConfig(), retry=retry or RetryConfig())
    return Router(config, STRATEGIES, random.Random(seed).random, clock or Clock())


def make_group(router, strategy="weighted", settings=None, **weights):
    """Return the seats of one group; a target is called by its name, its provider "of-NAME".

    A weight may also be the arguments of a `Target` as a dict.
    """
    targets = []
    for name, weight in weights.items():
        more = weight if isinstance(weight, dict) else {"weight": weight}
        targets.append(aigw.Target(Silent(f"of-{name}"), name, **more))
    group = Group(tuple(targets), strategy, **(settings or {}))
    (made,) = router.seated([group], lambda target: CHAT)
    return made


def names(seats):
    return [seat.target.model for seat in seats]


HEALTH = HealthConfig(consecutive_failures=2, open_s=5.0, max_open_s=60.0, slow_start_s=30.0)


def error(kind=ErrorKind.UPSTREAM_ERROR, retry_after_s=None):
    return aigw.UpstreamError("no", kind=kind, retry_after_s=retry_after_s)


class Bench:
    """A router with one group of targets, and a hand that makes them fail."""

    def __init__(self, strategy="priority", health=HEALTH, **weights):
        self.clock = Clock()
        self.router = make_router(self.clock, health=health)
        self.group = make_group(self.router, strategy, **(weights or {"a": 1, "b": 1, "c": 1}))
        self.seats = {seat.target.model: seat for seat in self.group.seats}
        self.news = []
        self.router.board.listeners.append(self.news.append)

    def fail(self, *which, with_error=None, times=2):
        for name in which:
            state = self.seats[name].state
            for _ in range(times):
                lease = state.begin(self.clock.now)
                state.release(self.clock.now, lease)
                state.failed(self.clock.now, lease, with_error or error())

    def succeed(self, name):
        state = self.seats[name].state
        lease = state.begin(self.clock.now)
        state.release(self.clock.now, lease)
        state.succeeded(self.clock.now, lease)

    def order(self, trace=None):
        return names(self.router.order(None, [self.group], self.clock.now, trace))
