"""How each target is: one `TargetState` per provider and model, all of them on one `HealthBoard`.

Owns what an attempt's outcome means for its target: whether its circuit opens, how long it is parked, and
when it has its full weight again. What is said here is heard by whoever listens (`on_news`). The time is an
argument.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import Enum, auto
from math import inf

from attrs import define, field, frozen

from aigw.config.routing import HealthConfig, RetryConfig
from aigw.errors import ErrorKind, GatewayError
from aigw.routing.breaker import Breaker, Circuit
from aigw.routing.budget import RetryBudget
from aigw.routing.latency import Latency
from aigw.routing.limiter import Limiter
from aigw.upstream.target import Target

logger = logging.getLogger("aigw.routing")

MAX_STATES = 4096
"""Model names come from clients; beyond this the states of targets that are at rest are forgotten."""
SLOW_START_FROM = 0.1
"""The share of its weight that a target has when it comes back."""


class Meaning(Enum):
    """What an error says of the target that it came from."""

    NOTHING = auto()
    """It says something of the request, or of the gateway."""
    FAILURE = auto()
    LIMITED = auto()
    """It is healthy, and wants to be left alone for a while."""
    REFUSED = auto()
    """Our credential is of no use there, until an operator has done something."""


MEANINGS: dict[ErrorKind, Meaning] = {
    ErrorKind.UPSTREAM_ERROR: Meaning.FAILURE,
    ErrorKind.UPSTREAM_OVERLOADED: Meaning.FAILURE,
    ErrorKind.UPSTREAM_UNREACHABLE: Meaning.FAILURE,
    ErrorKind.UPSTREAM_TIMEOUT: Meaning.FAILURE,
    ErrorKind.UPSTREAM_PROTOCOL: Meaning.FAILURE,
    ErrorKind.UPSTREAM_TRUNCATED: Meaning.FAILURE,
    ErrorKind.UPSTREAM_RATE_LIMITED: Meaning.LIMITED,
    ErrorKind.UPSTREAM_CREDENTIAL: Meaning.REFUSED,
    ErrorKind.MISCONFIGURED: Meaning.REFUSED,
}


@frozen
class News:
    """A target is to be left alone for `for_s` seconds, or (0) is well again. reason: an error's code."""

    target: str
    for_s: float
    reason: str


@define(eq=False)
class Lease:
    """One attempt at a target that is under way."""

    state: TargetState
    limiter: Limiter | None
    generation: int
    is_probe: bool

    def renew(self) -> None:
        """Go on as an attempt of the state as it is now: what began on trial is one like all others."""
        self.generation, self.is_probe = self.state.breaker.generation, False


