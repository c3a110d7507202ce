"""`${VAR}`, `${VAR:-default}` and `${file:/path}` inside the strings of a configuration.

Owns the syntax and the reading of secret files. The environment is an argument, values never stand in
a problem, and what came in this way is marked so that later messages do not show it either.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum, auto
from pathlib import Path
from typing import Final, Literal

from attrs import define

from aigw.config.place import Place
from aigw.config.secrets import Interpolated
from aigw.errors import ConfigError

MAX_DEPTH = 64
MAX_VALUES = 1_000_000
MAX_FILE_BYTES = 2**20

_SYNTAX = re.compile(
    r"(?P<escape>\$\$\{)"
    r"|\$\{file:(?P<file>[^${}]+)\}"
    r"|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<has_default>:-(?P<default>[^{}]*))?\}"
    r"|(?P<broken>\$\{)"
)


class Failed(Enum):
    """Stands where a value could not be had; its problem has been told already."""

    FAILED = auto()


FAILED: Final[Literal[Failed.FAILED]] = Failed.FAILED


def interpolate(tree: object, env: Mapping[str, str], place: Place) -> object:
    """Return a copy of the tree with all its strings interpolated; add a line for what cannot be.

    Strings without interpolation come back as they are, the others as `Interpolated`, and those that
    failed as `FAILED`. Keys of tables are left alone.
    Raises ConfigError for a tree that is too large, as YAML's references can make one.
    """
    return _Walk(env).value(tree, place, 0)


@define
class _Walk:
    env: Mapping[str, str]
    seen: int = 0

    def value(self, value: object, place: Place, depth: int) -> object:
        self.seen += 1
        if self.seen > MAX_VALUES:
            raise ConfigError([f"{place.path}: more than {MAX_VALUES} values, wanted fewer"])
        if depth > MAX_DEPTH:
            raise ConfigError([f"{place.path}: more than {MAX_DEPTH} levels deep, wanted fewer"])
        if isinstance(value, str):
            return self.text(value, place)
        if isinstance(value, Mapping):
            return {key: self.value(item, place.key(str(key)), depth + 1) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item, place.item(i), depth + 1) for i, item in enumerate(value)]
        return value

    def text(self, text: str, place: Place) -> object:
        if "${" not in text or isinstance(text, Interpolated):
            return text
        before = len(place.problems)
        made = _SYNTAX.sub(lambda match: self.part(match, place), text)
        if len(place.problems) > before:
            return FAILED
        if all(match["escape"] for match in _SYNTAX.finditer(text)):
            return made
        return Interpolated(made, text)

    def part(self, match: re.Match[str], place: Place) -> str:
        if match["escape"]:
            return "${"
        if match["file"]:
            return self.file(match["file"], place)
        if match["broken"]:
            return _fail(
                place,
                "${ begins nothing known, wanted ${NAME}, ${NAME:-default}, ${file:/path}, or $${ for ${",
            )
        name = match["name"]
        value = self.env.get(name)
        if match["has_default"]:
            return value or str(match["default"])
        if value is None:
            return _fail(place, f"variable {name} is not set, wanted a value for it, or ${{{name}:-default}}")
        return value

    def file(self, name: str, place: Place) -> str:
        try:
            with Path(name).open("rb") as file:
                content = file.read(MAX_FILE_BYTES + 1)
            text = content.decode()
        except UnicodeDecodeError:
            return _fail(place, f"file {name} is not UTF-8 text")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else None
            return _fail(place, f"file {name} cannot be read: {reason or 'not a path'}")
        if len(content) > MAX_FILE_BYTES:
            return _fail(place, f"file {name} is too large, wanted at most {MAX_FILE_BYTES} bytes")
        return text.rstrip("\r\n")


def _fail(place: Place, text: str) -> str:
    place.say(text)
    return ""
