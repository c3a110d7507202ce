"""The hooks in force: one tuple for each hook point, and how they are run.

Owns checking a plugin against the specification and what happens when one of its hooks fails. Knows
nothing of where plugins come from.
"""

from __future__ import annotations

import difflib
import inspect
import logging
from collections.abc import Callable, Sequence
from typing import Any

from attrs import define, field, frozen

from aigw.errors import ConfigError, ErrorKind, GatewayError, ServerError
from aigw.hooks.spec import HookSpec

logger = logging.getLogger("aigw.hooks")

_POSITIONAL = frozenset({inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD})
HOOK_NAMES = tuple(name for name in vars(HookSpec) if not name.startswith("_"))


class PluginError(Exception):
    """A plugin cannot be used; says which, where and why."""


def blamed(plugin: str, point: str, error: Exception) -> ConfigError | PluginError:
    """Return what to raise when a plugin failed outside of any request: whose fault it was stands in it.

    A ConfigError is meant for the operator, so its problems are told as they are.
    """
    if isinstance(error, PluginError):
        return error
    if isinstance(error, ConfigError):
        own = f"plugins.{plugin}"
        return ConfigError(
            [line if line.startswith(own) else f'plugin "{plugin}": {line}' for line in error.problems]
        )
    return PluginError(f'plugin "{plugin}" failed in {point}: {error!r}')


@frozen
class Hook:
    """One plugin's method at one hook point."""

    plugin: str
    point: str
    call: Callable[..., Any]
    is_open: bool = False

    def failed(self, error: Exception) -> None:
        """Deal with a hook that raised: fail closed, or only say so if the plugin is an observer."""
        logger.error("plugin %s failed in %s", self.plugin, self.point, exc_info=error)
        if not self.is_open:
            message = f'plugin "{self.plugin}" failed in {self.point}; the gateway\'s log tells why'
            raise ServerError(message, kind=ErrorKind.HOOK_FAILED) from error


@define(eq=False)
class Hooks:
    """Every hook in force, in order. Register before the app starts; afterwards the tuples are read only."""

    plugins: dict[str, object] = field(factory=dict)
    frozen: bool = False
    provide: tuple[Hook, ...] = ()
    setup: tuple[Hook, ...] = ()
    authenticate: tuple[Hook, ...] = ()
    admit: tuple[Hook, ...] = ()
    rewrite_request: tuple[Hook, ...] = ()
    choose_targets: tuple[Hook, ...] = ()
    before_call: tuple[Hook, ...] = ()
    after_call: tuple[Hook, ...] = ()
    watch_stream: tuple[Hook, ...] = ()
    transform_stream: tuple[Hook, ...] = ()
    rewrite_response: tuple[Hook, ...] = ()
    on_error: tuple[Hook, ...] = ()
    on_complete: tuple[Hook, ...] = ()

    def register(self, plugin: object, *, name: str = "", first: bool = False) -> None:
        """Put a plugin's hooks in force, behind those that are there (or before them with `first`).

        Raises PluginError on a misspelt hook, on wrong parameters, on a name that is taken, and after start.
        """
        name = name or _declared(plugin, "name", "") or type(plugin).__name__
        if self.frozen:
            raise PluginError(f'plugin "{name}": hooks are frozen once the gateway has started')
        if name in self.plugins:
            raise PluginError(f'plugin "{name}" is registered twice')
        found = check(plugin, name)
        self.plugins[name] = plugin
        for hook in found:
            known = getattr(self, hook.point)
            setattr(self, hook.point, (hook, *known) if first else (*known, hook))


def check(plugin: object, name: str) -> list[Hook]:
    """Return the plugin's hooks. Raises PluginError naming all that looks like a hook and is none."""
    if isinstance(plugin, type):
        raise PluginError(f'plugin "{name}" is a class; register an instance: {plugin.__name__}(...)')
    problems: list[str] = []
    hooks: list[Hook] = []
    on_failure = _declared(plugin, "on_failure", "closed")
    if on_failure not in {"closed", "open"}:
        problems.append(f'on_failure is {on_failure!r}, must be "closed" or "open"')
    for attribute in dir(plugin):
        if attribute in HOOK_NAMES:
            method = getattr(plugin, attribute)
            problems += _mismatches(attribute, method)
            hooks.append(Hook(name, attribute, method, on_failure == "open"))
        elif near := _misspelt(plugin, attribute):
            problems.append(f'"{attribute}" is no hook; did you mean "{near}"? (a helper may begin with "_")')
    if not hooks and not problems:
        problems.append(f"it has no hook; the hooks are {', '.join(HOOK_NAMES)}")
    if problems:
        raise PluginError(f'plugin "{name}" ({type(plugin).__qualname__}): {"; ".join(problems)}')
    return hooks


