"""An aigw plugin that tells what lives in its process: GET /inside.

`?collect=1` collects garbage first, `?kinds=20` adds the most numerous kinds of objects.
"""

import asyncio
import gc
from collections import Counter

from aiohttp import web


class Inside:
    """Counts asyncio tasks and the objects that the garbage collector knows."""

    name = "inside"

    def provide(self, registry):
        registry.route("GET", "/inside", self._told)

    async def _told(self, request):
        if "collect" in request.query:
            gc.collect()
        tasks = Counter(task.get_coro().__qualname__ for task in asyncio.all_tasks())
        told = {"tasks": tasks.total(), "by_name": dict(tasks), "objects": len(gc.get_objects())}
        if "kinds" in request.query:
            kinds = Counter(f"{type(each).__module__}.{type(each).__qualname__}" for each in gc.get_objects())
            told["kinds"] = dict(kinds.most_common(int(request.query["kinds"])))
        return web.json_response(told)