@define(eq=False)
class TargetState:
    """The health of one provider's model, whichever of the gateway's models leads there.

    plain: nothing is the matter, so that nobody has to look closer.
    parked_until, parked_for: it asked to be left alone (Retry-After), and the code it said so with.
    """

    name: str
    settings: HealthConfig
    budget: RetryBudget
    say: Callable[[News], None]
    plain: bool = True
    in_flight: int = 0
    parked_until: float = 0.0
    parked_for: str = ""
    streams: Latency = field(factory=Latency)
    wholes: Latency = field(factory=Latency)
    breaker: Breaker = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.breaker = Breaker(self.settings)

    def admits(self, now: float) -> bool:
        """Tell whether it may be asked now."""
        if self.plain:
            return True
        if now < self.parked_until:
            return False
        if not self.breaker.admits(now):
            return False
        if self.breaker.circuit is Circuit.CLOSED and self.share(now) >= 1.0:
            self.plain = True
        return True

    def returns_at(self, now: float) -> float:
        """Return when it may be asked again: now, where it may already; inf where a probe is to decide."""
        match self.breaker.circuit:
            case Circuit.CLOSED:
                return max(now, self.parked_until)
            case Circuit.OPEN:
                return max(now, self.parked_until, self.breaker.open_until)
            case Circuit.HALF_OPEN:
                return max(now, self.parked_until) if self.breaker.admits(now) else inf

    def share(self, now: float) -> float:
        """Return how much of its weight it has: all of it, unless it came back a moment ago."""
        since = self.breaker.recovered_at
        if since is None or now - since >= self.settings.slow_start_s:
            return 1.0
        return SLOW_START_FROM + (1 - SLOW_START_FROM) * (now - since) / self.settings.slow_start_s

    def trouble(self, now: float) -> str:
        """Say what keeps it from being asked, or what is to be known of it; empty where there is nothing."""
        if now < self.parked_until:
            return f"parked for {self.parked_until - now:.1f} s after {self.parked_for}"
        breaker = self.breaker
        match breaker.circuit:
            case Circuit.OPEN if now < breaker.open_until:
                return f"circuit open for {breaker.open_until - now:.1f} s after {breaker.reason}"
            case Circuit.OPEN | Circuit.HALF_OPEN:
                return f"circuit half open after {breaker.reason}"
            case _:
                share = self.share(now)
                return "" if share >= 1.0 else f"slow start at {share:.0%} of its weight"

    def begin(self, now: float, limiter: Limiter | None = None) -> Lease:
        """Take note of an attempt that begins; give what this returns to `end`."""
        self.in_flight += 1
        is_probe = False if self.plain else self.breaker.begin(now)
        if limiter is not None:
            limiter.begin(now)
        return Lease(self, limiter, self.breaker.generation, is_probe)

    def release(self, now: float, lease: Lease, tokens: int = 0) -> None:
        """Take note that an attempt is over, whatever came of it."""
        self.in_flight -= 1
        if lease.limiter is not None:
            lease.limiter.end(now, tokens)
        if lease.is_probe:
            self.breaker.release(lease.generation, probe=True)

    def succeeded(self, now: float, lease: Lease) -> None:
        """Count a good answer."""
        if self.breaker.succeed(now, lease.generation):
            self.parked_until = 0.0
            logger.info("target %s is back", self.name)
            self.say(News(self.name, 0.0, ""))

    def failed(self, now: float, lease: Lease, error: GatewayError) -> None:
        """Count what an attempt failed with, if it says anything of the target."""
        match MEANINGS.get(error.kind, Meaning.NOTHING):
            case Meaning.NOTHING:
                return
            case Meaning.REFUSED:
                self._refused(now, error)
                return
            case Meaning.LIMITED if error.retry_after_s is not None:
                pass
            case _:
                if self.breaker.fail(now, lease.generation, error.code):
                    self._opened(now)
        if error.retry_after_s:
            self.park(now, error.retry_after_s, error.code)

    def park(self, now: float, for_s: float, reason: str) -> None:
        """Leave it alone for exactly this long."""
        self.plain = False
        if now + for_s > self.parked_until:
            self.parked_until, self.parked_for = now + for_s, reason
            self.say(News(self.name, for_s, reason))

    def heard(self, now: float, for_s: float, reason: str) -> None:
        """Act on what another gateway has seen of it."""
        if for_s > 0:
            self.plain = False
            if now + for_s > self.parked_until:
                self.parked_until, self.parked_for = now + for_s, reason

    def _opened(self, now: float) -> None:
        self.plain = False
        breaker = self.breaker
        for_s = breaker.open_until - now
        logger.warning("target %s: circuit open for %.1f s after %s", self.name, for_s, breaker.reason)
        self.say(News(self.name, for_s, breaker.reason))

    def _refused(self, now: float, error: GatewayError) -> None:
        self.plain = False
        if self.breaker.circuit is Circuit.OPEN and now < self.breaker.open_until:
            return
        self.breaker.open(now, error.code, self.settings.max_open_s)
        logger.error(
            "target %s: the gateway's own credential was refused (%s); its operator has to set a valid key",
            self.name,
            error.code,
        )
        self.say(News(self.name, self.settings.max_open_s, error.code))


@define(eq=False)
class HealthBoard:
    """Every target's state, by its name.

    listeners: are told when a target is to be left alone, or is well again. They must not wait.
    """

    health: HealthConfig = field(factory=HealthConfig)
    retry: RetryConfig = field(factory=RetryConfig)
    states: dict[str, TargetState] = field(factory=dict)
    budgets: dict[str, RetryBudget] = field(factory=dict)
    limiters: dict[tuple[str, object], Limiter] = field(factory=dict)
    listeners: list[Callable[[News], None]] = field(factory=list)

    def state(self, target: Target) -> TargetState:
        """Return the state of a target; a new one where it was never asked for."""
        found = self.states.get(target.name)
        if found is None:
            if len(self.states) >= MAX_STATES:
                self._forget()
            provider = target.provider.name
            budget = self.budgets.get(provider)
            if budget is None:
                budget = self.budgets[provider] = RetryBudget(self.retry)
            found = self.states[target.name] = TargetState(target.name, self.health, budget, self._say)
        return found

    def limiter(self, target: Target) -> Limiter | None:
        """Return what counts under a target's limits; those of the same name and limits share it."""
        if target.limits is None:
            return None
        key = (target.name, target.limits)
        found = self.limiters.get(key)
        if found is None:
            if len(self.limiters) >= MAX_STATES:
                self.limiters = {each: known for each, known in self.limiters.items() if known.in_flight}
            found = self.limiters[key] = Limiter(target.limits)
        return found

    def _say(self, news: News) -> None:
        for listener in self.listeners:
            listener(news)

    def _forget(self) -> None:
        for name, state in list(self.states.items()):
            if state.plain and not state.in_flight:
                del self.states[name]
