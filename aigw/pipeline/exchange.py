"""The state of one request: `Exchange`, its `Attempt`s, its `Payload`, and the `Record` it leaves behind.

Owns what every link of the chain and every hook may read. Holds no behaviour beyond keeping that
state true; must not call a provider, a store or a client.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING, Any, Protocol

from aiohttp import hdrs, web
from attrs import define, field, frozen

from aigw.dialects.base import Tree
from aigw.dialects.endpoints import Endpoint
from aigw.errors import GatewayError
from aigw.model import Request, Usage
from aigw.pipeline.payload import Payload
from aigw.relay.ending import Ending
from aigw.relay.outlet import HTTP, Outlet
from aigw.upstream.provider import Answer, BaseProvider
from aigw.upstream.registry import Target

if TYPE_CHECKING:
    from aigw.gateway import Gateway
    from aigw.pipeline.watchdog import Watch
    from aigw.relay.delivery import Delivery, Keeper
    from aigw.routing.health import Lease
    from aigw.routing.seats import Seat, Trace


@frozen
class Identity:
    """Who is asking. `models` are names or patterns (`openai/*`) that this caller may use.

    is_admin: may see the gateway's own state.
    """

    tenant: str = "default"
    name: str | None = None
    models: tuple[str, ...] = ("*",)
    claims: Mapping[str, Any] = field(factory=dict, repr=False)
    is_admin: bool = False


ANONYMOUS = Identity(tenant="anonymous")


class Reservation(Protocol):
    """What an `admit` hook took in advance; settled exactly once, whatever happens."""

    def settle(self, record: Record) -> None:
        """Replace the estimate by the truth. Must not wait: hand slow work to a queue of your own."""


@define(eq=False)
class Attempt:
    """One call to one target. endpoint: the format it is spoken to in, the client's own or another.

    seat: the target as requests of this kind meet it, where it was chosen for one.
    key: the name of the credential it was made with, of a provider that has several.
    lease: its place among those that its target answers. counted: its good beginning has been told there.
    """

    target: Target
    endpoint: Endpoint
    number: int
    started_at: float
    seat: Seat | None = field(default=None, repr=False)
    answer: Answer | None = None
    status: int | None = None
    error: GatewayError | None = None
    first_byte_s: float | None = None
    key: str | None = None
    lease: Lease | None = field(default=None, repr=False)
    counted: bool = False

    @property
    def first_token_by(self) -> float:
        """When a stream must have begun to say something, as `time.monotonic` tells it."""
        target = self.target
        limit_s = target.first_token_s or target.provider.timeouts.first_token_s
        return inf if limit_s is None else self.started_at + limit_s


@define(eq=False)
class Exchange:
    """Everything known of one request while it runs.

    id: the request id, as the client gave it or made here; in every answer's `x-request-id`.
    model: the name the client asked for. The name the provider gets stands in `attempt.target`.
    entry: the registered name or pattern that the model resolved to; unlike `model` it cannot be made up.
    seats: the targets to be asked, in order, as requests of this kind meet them.
    usage_hidden: token counts were asked of the provider for us alone, so the client must not see them.
    dropped: paths of what the provider's format could not hold.
    given: the body, where it did not come as that of an HTTP request.
    committed: the present round of attempts has sent something, so no other target can be tried.
    begun: the HTTP client has been sent a head. detached: the answer goes on without the request it came by;
        whoever has detached it closes it.
    outlet: where the answer goes. keeper: is shown how it ends before the client is.
    answer_id: what an answer of the client's format is to be called, in place of its provider's name for it.
    echo: changes what answers repeat of the request: the client's own words, where it was rewritten.
    recent: what continues the responses of this connection alone: by id, all items up to there.
    patch: fields of the answer's own object as the client is to see them, where bytes pass through.
    headers: what the answer's head says beside the usual.
    scratch: room for plugins, keyed by plugin name.
    trace: why each target is asked or left out, where somebody wants to know.
    """

    gateway: Gateway
    request: web.Request = field(repr=False)
    endpoint: Endpoint
    id: str
    started_at: float
    watch: Watch = field(repr=False)
    identity: Identity = ANONYMOUS
    payload: Payload[Request] = field(factory=Payload, repr=False)
    model: str = ""
    entry: str = ""
    prefer: str | None = None
    stream: bool = False
    seats: Sequence[Seat] = ()
    attempts: list[Attempt] = field(factory=list)
    reservations: list[Reservation] = field(factory=list, repr=False)
    usage: Usage | None = None
    usage_hidden: bool = False
    dropped: tuple[str, ...] = ()
    status: int = 0
    delivery: Delivery | None = field(default=None, repr=False)
    given: bytes | None = field(default=None, repr=False)
    committed: bool = False
    begun: bool = False
    detached: bool = False
    outlet: Outlet = field(default=HTTP, repr=False)
    keeper: Keeper | None = field(default=None, repr=False)
    answer_id: str | None = None
    echo: Callable[[Request], Request] | None = field(default=None, repr=False)
    recent: dict[str, list[Tree]] | None = field(default=None, repr=False)
    patch: Mapping[str, Any] | None = field(default=None, repr=False)
    bytes_sent: int = 0
    first_token_s: float | None = None
    error: GatewayError | None = None
    ending: Ending | None = None
    headers: dict[str, str] = field(factory=dict)
    scratch: dict[str, Any] = field(factory=dict, repr=False)
    trace: Trace | None = field(default=None, repr=False)

    @property
    def api(self) -> str:
        """What kind of request this is: an API's name, or what the gateway answers by itself."""
        return self.endpoint.api or self.endpoint.own

    @property
    def targets(self) -> tuple[Target, ...]:
        """The targets to be asked, in order."""
        return tuple(seat.target for seat in self.seats)

    @property
    def credential(self) -> str | None:
        """The caller's key or token as it came, wherever this client's format puts it."""
        return credential_of(self.request)

    def asked(self) -> Request | None:
        """Return the request as answers repeat it; None where this endpoint has no canonical form."""
        request = self.payload.decoded()
        return request if self.echo is None or request is None else self.echo(request)

    def patch_for(self, provider: BaseProvider) -> Mapping[str, Any] | None:
        """Return the fields to patch in what this provider answers; None where its bytes may pass."""
        if provider.repeats_ids and self.answer_id is not None:
            return {"id": self.answer_id, **(self.patch or {})}
        return self.patch

    @property
    def attempt(self) -> Attempt | None:
        """The attempt under way, or the last one made."""
        return self.attempts[-1] if self.attempts else None


