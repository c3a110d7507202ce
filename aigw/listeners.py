"""The port that workers share: held for as long as the supervisor lives, and the sockets that accept from it.

Owns the sockets, and so the connections that nobody has accepted yet: they outlive the worker that was
meant to, and whoever takes its place finds them. A socket that a worker had opened itself would reset them
when it ends. SO_REUSEPORT lets the kernel deal out connections among the sockets.
"""

from __future__ import annotations

import socket
from contextlib import ExitStack
from typing import Self

from attrs import define, field, frozen

from aigw.server import cannot_listen


@frozen(eq=False)
class Listener:
    """What one worker accepts from: a socket for each address of the host."""

    sockets: tuple[socket.socket, ...]

    def close(self) -> None:
        """Reset what waits in it, and let the others have what comes."""
        for each in self.sockets:
            each.close()


@define(eq=False)
class Port:
    """A port of ours while a `with` lasts. number: the one it really is, also where 0 was asked for."""

    host: str
    number: int
    _held: ExitStack = field(factory=ExitStack)

    def __enter__(self) -> Self:
        """Take it, and a free one for 0. Raises OSError if anybody has it.

        SO_REUSEPORT alone would let two gateways share a port and neither would notice: first it is bound
        without, which fails if anybody listens, then with, and held so that it stays ours.
        """
        try:
            for family, address in self._addresses():
                with _bound(family, (address, self.number), shared=False) as alone:
                    self.number = alone.getsockname()[1]
                self._held.enter_context(_bound(family, (address, self.number), shared=True))
        except OSError as error:
            self._held.close()
            raise cannot_listen(self.host, self.number, error) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def listener(self) -> Listener:
        """Return new sockets; they get connections from when a worker begins to accept."""
        return Listener(
            tuple(
                _bound(family, (address, self.number), shared=True) for family, address in self._addresses()
            )
        )

    def _addresses(self) -> list[tuple[int, object]]:
        found = socket.getaddrinfo(self.host, self.number, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        return [(family, address[0]) for family, _, _, _, address in found]


def _bound(family: int, address: tuple[object, int], *, shared: bool) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound
