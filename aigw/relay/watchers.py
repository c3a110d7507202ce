"""The plugins that look on while a stream goes by.

Owns that a watcher which fails is asked no more, and never holds up or ends the stream it watches.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from aigw.hooks.table import Hook

logger = logging.getLogger("aigw.hooks")


class Watchers:
    """The watchers of one stream."""

    def __init__(self, watchers: Sequence[tuple[Hook, Callable[[bytes], None]]]) -> None:
        self._watchers = list(watchers)

    def see(self, frames: bytes) -> None:
        """Show every watcher the frames that are about to be written."""
        for watcher in tuple(self._watchers):
            hook, function = watcher
            try:
                function(frames)
            except Exception:
                logger.exception("plugin %s failed in %s", hook.plugin, hook.point)
                self._watchers.remove(watcher)
