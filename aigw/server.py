"""Running a gateway as a process: the port, the signals, the draining.

Owns everything a process has once: event loop, logging, signal handlers. Nothing here is used when the
gateway is embedded.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import shutil
import signal
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext, suppress

from aiohttp import web
from attrs import define, field

from aigw.assemble import Assembled
from aigw.builtin.meanwhile import meanwhile
from aigw.builtin.metrics import Metrics
from aigw.builtin.metrics_shared import sharing
from aigw.config import Config
from aigw.errors import ConfigError, GatewayError
from aigw.front import shorten
from aigw.gateway import Gateway
from aigw.handover import hand_over
from aigw.stores.base import StoreError
from aigw.stores.sqlite import SqliteStore
from aigw.stores.sqlite_health import SqliteHealthStore
from aigw.stores.sqlite_limits import SqliteLimitStore
from aigw.upstream.provider import BaseProvider
from aigw.worker import RETIRE, Post, post_of

logger = logging.getLogger("aigw")

BACKLOG = 4096
GC_THRESHOLD = 50_000


def run(make: Callable[[], Assembled], config: Config) -> int:
    """Serve in this process until a signal says stop; return 0 after a clean drain."""
    log_to_stderr()
    return loop_runner()(serve(make(), config))


def log_to_stderr() -> None:
    """Set up logging for a process of our own."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for name in ("httpx2", "mcp"):  # they write down the URLs of clients' MCP servers, which may hold secrets
        logging.getLogger(name).setLevel(logging.CRITICAL)


def loop_runner() -> Callable[..., int]:
    """Return uvloop's `run` where it is installed, else asyncio's: the same loop, a fifth slower."""
    try:
        import uvloop  # noqa: PLC0415 - an optional dependency
    except ImportError:
        return asyncio.run
    return uvloop.run


async def serve(made: Assembled, config: Config) -> int:
    """Open the port, say so, wait for SIGTERM or SIGINT, drain; a second signal ends the drain.

    A terminal's Ctrl-C reaches workers, too, but it is their supervisor that tells them to stop: heard
    from both, once would count as twice. The same holds for SIGHUP.
    """
    gateway, post = made.gateway, post_of(os.environ)
    runner = web.AppRunner(
        gateway.make_app(),
        access_log=None,
        handler_cancellation=True,
        keepalive_timeout=config.server.keepalive_timeout_s,
        shutdown_timeout=2.0,  # what was worth waiting for has been waited for by the drain
    )
    end = End(gateway)
    end.listen(is_worker=post is not None)
    async with AsyncExitStack() as stack:
        if post is not None:
            await stack.enter_async_context(_as_worker(post, gateway, end))
        stack.push_async_callback(runner.cleanup)
        await runner.setup()
        shorten(runner, gateway)
        await _listen(runner, config, post)
        # What lives now lives as long as the process: keep the collector from looking at it again.
        # What a request makes is freed without its help, so it need not look for cycles so often either:
        # at the default of 700 objects it took a twelfth of all time under load.
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD, 20, 50)
        _announce(made, config, runner)
        if post is not None:
            post.ready_file.touch()
        await end.has_come.wait()
        if end.is_retired:
            logger.info("another worker has taken over, waiting for %d running answers", gateway.in_flight)
            await hand_over(runner, gateway, config.server.drain_timeout_s)
        else:
            logger.info("stopping: not ready any more, waiting for %d running answers", gateway.in_flight)
            await gateway.drain(config.server.drain_timeout_s)
    logger.info("stopped")
    return 0


