"""The name that a mistyped one may have been meant for, among any number of names.

Owns which names are worth comparing. `difflib` takes microseconds for each pair, so ten thousand names would
keep the event loop for a quarter of a second. Those that begin or end like the wrong one stand beside
it in one of two sorted lists: a few of them are compared, however many there are.
"""

from __future__ import annotations

import difflib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, islice, zip_longest

from attrs import field, frozen

COMPARED = 16
LOOKED_AT = 200
"""How many names around the wrong one are compared, and asked after, in each of the lists."""


def _backwards(name: str) -> str:
    return name[::-1]


def _sorted(names: Iterable[str]) -> Sequence[str]:
    return sorted(names)


@frozen
class NearNames:
    """Names in the order of their beginnings, and in that of their ends."""

    _by_start: Sequence[str] = field(converter=_sorted)
    _by_end: Sequence[str] = field(init=False)

    @_by_end.default
    def _sorted_by_end(self) -> Sequence[str]:
        return sorted(self._by_start, key=_backwards)

    def nearest(self, name: str, is_shown: Callable[[str], bool]) -> str | None:
        """Return the name most like this one, None where none is much like it.

        is_shown: whether a name may be told.
        """
        starts = _around(self._by_start, bisect_left(self._by_start, name))
        ends = _around(self._by_end, bisect_left(self._by_end, _backwards(name), key=_backwards))
        near = [islice(filter(is_shown, islice(names, LOOKED_AT)), COMPARED) for names in (starts, ends)]
        return next(iter(difflib.get_close_matches(name, dict.fromkeys(chain(*near)), 1)), None)


def _around(names: Sequence[str], place: int) -> Iterable[str]:
    """Return the names on both sides of a place, the nearest first."""
    sides = zip_longest(
        (names[number] for number in range(place, len(names))),
        (names[number] for number in range(place - 1, -1, -1)),
    )
    return (name for pair in sides for name in pair if name is not None)
