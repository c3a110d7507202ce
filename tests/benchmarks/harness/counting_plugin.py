"""An aigw plugin as small as one can be that sees every request end; GET /counted says what it saw."""

from aiohttp import web


class Counting:
    """Counts requests and their tokens."""

    name = "counting"

    def __init__(self):
        self._requests = self._tokens = 0

    def provide(self, registry):
        registry.route("GET", "/counted", self._counted)

    def on_complete(self, record):
        self._requests += 1
        if record.usage is not None:
            self._tokens += record.usage.total_tokens or 0

    async def _counted(self, request):
        return web.json_response({"requests": self._requests, "tokens": self._tokens})
