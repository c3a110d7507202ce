"""Running a gateway as a process: the port, the signals, the draining.

Owns everything a process has once: event loop, logging, signal handlers. Nothing here is used when the
gateway is embedded.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import ssl
from collections.abc import Callable

from aiohttp import web

from aigw.assemble import Assembled
from aigw.config import Config
from aigw.errors import ConfigError, GatewayError
from aigw.upstream.provider import BaseProvider

logger = logging.getLogger("aigw")

BACKLOG = 4096
GC_THRESHOLD = 50_000
WORKER = "AIGW_WORKER"
"""Set in the environment of a worker: the process id of the supervisor that it must not outlive."""


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
    from both, once would count as twice.
    """
    gateway = made.gateway
    runner = web.AppRunner(
        gateway.make_app(),
        access_log=None,
        handler_cancellation=True,
        keepalive_timeout=config.server.keepalive_timeout_s,
        shutdown_timeout=2.0,  # what was worth waiting for has been waited for by the drain
    )
    stop = asyncio.Event()
    supervisor = os.environ.get(WORKER)

    def on_signal() -> None:
        if stop.is_set():
            gateway.hurry()
        stop.set()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, on_signal)
    loop.add_signal_handler(signal.SIGINT, on_signal if supervisor is None else _leave_it)
    orphaned = asyncio.create_task(_orphaned(int(supervisor), stop)) if supervisor else None
    try:
        await runner.setup()
        await _listen(runner, config, reuse_port=True if supervisor else None)
        # What lives now lives as long as the process: keep the collector from looking at it again.
        # What a request makes is freed without its help, so it need not look for cycles so often either:
        # at the default of 700 objects it took a twelfth of all time under load.
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD, 20, 50)
        _announce(made, config, runner)
        await stop.wait()
        logger.info("stopping: not ready any more, waiting for %d running answers", gateway.in_flight)
        await gateway.drain(config.server.drain_timeout_s)
    finally:
        await runner.cleanup()
        if orphaned is not None:
            orphaned.cancel()
    logger.info("stopped")
    return 0


def _leave_it() -> None:
    """Do nothing about a signal that somebody else answers."""


async def _listen(runner: web.AppRunner, config: Config, *, reuse_port: bool | None) -> None:
    """Open the port. Raises OSError that says which, and why not."""
    host, port = config.server.host, config.server.port
    site = web.TCPSite(runner, host, port, backlog=BACKLOG, ssl_context=tls(config), reuse_port=reuse_port)
    try:
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
