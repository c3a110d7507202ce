"""When kept things count as used: what every backend's `sweep` has in common. Pure arithmetic.

The theory: the use of a response is a use of all those it continues, so none of them is older than it.
A sweep therefore looks at the one used longest ago. Either something that continues it was used later:
then its own time is put right. Or nothing was: then it goes, and what continues it goes too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from aigw.stores.base import Retention

Key = TypeVar("Key")

HOUR_S = 3600.0


def last_use(tree: Sequence[tuple[Key, Key | None, float]]) -> Mapping[Key, float]:
    """Return when each was last used, itself or through one that continues it.

    tree: (key, the key it continues, when it was used itself), each behind the one it continues.
    """
    used = {key: at for key, _, at in tree}
    for key, parent, _ in reversed(tree):
        if parent is not None and used[parent] < used[key]:
            used[parent] = used[key]
    return used


def touch_after_s(retention: Retention) -> float:
    """Return after how many seconds a use is worth writing down again: cheap, and exact enough."""
    return HOUR_S if retention.keep_s is None else min(HOUR_S, retention.keep_s / 10)
