"""How much there was of something lately: a sum over a sliding window.

Owns the ring of buckets. The time is an argument.
"""

from __future__ import annotations


class Tally:
    """A sum over the last `span_s` seconds, exact to one of its buckets."""

    __slots__ = ("_buckets", "_latest", "_next", "_place", "_width_s", "total")

    def __init__(self, span_s: float, buckets: int = 10) -> None:
        self._width_s = span_s / buckets
        self._buckets = [0] * buckets
        self._latest = 0
        self._place = 0
        self._next = self._width_s  # when the bucket that is counted in is over
        self.total = 0

    def add(self, now: float, amount: int = 1) -> None:
        """Count something that happens now."""
        if now >= self._next:
            self._forget(int(now / self._width_s))
        self._buckets[self._place] += amount
        self.total += amount

    def sum(self, now: float) -> int:
        """Return how much there was within the window that ends now."""
        if now >= self._next:
            self._forget(int(now / self._width_s))
        return self.total

    def room_in_s(self, now: float) -> float:
        """Return in how many seconds the oldest part of the sum is forgotten; 0 where there is none."""
        size = len(self._buckets)
        self.sum(now)
        number = self._latest
        for age in range(size - 1, -1, -1):
            if self._buckets[(number - age) % size]:
                return max(0.0, (number - age + size) * self._width_s - now)
        return 0.0

    def clear(self) -> None:
        self._buckets = [0] * len(self._buckets)
        self.total = 0

    def _forget(self, number: int) -> None:
        """Empty the buckets that lie between the last time anything was counted and now."""
        size = len(self._buckets)
        if number - self._latest >= size:
            self.clear()
        else:
            for old in range(self._latest + 1, number + 1):
                self.total -= self._buckets[old % size]
                self._buckets[old % size] = 0
        self._latest = number
        self._place = number % size
        self._next = (number + 1) * self._width_s
