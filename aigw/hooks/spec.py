"""Every hook, with its signature and its law: the one page a plugin's author needs.

A plugin is any class with a subset of these methods. They are checked by name and parameters when the
plugin is loaded, and frozen into tuples when the gateway starts, so an unused hook costs nothing. All
of them run for every endpoint that reaches a model; none can be skipped.

A hook that raises GatewayError refuses the request with that error, in the caller's own format. A hook
that raises anything else fails closed: the caller gets a 500 that names the plugin, the log gets the
trace. A plugin that only observes may set `on_failure = "open"`: then its failures are logged and the
request goes on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

from aigw.errors import GatewayError
from aigw.model import Event, Request, Response
from aigw.upstream.provider import Answer, Call
from aigw.upstream.registry import Target

if TYPE_CHECKING:
    from aigw.gateway import Gateway
    from aigw.hooks.registry import Registry
    from aigw.pipeline.exchange import Attempt, Exchange, Identity, Record, Reservation
    from aigw.pipeline.payload import Payload

EventTransform = Callable[[Event], Iterable[Event]]
"""Takes one event of one stream, returns what stands in its place: itself, others, or nothing."""

FrameWatcher = Callable[[bytes], None]
"""Sees the whole frames of one stream as they go to the client; must not keep the stream waiting."""


class HookSpec(Protocol):
    """The hooks, in the order in which one request meets them."""

    def provide(self, registry: Registry) -> None:
        """Add provider kinds, providers, strategies, stores, routes, finishing touches.

        Law: called once, before the app is made; it only registers, opens nothing, and runs in no event loop.
        """

    def setup(self, gateway: Gateway) -> AsyncIterator[None]:
        """Open what the plugin needs, `yield` once, close it again: an async generator.

        Law: runs once for each start of the app; what stands after the `yield` runs at its end, also
        when another plugin failed to start.
        """

    async def authenticate(self, exchange: Exchange) -> Identity | None:
        """Say who is asking; None if this credential is not of a kind this plugin knows.

        Law: the first plugin that names somebody decides. If none does, the caller gets a 401. The
        body has not been read. The credential is `exchange.credential`, never in logs.
        """

    async def admit(self, exchange: Exchange) -> Reservation | None:
        """Let the request in, or raise (429 with `retry_after_s`, 403 ...). Body and model are known.

        Law: what it returns is settled exactly once with the final record, whatever happens after.
        """

    async def rewrite_request(self, exchange: Exchange, payload: Payload[Request]) -> None:
        """Change the request: `payload.edit()` gives its fields, `payload.decoded()` its canonical form.

        Law: runs once a request, before targets are chosen; a changed `model` field is routed as such. What
        a request refers to (an earlier response, a conversation) stands in it already. Where the gateway
        runs tools itself, it runs once for each time the model is asked.
        """

    async def choose_targets(self, exchange: Exchange, targets: Sequence[Target]) -> Sequence[Target] | None:
        """Reorder, drop or add targets; None leaves them. The first is tried first, the rest in turn.

        Law: targets speak the request's API already; an empty answer refuses the request with a 404.
        """

    async def before_call(self, exchange: Exchange, attempt: Attempt, call: Call) -> None:
        """Change headers, query or body of one attempt, just before it goes out.

        Law: runs once for each attempt; the provider's credential is not yet in the headers.
        """

    async def after_call(self, exchange: Exchange, attempt: Attempt, answer: Answer) -> None:
        """See status and headers of one attempt, before any of its body was read.

        Law: runs once for each attempt that got an answer, good or bad, and before the client gets a byte.
        """

    def watch_stream(self, exchange: Exchange) -> FrameWatcher | None:
        """Return a callable that sees the frames of this stream; None to leave this one alone.

        Law: called once for each stream that reaches the client, when its first content is there; the
        fast path stays. Frames are whole, several may come at once.
        """

    def transform_stream(self, exchange: Exchange) -> EventTransform | None:
        """Return a callable that gets every event of this stream and may change, drop or add.

        Law: called once for each attempt whose provider answers with a stream: an attempt may be given up
        before its first content, so what a transform has gathered belongs in the callable, not in the
        plugin. A stream that another target goes on with stays one stream. None keeps the fast path.
        `Finished` or `Failed` is the last event, so that is where a text that was held back goes out.
        Endpoints without a codec give `Foreign` events.
        """

    async def rewrite_response(self, exchange: Exchange, payload: Payload[Response]) -> None:
        """Change a whole (not streamed) answer, in the same way as `rewrite_request`.

        Law: runs once, for successful answers that are JSON; a stream meets `transform_stream` instead.
        """

    async def on_error(self, exchange: Exchange, error: GatewayError) -> GatewayError | None:
        """See the error the caller is about to get; return another to put in its place.

        Law: every plugin's runs once for each failed exchange whose caller can still be told, in order,
        before it is told; each gets the error as the one before has left it. One case is only to be
        looked at: when a provider tells an error of its own amid a stream, its words have gone out
        already, and what the hook returns changes nothing.
        """

    def on_complete(self, record: Record) -> None:
        """See what remains of the exchange.

        Law: called exactly once for each exchange, on success, error, hang-up and shutdown, after the
        last byte. A plain function: it must not wait; hand slow work to a queue that `setup` drains.
        """


class Plugin:
    """Base class for plugins, for those who want one: it adds nothing but the names below.

    name: how the plugin is called in configuration, logs and errors; by default its entry point's name.
    on_failure: "closed" (a failing hook refuses the request) or "open" (it is logged).
    Config: an attrs class for the plugin's own section, `[plugins.NAME]`; the plugin gets it as argument.
    """

    name: ClassVar[str] = ""
    on_failure: ClassVar[Literal["closed", "open"]] = "closed"
    Config: ClassVar[type | None] = None
