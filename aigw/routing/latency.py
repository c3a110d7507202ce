"""How long a target takes to begin its answers: a moving average, and the latest values for quantiles.

Owns the forgetting: what was measured long ago weighs less, so that a target that was slow once is tried
again. The time is an argument.
"""

from __future__ import annotations

from collections import deque
from math import exp

from attrs import define, field

HALF_WEIGHT = 0.3
"""How much the newest value counts in the moving average."""
FORGET_S = 60.0
"""After this long without a measurement a target is taken to be about a third as slow as it was."""
SAMPLES = 128


@define(eq=False)
class Latency:
    """Times to first token of one target, in seconds."""

    average_s: float | None = None
    measured_at: float = 0.0
    samples: deque[float] = field(factory=lambda: deque(maxlen=SAMPLES))

    def observe(self, now: float, seconds: float) -> None:
        known = self.average_s
        self.average_s = seconds if known is None else known + HALF_WEIGHT * (seconds - known)
        self.measured_at = now
        self.samples.append(seconds)

    def expected_s(self, now: float) -> float:
        """Return the average, as far as it is still believed; 0 where nothing is known."""
        if self.average_s is None:
            return 0.0
        return self.average_s * exp((self.measured_at - now) / FORGET_S)

    def quantile_s(self, quantile: float, min_samples: int) -> float | None:
        """Return a quantile of the latest values; None where there are too few of them."""
        count = len(self.samples)
        if count < min_samples:
            return None
        return sorted(self.samples)[min(count - 1, int(quantile * count))]