def credential_of(request: web.BaseRequest) -> str | None:
    """Return the credential in a request: a bearer token, or a key in one of the vendors' own headers."""
    header = request.headers.get(hdrs.AUTHORIZATION)
    if header is not None:
        if header.startswith("Bearer "):  # as nearly all write it
            return header[7:].strip() or None
        scheme, _, token = header.partition(" ")
        return token.strip() or None if scheme.lower() == "bearer" else None
    for name in ("x-api-key", "api-key", "x-goog-api-key"):
        if value := request.headers.get(name):
            return value
    return request.query.get("key") if request.rel_url.raw_query_string else None


GATEWAY: web.AppKey[Gateway] = web.AppKey("aigw.gateway")
EXCHANGE: web.RequestKey[Exchange] = web.RequestKey("aigw.exchange", Exchange)


def bound_for_model(request: web.Request) -> Exchange | None:
    """Return the request's exchange if it is to reach a model; every link lets other requests pass."""
    try:
        exchange = request[EXCHANGE]  # seven times a request, and `get` is a function more
    except KeyError:
        return None
    return exchange if exchange.endpoint.api is not None else None


@define
class AttemptRecord:
    """What remains of one attempt."""

    provider: str
    model: str
    status: int | None
    error: str | None
    first_byte_s: float | None


@define(eq=False)  # made for every request: a frozen one takes three times as long to make
class Record:
    """What remains of an exchange: handed to `on_complete` and to every reservation, once.

    status: the HTTP status the client got; 499 if it left before one was sent.
    error: the error's code, if there was one. Times are seconds since the request arrived.
    """

    id: str
    tenant: str
    key_name: str | None
    api: str
    path: str
    model: str
    provider: str | None
    upstream_model: str | None
    stream: bool
    status: int
    ending: Ending
    error: str | None
    message: str | None
    usage: Usage | None
    attempts: tuple[AttemptRecord, ...]
    first_token_s: float | None
    duration_s: float
    bytes_in: int
    bytes_out: int
    exchange: Exchange = field(repr=False)
