"""From a file or a dict to a Config, with every mistake in one ConfigError.

Owns the formats and the order of the steps: parse, interpolate, structure, check across. The
environment is an argument; nothing global is read.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

from aigw.config.crosscheck import cross_check
from aigw.config.interpolate import interpolate
from aigw.config.place import Place
from aigw.config.schema import Config
from aigw.config.secrets import Interpolated
from aigw.config.structure import salvage
from aigw.errors import ConfigError

FILE_NAMES = ("aigw.toml", "aigw.yaml", "aigw.yml")
_TOML_PLACE = re.compile(r" \(at line (\d+), column (\d+)\)$")


def find_config(cwd: Path) -> Path | None:
    """Return the configuration file in a folder: aigw.toml, aigw.yaml or aigw.yml, the first there is."""
    return next((cwd / name for name in FILE_NAMES if (cwd / name).is_file()), None)


def load(path: Path, env: Mapping[str, str], known_providers: Collection[str] | None = ()) -> Config:
    """Read a .toml, .yaml or .yml file.

    known_providers: names that targets may use without a [providers] entry; None does not look at them.
    Raises ConfigError with all mistakes, each prefixed by the file's name.
    """
    try:
        return loads(_parse(path), env, known_providers)
    except ConfigError as error:
        raise ConfigError([f"{path.name}: {line}" for line in error.problems]) from error


def loads(tree: object, env: Mapping[str, str], known_providers: Collection[str] | None = ()) -> Config:
    """Make a Config from tables as a file has them (for library use). Raises ConfigError."""
    problems: list[str] = []
    place = Place("", problems)
    filled = interpolate({} if tree is None else tree, env, place)
    config = salvage(Config, filled, place)
    if config is not None:
        sources = {str(text): text.source for text in _interpolated(filled)}
        # A provider whose own mistakes were told is there all the same: its targets are not to blame.
        known = None if known_providers is None else {*known_providers, *_names(filled, "providers")}
        problems += cross_check(config, known, lambda text: sources.get(text, text))
    if problems or config is None:
        raise ConfigError(problems)
    return config


def _names(tree: object, section: str) -> list[str]:
    table = tree.get(section) if isinstance(tree, Mapping) else None
    return [name for name in table if isinstance(name, str)] if isinstance(table, Mapping) else []


def _interpolated(tree: object) -> Iterator[Interpolated]:
    if isinstance(tree, Interpolated):
        yield tree
    elif isinstance(tree, Mapping):
        for item in tree.values():
            yield from _interpolated(item)
    elif isinstance(tree, list):
        for item in tree:
            yield from _interpolated(item)


def _parse(path: Path) -> object:
    parser = _PARSERS.get(path.suffix.lower())
    if parser is None:
        raise ConfigError([f"got a file of type {path.suffix or 'none'}, wanted .toml, .yaml or .yml"])
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError([f"byte {error.start} is not UTF-8, wanted a text file"]) from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a path"
        raise ConfigError([f"cannot be read: {reason}"]) from error
    try:
        return parser(text)
    except RecursionError as error:
        raise ConfigError(["tables or lists are nested too deep"]) from error


def _parse_toml(text: str) -> object:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([_toml_line(str(error), text)]) from error
    except ValueError as error:  # an integer of thousands of digits
        raise ConfigError(["a number is too large"]) from error


def _toml_line(message: str, text: str) -> str:
    at = _TOML_PLACE.search(message)
    if at is not None:
        return f"line {at[1]}, column {at[2]}: {message[: at.start()]}"
    lines = text.split("\n")
    return f"line {len(lines)}, column {len(lines[-1]) + 1}: {message.removesuffix(' (at end of document)')}"


def _parse_yaml(text: str) -> object:
    try:
        from aigw.config import yaml_tree  # noqa: PLC0415 - an optional dependency
    except ModuleNotFoundError as error:
        if error.name != "yaml":
            raise
        raise ConfigError(["YAML needs a package more: pip install 'aigw[yaml]'"]) from error
    return yaml_tree.parse(text)


_PARSERS: Mapping[str, Callable[[str], object]] = {
    ".toml": _parse_toml,
    ".yaml": _parse_yaml,
    ".yml": _parse_yaml,
}