def _declared(plugin: object, attribute: str, default: str) -> Any:
    """Return an attribute that the plugin really has: one with `__getattr__` has every name there is."""
    return getattr(plugin, attribute) if attribute in dir(plugin) else default


def _misspelt(plugin: object, attribute: str) -> str | None:
    """Return the hook that a public method's name comes close to. Properties are looked at, not run."""
    if attribute.startswith("_") or not callable(inspect.getattr_static(plugin, attribute, None)):
        return None
    return next(iter(difflib.get_close_matches(attribute, HOOK_NAMES, 1, 0.8)), None)


def _mismatches(point: str, method: Any) -> list[str]:
    """Compare a method with the specification: parameters by name, and the kind of function."""
    specified = getattr(HookSpec, point)
    if not callable(method):
        return [f'"{point}" must be a method']
    wanted = [name for name in inspect.signature(specified).parameters if name != "self"]
    parameters = list(inspect.signature(method).parameters.values())
    problems = []
    if not _takes(parameters, wanted):
        seen = ", ".join(str(parameter).partition(":")[0].partition("=")[0] for parameter in parameters)
        problems.append(f"{point}({seen}) should be {point}({', '.join(wanted)})")
    if point == "setup":
        if not inspect.isasyncgenfunction(method):
            problems.append(
                "setup must be an async generator: `async def setup(self, gateway): ...; yield; ...`"
            )
    elif inspect.iscoroutinefunction(specified) != inspect.iscoroutinefunction(method):
        wanted_kind = "async def" if inspect.iscoroutinefunction(specified) else "a plain def"
        problems.append(f"{point} must be {wanted_kind}")
    return problems


def _takes(parameters: Sequence[inspect.Parameter], wanted: Sequence[str]) -> bool:
    """Tell whether a method can be called with the arguments specified, and names them as specified."""
    asked, more = parameters[: len(wanted)], parameters[len(wanted) :]
    return [parameter.name for parameter in asked if parameter.kind in _POSITIONAL] == list(wanted) and all(
        parameter.default is not parameter.empty for parameter in more
    )


async def run(hooks: tuple[Hook, ...], *arguments: object) -> None:
    """Run every hook of one point in order, for those whose result does not matter."""
    for hook in hooks:
        try:
            await hook.call(*arguments)
        except GatewayError:
            raise
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything; failed() decides
            hook.failed(error)


async def first_result(hooks: tuple[Hook, ...], *arguments: object) -> Any:
    """Run hooks until one returns something, and return that."""
    for hook in hooks:
        try:
            result = await hook.call(*arguments)
        except GatewayError:
            raise
        except Exception as error:  # noqa: BLE001
            hook.failed(error)
        else:
            if result is not None:
                return result
    return None


async def retold(hooks: tuple[Hook, ...], exchange: object, error: GatewayError) -> GatewayError:
    """Show an error to every hook in turn, each as the one before left it; return what is to be told.

    Never raises: where errors are told, the error of a hook that fails is what is told.
    """
    for hook in hooks:
        try:
            error = await hook.call(exchange, error) or error
        except GatewayError as refusal:
            error = refusal
        except Exception as mistake:  # noqa: BLE001
            try:
                hook.failed(mistake)
            except GatewayError as failure:
                error = failure
    return error


def start(hooks: tuple[Hook, ...], argument: object) -> list[tuple[Hook, Callable[..., Any]]]:
    """Ask each per-stream hook for its callable; those that return None leave this stream alone."""
    started: list[tuple[Hook, Callable[..., Any]]] = []
    for hook in hooks:
        try:
            function = hook.call(argument)
        except GatewayError:
            raise
        except Exception as error:  # noqa: BLE001
            hook.failed(error)
        else:
            if function is not None:
                started.append((hook, function))
    return started


def notify(hooks: tuple[Hook, ...], argument: object) -> None:
    """Run every plain hook; one that fails never keeps the next from being told."""
    for hook in hooks:
        try:
            hook.call(argument)
        except Exception:
            logger.exception("plugin %s failed in %s", hook.plugin, hook.point)
