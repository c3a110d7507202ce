"""The vendors known by name, one row each. Pure data: adding a vendor is adding a row.

Three files by what a vendor is: makers of models, hosts of other people's models, and servers on
one's own machine. Source: the vendors' API references as of 2026-11; `apis` holds what those list, no
more. What a user knows better (another region's address, another key variable, one more API) is
configuration, not a reason for a branch anywhere.
"""

from __future__ import annotations

from aigw.upstream.catalog.apis import OPENAI_APIS
from aigw.upstream.catalog.hosts import HOSTS
from aigw.upstream.catalog.local import LOCAL
from aigw.upstream.catalog.makers import MAKERS

__all__ = ["CATALOG", "OPENAI_APIS"]

CATALOG = {row.name: row for row in (*MAKERS, *HOSTS, *LOCAL)}
