"""The command line: serve, check, models, plugins, providers, explain. Thin: it parses, calls, prints.

Owns flags, exit codes and what a person reads. Everything it does can be done from Python.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from attrs import evolve

from aigw import server
from aigw.assemble import Assembled, as_worker, assemble, check_exposure, on_disk, read_config
from aigw.builtin import builtins
from aigw.config import Config
from aigw.errors import ConfigError
from aigw.explain.flags import explain_flags
from aigw.hooks.loader import discover, order, try_each, unknown_disabled
from aigw.hooks.table import HOOK_NAMES, Hooks, PluginError
from aigw.upstream.catalog import CATALOG
from aigw.version import __version__
from aigw.worker import WORKER


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit code: 0 fine, 1 wrong configuration, 2 wrong flags."""
    options = parser().parse_args(arguments)
    try:
        command: Callable[[argparse.Namespace], int] = options.run
        return command(options)
    except (ConfigError, PluginError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    except OSError as error:
        print(f"aigw: {error}", file=sys.stderr)  # noqa: T201
        return 1


def parser() -> argparse.ArgumentParser:
    """Return the parser; each command's function stands in `run`."""
    top = argparse.ArgumentParser(
        prog="aigw", description="An AI gateway: any LLM client format, any provider."
    )
    top.add_argument("--version", action="version", version=f"aigw {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND")
    serving = commands.add_parser("serve", help="run the gateway (the default)")
    _serve_flags(top, default=None)
    # A command's own default would overwrite what was said before its name.
    _serve_flags(serving, default=argparse.SUPPRESS)
    for name, run, text in (
        ("check", check, "validate the configuration and say what it means"),
        ("models", models, "list the models there are"),
        ("plugins", plugins, "list the plugins in force and their hooks"),
        ("providers", providers, "list the providers in use and the catalogue"),
    ):
        command = commands.add_parser(name, help=text)
        _config_flag(command, default=argparse.SUPPRESS)
        command.set_defaults(run=run)
    explaining = commands.add_parser("explain", help="say what would become of a request; calls nobody")
    _config_flag(explaining, default=argparse.SUPPRESS)
    explain_flags(explaining)
    explaining.set_defaults(run=explain)
    return top


def _config_flag(target: argparse.ArgumentParser, default: str | None) -> None:
    text = "aigw.toml or .yaml (default: in this folder)"
    target.add_argument("--config", "-c", type=Path, metavar="FILE", default=default, help=text)


def _serve_flags(target: argparse.ArgumentParser, default: str | None) -> None:
    _config_flag(target, default)
    for flag, kind, metavar, text in (
        ("--host", str, "HOST", "address to listen on (default 127.0.0.1)"),
        ("--port", int, "PORT", "port to listen on (default 8080; 0 takes a free one)"),
        ("--workers", int, "N", "processes that share the port (default 1)"),
    ):
        target.add_argument(flag, type=kind, metavar=metavar, default=default, help=text)
    text = "restart when configuration or code changes"
    target.add_argument("--reload", action="store_true", default=default or False, help=text)
    target.set_defaults(run=serve)


def serve(options: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT, then drain. Several workers take up what is written anew at SIGHUP."""
    config = configured(options)
    if options.reload or config.server.workers > 1:
        from aigw.supervisor import supervise  # noqa: PLC0415 - a worker, and who serves alone, needs none

        _announced(config)  # a mistake is told once, here, and not by each worker
        return supervise(
            config, options.config, _flags(options), lambda: configured(options), reload=options.reload
        )
    return server.run(lambda: _announced(config), config)


def _flags(options: argparse.Namespace) -> list[str]:
    """Return the flags that a worker must be given, too; all else it reads from the configuration."""
    named = {"--config": options.config, "--host": options.host, "--port": options.port}
    return [word for flag, value in named.items() if value is not None for word in (flag, str(value))]


def configured(options: argparse.Namespace) -> Config:
    """Return the configuration with the flags' values in place of its own. Raises ConfigError."""
    config = read_config(options.config, os.environ, Path.cwd())
    changes = {
        name: value
        for name in ("host", "port", "workers")
        if (value := getattr(options, name, None)) is not None
    }
    try:
        return evolve(config, server=evolve(config.server, **changes)) if changes else config
    except ValueError as error:
        flags = ", ".join(f"--{name} {value}" for name, value in changes.items())
        raise ConfigError([f"{flags}: {error}"]) from error


def _made(config: Config) -> Assembled:
    kept, notes = on_disk(config, os.environ)
    made = assemble(as_worker(kept) if WORKER in os.environ else kept, os.environ)
    return evolve(made, notes=(*made.notes, *notes))


def _announced(config: Config) -> Assembled:
    made = _made(config)
    check_exposure(config, config.server.host, authenticated=bool(made.gateway.hooks.authenticate))
    server.tls(config)
    return made


def check(options: argparse.Namespace) -> int:
    """Validate without serving."""
    config = configured(options)
    made = _announced(config)
    gateway = made.gateway
    names = ", ".join(sorted(entry.name for entry in gateway.models.entries)) or "provider/model names only"
    keys = len(config.auth.keys)
    _print(
        "configuration is valid:",
        f"  listens on {config.server.host}:{config.server.port}, "
        + (f"{keys} key{'s' * (keys > 1)}" if keys else "no keys"),
        f"  providers: {', '.join(sorted(gateway.models.providers)) or 'none'}",
        f"  models: {names}",
        f"  plugins: {', '.join(gateway.hooks.plugins) or 'none'}",
        f"  responses are kept in {gateway.config.state.path or 'memory'}",
        *(f"  note: {note}" for note in made.notes),
    )
    return 0


def models(options: argparse.Namespace) -> int:
    """List registered names with their targets, then what the providers themselves list."""
    registry = _made(configured(options)).gateway.models
    for entry in registry.entries:
        _print(f"{entry.name} -> {', '.join(str(target) for target in entry.targets)}")
    for alias, name in registry.aliases.items():
        _print(f"{alias} = {name}")
    for provider in registry.providers.values():
        names = asyncio.run(server.list_models(provider))
        _print(*(f"{provider.name}/{name}" for name in names) if names else (f"{provider.name}/*",))
    return 0


def plugins(options: argparse.Namespace) -> int:
    """List the plugins in force in their order, those that cannot be, and those installed but not used."""
    config = configured(options)
    own, installed, hooks = builtins(config), discover(), Hooks()
    used = order(own, installed, config.plugins)
    failed = try_each(used, config.plugins, hooks)
    for name in (plugin.name for plugin in used):
        points = [point for point in HOOK_NAMES if any(hook.plugin == name for hook in getattr(hooks, point))]
        told = str(failed[name]).splitlines() if name in failed else [", ".join(points)]
        _print(*(f"{name}: {line}" for line in told))
    for plugin in installed.values():
        if plugin not in used:
            _print(f"{plugin.name}: installed ({plugin.source}), disabled")
    _print(*(f"note: {note}" for note in unknown_disabled({*own, *installed}, config.plugins)))
    return 1 if failed else 0


def providers(options: argparse.Namespace) -> int:
    """List the providers in use, then the catalogue with the variables that hold the keys."""
    for provider in _made(configured(options)).gateway.models.providers.values():
        _print(f"in use: {provider.name} ({', '.join(sorted(provider.apis))})")
    for row in CATALOG.values():
        wanted = " or ".join(row.key_env) if row.key_required else "no key needed"
        _print(f"{row.name:<14} {row.title:<22} {row.base_url or '(your own address)':<52} {wanted}")
    return 0


def explain(options: argparse.Namespace) -> int:
    """Say what would become of a request; calls nobody."""
    from aigw.explain.command import explain as told  # noqa: PLC0415 - a gateway that serves needs none of it

    return told(options, configured(options), os.environ)


def _print(*lines: str) -> None:
    for line in lines:
        print(line)  # noqa: T201
