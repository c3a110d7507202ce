"""How long to wait before a retry.

Pure: chance is an argument. Source: "Exponential Backoff And Jitter", AWS Architecture Blog.
"""

from __future__ import annotations

from collections.abc import Callable

from aigw.config.routing import RetryConfig

Chance = Callable[[], float]
"""Returns a number from 0 up to 1, as `random.random` does."""


def backoff_s(retry: int, settings: RetryConfig, chance: Chance) -> float:
    """Return the wait before retry number `retry`, which counts from 0: exponential, with full jitter."""
    return chance() * min(settings.max_backoff_s, settings.backoff_s * 2.0 ** min(retry, 30))
