"""Several credentials for one provider: which one a call is made with, and which are left alone for a while.

Owns the choice and the parking. A key's secret leaves here only to be sent; in logs and listings it goes by
its name, or its place. Clock and chance are given.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterable
from typing import Literal

from attrs import define, field, frozen

from aigw.errors import ErrorKind, GatewayError

logger = logging.getLogger("aigw.upstream")

LIMITED_S = 10.0
"""How long a key is left alone after a rate limit that does not say until when."""
REFUSED_S = 300.0
"""How long a key is left alone after it was refused: an operator may have made it valid again."""


@frozen
class Key:
    """One credential. name: how it is called where it must not be shown; weight: its share of the calls."""

    secret: str = field(repr=False)
    name: str = ""
    weight: float = 1.0


@define(eq=False)
class PooledKey:
    """A key and how it is. used: its calls by weight. parked_until, reason: until when it rests, and why."""

    key: Key
    used: float = 0.0
    parked_until: float = 0.0
    reason: str = ""


class KeyPool:
    """The keys of one provider.

    Raises ValueError where there are none, or two of one name.
    """

    def __init__(
        self,
        keys: Iterable[Key],
        strategy: Literal["weighted", "least_used"] = "weighted",
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        named = [
            key if key.name else Key(key.secret, f"#{number}", key.weight)
            for number, key in enumerate(keys, 1)
        ]
        if not named:
            raise ValueError("a key pool needs at least one key")
        if len({key.name for key in named}) < len(named):
            raise ValueError(f"keys need names of their own, got {', '.join(key.name for key in named)}")
        self.keys = tuple(PooledKey(key) for key in named)
        self._strategy = strategy
        self._clock = clock
        self._chance = chance

    def __repr__(self) -> str:
        return f"KeyPool({', '.join(pooled.key.name for pooled in self.keys)})"

    def pick(self) -> Key:
        """Return the key for the next call; where all are parked, the one that is back soonest."""
        now = self._clock()
        ready = [pooled for pooled in self.keys if pooled.parked_until <= now]
        if not ready:
            ready = [min(self.keys, key=lambda pooled: pooled.parked_until)]
        chosen = self._by_lot(ready) if self._strategy == "weighted" else _least_used(ready)
        chosen.used += 1 / chosen.key.weight
        return chosen.key

    def park(self, name: str | None, error: GatewayError) -> bool:
        """Leave a key alone if its call failed for its sake; tell whether another one can be used now."""
        if error.kind not in {ErrorKind.UPSTREAM_RATE_LIMITED, ErrorKind.UPSTREAM_CREDENTIAL}:
            return False
        pooled = next((each for each in self.keys if each.key.name == name), None)
        if pooled is None:
            return False
        now = self._clock()
        if error.kind is ErrorKind.UPSTREAM_CREDENTIAL:
            for_s = REFUSED_S
            logger.error("key %s of provider %s was refused; its operator has to set a valid one",
                         name, error.provider)  # fmt: skip
        else:
            for_s = LIMITED_S if error.retry_after_s is None else error.retry_after_s
        pooled.parked_until, pooled.reason = now + for_s, error.code
        # One that comes back must not make up for all that it missed.
        least = min((each.used for each in self.keys if each is not pooled), default=pooled.used)
        pooled.used = max(pooled.used, least)
        if any(each.parked_until <= now for each in self.keys):
            return True
        if error.kind is ErrorKind.UPSTREAM_RATE_LIMITED:  # the provider is back when the first key is
            error.retry_after_s = min(each.parked_until for each in self.keys) - now
        return False

    def _by_lot(self, ready: list[PooledKey]) -> PooledKey:
        mark = self._chance() * sum(pooled.key.weight for pooled in ready)
        for pooled in ready:
            mark -= pooled.key.weight
            if mark < 0:
                return pooled
        return ready[-1]


def _least_used(ready: list[PooledKey]) -> PooledKey:
    return min(ready, key=lambda pooled: pooled.used)