@define(eq=False)
class End:
    """When a process is to end. is_retired: others have taken its place, and have its connections to come."""

    gateway: Gateway
    has_come: asyncio.Event = field(factory=asyncio.Event)
    is_retired: bool = False

    def listen(self, *, is_worker: bool) -> None:
        """Hear of it by signals. In the running loop."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.stop)
        loop.add_signal_handler(signal.SIGINT, _leave_it if is_worker else self.stop)
        loop.add_signal_handler(signal.SIGHUP, _leave_it if is_worker else self._hung_up, has_terminal())
        if is_worker:
            loop.add_signal_handler(RETIRE, self._retire)

    def stop(self) -> None:
        if self.has_come.is_set():
            self.gateway.hurry()
        self.has_come.set()

    def _retire(self) -> None:
        self.is_retired = not self.has_come.is_set()
        self.has_come.set()

    def _hung_up(self, had_terminal: bool) -> None:
        if had_terminal and not has_terminal():
            self.stop()
        else:
            logger.warning("SIGHUP: one process alone cannot take up a new configuration and keep its "
                           "connections; that takes server.workers = 2, or more")  # fmt: skip


def has_terminal() -> bool:
    """Tell whether this was started in a terminal that is still open; SIGHUP comes also when it is closed."""
    return any(map(os.isatty, (0, 1, 2)))


def _leave_it(*_: object) -> None:
    """Do nothing about a signal that somebody else answers."""


@asynccontextmanager
async def _as_worker(post: Post, gateway: Gateway, end: End) -> AsyncIterator[None]:
    """Do while this lasts, and a moment longer than the gateway, what a worker owes the others."""
    metrics = gateway.hooks.plugins.get("metrics")
    try:
        async with (
            meanwhile(_orphaned(post.supervisor, end.has_come)),
            sharing(metrics, post.files) if isinstance(metrics, Metrics) else nullcontext(),
            _shared_file(post, gateway) if gateway.limit_store is None else nullcontext(),
        ):
            yield
    finally:
        if os.getppid() != post.supervisor:  # nobody else is left to do it
            shutil.rmtree(post.files.parent, ignore_errors=True)


@asynccontextmanager
async def _shared_file(post: Post, gateway: Gateway) -> AsyncIterator[None]:
    """Give workers that keep no state in one file another one, for what they tell one another of targets."""
    store = SqliteStore(post.files.with_name("targets.db"))
    gateway.limit_store = SqliteLimitStore(store)
    gateway.health_store = gateway.health_store or SqliteHealthStore(store)
    with suppress(StoreError):  # those who use it say so
        await store.open()
    try:
        yield
    finally:
        await store.close()


async def _listen(runner: web.AppRunner, config: Config, post: Post | None) -> None:
    """Open the port, or accept from what was given. Raises OSError that says which port, and why not."""
    host, port, context = config.server.host, config.server.port, tls(config)
    sites: list[web.BaseSite] = (
        [web.TCPSite(runner, host, port, backlog=BACKLOG, ssl_context=context)]
        if post is None
        else [web.SockSite(runner, each, backlog=BACKLOG, ssl_context=context) for each in post.adopt()]
    )
    try:
        for site in sites:
            await site.start()
    except OSError as error:
        raise cannot_listen(host, port, error) from error


def cannot_listen(host: str, port: int, error: OSError) -> OSError:
    """Return an error that says which port could not be had."""
    errno = error.errno or 0
    reason = os.strerror(errno) if errno > 0 else error.strerror or error
    return OSError(f"cannot listen on {host}:{port}: {reason}")


async def _orphaned(supervisor: int, stop: asyncio.Event) -> None:
    """Stop a worker whose supervisor is gone: nobody would stop it, or know that it has the port."""
    while os.getppid() == supervisor:  # noqa: ASYNC110 - a parent's death can only be asked for
        await asyncio.sleep(1)
    logger.error("the supervisor is gone")
    stop.set()


def _announce(made: Assembled, config: Config, runner: web.AppRunner) -> None:
    scheme = "https" if config.server.tls_cert_file else "http"
    for note in made.notes:
        logger.warning("%s", note)
    for host, port, *_ in runner.addresses:
        shown = f"[{host}]" if ":" in host else host
        logger.info("aigw listens on %s://%s:%s (stop with Ctrl-C)", scheme, shown, port)


def tls(config: Config) -> ssl.SSLContext | None:
    """Return what to serve TLS with, or None to serve without. Raises ConfigError on files of no use."""
    if config.server.tls_cert_file is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(config.server.tls_cert_file, config.server.tls_key_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            [f'server.tls_cert_file: cannot use "{config.server.tls_cert_file}": {error}']
        ) from error
    return context


async def list_models(provider: BaseProvider) -> list[str]:
    """Ask one provider for its models, outside a running gateway; empty if it does not say."""
    await provider.open()
    try:
        return await provider.models()
    except (GatewayError, TimeoutError) as error:
        logger.warning("provider %s did not list its models: %s", provider.name, error)
        return []
    finally:
        await provider.close()
