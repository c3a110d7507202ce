"""How a worker leaves its connections to those that have taken its place, so that no client notices.

Owns the last requests of connections. Others accept from the same sockets by then: what waits to be accepted
is theirs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web
from aiohttp.http_parser import RawRequestMessage
from attrs import frozen

from aigw.gateway import Gateway

GRACE_S = 1.0
"""A TLS handshake that is under way is no connection yet, but will be."""
POLL_S = 0.05


async def hand_over(runner: web.AppRunner, gateway: Gateway, timeout_s: float) -> None:
    """Accept no more, answer what comes on the connections that there are, and wait until all are closed.

    An idle one is not closed: its client may be about to use it. The next answer says that it was the last.
    """
    loop = asyncio.get_running_loop()
    at_least, deadline = loop.time() + GRACE_S, loop.time() + timeout_s
    for site in runner.sites:
        await site.stop()
    async with asyncio.TaskGroup() as group:
        group.create_task(gateway.drain(timeout_s))
        while loop.time() < deadline and not gateway.stopping:
            connections = _last_requests(runner)
            if not connections and not gateway.in_flight and loop.time() > at_least:
                break
            await asyncio.sleep(POLL_S)
    gateway.hurry()  # time is up: what still runs has been told, or is now


def _last_requests(runner: web.AppRunner) -> int:
    """Let every connection's next request be its last; return how many there are."""
    server = runner.server
    if server is None:
        return 0
    for connection in server.connections:
        make = connection._request_factory  # noqa: SLF001 - aiohttp has no other way to say it in the head
        if make is not None and not isinstance(make, LastRequest):
            connection._request_factory = LastRequest(make)  # noqa: SLF001
    return len(server.connections)


@frozen
class LastRequest:
    """Makes requests whose answers say `Connection: close`, and then it is."""

    make: Callable[..., web.BaseRequest]

    def __call__(self, message: RawRequestMessage, *rest: object) -> web.BaseRequest:
        return self.make(message._replace(should_close=True), *rest)
